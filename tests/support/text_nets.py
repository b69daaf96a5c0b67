"""Networks of texts and their inputs, small enough to be built in every test."""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor, nn

from gan_text.nets import lstm, relational_memory
from gan_text.spec import TextSpec
from gancore.data.spec import SampleSpec
from gancore.games.gan import draw_latent
from gancore.random import Draws

SMALL: dict[ModuleType, dict[str, Any]] = {
    lstm: {"embedding": 5, "width": 6, "layers": 2},
    relational_memory: {"embedding": 5, "slots": 2, "heads": 2, "head_size": 3},
}
SPREAD = {lstm: 3.0, relational_memory: 1.5}
"""By what their weights are multiplied, so that texts differ, and end anywhere."""
both = pytest.mark.parametrize("architecture", list(SMALL), ids=lambda module: module.__name__.rpartition(".")[2])
"""Marks a test that is run for each of them, as `architecture`."""
JUDGE = {"representations": 3, "embedding": 2, "channels": 4}


@functools.cache
def spec_of(vocabulary: int = 9, length: int = 7, classes: int = 0) -> TextSpec:
    """Words `w2`, `w3` ... between spaces, after the end and, from three tokens on, an unknown one."""
    names = ["<end>", "<unknown>", *(f"w{n}" for n in range(2, vocabulary))][:vocabulary]
    tokenizer = Tokenizer(models.WordLevel({name: n for n, name in enumerate(names)}, unk_token="<unknown>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return TextSpec.of(
        tokenizer.to_str(), length=length, tokens="words", classes=tuple(f"class {n}" for n in range(classes))
    )


def build(architecture: ModuleType, spec: SampleSpec, spread: float | None = None, **options: Any) -> tuple[Any, Any]:
    """Generator, its weights spread, and discriminator of the seed 0, in evaluation."""
    torch.manual_seed(0)
    values = {**SMALL[architecture], "cnn": JUDGE, **options}
    nets = architecture.build(architecture.Options(**values), spec)
    with torch.no_grad():
        for name, parameter in nets["generator"].named_parameters():
            if parameter.dim() > 1 and "norm" not in name:
                parameter.mul_(SPREAD[architecture] if spread is None else spread)
    return nets["generator"].eval(), nets["discriminator"].eval()


def latents(generator: nn.Module, count: int = 6, seed: int = 7) -> Tensor:
    return draw_latent(generator, Draws(seed, torch.arange(count)))


def classes_for(spec: SampleSpec, count: int) -> Tensor | None:
    """Classes in turn, None where there are none."""
    return torch.arange(count) % spec.class_count if spec.class_count else None


def texts(*lengths: int, spec: TextSpec) -> Tensor:
    """Hard texts with so many tokens before the end, drawn at random from the rest of the vocabulary."""
    tokens = torch.randint(1, spec.vocabulary, (len(lengths), spec.length), generator=torch.Generator().manual_seed(3))
    inside = torch.arange(spec.length) < torch.tensor(lengths)[:, None]
    return torch.where(inside, tokens, spec.end).to(torch.int32)


def pulled(generator: Any, x: Tensor) -> dict[str, Tensor]:
    """Gradients of all parameters for a loss that weights every entry of `x` differently."""
    generator.zero_grad(set_to_none=True)
    pull = torch.randn(x.shape, generator=torch.Generator().manual_seed(5))
    (x * pull).sum().backward()
    return {n: torch.zeros_like(p) if p.grad is None else p.grad.clone() for n, p in generator.named_parameters()}
