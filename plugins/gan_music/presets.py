"""Complete configurations: for the built-in tunes, and for MIDI files of your own."""

from __future__ import annotations

from gancore.components import Preset
from gancore.presets import FALLING, players, relativistic

PRESETS = [
    Preset(
        name="demo",
        summary="Composed phrases in 24 keys, in five minutes on two cores",
        config={
            **relativistic(weight=0.5, every=4),
            **players(lr=2e-3, **FALLING),
            "data": {"name": "tunes", "steps_per_beat": 2},
            "architecture": {"name": "musegan", "width": 32},
            "batch_size": 32,
            "steps": 2000,
            "samples": 24,
            "every": {"sample": 500, "checkpoint": 500},
        },
    ),
    Preset(
        name="phrases",
        summary="Your own MIDI files without a GPU: musegan on four bars",
        config={
            **relativistic(weight=0.5, every=4),
            **players(lr=2e-3, **FALLING),
            "architecture": {"name": "musegan", "width": 32},
            "batch_size": 32,
            "steps": 4000,
            "samples": 24,
        },
    ),
]
