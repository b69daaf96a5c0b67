"""Players, phases and the rules that make a game of them."""
