"""Networks of the music plugin."""
