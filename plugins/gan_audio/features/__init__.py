"""Features of sounds: what is heard of them, as vectors."""
