"""Players with the optimizers that were chosen for them, and what was saved of these."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn, optim

from gancore.configuration.settings import Chosen
from gancore.errors import CheckpointError, MisfitError, PluginError
from gancore.games.player import Player
from gancore.options import OptimizerOptions
from gancore.plugins import BUILTIN


def build_optimizer(chosen: Chosen, parameters: Iterable[nn.Parameter]) -> optim.Optimizer:
    """The optimizer that was chosen, for those of the `parameters` that are trained.

    Raises:
        PluginError: it does not keep its contract.
    """
    if not isinstance(chosen.options, OptimizerOptions):
        raise PluginError(
            f"optimizer '{chosen.found.qualified}': its options must derive from gancore.options.OptimizerOptions"
        )
    made: optim.Optimizer = chosen.build([p for p in parameters if p.requires_grad])
    return made


def build_players(networks: Mapping[str, nn.Module], optimizers: Mapping[str, Chosen]) -> dict[str, Player]:
    """The players among `networks`, each with its optimizer; each knows whom to freeze while it moves."""
    players: dict[str, Player] = {}
    for name, module in networks.items():
        if (chosen := optimizers.get(name)) is not None:
            optimizer = build_optimizer(chosen, module.parameters())
            players[name] = Player(name, module, optimizer, chosen.options)  # type: ignore[arg-type]
    for player in players.values():
        player.set_rivals(players)
    return players


def set_lr(optimizer: optim.Optimizer, lr: float) -> None:
    """Use `lr` from the next step on."""
    for group in optimizer.param_groups:
        group["lr"] = lr


# --- what was saved ---------------------------------------------------------------------------------------------------

_SQUARES = ("exp_avg_sq", "max_exp_avg_sq", "square_avg")
"""What optimizers remember that they take the root of."""
_COUNT = "step"
"""What they call the number of their steps."""
Remembered = Mapping[str, Any]
"""What an optimizer remembers of a parameter, by name: tensors and numbers."""


def remembered_of(chosen: Chosen, parameter: Tensor) -> Remembered:
    """What the optimizer that was chosen remembers of a parameter like this one, found by letting it make a step."""
    options = chosen.options
    assert options is not None
    # What is made when it is first needed, momentum for example, a schedule may have called for.
    moved = {n: 0.5 for n in ("beta1", "momentum") if getattr(options, n, None) == 0.0}
    with torch.enable_grad():
        probe = nn.Parameter(torch.zeros_like(parameter))
    optimizer = build_optimizer(replace(chosen, options=options.model_copy(update=moved)), [probe])
    probe.grad = torch.ones_like(probe)
    optimizer.step()
    found: Remembered = optimizer.state[probe]
    return found


def read_state(
    chosen: Chosen, optimizer: optim.Optimizer, saved: Mapping[str, Any], step: int, who: str, named: str
) -> dict[str, Any]:
    """What `optimizer.load_state_dict` may take, out of what was `saved` at `step` of the player `who`; nothing is changed.

    Only what was remembered of the parameters is taken, laid out in memory as they are: the fused updates trust sizes and
    layouts. Learning rate, betas and the rest are those of the configuration. `named` is the optimizer that it was saved of.

    Raises:
        CheckpointError: the state makes no sense; MisfitError where it is that of another optimizer.
    """
    now = optimizer.state_dict()["param_groups"]
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    groups, state = saved.get("param_groups"), saved.get("state")
    if saved.keys() != {"state", "param_groups"} or not isinstance(groups, Sequence) or not isinstance(state, Mapping):
        raise CheckpointError(f"the saved optimizer of the {who} is none: it must hold `state` and `param_groups`")
    if [g.get("params") if isinstance(g, Mapping) else None for g in groups] != [g["params"] for g in now]:
        raise CheckpointError(
            f"the saved optimizer of the {who} is not of the {len(parameters)} parameters that its network has"
        )
    kinds: dict[Any, Remembered] = {}
    read: dict[int, dict[str, Any]] = {}
    for number, values in state.items():
        if type(number) is not int or not 0 <= number < len(parameters) or not isinstance(values, Mapping):
            raise CheckpointError(
                f"the saved optimizer of the {who} has a state of parameter {number!r:.40}, which is none"
            )
        own = parameters[number]
        form = (own.shape, own.dtype)
        if form not in kinds:
            kinds[form] = remembered_of(chosen, own)
        same = named == chosen.found.qualified  # may lack what it makes when that is first needed
        if not (values.keys() <= kinds[form].keys() if same else values.keys() == kinds[form].keys()):
            raise _other_kind(chosen, named, values, who)
        read[number] = {
            name: _read_value(value, own, kinds[form][name], step, f"{who}: {name} of parameter {number}", name)
            for name, value in values.items()
        }
    return {"state": read, "param_groups": now}


def _read_value(value: Any, parameter: Tensor, kind: Any, step: int, where: str, name: str) -> Any:
    words = f"the saved optimizer of the {where}"
    if not isinstance(kind, Tensor):
        if type(value) is not type(kind):
            raise CheckpointError(f"{words} is a {type(value).__name__}, expected a {type(kind).__name__}")
        _check_count(name, value, step, words)
        return value
    if type(value) is not Tensor or value.layout is not torch.strided or value.is_quantized or value.is_meta:
        raise CheckpointError(f"{words} is not a tensor")
    if value.shape != kind.shape or value.dtype != kind.dtype:
        found, expected = (f"{str(t.dtype).removeprefix('torch.')} {list(t.shape)}" for t in (value, kind))
        raise CheckpointError(f"{words} is {found}, expected {expected}")
    if not value.dim():
        _check_count(name, float(value), step, words)
        return value.clone()
    if name in _SQUARES and bool((value < 0).any()):
        raise CheckpointError(f"{words} has numbers below zero, which are means of squares")
    like = parameter.detach() if value.shape == parameter.shape else value
    return torch.empty_like(like, dtype=value.dtype).copy_(value)


def _check_count(name: str, value: Any, step: int, words: str) -> None:
    """CheckpointError where a number of steps is none that there can have been at `step`."""
    if name == _COUNT and not (0 < value <= step and value % 1 == 0):
        raise CheckpointError(f"{words} is {value:g}, in a checkpoint of step {step}")


def _other_kind(chosen: Chosen, named: str, found: Mapping[Any, Any], who: str) -> CheckpointError:
    named = named.removeprefix(f"{BUILTIN}:")
    if not named or named == chosen.found.qualified.removeprefix(f"{BUILTIN}:"):
        return CheckpointError(
            f"the saved optimizer of the {who} remembers {', '.join(map(str, found))!s:.80}, which {chosen.name} does not"
        )
    return MisfitError(
        f"the {who} was trained with {named}, and config.toml now says optimizers.{who}.name = "
        f'"{chosen.name}", which cannot go on with what that remembers; put it back'
    )
