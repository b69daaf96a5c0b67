"""What recurrent generators share at both ends: an embedding of tokens, and logits that are made with it, or apart from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from gan_text.nets.common import TextArchitectureOptions, TextGenerator
from gan_text.nets.dropout import Dropout

if TYPE_CHECKING:
    from gan_text.spec import TextSpec


class WordOptions(TextArchitectureOptions):
    """Options of recurrent generators."""

    embedding: int = Field(128, ge=1, le=8192, description="Length of a token's vector.")
    tied: bool = Field(
        True,
        description="Let the last layer's weights be the tokens' vectors (Press and Wolf 2017), through a projection to their"
        " length: fewer weights, and cheaper for large vocabularies.",
    )
    dropout: float = Field(
        0.3,
        ge=0.0,
        le=0.9,
        description="Dropout of embeddings and layers while likelihood is trained; drawing texts is without.",
    )
    locked: bool = Field(
        False, description="Leave out the same entries at every place of a text (Gal and Ghahramani 2016)."
    )
    token_dropout: float = Field(
        0.0,
        ge=0.0,
        le=0.9,
        description="Share of the vocabulary whose vectors are left out of what is read, wherever these tokens stand in a batch"
        " (Gal and Ghahramani 2016); while likelihood is trained.",
    )


class WordGenerator(TextGenerator):
    """A generator with an embedding `tokens`, whose logits are linear in `narrowed` of what a subclass makes: `features` numbers."""

    def __init__(self, options: WordOptions, spec: TextSpec, features: int) -> None:
        super().__init__(spec, options.embedding, options)
        self.tokens = nn.Embedding(spec.vocabulary, options.embedding)
        nn.init.normal_(self.tokens.weight, std=options.embedding**-0.5)
        self.dropout = Dropout(options.dropout, options.locked)
        self.token_dropout = nn.Dropout(options.token_dropout)
        self.narrow = nn.Linear(features, options.embedding) if options.tied else None
        self.words = None if options.tied else nn.Linear(features, spec.vocabulary)
        self.bias = nn.Parameter(torch.zeros(spec.vocabulary)) if options.tied else None

    def inputs(self, ids: Tensor, condition: Tensor | None) -> Tensor:
        read = super().inputs(ids, condition)
        if not (self.token_dropout.training and self.token_dropout.p):
            return read
        before = ids[:, :-1]
        share = self.token_dropout(read.new_ones(len(self.tokens.weight)))[before, None]
        # The class, which is added to the vectors, stays.
        change = (share - 1.0) * F.embedding(before, self.token_weight())
        return torch.cat([read[:, :1], read[:, 1:] + change], dim=1)

    def narrowed(self, features: Tensor) -> Tensor:
        """What `readout` is applied to: features as they are, or projected to the length of a token's vector."""
        return features if self.narrow is None else self.narrow(features)

    def last(self) -> list[Tensor]:
        if self.narrow is not None and self.bias is not None:
            return [self.narrow.weight, self.narrow.bias, self.bias]
        assert self.words is not None
        return [self.words.weight, self.words.bias]

    def readout(self) -> tuple[Tensor, Tensor | None]:
        return (self.token_weight(), self.bias) if self.words is None else (self.words.weight, self.words.bias)
