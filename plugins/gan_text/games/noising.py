"""Noised texts, from which maximum likelihood learns what it could not from the texts alone: a smoothing of rare words."""

from __future__ import annotations

import torch
from torch import Tensor

from gan_text.spec import TextSpec
from gancore.components import DataSource
from gancore.data.sampler import spread
from gancore.random import Draws

CHUNK = 4096
"""Texts counted together."""


class Noising:
    """Bigram Kneser-Ney noising (Xie et al. 2017, "Data noising as smoothing in neural network language models").

    A token `x` at one place and the one that follows it are each replaced, in what is read and in what is to be foreseen, with
    probability `strength * N(x, .) / c(x)`: `c(x)` is how often it stands in a text, `N(x, .)` how many different tokens follow it.
    So what was seen once is hardly relied on, and what is always followed by the same stays. What replaces is drawn in proportion to
    `N(., x)`, how many different tokens a token follows.

    Unlike there, ends are neither replaced nor drawn: a sample is one text here, and another token in place of its end would teach that
    texts are longer than they are. The first token to be foreseen stays as well.

    Counts are of at most `most` texts, from all over the data.
    """

    def __init__(self, source: DataSource, spec: TextSpec, strength: float, most: int = 200_000) -> None:
        counts, pairs = torch.zeros(spec.vocabulary), torch.empty(0, dtype=torch.int64)
        for some in spread(len(source), most).split(CHUNK):
            ids = source.fetch(some, Draws(0, some))[0].long()
            inside = ids[:, :-1] != spec.end
            first, second = ids[:, :-1][inside], ids[:, 1:][inside]
            counts += torch.bincount(first, minlength=spec.vocabulary)
            pairs = torch.cat([pairs, first * spec.vocabulary + second]).unique()
        followers = torch.bincount(pairs // spec.vocabulary, minlength=spec.vocabulary)
        leaders = torch.bincount(pairs % spec.vocabulary, minlength=spec.vocabulary).double()
        leaders[spec.end] = 0.0
        self.end = spec.end
        # Where texts are of one token there is nothing to draw.
        self.share = strength * followers / counts.clamp_min(1.0) * bool(leaders.any())
        """With what probability `[vocabulary]` a token is replaced, and the one after it."""
        self.up_to = (leaders.cumsum(0) / leaders.sum().clamp_min(1.0)).float()
        """Of tokens up to each, `[vocabulary]`, the probability to be drawn."""

    def __call__(self, hard: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        """What is to be read, and what to be foreseen, of texts `hard` `[batch, length]`: both `[batch, length]` int64."""
        self.share, self.up_to = self.share.to(hard.device), self.up_to.to(hard.device)
        ids = hard.long()
        places = ids.shape[1] - 1
        hit = draws.uniform("places", places) < self.share[ids[:, :-1]]
        drawn = [torch.searchsorted(self.up_to, draws.uniform(name, places), right=True) for name in ("read", "goal")]
        read = torch.cat([torch.where(hit, drawn[0], ids[:, :-1]), ids[:, -1:]], dim=1)
        later = torch.where(hit & (ids[:, 1:] != self.end), drawn[1], ids[:, 1:])
        return read, torch.cat([ids[:, :1], later], dim=1)
