"""One thread, and toys in which nothing is broken."""

from __future__ import annotations

import sys

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture
def toys_registry():
    """A registry that holds the engine's own components and the toy plugin, and nothing that is installed."""
    from toys.pictures import new_registry

    return new_registry()


@pytest.fixture(autouse=True)
def _no_faults_left():
    """A fault that one test asks the toy networks for must not reach the next."""
    yield
    if "toys.pictures" in sys.modules:
        sys.modules["toys.pictures"].FAULTS.clear()
