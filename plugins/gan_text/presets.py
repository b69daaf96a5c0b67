"""Complete configurations: for the built-in grammar, and for texts of your own."""

from __future__ import annotations

from typing import Any

from gancore.components import Preset

DISCRIMINATOR: dict[str, Any] = {"representations": 1, "embedding": 64, "dropout": 0.4}
"""The discriminator that learnt most on 10,000 captions before it knew them by heart."""


def adversarial(weight: float, lr: float = 5e-5, beta1: float = 0.5) -> dict[str, Any]:
    """Relativistic pairing (Huang et al. 2024) with R1 on real texts; `lr` is the generator's, `beta1` the discriminator's.

    A text has some ten tokens that matter, whose vectors are short: a weight of R1 that serves pictures holds the discriminator
    still here.
    """
    return {
        "loss": {"name": "rpgan"},
        "penalties": {"r1": {"weight": weight}},
        "optimizers": {
            "generator": {"name": "adamw", "lr": lr, "beta1": 0.9, "beta2": 0.99, "clip": 1.0, "weight_decay": 0.02},
            "discriminator": {"lr": 1e-3, "beta1": beta1, "beta2": 0.99},
        },
    }


PRESETS = [
    Preset(
        name="demo",
        summary="Sentences of the built-in grammar, in five minutes on two cores",
        config={
            **adversarial(0.02),
            "game": {
                "name": "sequence",
                "mle": {"steps": 4000, "lr": 5e-3, "final": 0.02, "patience": 0, "every": 500, "beside": 1.0},
                "warmup": 100,
            },
            "data": {"name": "grammar"},
            "architecture": {
                "name": "lstm",
                "embedding": 96,
                "width": 256,
                "tied": False,
                "dropout": 0.0,
                "cnn": DISCRIMINATOR,
            },
            "batch_size": 64,
            "steps": 4500,
            "samples": 32,
            "held_out": 0.05,
            "every": {"sample": 500, "checkpoint": 500, "health": 1000, "evaluate": 900},
        },
    ),
    Preset(
        name="captions",
        summary="Short texts of your own by words, such as captions, in half an hour on two cores",
        config={
            **adversarial(0.05, lr=2e-5, beta1=0.9),
            "game": {
                "name": "sequence",
                "mle": {
                    "steps": 2800,
                    "lr": 3e-3,
                    "final": 0.3,
                    "every": 140,
                    "patience": 3,
                    "noising": 0.3,
                    "calibrate": True,
                    "beside": 0.3,
                },
                # To the end: the generator's own steps cost more than they gained, while a discriminator of a generator that
                # stands still becomes good enough to choose between its texts, for who asks for candidates.
                "warmup": 3400,
                "noise": 0.918,
            },
            "data": {"name": "lines", "tokens": "words"},
            "architecture": {
                "name": "lstm",
                "embedding": 256,
                "width": 512,
                "dropout": 0.5,
                "locked": True,
                "recurrent_dropout": 0.4,
                "token_dropout": 0.1,
                "cnn": DISCRIMINATOR,
                "sampling": {"temperature": 0.918},
            },
            "batch_size": 64,
            "steps": 3400,
            "samples": 32,
            "held_out": 0.03,
            "every": {"sample": 700, "checkpoint": 700, "health": 1000, "evaluate": 700},
        },
    ),
    Preset(
        name="characters",
        summary="Short texts of your own by characters, in any script: names, words, verses",
        config={
            **adversarial(0.05),
            "game": {"name": "sequence", "mle": {"steps": 4000, "lr": 2e-3, "beside": 0.3}, "warmup": 150},
            "data": {"name": "lines", "tokens": "characters"},
            "architecture": {"name": "relational-memory", "cnn": DISCRIMINATOR},
            "batch_size": 64,
            "steps": 4600,
            "samples": 32,
            "held_out": 0.05,
            "every": {"sample": 500, "checkpoint": 500, "health": 1000, "evaluate": 500},
        },
    ),
]
