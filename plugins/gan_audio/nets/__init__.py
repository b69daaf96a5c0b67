"""Audio architectures: two-dimensional networks for spectrograms of any size, one-dimensional ones for waveforms."""
