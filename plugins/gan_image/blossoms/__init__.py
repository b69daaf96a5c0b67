"""Pictures of blossoms that are drawn from eight independent factors, and the way back from a picture to its factors."""
