"""Makes the toy plugin importable by its name, here and in the processes that tests start."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent / "engine"))
torch.set_num_threads(1)


@pytest.fixture
def toys_registry():
    """A registry that holds the engine's own components and the toy plugin, and nothing that is installed."""
    import gan_toys

    return gan_toys.new_registry()


@pytest.fixture(autouse=True)
def _no_faults_left():
    """A fault that one test asks the toy networks for must not reach the next."""
    yield
    toys = sys.modules.get("gan_toys")
    if toys is not None:
        toys.FAULTS.clear()
