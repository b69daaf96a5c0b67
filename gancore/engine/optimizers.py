"""Optimizers from their options, and the learning rate as a function of the step."""

from __future__ import annotations

import math
from collections.abc import Iterable

from torch import nn, optim

from gancore.config import Optimizer


def build_optimizer(options: Optimizer, parameters: Iterable[nn.Parameter]) -> optim.Optimizer:
    """The optimizer that `options` describe, fused where torch can: on a CPU Adam then takes a tenth of the time."""
    betas = (options.beta1, options.beta2)
    params = list(parameters)
    match options.name:
        case "adam":
            return optim.Adam(params, options.lr, betas, options.eps, options.weight_decay, fused=True)
        case "adamw":
            return optim.AdamW(params, options.lr, betas, options.eps, options.weight_decay, fused=True)
        case "rmsprop":
            return optim.RMSprop(params, options.lr, options.beta2, options.eps, options.weight_decay, foreach=True)
        case "sgd":
            return optim.SGD(params, options.lr, options.beta1, weight_decay=options.weight_decay, fused=True)


def lr_factor(options: Optimizer, step: int, steps: int) -> float:
    """The share of the learning rate at `step` of `steps`: a linear rise over `warmup`, then the schedule.

    It depends on the step alone, so nothing has to be saved; a run that is trained on follows the schedule of its new length.
    """
    rise = min(1.0, (step + 1) / options.warmup) if options.warmup else 1.0
    begin = options.hold * steps
    progress = min(1.0, max(0.0, (step - begin) / max(1.0, steps - begin)))
    match options.schedule:
        case "constant":
            fall = 1.0
        case "linear":
            fall = 1.0 - (1.0 - options.final) * progress
        case "cosine":
            fall = options.final + (1.0 - options.final) * 0.5 * (1.0 + math.cos(math.pi * progress))
    return rise * fall


def set_lr(optimizer: optim.Optimizer, lr: float) -> None:
    """Use `lr` from the next step on."""
    for group in optimizer.param_groups:
        group["lr"] = lr
