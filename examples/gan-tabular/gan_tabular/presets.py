"""Configurations that are known to work; the project's page of results has what they were measured to give."""

from __future__ import annotations

from typing import Any

from gancore.components import Preset


def objective(steps: int) -> dict[str, Any]:
    """A relativistic loss with penalties on both sides (Huang et al. 2024), learning rates that fall, a moving average."""
    penalty = {"weight": 0.1, "every": 4}
    player = {"lr": 1e-3, "beta1": 0.0, "beta2": 0.99}
    falling = {"name": "cosine", "begin": 0.3, "factor": 0.02}
    return {
        "loss": {"name": "rpgan"},
        "penalties": {"r1": penalty, "r2": penalty},
        "optimizers": {"generator": player, "discriminator": player},
        "schedules": {"optimizers.generator.lr": falling, "optimizers.discriminator.lr": falling},
        "architecture": {"name": "mlp"},
        "batch_size": 256,
        "steps": steps,
        "ema": {"half_life": 50_000.0},
        "samples": 100,
        "every": {"log": 100, "sample": 1000, "checkpoint": 1000, "health": 500},
    }


PRESETS = [
    Preset(
        name="demo",
        summary="Invented households, in a minute or two on two cores",
        config={**objective(steps=3000), "data": {"name": "households"}},
    ),
    Preset(
        name="table",
        summary="Your own CSV file, without a GPU",
        config=objective(steps=8000),
    ),
]
