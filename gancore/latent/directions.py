"""Directions of a run's latent space, kept in its folder."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file

from gancore.errors import RunFolderError
from gancore.latent.resolving import Directions

FOLDER = "directions"
"""The folder within that of a run."""
TENSORS = "directions.safetensors"
"""In it, steps `[layers, size]` by name."""


def load(run: Path) -> Directions:
    """The directions of the run in folder `run`; none where none have been found.

    Raises:
        RunFolderError: the file is damaged.
    """
    path = run / FOLDER / TENSORS
    if not path.is_file():
        return {}
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise RunFolderError(
            f"'{path}' cannot be read, because it is damaged; remove it and find the directions anew: gan directions {run}"
        ) from error
