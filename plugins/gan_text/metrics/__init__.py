"""Figures of merit of texts."""
