"""Complete configurations: for the built-in grammar, and for texts of your own."""

from __future__ import annotations

from typing import Any

from gancore.components import Preset
from gancore.presets import FALLING, relativistic


def adversarial(generator: float, discriminator: float) -> dict[str, Any]:
    """Learning rates of the two players once maximum likelihood is over, both falling at the end."""
    return {
        "optimizers": {
            "generator": {"lr": generator, "beta1": 0.9, "beta2": 0.999, "clip": 5.0, **FALLING},
            "discriminator": {"lr": discriminator, "beta1": 0.5, "beta2": 0.99, **FALLING},
        }
    }


PRESETS = [
    Preset(
        name="demo",
        summary="Sentences of the built-in grammar, in five minutes on two cores",
        config={
            **relativistic(weight=0.1, every=4),
            **adversarial(1e-4, 2e-4),
            "game": {"name": "sequence", "mle": {"steps": 1500, "lr": 3e-3, "beside": 1.0}, "warmup": 100},
            "data": {"name": "grammar"},
            "architecture": {"name": "lstm", "embedding": 96, "width": 256},
            "batch_size": 64,
            "steps": 2200,
            "samples": 32,
            "held_out": 0.05,
            "every": {"sample": 500, "checkpoint": 500},
        },
    ),
    Preset(
        name="captions",
        summary="Short texts of your own by words, such as captions, in an hour on two cores",
        config={
            **relativistic(weight=0.1, every=4),
            **adversarial(1e-4, 2e-4),
            "game": {"name": "sequence", "mle": {"steps": 4000, "lr": 2e-3, "beside": 1.0}, "warmup": 200},
            "data": {"name": "lines", "tokens": "words"},
            "architecture": {"name": "lstm", "embedding": 256, "width": 512, "dropout": 0.5, "locked": True},
            "batch_size": 64,
            "steps": 5000,
            "samples": 32,
            "held_out": 0.1,
            "every": {"sample": 1000, "checkpoint": 1000},
        },
    ),
    Preset(
        name="characters",
        summary="Short texts of your own by characters, in any script: names, words, verses",
        config={
            **relativistic(weight=0.1, every=4),
            **adversarial(1e-4, 2e-4),
            "game": {"name": "sequence", "mle": {"steps": 3000, "lr": 2e-3, "beside": 1.0}, "warmup": 200},
            "data": {"name": "lines", "tokens": "characters"},
            "architecture": {"name": "relational-memory"},
            "batch_size": 64,
            "steps": 4000,
            "samples": 32,
            "held_out": 0.1,
            "every": {"sample": 1000, "checkpoint": 1000},
        },
    ),
]
