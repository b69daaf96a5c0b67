"""Memory on the processor that one step frees and the next one needs again, kept instead of returned to the system."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of mallopt, in malloc.h
_KEPT = 2**30
_USUAL = {_MMAP_THRESHOLD: 2**25, _TRIM_THRESHOLD: 2**26}
"""What glibc arrives at by itself in programs that free large blocks."""
_inside = 0
"""How many are in it: the last to leave gives all back."""


@contextmanager
def keeping_freed() -> Iterator[None]:
    """Have glibc keep what is freed, up to 1 GiB, until this is left; other C libraries are left as they are.

    Otherwise it gives large tensors back, and the system hands them out anew page by page, each filled with zeros: 34,000 pages or more
    in a step at 3x64x64 (dcgan of width 64, batch 64). Tensors below 32 MiB it keeps by itself once as much has been freed at a time.
    Inside of another it changes nothing: short trainings one after another then share what is kept.
    """
    global _inside
    try:
        library = ctypes.CDLL(None)
        mallopt, trim = library.mallopt, library.malloc_trim
    except (AttributeError, OSError, TypeError):
        yield
        return
    if not _inside:
        if not mallopt(_MMAP_THRESHOLD, _KEPT):  # more than older versions take
            mallopt(_MMAP_THRESHOLD, _USUAL[_MMAP_THRESHOLD])
        mallopt(_TRIM_THRESHOLD, _KEPT)
    _inside += 1
    try:
        yield
    finally:
        _inside -= 1
        if not _inside:
            for name, value in _USUAL.items():
                mallopt(name, value)
            trim(0)
