"""Features of texts: latent semantic analysis of those trained on, and encoders that others have trained."""
