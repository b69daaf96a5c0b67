"""Adversarial losses, penalties and augmentations, contributed through the same hooks as any plugin's."""
