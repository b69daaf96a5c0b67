"""Features of images: networks that others have trained, and what needs none."""
