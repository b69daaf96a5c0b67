"""Data sets of the music plugin."""
