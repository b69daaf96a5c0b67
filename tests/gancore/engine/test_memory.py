"""Memory that is freed between steps."""

from __future__ import annotations

import platform

import pytest
import torch

from gancore.engine.memory import keeping_freed

resource = pytest.importorskip("resource")
pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no such setting")

MIB = 48
PAGES = MIB * 2**20 // resource.getpagesize()


def pages_of_a_step():
    """How many pages the system hands out while a tensor of 48 MiB is made, filled and freed."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(MIB * 2**18)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def test_memory_is_used_again_in_the_next_step_and_returned_in_the_end():
    with keeping_freed():
        # Where something small has taken a bit of what was freed, the next tensor does not fit, until there is room for both.
        assert min(pages_of_a_step() for _ in range(16)) < PAGES / 10
    assert pages_of_a_step() > PAGES / 2
