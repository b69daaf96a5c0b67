"""Optimizers from their options, and what was saved of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

import torch
from torch import Tensor, nn, optim

from gancore.configuration.run_config import Optimizer
from gancore.errors import CheckpointError, MisfitError


def build_optimizer(options: Optimizer, parameters: Iterable[nn.Parameter]) -> optim.Optimizer:
    """The optimizer that `options` describe, fused where torch can: on a CPU Adam then takes a tenth of the time."""
    betas = (options.beta1, options.beta2)
    params = [p for p in parameters if p.requires_grad]
    match options.name:
        case "adam":
            return optim.Adam(params, options.lr, betas, options.eps, options.weight_decay, fused=True)
        case "adamw":
            return optim.AdamW(params, options.lr, betas, options.eps, options.weight_decay, fused=True)
        case "rmsprop":
            return optim.RMSprop(params, options.lr, options.beta2, options.eps, options.weight_decay, foreach=True)
        case "sgd":
            return optim.SGD(params, options.lr, options.beta1, weight_decay=options.weight_decay, fused=True)


def set_lr(optimizer: optim.Optimizer, lr: float) -> None:
    """Use `lr` from the next step on."""
    for group in optimizer.param_groups:
        group["lr"] = lr


# --- what was saved ---------------------------------------------------------------------------------------------------

_SQUARES = ("exp_avg_sq", "square_avg")
"""What optimizers remember that they take the root of."""
Kinds = dict[str, bool]
"""What an optimizer remembers of a parameter, by name: whether it is as large as the parameter, or else one number."""


def state_kinds(options: Optimizer) -> Kinds:
    """What the optimizer that `options` describe remembers, found by letting it make a step."""
    used = options.model_copy(update={"beta1": 0.5}) if options.name == "sgd" else options
    with torch.enable_grad():
        probe = nn.Parameter(torch.zeros(2, 3))
    optimizer = build_optimizer(used, [probe])
    probe.grad = torch.ones_like(probe)
    optimizer.step()
    return {name: value.shape == probe.shape for name, value in optimizer.state[probe].items()}


def read_state(
    options: Optimizer, optimizer: optim.Optimizer, saved: Mapping[str, Any], step: int, who: str
) -> dict[str, Any]:
    """What `optimizer.load_state_dict` may take, out of what was `saved` at `step` of the player `who`; nothing is changed.

    Only what was remembered of the parameters is taken, laid out in memory as they are: the fused updates trust sizes and
    layouts. Learning rate, betas and the rest are those of the configuration.

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
    kinds = state_kinds(options)
    read: dict[int, dict[str, Tensor | None]] = {}
    for number, values in state.items():
        if type(number) is not int or not 0 <= number < len(parameters) or not isinstance(values, Mapping):
            raise CheckpointError(
                f"the saved optimizer of the {who} has a state of parameter {number!r:.40}, which is none"
            )
        lazy = options.name == "sgd"  # makes its momentum when it is first needed
        if values.keys() != kinds.keys() and not (lazy and values.keys() <= kinds.keys()):
            raise _other_kind(options, values, who)
        read[number] = {
            name: _read_value(
                value,
                parameters[number],
                kinds[name],
                step,
                f"{who}: {name} of parameter {number}",
                lazy=lazy,
                squares=name in _SQUARES,
            )
            for name, value in values.items()
        }
    return {"state": read, "param_groups": now}


def _read_value(
    value: Any, parameter: Tensor, alike: bool, step: int, where: str, *, lazy: bool, squares: bool
) -> Tensor | None:
    if value is None and lazy:
        return None
    words = f"the saved optimizer of the {where}"
    if type(value) is not Tensor or value.layout is not torch.strided or value.is_quantized or value.is_meta:
        raise CheckpointError(f"{words} is not a tensor")
    shape, dtype = (parameter.shape, parameter.dtype) if alike else (torch.Size(), torch.float32)
    if value.shape != shape or value.dtype != dtype:
        found = f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
        raise CheckpointError(f"{words} is {found}, expected {str(dtype).removeprefix('torch.')} {list(shape)}")
    if not alike:
        if not 0 < float(value) <= step or float(value) % 1:
            raise CheckpointError(f"{words} is {float(value):g}, in a checkpoint of step {step}")
        return value.clone()
    if squares and bool((value < 0).any()):
        raise CheckpointError(f"{words} has numbers below zero, which are means of squares")
    return torch.empty_like(parameter.detach()).copy_(value)


def _other_kind(options: Optimizer, found: Mapping[Any, Any], who: str) -> CheckpointError:
    names = get_args(Optimizer.model_fields["name"].annotation)
    fitting = [n for n in names if state_kinds(options.model_copy(update={"name": n})).keys() == found.keys()]
    if not fitting:
        return CheckpointError(
            f"the saved optimizer of the {who} remembers {', '.join(map(str, found))!s:.80}, as none does"
        )
    return MisfitError(
        f"the {who} was trained with {' or '.join(fitting)}, and config.toml now says optimizers.{who}.name = "
        f'"{options.name}", which cannot go on with what that remembers; put it back'
    )
