"""Sounds on disk: WAV files, spectrograms to look at, and sheets of many samples."""
