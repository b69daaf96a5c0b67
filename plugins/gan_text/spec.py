"""What a text is to the engine: token ids up to the first end, on the simplex where a discriminator sees them."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from itertools import chain
from typing import ClassVar, Literal

import torch
from pydantic import Field, model_validator
from tokenizers import Tokenizer
from torch import Tensor

from gancore.data.spec import SampleSpec
from gancore.errors import DataError

Kind = Literal["characters", "words", "bpe", "pretrained"]


class TextSpec(SampleSpec):
    """Texts `[batch, length]` int32 when hard, `[batch, length, vocabulary]` float32 on the simplex when relaxed.

    The id `end` ends a text, and every place after the first `end` is `end` too; a text that fills all places has none.
    """

    called: ClassVar[str] = "texts"

    repeats: ClassVar[bool] = True

    measured: ClassVar[tuple[str, ...]] = ("tokenizer", "end", "unknown")

    dtype: str = Field(default="int32", description="Always int32.")
    tokens: Kind = Field(description="What a token is: a character, a word, or a piece of one.")
    tokenizer: str = Field(min_length=2, repr=False, description="The tokenizer, as JSON of Hugging Face's tokenizers.")
    end: int = Field(0, ge=0, description="Id of the token that ends a text and fills the places after it.")
    unknown: int | None = Field(
        1, ge=0, description="Id that stands for unknown tokens; none where nothing is unknown."
    )
    grammar: str = Field("", description="Name of the built-in grammar that the texts are of; empty for other texts.")

    @model_validator(mode="after")
    def _check_text(self) -> TextSpec:
        if len(self.shape) != 2 or self.shape[1] < 2:
            raise ValueError(f"shape must be (length, vocabulary) with a vocabulary of at least 2, not {self.shape}")
        if self.dtype != "int32" or self.value_range != (0.0, float(self.vocabulary - 1)):
            raise ValueError(f"hard texts are int32 in 0..{self.vocabulary - 1}")
        if self.end >= self.vocabulary or (self.unknown is not None and self.unknown >= self.vocabulary):
            raise ValueError(f"end ({self.end}) and unknown ({self.unknown}) must be below {self.vocabulary}")
        if self.end == self.unknown:
            raise ValueError(f"end and unknown must differ, both are {self.end}")
        return self

    @classmethod
    def of(
        cls,
        tokenizer_json: str,
        *,
        length: int,
        tokens: Kind,
        end: int = 0,
        unknown: int | None = 1,
        classes: tuple[str, ...] = (),
        grammar: str = "",
    ) -> TextSpec:
        """The spec of texts of at most `length` tokens, with the vocabulary that the tokenizer has.

        Raises:
            DataError: the JSON is not that of a tokenizer.
        """
        vocabulary = max(parsed(tokenizer_json).get_vocab(with_added_tokens=True).values(), default=0) + 1
        return cls(
            shape=(length, vocabulary),
            value_range=(0.0, float(vocabulary - 1)),
            tokens=tokens,
            tokenizer=tokenizer_json,
            end=end,
            unknown=unknown,
            classes=classes,
            grammar=grammar,
        )

    @property
    def length(self) -> int:
        """Places in a text: how many tokens it has at most."""
        return self.shape[0]

    @property
    def vocabulary(self) -> int:
        """How many different tokens there are, `end` and the unknown one among them."""
        return self.shape[1]

    def encode(self, texts: Sequence[str]) -> Tensor:
        """The texts as hard samples `[len(texts), length]` int32; what is longer is cut."""
        rows = [ids[: self.length] for ids in self.token_ids(texts)]
        hard = torch.full((len(rows), self.length), self.end, dtype=torch.int32)
        count = torch.tensor([len(ids) for ids in rows], dtype=torch.int64)
        hard[torch.arange(self.length) < count[:, None]] = torch.tensor([*chain.from_iterable(rows)], dtype=torch.int32)
        return hard

    def token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of each text, of any number, without `end`."""
        encoded = parsed(self.tokenizer).encode_batch_fast(list(texts), add_special_tokens=False)
        return [[number for number in one.ids if number != self.end] for one in encoded]

    def decode(self, hard: Tensor) -> list[str]:
        """The texts of hard samples `[n, length]`: what stands before the first `end`."""
        counts = self.lengths(hard).tolist()
        rows = [row[:count] for row, count in zip(hard.tolist(), counts, strict=True)]
        return parsed(self.tokenizer).decode_batch(rows, skip_special_tokens=False)

    def lengths(self, hard: Tensor) -> Tensor:
        """How many tokens stand before the first `end` in hard samples `[n, length]`: `[n]` int64."""
        return (_ended(hard == self.end) == 0).sum(1)

    def adopts(self, other: SampleSpec) -> bool:
        """Any texts; words that this vocabulary lacks become the unknown one, and what is longer is cut."""
        return isinstance(other, TextSpec)

    def adopt(self, hard: Tensor, other: SampleSpec) -> Tensor:
        assert isinstance(other, TextSpec)
        return (
            hard if other.tokenizer == self.tokenizer and other.shape == self.shape else self.encode(other.decode(hard))
        )

    def relax(self, hard: Tensor) -> Tensor:
        """Hard `[batch, length]` to one-hot `[batch, length, vocabulary]` float32."""
        relaxed = torch.zeros(*hard.shape, self.vocabulary, device=hard.device)
        return relaxed.scatter_(2, hard.long()[..., None], 1.0)

    def harden(self, relaxed: Tensor) -> Tensor:
        """Relaxed `[batch, length, vocabulary]` to hard `[batch, length]` int32: the likeliest, then `end` after the first one."""
        ids = relaxed.argmax(2)
        return torch.where(_ended(ids == self.end) > 0, self.end, ids).to(torch.int32)


@functools.lru_cache(maxsize=8)
def parsed(tokenizer_json: str) -> Tokenizer:
    """The tokenizer that the JSON describes; it never cuts nor pads, and reads the names of special tokens as plain text.

    Raises:
        DataError: the JSON is not that of a tokenizer.
    """
    try:
        json.loads(tokenizer_json)
        tokenizer = Tokenizer.from_str(tokenizer_json)
    except Exception as error:
        raise DataError(
            f"the tokenizer of these texts cannot be read: {error}; give the JSON of a tokenizers.Tokenizer "
            "(its to_str()), as stored in tokenizer.json"
        ) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    return tokenizer


def _ended(is_end: Tensor) -> Tensor:
    """How many ends there were up to and with each place: `[n, length]` bool to int64."""
    return is_end.long().cumsum(1)
