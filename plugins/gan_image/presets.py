"""Configurations to begin with; docs/reference/results.md has what they gave, and of `style` and `fast` how little that is so far."""

from __future__ import annotations

import math
from typing import Any

from gancore.components import Preset
from gancore.presets import FALLING, players, r3gan, relativistic, unpaired, when

_SMALL: dict[str, Any] = {
    # Weaker penalties and slower learning lose variety within classes; larger batches learn less in the same time.
    **relativistic(weight=4.0, every=4),
    **players(lr=1e-3),
    **FALLING,
    # Counted from small maps, for pictures of 64 pixels would else take five times as long as those of 32.
    "architecture": {"name": "dcgan", "width": 16, "base_width": 128, "upsampling": "nearest"},
    "batch_size": 32,
    "steps": 16_000,
    "every": {"evaluate": 1000},
    "evaluate": {"features": {"pixels": {}}},
}

_PAIRS: dict[str, Any] = {
    **players(lr=1e-3),
    **FALLING,
    "game": {"name": "pix2pix"},
    "loss": {"name": "non-saturating"},
    "architecture": {"name": "unet"},
    "batch_size": 16,
    "held_out": 0.1,
    "every": {"evaluate": 1000},
    "evaluate": {"features": {"made-pixels": {}}},
    # Images of the channels of both are none.
    "writers": dict.fromkeys(("grid", "png", "walk"), "none"),
}

_DOMAINS: dict[str, Any] = {
    # Without the identity, which the game has, one of three seeds exchanged strokes and ground: a cycle alone does not forbid it.
    **unpaired(lr=4e-4, batch_size=16, game={}),
    "every": {"evaluate": 1000},
    "evaluate": {"features": {"pixels": {}}},
}

PRESETS = [
    Preset(
        name="demo",
        summary="Blossoms in colour, 32x32, in four minutes on two cores",
        config={
            **players(lr=3e-3),
            **FALLING,
            "loss": {"name": "hinge"},
            "data": {"name": "blossoms"},
            # After as much time samples are nearer to blossoms than with gradient penalties.
            "architecture": {"name": "dcgan", "width": 32, "spectral_norm": "discriminator"},
            "batch_size": 32,
            "steps": 3600,
            "every": {"sample": 400, "checkpoint": 600, "evaluate": 600},
            "evaluate": {"features": {"pixels": {}}},
        },
    ),
    Preset(
        name="digits",
        summary="Handwritten digits, 8x8, in a minute or two on two cores",
        config={
            **relativistic(weight=0.5, every=4),
            **players(lr=4e-4),
            **FALLING,
            "data": {"name": "digits"},
            "architecture": {"name": "dcgan", "width": 64},
            "steps": 6000,
            "every": {"sample": 500, "checkpoint": 1000, "evaluate": 1000},
            "evaluate": {"features": {"pixels": {}}},
        },
    ),
    Preset(
        name="small",
        summary="Your own pictures without a GPU: dcgan, mild augmentation",
        suits=when(gpu=False),
        config=_SMALL | {"augmentations": {"diffaugment": {"policy": ["colour", "translation"]}}},
    ),
    Preset(
        name="many",
        summary="Ten thousand pictures of your own or more without a GPU: as small, without augmentation",
        suits=when(2.0, gpu=False, count=(10_000, math.inf)),
        config=_SMALL,
    ),
    Preset(
        name="style",
        summary="Your own pictures without a GPU: the networks of StyleGAN2 in a small size",
        config={
            **players(lr=2.5e-3),
            **FALLING,
            "loss": {"name": "non-saturating"},
            "penalties": {"r1": {"weight": 0.05, "every": 16}},
            "architecture": {
                "name": "style",
                "latent": 128,
                "style": 128,
                "mapping": 2,
                "width": 8,
                "max_width": 128,
                "start": "style",
            },
            "augmentations": {"diffaugment": {"policy": ["colour", "translation"]}},
            "batch_size": 32,
            "steps": 16_000,
            "every": {"evaluate": 1000},
            "evaluate": {"features": {"pixels": {}}},
        },
    ),
    Preset(
        name="fast",
        summary="A few hundred pictures of your own: FastGAN's generator, judged by features of ImageNet",
        config={
            **players(lr=2e-4),
            "loss": {"name": "hinge"},
            "architecture": {"name": "fast"},
            "augmentations": {"diffaugment": {}},
            "batch_size": 16,
            "steps": 8000,
            "every": {"evaluate": 500},
            "evaluate": {"features": {"pixels": {}}},
        },
    ),
    Preset(
        name="pairs",
        summary="From image to image without a GPU, by pairs of your own: pix2pix in a small size",
        config={**_PAIRS, "data": {"name": "pairs"}, "steps": 4000},
    ),
    Preset(
        name="outlines",
        summary="From outlines to blossoms, 32x32, in some minutes on two cores",
        config={
            **_PAIRS,
            "data": {"name": "outlines"},
            "steps": 1500,
            "every": {"sample": 250, "checkpoint": 500, "evaluate": 500},
        },
    ),
    Preset(
        name="domains",
        summary="From domain to domain without a GPU, without pairs: a folder for each, CycleGAN in a small size",
        config={**_DOMAINS, "steps": 8000},
    ),
    Preset(
        name="warmth",
        summary="Cold blossoms to warm ones and back, without pairs, 32x32, in some minutes on two cores",
        config={
            **_DOMAINS,
            "data": {"name": "blossoms", "classes": "warmth"},
            "steps": 1500,
            "every": {"sample": 250, "checkpoint": 500, "evaluate": 500},
        },
    ),
    Preset(
        name="warmth-cut",
        summary="The same by contrast of places, without a way back (CUT)",
        config={
            **_DOMAINS,
            "game": {"name": "cut", "contrast": 2.0},
            "data": {"name": "blossoms", "classes": "warmth"},
            "steps": 1500,
            "every": {"sample": 250, "checkpoint": 500, "evaluate": 500},
        },
    ),
    Preset(
        name="eyes",
        summary="Blossoms from eye to eye, in many styles (StarGAN v2), 32x32, in some minutes on two cores",
        config={
            **_DOMAINS,
            "game": {"name": "stargan"},
            "loss": {"name": "non-saturating"},
            "penalties": {"r1": {"weight": 1.0, "every": 4}},
            "architecture": {"name": "translator", "width": 16, "blocks": 4, "style": 16, "discriminator_norm": "none"},
            "data": {"name": "blossoms", "classes": "eye"},
            "batch_size": 18,
            "steps": 1500,
            "every": {"sample": 250, "checkpoint": 500, "evaluate": 500},
        },
    ),
    Preset(
        name="domains-large",
        summary="From domain to domain with a GPU, without pairs: in the sizes of CycleGAN (Zhu et al. 2017)",
        config={
            **players(lr=2e-4, beta1=0.5, beta2=0.999),
            **FALLING,
            "game": {"name": "cycle"},
            "loss": {"name": "least-squares"},
            "architecture": {"name": "translator", "width": 64, "blocks": 9, "discriminator_width": 64},
            "batch_size": 2,
            "steps": 200_000,
            "every": {"log": 100, "sample": 2000, "checkpoint": 2000, "evaluate": 10_000},
        },
    ),
    Preset(
        name="r3gan",
        summary="Your own pictures with a GPU: the networks and objective of Huang et al. 2024",
        config={
            **r3gan(weight=1.0, half_life=100_000.0),
            "architecture": {"name": "r3gan"},
            "augmentations": {"diffaugment": {}},
            "precision": "bf16",
            "batch_size": 128,
            "steps": 100_000,
            "every": {"log": 100, "sample": 2000, "checkpoint": 2000, "health": 1000},
        },
    ),
]
