"""Watching a run: non-finite numbers, a saturated discriminator, mode collapse; each told once, when it begins.

The state is plain numbers, saved with every checkpoint, so a resumed run warns exactly when an uninterrupted one would.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gancore.configuration.run_config import Health
from gancore.events import HealthAlert
from gancore.powers import HasFeatures

SEPARATED = 0.99
"""AUC of real against fake logits from which a discriminator counts as having won."""
PATIENCE = 2
"""Looks in a row before an alert: one bad batch is no trend."""
MEMORY = 200

ADVICE = {
    "non-finite": "Usual remedies: a lower learning rate, precision=fp32, a smaller penalty weight; look for broken data.",
    "saturated": "Usual remedies: loss=rpgan or loss=non-saturating with penalties r1 and r2, a lower learning rate for the"
    " discriminator, architecture.spectral_norm=discriminator{augmentations}.",
    "collapse": "Usual remedies: loss=rpgan with penalties r1 and r2, a larger batch, a lower learning rate{augmentations}; an"
    " earlier checkpoint may still be varied.",
}
"""What usually helps; `{augmentations}` are those that the run could have."""


class HealthMonitor:
    """Turns figures into alerts; their advice names `augmentations` that work on the run's data and are not in use."""

    def __init__(self, options: Health, augmentations: Sequence[str] = ()) -> None:
        self.options = options
        names = " or ".join(f"augmentations={name}" for name in augmentations)
        self.augmentations = f", {names} when data are few" if names else ""
        self.bad_in_a_row = 0
        self.bad_total = 0
        self.norms: list[float] = []
        self.counts: dict[str, int] = {}
        self.active: list[str] = []

    def state(self) -> dict[str, Any]:
        """Everything that the next look depends on."""
        names = ("bad_in_a_row", "bad_total", "norms", "counts", "active")
        return {n: getattr(self, n) for n in names}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up where `state` was given."""
        for name, value in state.items():
            setattr(self, name, value)

    @property
    def exhausted(self) -> bool:
        """Whether it is time to give up."""
        return self.bad_in_a_row >= self.options.max_bad_steps

    def step_was(self, finite: bool, step: int, what: str = "") -> list[HealthAlert]:
        """After every step: whether all gradients were finite; `what` names the player whose were not."""
        if finite:
            self.bad_in_a_row = 0
            return self._ended("non-finite", step, "steps are finite again.")
        self.bad_in_a_row += 1
        self.bad_total += 1
        return self._began("non-finite", step, f"the {what}'s gradients are not finite; the step was left out.")

    def spoiled(self, step: int, player: str, parameter: str) -> list[HealthAlert]:
        """An update was not finite though its gradients were: a bad step, and the last, for the weights are lost."""
        self.bad_in_a_row += 1
        self.bad_total += 1
        return self._began("non-finite", step, f"the {player}'s update is not finite, in {parameter}.")

    def look_at_scalars(self, scalars: Mapping[str, float], step: int) -> list[HealthAlert]:
        """At every tick: has the discriminator won, and does the generator still get a gradient?"""
        norm = scalars.get("generator/grad_norm")
        auc = scalars.get("discriminator/auc")
        if norm is None or auc is None or not self.options.vanishing:
            return []
        usual = statistics.median(self.norms) if self.norms else norm
        weak = norm < self.options.vanishing * usual or scalars.get("generator/pull", 1.0) < self.options.vanishing
        won = auc >= SEPARATED and weak
        if not won:  # or a long drought would become the usual, and its end be told while it lasts
            self.norms = [*self.norms, norm][-MEMORY:]
        if not self._holds("saturated", won):
            how = "the discriminator no longer wins every time." if weak else "the generator gets a gradient again."
            return self._ended("saturated", step, how)
        message = (
            f"the discriminator has won: it tells {auc:.0%} of pairs apart and the generator's gradient has vanished"
            f" (norm {norm:.2g}, usually {usual:.2g})."
        )
        return self._began("saturated", step, message)

    def look_at_spread(self, ratio: float, step: int) -> list[HealthAlert]:
        """`ratio`: spread of generated over spread of real samples, from `spread_ratio`."""
        if not self.options.collapse:
            return []
        if not self._holds("collapse", ratio < self.options.collapse):
            return self._ended("collapse", step, "generated samples are varied again.")
        message = f"mode collapse: generated samples are only {ratio:.0%} as varied as real ones."
        return self._began("collapse", step, message)

    def _holds(self, kind: str, bad: bool) -> bool:
        """Whether `kind` holds now; a change of mind takes `PATIENCE` looks in a row, in both directions."""
        active = kind in self.active
        self.counts[kind] = self.counts.get(kind, 0) + 1 if bad != active else 0
        if self.counts[kind] < PATIENCE:
            return active
        self.counts[kind] = 0
        return bad

    def _began(self, kind: Any, step: int, message: str) -> list[HealthAlert]:
        if kind in self.active:
            return []
        self.active.append(kind)
        advice = ADVICE[kind].format(augmentations=self.augmentations)
        return [HealthAlert(kind=kind, step=step, message=message, advice=advice)]

    def _ended(self, kind: str, step: int, message: str) -> list[HealthAlert]:
        if kind not in self.active:
            return []
        self.active.remove(kind)
        return [HealthAlert(kind="recovered", step=step, message=message)]


def mean_distance(x: Tensor, condition: Tensor | None) -> Tensor:
    """Mean Euclidean distance between rows of `x` `[n, features]`, over pairs of one class where classes have enough pairs.

    Within classes, because a conditional generator that makes one sample per class still spreads over the classes.
    """
    pairs = torch.ones(len(x), len(x), dtype=torch.bool, device=x.device).triu(1)
    if condition is not None:
        same = pairs & (condition[:, None] == condition[None, :])
        if int(same.sum()) >= 16:
            pairs = same
    return torch.cdist(x, x)[pairs].mean()


@torch.no_grad()
def spread_ratio(discriminator: nn.Module | None, real: Tensor, fake: Tensor, condition: Tensor | None) -> float:
    """How varied generated samples are, as a share of how varied real ones are; near 0 under mode collapse.

    Distances are taken between the discriminator's features, where it offers `features`, else between the samples.
    `real` and `fake` are relaxed samples `[n, ...]` of the same classes `condition` `[n]`. Where a part of each is given, both
    have it, and what it adds to their spread is the same; one sample of each part is no collapse.
    """
    sides = [
        discriminator.features(x, condition) if isinstance(discriminator, HasFeatures) else x for x in (real, fake)
    ]
    spreads = [mean_distance(x.flatten(1).float(), condition) for x in sides]
    return float(spreads[1] / spreads[0].clamp_min(1e-12))
