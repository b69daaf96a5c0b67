"""The sentences with which a training ends whose numbers are no longer finite: what, where, what is left, what to do."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from gancore import checkpoint
from gancore.errors import CheckpointError, NonFiniteError
from gancore.finite import Oddities, is_finite, not_finite, not_finite_in
from gancore.games.player import Player
from gancore.run import RunFolder


def after_bad_steps(folder: RunFolder, step: int, player: Player, most: int) -> NonFiniteError:
    """Gradients were not finite in too many steps in a row."""
    bad = ", ".join(itertools.islice(_bad_gradients(player), 3)) or "its loss"
    return NonFiniteError(
        f"stopped at step {step:,}: gradients of the {player.name} were not finite in {most} steps in a row (first in {bad}); "
        f"{_left(folder)} no bad step has reached the weights. Try a lower learning rate, precision=fp32, or look for broken "
        "data"
    )


def after_bad_update(folder: RunFolder, step: int, player: str, parameter: str) -> NonFiniteError:
    """A step's gradients were finite, and what the optimizer made of them was not."""
    return NonFiniteError(
        f"stopped at step {step:,}: the optimizer made {parameter} of the {player} not finite (NaN or infinity), from a gradient "
        f"that was finite; {_left(folder)} nothing was saved after it. {_remedy(folder, player)}"
    )


def before_bad_save(folder: RunFolder, step: int, bad: str) -> NonFiniteError:
    """What would have been saved is not finite; `bad` says where."""
    return NonFiniteError(
        f"stopped at step {step:,}, which was not saved: there are numbers that are not finite (NaN or infinity) in {bad}; "
        f"{_left(folder)} nothing was saved after it. {_remedy(folder, 'NAME')}"
    )


def bad_numbers(
    modules: Mapping[str, nn.Module], expected: Mapping[str, Oddities], optimizers: Mapping[str, Mapping[str, Any]]
) -> str:
    """The first network or optimizer with a number that is not finite, and where in it; "" if there is none."""
    for name, module in modules.items():
        if bad := not_finite(module.state_dict(), expected.get(name, {})):
            owner = "moving average of the generator" if name == "ema" else name
            return f"{bad[0]} of the {owner}"
    for name, state in optimizers.items():
        if where := next(not_finite_in(state), ""):
            return f"{where} of the {name}'s optimizer"
    return ""


def _bad_gradients(player: Player) -> Iterator[str]:
    for name, p in player.module.named_parameters():
        if p.grad is not None and not is_finite(p.grad):
            yield name


def _left(folder: RunFolder) -> str:
    try:
        found, _ = checkpoint.newest(folder.checkpoints)
    except CheckpointError:
        return "no checkpoint had been saved yet;"
    return f"the last good checkpoint is {found.path} (step {found.step:,}), and"


def _remedy(folder: RunFolder, player: str) -> str:
    config: Path = folder.config
    return f"Lower optimizers.{player}.lr or raise optimizers.{player}.eps in {config}, then go on with: gan resume {folder.path}"
