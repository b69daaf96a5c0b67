"""Configurations that are known to work; docs/reference/results.md has what they were measured to give."""

from __future__ import annotations

from gancore.components import Preset
from gancore.presets import FALLING, players, relativistic

PRESETS = [
    Preset(
        name="demo",
        summary="Blossoms in colour, 32x32, in some minutes on two cores",
        config={
            **relativistic(weight=0.1, every=4),
            **players(lr=1e-3, **FALLING),
            "data": {"name": "blossoms"},
            "architecture": {"name": "dcgan", "width": 32},
            "batch_size": 32,
            "steps": 2400,
            "every": {"sample": 400, "checkpoint": 800},
        },
    ),
    Preset(
        name="digits",
        summary="Handwritten digits, 8x8, in a minute or two on two cores",
        config={
            **relativistic(weight=0.5, every=4),
            **players(lr=4e-4, **FALLING),
            "data": {"name": "digits"},
            "architecture": {"name": "dcgan", "width": 64},
            "steps": 6000,
            "every": {"sample": 500, "checkpoint": 1000},
        },
    ),
    Preset(
        name="small",
        summary="Your own pictures without a GPU: dcgan, mild augmentation",
        config={
            **relativistic(weight=0.5, every=4),
            **players(lr=4e-4, **FALLING),
            "architecture": {"name": "dcgan", "width": 32},
            "augmentations": {"diffaugment": {"policy": ["colour", "translation"]}},
            "steps": 8000,
        },
    ),
    Preset(
        name="r3gan",
        summary="Your own pictures with a GPU: the networks and objective of Huang et al. 2024",
        config={
            **relativistic(weight=1.0, every=1),
            **players(lr=2e-4, **FALLING),
            "architecture": {"name": "r3gan"},
            "augmentations": {"diffaugment": {}},
            "precision": "bf16",
            "batch_size": 128,
            "steps": 100_000,
            "ema": {"half_life": 100_000.0},
            "every": {"log": 100, "sample": 2000, "checkpoint": 2000, "health": 1000},
        },
    ),
]
