"""Data sets of texts, and what turns texts into tokens."""
