"""Fixtures of the tests of whole commands."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from support.terminal import Terminal


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


@pytest.fixture(scope="session")
def digests() -> Callable[[Path], dict[str, str]]:
    """SHA-256 of everything in a run that must not depend on how it came about: weights, optimizers, samples."""

    def compute(run: Path) -> dict[str, str]:
        files = [
            *run.glob("checkpoints/*/*.safetensors"),
            *run.glob("checkpoints/*/*.pt"),
            *run.glob("samples/**/*.png"),
        ]
        assert files
        return {p.relative_to(run).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(files)}

    return compute
