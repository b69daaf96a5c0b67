"""What belongs to the whole process, and must be after a check as it was before."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from gancore.testing.check import Mismatch

_KEPT: dict[str, tuple[Callable[[], Any], Callable[[Any], None]]] = {
    "the working directory": (os.getcwd, os.chdir),
    "torch's default dtype": (torch.get_default_dtype, torch.set_default_dtype),
    "torch's number of threads": (torch.get_num_threads, torch.set_num_threads),
    "whether torch records gradients": (torch.is_grad_enabled, torch._C._set_grad_enabled),
    "whether torch is deterministic": (
        torch.are_deterministic_algorithms_enabled,
        torch.use_deterministic_algorithms,
    ),
}
"""How to read and to set what a plugin must leave alone."""


@contextmanager
def process_kept() -> Iterator[None]:
    """Put everything back: the random numbers, which checks themselves seed, and what the plugin's code has changed.

    Raises:
        Mismatch: it has changed something, and nothing else was wrong.
    """
    numbers = torch.get_rng_state(), np.random.get_state(), random.getstate()
    before = {name: read() for name, (read, _) in _KEPT.items()}
    environment = dict(os.environ)
    changed = []
    try:
        yield
    finally:
        torch.set_rng_state(numbers[0])
        np.random.set_state(numbers[1])
        random.setstate(numbers[2])
        for name, (read, write) in _KEPT.items():
            if read() != before[name]:
                changed.append(name)
                write(before[name])
        for key in sorted({*os.environ, *environment}):
            was, now = environment.get(key), os.environ.get(key)
            # Libraries set variables of their own when they are imported; those that others read are another matter.
            if was != now and (was is not None or key.startswith(_READ_BY_OTHERS)) and key != "PYTEST_CURRENT_TEST":
                changed.append(f"the environment variable {key}")
                os.environ.pop(key, None)
                os.environ.update({} if was is None else {key: was})
    if changed:
        raise Mismatch(
            f"it changes {', '.join(changed)}, and so the runs of others",
            expected="what belongs to the whole process stays as it is",
        )


_READ_BY_OTHERS = ("CUDA_", "GAN_", "MKL_", "OMP_", "PYTHON", "PYTORCH_", "TORCH_")
"""How environment variables begin that decide what torch, Python and gancore do."""
