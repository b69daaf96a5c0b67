"""Adaptive strength of augmentations: as much as keeps the discriminator from learning its training set by heart, and no more.

One that does so takes more and more of the real samples that it has seen for real (Karras et al. 2020, section 3). The rule knows
nothing of what samples are.
"""

from __future__ import annotations

import math
from collections.abc import Container, Mapping
from dataclasses import dataclass

from torch import Tensor

from gancore import distributed
from gancore.components import Augment
from gancore.configuration.settings import Chosen
from gancore.errors import PluginError
from gancore.games.separation import SIGN
from gancore.options import StrengthOptions
from gancore.powers import HasStrength

State = dict[str, tuple[float, float, float]]
"""Of each adaptive augmentation, by name: its strength, the sum of `discriminator/sign` since that was set, and its weight."""


@dataclass(slots=True)
class _Controller:
    augmentation: HasStrength
    options: StrengthOptions
    sum: Tensor | float = 0.0
    weight: float = 0.0


class Strengths:
    """What moves the strengths of all augmentations that are adaptive, in batches of `batch_size` over all processes.

    Every `interval` steps the strength goes up where the mean of `discriminator/sign` in them was above `target`, else down, by
    the share that the samples of these steps are of `kimg` thousand; it stays in [0, `most`].
    """

    def __init__(self, controllers: Mapping[str, _Controller], batch_size: int) -> None:
        self._controllers = controllers
        self._batch_size = batch_size

    @classmethod
    def of(
        cls,
        chosen: Mapping[str, Chosen],
        built: Mapping[str, Augment],
        batch_size: int,
        scheduled: Container[str] = (),
    ) -> Strengths:
        """Those of the augmentations that are `chosen`, as they were `built`; one that is `scheduled`, by path, has its own way.

        Raises:
            PluginError: one has the options of a strength, and none.
        """
        controllers: dict[str, _Controller] = {}
        for name, one in chosen.items():
            if not isinstance(one.options, StrengthOptions):
                continue
            part = built[name]
            if not isinstance(part, HasStrength):
                raise PluginError(
                    f"augmentation '{one.found.qualified}': its options derive from StrengthOptions, so it needs an attribute strength"
                )
            part.strength = one.options.strength
            if one.options.adaptive and f"augmentations.{name}.strength" not in scheduled:
                controllers[name] = _Controller(part, one.options)
        return cls(controllers, batch_size)

    def see(self, scalars: Mapping[str, Tensor], weight: float) -> None:
        """Take in the figures of a phase on a part of a batch; nothing waits for the device."""
        if SIGN in scalars:
            for one in self._controllers.values():
                one.sum = one.sum + scalars[SIGN] * weight
                one.weight += weight

    def after(self, steps: int) -> dict[str, float]:
        """Set the strengths once `steps` are done, the same on every rank; those of the adaptive ones, as figures."""
        for one in self._controllers.values():
            if steps % one.options.interval or not one.weight:
                continue
            mean = distributed.mean_scalars({SIGN: float(one.sum) / one.weight})[SIGN]
            one.sum, one.weight = 0.0, 0.0
            move = self._batch_size * one.options.interval / (1000.0 * one.options.kimg)
            raised = one.augmentation.strength + math.copysign(move, mean - one.options.target) * (
                mean != one.options.target
            )
            one.augmentation.strength = min(max(raised, 0.0), one.options.most)
        alone = len(self._controllers) == 1
        return {
            "augment/strength" + ("" if alone else f"-{name}"): one.augmentation.strength
            for name, one in self._controllers.items()
        }

    def state(self) -> State:
        """Everything that the next change depends on."""
        return {
            name: (one.augmentation.strength, float(one.sum), one.weight) for name, one in self._controllers.items()
        }

    def restore(self, state: Mapping[str, tuple[float, float, float]]) -> None:
        """Take up where `state` was given; one that is not in it begins as its options say."""
        for name, one in self._controllers.items():
            if name in state:
                one.augmentation.strength, one.sum, one.weight = state[name]
