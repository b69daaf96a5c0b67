"""What a trained generator is for: loading it, drawing samples from it, and writing them under good names."""
