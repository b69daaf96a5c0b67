"""Memory that is freed between steps."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc" or not Path("/proc/self/statm").exists(),
    reason="other systems have no such setting",
)

MIB = 48
RESIDENT = f"""
import json, resource
import torch
from gancore.engine.memory import keeping_freed

def resident():
    with open("/proc/self/statm") as figures:
        return int(figures.read().split()[1]) * resource.getpagesize() / 2**20

def after_a_step():
    torch.ones({MIB} * 2**18)
    return resident()

after_a_step()
found = {{"before": after_a_step()}}
with keeping_freed():
    with keeping_freed():
        pass
    found["within"] = after_a_step()
found["left"] = resident()
found["after"] = after_a_step()
print(json.dumps(found))
"""


def test_memory_is_kept_from_step_to_step_also_after_another_has_ended_inside_and_returned_in_the_end():
    # In a process of its own: what tests before this one have freed may hold a block of such a size.
    printed = subprocess.run([sys.executable, "-c", RESIDENT], check=True, capture_output=True, text=True).stdout
    found = json.loads(printed)
    assert found["within"] - found["before"] > 0.9 * MIB
    assert found["left"] - found["before"] < 0.1 * MIB
    assert found["after"] - found["before"] < 0.1 * MIB
