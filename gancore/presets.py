"""Parts of configurations that presets of many plugins share. Imports nothing."""

from __future__ import annotations

from typing import Any

FALLING: dict[str, Any] = {"schedule": "linear", "hold": 0.5, "final": 0.1}
"""A learning rate that falls to a tenth in the second half."""


def relativistic(weight: float, every: int) -> dict[str, Any]:
    """The objective of R3GAN (Huang et al. 2024): paired logits, R1 and R2 of `weight`, computed every `every` steps."""
    penalty = {"weight": weight, "every": every}
    return {"loss": {"name": "rpgan"}, "penalties": {"r1": penalty, "r2": penalty}}


def players(**options: Any) -> dict[str, Any]:
    """The same optimizer for generator and discriminator."""
    return {"optimizers": {"generator": options, "discriminator": options}}
