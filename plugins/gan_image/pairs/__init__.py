"""Pairs of images: one is given, and the other is made to go with it."""
