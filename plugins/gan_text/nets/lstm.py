"""A recurrent generator of texts: long short-term memory (Hochreiter & Schmidhuber 1997)."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import cast

import torch
from pydantic import Field
from torch import Tensor, nn

from gan_text.nets.common import build_discriminator
from gan_text.nets.words import WordGenerator, WordOptions
from gan_text.spec import TextSpec
from gancore.data.spec import SampleSpec, require

State = list[tuple[Tensor, Tensor]]


class Options(WordOptions):
    """Options of the architecture `lstm`."""

    width: int = Field(512, ge=1, le=8192, description="Width of each recurrent layer.")
    layers: int = Field(1, ge=1, le=4, description="Recurrent layers.")
    recurrent_dropout: float = Field(
        0.0,
        ge=0.0,
        le=0.9,
        description="Share of each layer's connections from place to place that are left out, the same in a whole batch (Merity"
        " et al. 2018); while likelihood is trained.",
    )


class Generator(WordGenerator):
    """LSTM layers over vectors of tokens."""

    def __init__(self, options: Options, spec: TextSpec) -> None:
        super().__init__(options, spec, options.width)
        sizes = [options.embedding] + [options.width] * options.layers
        self.layers = nn.ModuleList(nn.LSTM(a, b, batch_first=True) for a, b in pairwise(sizes))
        self.connections = nn.Dropout(options.recurrent_dropout)
        for layer in self._lstms():
            # What is remembered is kept at first (Gers et al. 2000); the gates are input, forget, cell, output.
            nn.init.constant_(layer.all_weights[0][2][layer.hidden_size : 2 * layer.hidden_size], 1.0)

    def _lstms(self) -> list[nn.LSTM]:
        return cast("list[nn.LSTM]", list(self.layers))

    def start(self, batch: int, condition: Tensor | None) -> State:
        del condition
        zero = self.begin.new_zeros
        return [(zero(batch, layer.hidden_size), zero(batch, layer.hidden_size)) for layer in self._lstms()]

    def step(self, embedded: Tensor, state: State) -> tuple[Tensor, State]:
        x, after = embedded, []
        for layer, before in zip(self._lstms(), state, strict=True):
            x, cell = torch.lstm_cell(x, before, *layer.all_weights[0])
            after.append((x, cell))
        return self.project(self.narrowed(x)), after

    def select(self, state: State, texts: Tensor) -> State:
        return [(x[texts], cell[texts]) for x, cell in state]

    def hidden(self, embedded: Tensor, condition: Tensor | None) -> Tensor:
        del condition
        x = self.dropout(embedded)
        for layer in self._lstms():
            x = self.dropout(self._along(layer, x))
        return self.narrowed(x)

    def _along(self, layer: nn.LSTM, x: Tensor) -> Tensor:
        """What `layer` makes of `[batch, places, features]`, with some of its recurrent connections left out in training."""
        dropped = {}
        if self.connections.training and self.connections.p:
            dropped = {"weight_hh_l0": self.connections(layer.weight_hh_l0)}
        # In float32 on processors, for those without AVX-512 have no LSTM in bfloat16; elsewhere autocast chooses.
        with torch.autocast("cpu", enabled=False):
            return cast("Tensor", torch.func.functional_call(layer, dropped, (x.to(self.begin.dtype),))[0])


def build(options: Options, spec: SampleSpec) -> Mapping[str, nn.Module]:
    """Generator and discriminator for texts of `spec`; conditional where it has classes."""
    text = require(spec, TextSpec, "architecture 'lstm'")
    return {"generator": Generator(options, text), "discriminator": build_discriminator(options, text)}
