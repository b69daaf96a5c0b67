"""Phrases on disk: MIDI files, a picture of piano rolls, and sound."""
