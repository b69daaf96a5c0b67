"""The base of generators of texts: one token after the other, by Gumbel-softmax in training and by inverse CDF for final texts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from gan_text.nets.gradients import linear_cross_entropy
from gan_text.nets.reading import up_to_end
from gan_text.nets.relaxing import Choose, Place, Relaxing
from gan_text.nets.sampling import Sampling, draw, prompt_ids, weights
from gancore.components import Prior
from gancore.nets.conditioning import ClassEmbedding
from gancore.random import Draws, bits, derive

if TYPE_CHECKING:
    from gan_text.nets.common import TextArchitectureOptions
    from gan_text.spec import TextSpec

_GROUPED = 16
"""Fewer texts are read all together."""

State = Any
"""What a generator carries from place to place: tensors, in any arrangement."""

_GLANCE = 8
"""On an accelerator, how many places pass between two looks at which texts have ended: each look waits for it."""

_FEW = 0.75
"""The share of texts that go on below which the others are left out."""


class TextGenerator(nn.Module):
    """A generator of texts of up to `spec.length` tokens.

    Subclasses give `start`, `step`, `hidden`, `readout` (or `project`), `last` and `select`. Their input at each place is a vector
    `[batch, dim]`: that of the token before (a learned one at first), plus that of the class where there are classes. The
    latent is the Gumbel noise itself, as 64 random bits a place, so a text is a function of its latent, its class and the
    weights alone.
    """

    overhead: ClassVar[int] = 4
    """What a place of `hidden` costs beside the texts at it, in texts."""

    def __init__(self, spec: TextSpec, dim: int, options: TextArchitectureOptions) -> None:
        super().__init__()
        self.spec = spec
        self.end = spec.end
        self.latent_shape = (spec.length,)
        self.prior = Prior(
            kind="none",
            instead="a prompt, the temperature or candidates (sampling.prompt=, sampling.temperature=, candidates.count=), the class "
            "where there are classes, and the seed",
        )
        self.feed = options.feed
        self.sampling = options.sampling
        self.begin = nn.Parameter(torch.randn(dim) * 0.1)
        self.classes = ClassEmbedding(spec.class_count, dim) if spec.class_count else None

    # --- what subclasses give ---

    def token_weight(self) -> Tensor:
        """The vectors of all tokens, `[vocabulary, dim]`; here those of an embedding `self.tokens`."""
        weight: Tensor = self.tokens.weight  # type: ignore[union-attr,assignment]
        return weight

    def start(self, batch: int, condition: Tensor | None) -> State:
        """What is carried into the first place of `batch` texts."""
        raise NotImplementedError

    def step(self, embedded: Tensor, state: State) -> tuple[Tensor, State]:
        """One place: its input `[batch, dim]` and what was carried, to logits `[batch, vocabulary]` and what is carried on."""
        raise NotImplementedError

    def select(self, state: State, texts: Tensor) -> State | None:
        """The part of `state` that belongs to `texts`, numbers of those that go on; None where all have to be carried on."""
        del state, texts
        return None

    def hidden(self, embedded: Tensor, condition: Tensor | None) -> Tensor:
        """All places at once: inputs `[batch, places, dim]` to `[batch, places, features]`, each of places up to its own."""
        raise NotImplementedError

    def project(self, hidden: Tensor) -> Tensor:
        """`[..., features]` to logits `[..., vocabulary]`."""
        return F.linear(hidden, *self.readout())  # type: ignore[misc]

    def readout(self) -> tuple[Tensor, Tensor | None] | None:
        """Weight `[vocabulary, features]` and bias of `project` where it is linear: what needs less memory and time then."""
        return None

    def last(self) -> list[Tensor]:
        """The parameters in which logits are linear, all of them together."""
        raise NotImplementedError

    @torch.no_grad()
    def soften(self, temperature: float) -> None:
        """Divide all logits by `temperature`, for good."""
        for p in self.last():
            p.div_(temperature)

    # --- the latent and relaxed texts ---

    def draw_latent(self, draws: Draws) -> Tensor:
        """64 random bits for each place of each text: `[batch, length]` int64."""
        return bits(derive(draws.seed, "tokens"), draws.positions, self.spec.length)

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        return self.gumbel(z, condition)

    def gumbel(
        self,
        z: Tensor,
        condition: Tensor | None = None,
        *,
        temperature: float = 1.0,
        hard: bool = True,
        noise: float = 1.0,
        noise_per_nat: float = 0.0,
    ) -> Tensor:
        """Relaxed texts `[batch, length, vocabulary]` float32 of latents `z` `[batch, length]` int64.

        At each place logits + a factor * Gumbel noise, whose softmax at `temperature` is the relaxed token. The factor is
        `noise` + `noise_per_nat` * the entropy of the next token, and acts as a temperature of that size in `sample`. `hard`:
        one-hot at the highest, with the gradient of the soft one (straight-through), else the soft one itself. After the first
        place at which the end is the highest there are one-hot ends without a gradient. Without dropout, which is for
        likelihood.
        Can be differentiated once.
        """
        with without_dropout(self), parametrize.cached():
            return self._gumbel(z, condition, Relaxing(self, len(z), temperature, hard, (noise, noise_per_nat)))

    def _gumbel(self, z: Tensor, condition: Tensor | None, relaxing: Relaxing) -> Tensor:
        if not torch.is_grad_enabled() or self.feed == "soft":
            relaxing.close(self._write(z, condition, relaxing.choose))
            return relaxing.texts()
        with torch.no_grad():
            ids = self._write(z, condition, relaxing.choose)
            relaxing.close(ids)
        # What is read has no gradient, so the graph is that of reading the finished texts, all places at once: one fast pass
        # instead of one for each place, and gradients of logits only where there is text.
        hidden, rows = self._read(ids, condition)
        readout = self.readout()
        if readout is None:
            return relaxing.texts([rows], [self.project(hidden).float()])
        return relaxing.projected(rows, hidden.float(), *readout)

    def _write(self, z: Tensor, condition: Tensor | None, choose: Choose) -> Tensor:
        """Token ids `[batch, length]` int64 that are chosen place by place, the end behind the first end.

        Texts that have ended are left out once they are many, and the walk ends when all have.
        """
        weight, offset = self.token_weight(), self._offset(condition)
        texts = torch.full(z.shape, self.end, device=z.device)
        state = self.start(len(z), condition)
        embedded = self.begin.expand(len(z), -1) + offset
        order = torch.arange(len(z), device=z.device)
        ended = torch.zeros(len(z), dtype=torch.bool, device=z.device)
        for place in range(self.spec.length):
            logits, state = self.step(embedded, state)
            ids, read = choose(logits.float(), Place(place, z[:, place], order, ended))
            texts[order, place] = ids
            ended = ended | (ids == self.end)
            embedded = (F.embedding(ids, weight) if read is None else read) + offset
            going = self._going(ended, place)
            if going is None:
                continue
            if not len(going):
                break
            narrower = self.select(state, going)
            if narrower is not None:
                state, order, ended = narrower, order[going], ended[going]
                z, embedded = z[going], embedded[going]
                offset = offset if self.classes is None else offset[going]
        return texts

    def _offset(self, condition: Tensor | None) -> Tensor:
        """What is added to the input of every place: `[batch, dim]`, or `[1, 1]` without classes."""
        return self.begin.new_zeros(1, 1) if self.classes is None else self.classes(condition)

    def _going(self, ended: Tensor, place: int) -> Tensor | None:
        """Which texts go on after `place`, where there are few enough of them, as far as this is worth looking at."""
        if ended.is_meta or (ended.device.type != "cpu" and place % _GLANCE != _GLANCE - 1):
            return None
        going = (~ended).nonzero().squeeze(1)
        return going if len(going) <= _FEW * len(ended) else None

    # --- likelihood ---

    def inputs(self, ids: Tensor, condition: Tensor | None) -> Tensor:
        """What is read at each place of token ids `[batch, places]` int64: the token before. `[batch, places, dim]`."""
        read = F.embedding(ids[:, :-1], self.token_weight())
        begin = self.begin.to(read.dtype).expand(len(ids), 1, -1)
        return torch.cat([begin, read], dim=1) + self._offset(condition)[:, None]

    def _read(self, hard: Tensor, condition: Tensor | None, read: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Features `[n, features]` of the n places of `hard` `[batch, length]` that belong to texts, and which these are.

        Places are numbered from 0 to `batch * length`. `read` is what is read at them, where that is not `hard`.
        """
        inside = up_to_end(hard, self.end)
        ids = hard if read is None else read
        if ids.is_meta:
            hidden = self.hidden(self.inputs(ids, condition), condition)
            return hidden.flatten(0, 1), torch.arange(ids.numel(), device=ids.device)
        features, rows = [], []
        for texts, longest in _alike(inside.sum(1), self.overhead):
            part = None if condition is None else condition[texts]
            hidden = self.hidden(self.inputs(ids[texts, :longest], part), part)
            text, place = inside[texts, :longest].nonzero(as_tuple=True)
            features.append(hidden[text, place])
            rows.append(texts[text] * ids.shape[1] + place)
        return torch.cat(features), torch.cat(rows)

    def logits(self, hard: Tensor, condition: Tensor | None = None) -> Tensor:
        """Logits `[batch, length, vocabulary]` of each token of `hard` `[batch, length]` after those before it."""
        with parametrize.cached():
            return self.project(self.hidden(self.inputs(hard.long(), condition), condition))

    def nll(
        self,
        hard: Tensor,
        condition: Tensor | None = None,
        *,
        read: Tensor | None = None,
        goal: Tensor | None = None,
    ) -> Tensor:
        """The negative log-likelihood of each token of `hard` `[batch, length]` after those before it, in nats, float32.

        The first end counts; places after it are 0, and those behind the longest text of the batch cost nothing. `read` and
        `goal`, int64 of the same shape, are tokens to read and to foresee at these places instead of those of `hard`.
        """
        ids = hard.long()
        with parametrize.cached():
            hidden, rows = self._read(ids, condition, read)
            tokens = (ids if goal is None else goal).flatten()[rows]
            readout = self.readout()
            if readout is None:
                losses = F.cross_entropy(self.project(hidden).float(), tokens, reduction="none")
            else:
                losses = linear_cross_entropy(hidden.float(), *readout, tokens)
        spread = torch.zeros(ids.numel(), device=ids.device).index_copy(0, rows, losses)
        return spread.view(ids.shape) * up_to_end(ids, self.end)

    def log_likelihood(self, hard: Tensor, condition: Tensor | None = None) -> Tensor:
        """The natural logarithm of the probability of each of the texts `hard` `[batch, length]`: `[batch]` float32."""
        return -self.nll(hard, condition).sum(1)

    # --- final texts ---

    @torch.no_grad()
    def sample(self, z: Tensor, condition: Tensor | None = None, sampling: Sampling | None = None) -> Tensor:
        """Final texts, token ids `[batch, length]` int32, of latents `z` `[batch, length]` int64.

        `sampling` is the architecture's own where none is given. Nothing is relaxed, and nothing is left over from one call
        to the next.

        Raises:
            UsageError: the prompt has words that the data do not have, or fills the whole text.
        """
        sampling = sampling or self.sampling
        prompt = prompt_ids(sampling.prompt, self.spec)

        def choose(logits: Tensor, now: Place) -> tuple[Tensor, None]:
            if now.number < len(prompt):
                return torch.full_like(now.bits, prompt[now.number]), None
            return draw(weights(logits, sampling), now.bits).masked_fill(now.ended, self.end), None

        with without_dropout(self), parametrize.cached():
            return self._write(z, condition, choose).to(torch.int32)


def _alike(lengths: Tensor, overhead: int) -> list[tuple[Tensor, int]]:
    """Texts of the given lengths in groups of similar ones, so that short ones wait less for long ones, and their longest.

    In groups only on a CPU, where time is that of all places together, and where this is less: a place of a group costs as
    much as one for each of its texts and `overhead` more.
    """
    count = len(lengths)
    if lengths.device.type != "cpu" or count < _GROUPED:
        return [(torch.arange(count, device=lengths.device), int(lengths.amax()) if count else 1)]
    ordered, order = lengths.sort(stable=True)
    ways = [(0, count), (0, 3 * count // 4, count), (0, count // 2, 3 * count // 4, count)]
    costs = [sum(int(ordered[b - 1]) * (b - a + overhead) for a, b in pairwise(way)) for way in ways]
    return [(order[a:b], int(ordered[b - 1])) for a, b in pairwise(ways[costs.index(min(costs))])]


@contextmanager
def without_dropout(network: nn.Module) -> Iterator[None]:
    """Switch off the layers of dropout in `network`, and back on those that were on."""
    layers = [m for m in network.modules() if isinstance(m, nn.Dropout) and m.training] if network.training else []
    for layer in layers:
        layer.training = False
    try:
        yield
    finally:
        for layer in layers:
            layer.training = True
