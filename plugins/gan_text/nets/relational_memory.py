"""A generator of texts whose memory slots attend to each other and to what is read (Santoro et al. 2018; Nie et al. 2019)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from gan_text.nets.common import build_discriminator
from gan_text.nets.words import WordGenerator, WordOptions
from gan_text.spec import TextSpec
from gancore.data.spec import SampleSpec, require


class Options(WordOptions):
    """Options of the architecture `relational-memory`; RelGAN has 1 slot and 2 heads of 256."""

    slots: int = Field(1, ge=1, le=64, description="Vectors in memory.")
    heads: int = Field(2, ge=1, le=64, description="Heads of the attention.")
    head_size: int = Field(128, ge=1, le=2048, description="Numbers in each head; a slot has heads * head_size.")
    mlp_layers: int = Field(2, ge=1, le=8, description="Layers after the attention, each as wide as a slot.")


class RelationalMemory(nn.Module):
    """The relational memory core (Santoro et al. 2018): `memory` `[batch, slots, size]`, and one input `[batch, dim]` a step.

    Slots attend to all slots and to the input, are normalised (Ba et al. 2016), go through an MLP, and are taken over as far
    as gates for each number let them, as in an LSTM.
    """

    def __init__(self, dim: int, slots: int, heads: int, head_size: int, mlp_layers: int) -> None:
        super().__init__()
        self.slots, self.heads = slots, heads
        self.size = size = heads * head_size
        self.input = nn.Linear(dim, size)
        self.query = nn.Linear(size, size, bias=False)
        self.key_value = nn.Linear(size, 2 * size, bias=False)
        self.gates_of_input = nn.Linear(size, 2 * size)
        self.gates_of_memory = nn.Linear(size, 2 * size, bias=False)
        self.after_attention = nn.LayerNorm(size)
        self.mlp = nn.ModuleList(nn.Linear(size, size) for _ in range(mlp_layers))
        self.after_mlp = nn.LayerNorm(size)
        # Memory is kept at first.
        nn.init.constant_(self.gates_of_input.bias[size:], 1.0)

    def start(self, batch: int) -> Tensor:
        """Memory at first: slots that differ from each other, `[batch, slots, size]`."""
        like = self.input.weight
        return torch.eye(self.slots, self.size, device=like.device, dtype=like.dtype).expand(batch, -1, -1)

    def prepare(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """All that a step needs of its input `[..., dim]`, for any number of steps at once: keys with values, and gates."""
        x = self.input(x)
        return self.key_value(x), self.gates_of_input(x)

    def forward(self, prepared: tuple[Tensor, Tensor], memory: Tensor) -> Tensor:
        """One step: what `prepare` made of an input `[batch, dim]`, and memory before it, to memory after it."""
        of_input, gates = prepared
        both = torch.cat([self.key_value(memory), of_input[:, None].to(memory.dtype)], dim=1)
        key, value = both.unflatten(2, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        query = self.query(memory).unflatten(2, (self.heads, -1)).transpose(1, 2)
        seen = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        x = self.after_attention(memory + seen)
        y = x
        for layer in self.mlp:
            y = F.relu(layer(y))
        candidate = torch.tanh(self.after_mlp(x + y))
        taken, kept = torch.sigmoid(gates[:, None] + self.gates_of_memory(torch.tanh(memory))).chunk(2, dim=2)
        return torch.addcmul(taken * candidate, kept, memory)


class Generator(WordGenerator):
    """A relational memory over vectors of tokens."""

    overhead: ClassVar[int] = 40  # no layer does all places in one call, as there is for LSTMs

    def __init__(self, options: Options, spec: TextSpec) -> None:
        super().__init__(options, spec, options.slots * options.heads * options.head_size)
        self.memory = RelationalMemory(
            options.embedding, options.slots, options.heads, options.head_size, options.mlp_layers
        )

    def start(self, batch: int, condition: Tensor | None) -> Tensor:
        del condition
        return self.memory.start(batch)

    def step(self, embedded: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        state = self.memory(self.memory.prepare(embedded), state)
        return self.project(self.narrowed(state.flatten(1))), state

    def select(self, state: Tensor, texts: Tensor) -> Tensor:
        return state[texts]

    def hidden(self, embedded: Tensor, condition: Tensor | None) -> Tensor:
        places = zip(*(x.unbind(1) for x in self.memory.prepare(self.dropout(embedded))), strict=True)
        state, states = self.start(len(embedded), condition), []
        for prepared in places:
            state = self.memory(prepared, state)
            states.append(state.flatten(1))
        return self.narrowed(self.dropout(torch.stack(states, dim=1)))


def build(options: Options, spec: SampleSpec) -> Mapping[str, nn.Module]:
    """Generator and discriminator for texts of `spec`; conditional where it has classes."""
    text = require(spec, TextSpec, "architecture 'relational-memory'")
    return {"generator": Generator(options, text), "discriminator": build_discriminator(options, text)}
