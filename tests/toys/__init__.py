"""Small worlds for tests: data, networks, games and files of each modality, and plugins with all or nothing in order."""
