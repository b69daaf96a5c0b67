"""Complete configurations: for the built-in tunes, and for MIDI files of your own."""

from __future__ import annotations

from typing import Any

from gancore.components import Preset
from gancore.presets import FALLING, players, relativistic, unpaired

_DOMAINS: dict[str, Any] = {
    # Distances are shares of what sounds, and so larger than those of pictures; with the weights of CycleGAN little would move.
    **unpaired(
        lr=1e-3,
        batch_size=16,
        game={"cycle": 2.0, "identity": 1.0},
        halvings=1,
        blocks=2,
        discriminator_width=32,
    ),
}

PRESETS = [
    Preset(
        name="demo",
        summary="Composed phrases in 24 keys, in five minutes on two cores",
        config={
            **relativistic(weight=0.5, every=4),
            **players(lr=2e-3),
            **FALLING,
            "data": {"name": "tunes", "steps_per_beat": 2},
            "architecture": {"name": "musegan", "width": 32},
            "batch_size": 32,
            "steps": 1500,
            "samples": 24,
            "every": {"sample": 500, "checkpoint": 500, "evaluate": 300},
        },
    ),
    Preset(
        name="two-track",
        summary="Melody and chords of your own MIDI files, all in one key, in a quarter of an hour on two cores",
        config={
            **relativistic(weight=1.0, every=2),
            **players(lr=1e-3),
            **FALLING,
            "data": {"name": "midi", "transpose": "common", "highest": 95},
            "architecture": {"name": "musegan", "width": 48, "metre": 4.0},
            "batch_size": 32,
            "steps": 1200,
            "samples": 24,
            "held_out": 0.1,
            "every": {"evaluate": 300},
        },
    ),
    Preset(
        name="band",
        summary="Bass, drums, guitar, piano and strings of your own MIDI files, on MuseGAN's grid; wants a GPU",
        config={
            **relativistic(weight=1.0, every=2),
            **players(lr=1e-3),
            **FALLING,
            "data": {"name": "midi", "tracks": "program", "steps_per_beat": 12, "min_tracks": 2, "min_notes": 8},
            "architecture": {"name": "musegan", "width": 64, "metre": 1.0},
            "batch_size": 64,
            "steps": 20_000,
            "samples": 24,
            "every": {"sample": 1000, "checkpoint": 1000, "evaluate": 2000},
            "held_out": 0.1,
        },
    ),
    Preset(
        name="domains",
        summary="From domain to domain, without pairs: a folder of MIDI files for each, CycleGAN in a small size",
        config={
            **_DOMAINS,
            "data": {"name": "midi", "highest": 95},
            "steps": 4000,
            "every": {"evaluate": 1000},
        },
    ),
    Preset(
        name="modes",
        summary="Composed phrases from major to minor and back, without pairs, in ten minutes",
        config={
            **_DOMAINS,
            "architecture": {**_DOMAINS["architecture"], "beyond": 30.0},
            "data": {"name": "tunes", "labels": "mode", "steps_per_beat": 2},
            "steps": 1600,
            "every": {"sample": 400, "checkpoint": 400, "evaluate": 400},
        },
    ),
]
