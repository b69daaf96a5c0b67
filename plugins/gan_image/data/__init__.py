"""Sources of images: the built-in blossoms and digits, NumPy files, and folders or archives of pictures."""
