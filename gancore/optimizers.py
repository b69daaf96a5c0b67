"""The engine's own optimizers, torch's, with their options. torch is imported when one is made.

They are fused where torch can: on a CPU Adam then takes a tenth of the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from gancore.options import SMALLEST, OptimizerOptions

if TYPE_CHECKING:
    from torch import nn, optim


class SgdOptions(OptimizerOptions):
    """Options of `sgd`."""

    beta1: float = Field(0.0, ge=0.0, lt=1.0, description="Momentum.")
    weight_decay: float = Field(0.0, ge=0.0, le=1.0, description="Weight decay.")


class RmsPropOptions(OptimizerOptions):
    """Options of `rmsprop`."""

    beta2: float = Field(0.99, ge=0.0, lt=1.0, description="Decay of the second moment.")
    eps: float = Field(1e-8, ge=SMALLEST, le=1.0, description="Added to the denominator.")
    weight_decay: float = Field(0.0, ge=0.0, le=1.0, description="Weight decay.")


class AdamOptions(OptimizerOptions):
    """Options of `adam` and `adamw`."""

    beta1: float = Field(0.0, ge=0.0, lt=1.0, description="Decay of the first moment.")
    beta2: float = Field(0.99, ge=0.0, lt=1.0, description="Decay of the second moment.")
    eps: float = Field(1e-8, ge=SMALLEST, le=1.0, description="Added to the denominator.")
    weight_decay: float = Field(0.0, ge=0.0, le=1.0, description="Weight decay.")


def adam(options: AdamOptions, parameters: Sequence[nn.Parameter]) -> optim.Optimizer:
    """Kingma and Ba 2015: p -= lr m / (sqrt(v) + eps), of moments m = beta1 m + (1 - beta1) g and v = beta2 v + (1 - beta2) g^2
    without their bias; weight decay is a part of the gradient g."""
    from torch import optim

    betas = (options.beta1, options.beta2)
    return optim.Adam(parameters, options.lr, betas, options.eps, options.weight_decay, fused=True)


def adamw(options: AdamOptions, parameters: Sequence[nn.Parameter]) -> optim.Optimizer:
    """Loshchilov and Hutter 2019: Adam, with p -= lr weight_decay p beside the gradient."""
    from torch import optim

    betas = (options.beta1, options.beta2)
    return optim.AdamW(parameters, options.lr, betas, options.eps, options.weight_decay, fused=True)


def rmsprop(options: RmsPropOptions, parameters: Sequence[nn.Parameter]) -> optim.Optimizer:
    """Hinton 2012: p -= lr g / (sqrt(v) + eps)."""
    from torch import optim

    return optim.RMSprop(parameters, options.lr, options.beta2, options.eps, options.weight_decay, foreach=True)


def sgd(options: SgdOptions, parameters: Sequence[nn.Parameter]) -> optim.Optimizer:
    """p -= lr b, with b = beta1 b + g."""
    from torch import optim

    return optim.SGD(parameters, options.lr, options.beta1, weight_decay=options.weight_decay, fused=True)
