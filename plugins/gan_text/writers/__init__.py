"""Texts on disk: one file with all of them, or a file each."""
