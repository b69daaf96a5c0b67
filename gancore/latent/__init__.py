"""Where in a generator's latent space a sample is, as a value: addresses, recipes that repeat a sample, walks between samples."""
