"""Complete configurations: for the built-in notes, and for recordings of your own."""

from __future__ import annotations

from typing import Any

from gancore.components import Preset
from gancore.presets import FALLING, players, relativistic, unpaired

_DOMAINS: dict[str, Any] = {
    # With an identity of 1 and a cycle of 10 voices stayed what they were.
    **unpaired(lr=4e-4, batch_size=8, game={"cycle": 2.0, "identity": 0.0}),
    "evaluate": {"samples": 150, "features": {"mel": {}}},
}

PRESETS = [
    Preset(
        name="demo",
        summary="Synthesised notes of 24 pitches, in five minutes on two cores",
        config={
            **relativistic(weight=1.0, every=4),
            **players(lr=1e-3),
            **FALLING,
            "data": {"name": "notes"},
            "architecture": {"name": "specgan", "width": 16},
            "batch_size": 32,
            "steps": 1000,
            "samples": 24,
            "every": {"sample": 250, "checkpoint": 500, "evaluate": 250},
            # A clip takes some 30 ms to become a waveform, and the judge would be trained in each run anew.
            "evaluate": {"samples": 150, "features": {"mel": {}}},
        },
    ),
    Preset(
        name="spoken-digits",
        summary="Words and other short sounds of your own at 8 kHz, a second long, in a quarter of an hour on one core",
        config={
            **relativistic(weight=1.0, every=4),
            **players(lr=1e-3),
            **FALLING,
            "data": {"name": "sounds", "representation": "log-mel", "normalise": "peak", "long": "crop-start"},
            "architecture": {"name": "specgan", "width": 24, "stem": 16},
            "batch_size": 32,
            "steps": 2000,
            "samples": 30,
            "every": {"sample": 500, "checkpoint": 500, "evaluate": 500},
            "evaluate": {"samples": 150, "features": {"mel": {}}},
        },
    ),
    Preset(
        name="waveform",
        summary="WaveGAN on the synthesised notes, as waveforms; not trained to its end yet",
        config={
            **relativistic(weight=1.0, every=4),
            **players(lr=2e-4),
            **FALLING,
            "data": {"name": "notes", "representation": "waveform"},
            "architecture": {"name": "wavegan"},
            "batch_size": 32,
            "steps": 10_000,
            "samples": 24,
            "every": {"evaluate": 1000},
            "evaluate": {"samples": 150, "features": {"mel": {}}},
        },
    ),
    Preset(
        name="vocoder",
        summary="HiFi-GAN: waveforms out of mel spectrograms of your own recordings, in place of Griffin-Lim",
        config={
            "game": {"name": "vocoder"},
            "loss": {"name": "least-squares"},
            "optimizers": {
                "generator": {"name": "adamw", "lr": 2e-3, "beta1": 0.8},
                "discriminator": {"name": "adamw", "lr": 5e-4, "beta1": 0.8},
            },
            **FALLING,
            "data": {
                "name": "sounds",
                "representation": "waveform",
                "given": "mel",
                "length": 2048,
                "floor_db": -60.0,
                "normalise": "peak",
            },
            "architecture": {"name": "hifigan", "scales": 1},
            "batch_size": 8,
            "steps": 3000,
            "samples": 16,
            "every": {"sample": 500, "checkpoint": 500},
        },
    ),
    Preset(
        name="domains",
        summary="From domain to domain without pairs, such as voice to voice: a folder of short sounds for each",
        config={
            **_DOMAINS,
            "data": {"name": "sounds", "representation": "log-mel", "normalise": "peak", "long": "crop-start"},
            "steps": 4000,
            "every": {"sample": 500, "checkpoint": 500, "evaluate": 1000},
        },
    ),
    Preset(
        name="timbres",
        summary="Synthesised notes from instrument to instrument, without pairs",
        config={
            **_DOMAINS,
            "data": {"name": "notes", "labels": "timbre", "representation": "log-mel"},
            "steps": 1000,
            "every": {"sample": 250, "checkpoint": 500, "evaluate": 500},
        },
    ),
    Preset(
        name="one-second",
        summary="Sounds of your own at 16 kHz, a second long; wants a GPU",
        config={
            **relativistic(weight=1.0, every=4),
            **players(lr=1e-3),
            **FALLING,
            "data": {
                "name": "sounds",
                "sample_rate": 16_000,
                "length": 16_384,
                "representation": "log-mel",
                "n_fft": 512,
                "hop": 128,
                "normalise": "peak",
            },
            "architecture": {"name": "specgan", "width": 64, "max_width": 512},
            "batch_size": 64,
            "steps": 30_000,
            "samples": 30,
            "every": {"sample": 1000, "checkpoint": 1000},
            "held_out": 0.1,
        },
    ),
]
