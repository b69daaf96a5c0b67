"""Games for sounds."""
