"""What a run is asked for: the options of a run, the layers that they come in, and the validated whole."""
