"""Figures of merit of phrases."""
