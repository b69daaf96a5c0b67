"""Parts of configurations, and rules, that presets of many plugins share. Imports nothing heavy."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from gancore.components import DataFacts

_FALL = {"name": "linear", "begin": 0.5, "factor": 0.1}
FALLING: dict[str, Any] = {"schedules": {"optimizers.generator.lr": _FALL, "optimizers.discriminator.lr": _FALL}}
"""Learning rates that fall to a tenth in the second half."""


def relativistic(weight: float, every: int, **options: Any) -> dict[str, Any]:
    """The objective of R3GAN (Huang et al. 2024): paired logits, R1 and R2 of `weight`, computed every `every` steps.

    `options` are more of both penalties: `method="finite", share=0.25`.
    """
    penalty = {"weight": weight, "every": every, **options}
    return {"loss": {"name": "rpgan"}, "penalties": {"r1": penalty, "r2": penalty}}


def unpaired(*, lr: float, batch_size: int, game: dict[str, Any], **architecture: Any) -> dict[str, Any]:
    """Translation between domains by the game `cycle` with options `game`, in a small size that `architecture` may change."""
    return {
        **players(lr=lr),
        **FALLING,
        "game": {"name": "cycle", **game},
        "loss": {"name": "least-squares"},
        "architecture": {"name": "translator", "width": 16, "blocks": 4, **architecture},
        "batch_size": batch_size,
        "held_out": 0.1,
    }


def players(**options: Any) -> dict[str, Any]:
    """The same optimizer for generator and discriminator."""
    return {"optimizers": {"generator": options, "discriminator": options}}


def r3gan(weight: float, *, half_life: float = 500_000.0, lr: float = 2e-4, end: float = 0.5) -> dict[str, Any]:
    """R3GAN's objective and its schedules, along half a cosine over the share `end` of the run, then constant.

    The penalties' weight falls to a tenth and learning rates to a quarter, beta2 rises from 0.9 and the half-life of the moving
    average from 0. `gamma` has a weight to begin with.
    """
    cosine = {"name": "cosine", "end": end}
    schedules: dict[str, Any] = {f"penalties.{name}.weight": cosine | {"factor": 0.1} for name in ("r1", "r2")}
    for player in ("generator", "discriminator"):
        schedules[f"optimizers.{player}.lr"] = cosine | {"factor": 0.25}
        schedules[f"optimizers.{player}.beta2"] = cosine | {"first": 0.9}
    schedules["ema.half_life"] = cosine | {"first": 0.0}
    return {
        **relativistic(weight, every=1),
        **players(lr=lr, beta2=0.99),
        "ema": {"half_life": half_life},
        "schedules": schedules,
    }


def gamma(side: int) -> float:
    """A weight of R1 and R2 for `r3gan` to begin with, by the side of square pictures: 1.4 (side / 64)^3.3.

    Fitted to the five that were published: 0.05 (CIFAR-10) and 0.5 (ImageNet) for 32 points, 2 (FFHQ) and 1 (ImageNet) for 64, and 150
    (FFHQ) for 256. It is within a factor of 3.6 of each. Larger ones are steadier, smaller ones leave more variety.
    """
    return float(f"{1.4 * (side / 64) ** 3.3:.2g}")


def when(
    score: float = 1.0,
    *,
    gpu: bool | None = None,
    count: tuple[float, float] = (0, math.inf),
    side: tuple[float, float] = (0, math.inf),
    classes: bool | None = None,
) -> Callable[[DataFacts], float]:
    """A rule of a preset: `score` for data that keep all of the conditions, else 0.

    Args:
        score: The highest of all presets wins; of equal ones the first.
        gpu: Whether there is one.
        count: Samples, from the first number to the second.
        side: The longest side of a sample behind its channels, from the first number to the second.
        classes: Whether there are any.
    """

    def suits(facts: DataFacts) -> float:
        longest = max(facts.shape[1:] or facts.shape, default=0)
        kept = (
            gpu in (None, facts.device != "cpu"),
            count[0] <= facts.count <= count[1],
            side[0] <= longest <= side[1],
            classes in (None, facts.classes > 0),
        )
        return score if all(kept) else 0.0

    return suits
