"""From files to batches: what a sample is, which sample comes n-th, and how it gets to the device."""
