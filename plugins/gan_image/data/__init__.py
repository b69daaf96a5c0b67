"""Sources of images: the built-in digits, NumPy files, and folders or archives of pictures."""
