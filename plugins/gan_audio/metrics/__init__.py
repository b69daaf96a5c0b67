"""Figures of merit of sounds."""
