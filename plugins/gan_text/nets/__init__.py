"""Networks of the text plugin."""
