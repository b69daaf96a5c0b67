"""Configurations that are known to work, with what they were measured to give in docs/reference/results.md."""

from __future__ import annotations

from gancore.components import Preset

RELATIVISTIC = {
    "loss": {"name": "rpgan"},
    "penalties": {"r1": {"weight": 1.0, "every": 4}, "r2": {"weight": 1.0, "every": 4}},
}

PRESETS = [
    Preset(
        name="demo",
        summary="Handwritten digits, 8x8, in minutes on two cores",
        config={
            **RELATIVISTIC,
            "data": {"name": "digits"},
            "architecture": {"name": "dcgan", "width": 64},
            "steps": 4000,
        },
    ),
    Preset(
        name="small",
        summary="Your own pictures on a machine without a GPU",
        config={
            **RELATIVISTIC,
            "architecture": {"name": "dcgan", "width": 32},
            "steps": 10000,
        },
    ),
]
