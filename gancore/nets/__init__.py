"""Layers that more than one modality uses."""
