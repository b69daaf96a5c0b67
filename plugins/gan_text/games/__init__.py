"""Rules that train generators of texts."""
