"""Texts as samples: a vocabulary of the words that occur, and what metrics are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tokenizers import Tokenizer, models, pre_tokenizers

from gan_text.spec import TextSpec
from gancore.evaluation import Material, Samples


def spec_of(texts: Sequence[str], length: int = 16) -> TextSpec:
    """The spec of texts whose words are between spaces."""
    words = ["<end>", "<unknown>", *sorted({word for text in texts for word in text.split()})]
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, unk_token="<unknown>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return TextSpec.of(tokenizer.to_str(), length=length, tokens="words")


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
    spec = spec_of([word for text in texts for word in text.split() if word not in unknown], length)
    made = {name: Samples(spec.encode(texts)) for name, texts in others.items()}
    sets = {"generated": generated, "real": real, "train": train}
    parts = {name: Samples(spec.encode(texts)) for name, texts in sets.items()}
    return spec, Material(**parts, held_out=held_out, others=made, **more)
