"""Texts of words between spaces, what metrics are given of them, and networks small enough to be built in every test."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor, nn

from gan_text.nets import lstm, relational_memory
from gan_text.spec import TextSpec
from gancore.data.spec import SampleSpec
from gancore.evaluation.records import Material, Samples
from gancore.games.calling import draw_latent
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


def words_spec(words: Sequence[str], length: int, classes: int = 0) -> TextSpec:
    """These words between spaces; the first is the end, and `<unknown>` stands for all others."""
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, unk_token="<unknown>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    names = tuple(f"class {n}" for n in range(classes))
    return TextSpec.of(tokenizer.to_str(), length=length, tokens="words", classes=names)


@functools.cache
def spec_of(vocabulary: int = 9, length: int = 7, classes: int = 0) -> TextSpec:
    """The end, from two tokens on an unknown word, and words `w2`, `w3` ..."""
    return words_spec(["<end>", "<unknown>", *(f"w{n}" for n in range(2, vocabulary))][:vocabulary], length, classes)


def spec_of_texts(texts: Sequence[str], length: int = 16) -> TextSpec:
    """The spec of texts whose words are between spaces."""
    return words_spec(["<end>", "<unknown>", *sorted({word for text in texts for word in text.split()})], length)


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


def compared(
    generated: Sequence[str],
    real: Sequence[str],
    train: Sequence[str],
    others: Mapping[str, Sequence[str]] | None = None,
    *,
    held_out: bool = True,
    length: int = 16,
    unknown: Sequence[str] = (),
    **more,
) -> tuple[TextSpec, Material]:
    """The spec that holds all of them but the words `unknown`, and the material."""
    others = others or {}
    texts = [*generated, *real, *train, *(text for one in others.values() for text in one)]
    spec = spec_of_texts([word for text in texts for word in text.split() if word not in unknown], length)
    made = {name: Samples(spec.encode(texts)) for name, texts in others.items()}
    sets = {"generated": generated, "real": real, "train": train}
    parts = {name: Samples(spec.encode(texts)) for name, texts in sets.items()}
    return spec, Material(**parts, held_out=held_out, others=made, **more)
