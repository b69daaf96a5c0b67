"""Every plugin that comes with gancore keeps the contract that others are held to."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from gancore.plugins import BUILTIN, GROUP
from gancore.testing import check_plugin
from gancore.testing.check import CHECKS

OWN = [e.name for e in entry_points(group=GROUP) if e.dist is not None and e.dist.name == "gancore"]


def data_for(plugin: str, folder: Path) -> dict[str, Any]:
    """What `gan plugins check` is given for a plugin, so that as little as possible is skipped."""
    if plugin == BUILTIN:
        return {"host": "image"}  # its augmentation is for images
    if plugin == "image":
        pictures = np.random.default_rng(0).integers(0, 255, (24, 16, 16), dtype=np.uint8)
        np.savez(folder / "pictures.npz", x_train=pictures, y_train=np.arange(24) % 3)
        return {"data": folder / "pictures.npz"}
    if plugin == "audio":
        for number in range(16):
            tone = 0.5 * np.sin(0.05 * (number + 2) * np.arange(3000))
            place = folder / "sounds" / ("low" if number < 8 else "high")
            place.mkdir(parents=True, exist_ok=True)
            soundfile.write(place / f"{number}.wav", tone, 8000)
        return {"data": folder / "sounds"}
    if plugin == "text":
        lines = [f"a {colour} {thing} {verb} ." for colour in ("red", "blue", "green") for thing in ("dog", "cat", "bird")
                 for verb in ("sleeps", "runs", "sings", "waits")]  # fmt: skip
        (folder / "lines.txt").write_text("\n".join(lines))
        return {"data": folder / "lines.txt"}
    return {}


@pytest.mark.slow
@pytest.mark.parametrize("plugin", [BUILTIN, *OWN])
def test_it_passes_every_check(plugin: str, tmp_path: Path) -> None:
    report = check_plugin(plugin, **data_for(plugin, tmp_path))
    assert [str(r) for r in report.results if r.outcome in ("failed", "blocked")] == []
    assert report.ok


def test_the_scene_for_parts_without_data_passes_too() -> None:
    report = check_plugin("gancore-points", only="[!s]*")
    assert report.ok, [str(r) for r in report.of("failed")]


def test_the_toy_of_the_other_tests_is_no_bad_example(toy: str) -> None:
    report = check_plugin(toy, only="[!s]*")
    assert [str(r) for r in report.of("failed")] == []
    assert {r.check for r in report.results} < set(CHECKS)
