"""Metrics of samples of any modality, by features that its plugin brings."""
