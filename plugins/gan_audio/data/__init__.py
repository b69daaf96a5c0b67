"""Sources of sounds: made notes, and folders or archives of recordings."""
