"""Samples that the discriminator chooses: several are made for each, and one of them is drawn by how real it looks."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from gancore.configuration.run_config import Candidates
from gancore.data.spec import SampleSpec
from gancore.games.calling import heads, of_samples
from gancore.random import Draws, derive

CHUNK = 64
"""Samples judged at once: a constant, so that memory stays bounded."""

Make = Callable[[int], Tensor]
"""A seed to hard samples `[count, *hard shape]`."""


class Chooser:
    """Draws one of `options.count` candidates with probability in proportion to exp(`sharpness` * logit).

    Where a relativistic or logistic discriminator is as good as it can be, its logit is, up to a constant, the logarithm of how much
    more often a sample occurs in the data than in what the generator makes; with a sharpness of 1 and many candidates what is
    chosen then follows the data (sampling-importance-resampling, Rubin 1988; for texts Deng et al. 2020, "Residual energy-based
    models for text generation"; Azadi et al. 2019, "Discriminator rejection sampling", reject instead).

    `weights` tells the discriminator `judge` from others: the SHA-256 of its weights on disk.
    """

    def __init__(self, judge: nn.Module, spec: SampleSpec, options: Candidates, *, weights: str = "") -> None:
        self.judge = judge.eval().requires_grad_(False)
        self.spec = spec
        self.options = options
        self.weights = weights

    @torch.no_grad()
    def __call__(self, make: Make, seed: int, condition: Tensor | None, positions: Tensor | None = None) -> Tensor:
        """What is chosen of the samples that `make` makes of seeds: of `seed` itself, and of others that follow from it.

        `positions` `[count]` int64 are the numbers of the samples, counted from 0 without. Every candidate for sample i is made, and
        chosen, independently of all other samples.
        """
        chosen = make(seed)
        best = self._score(chosen, condition, seed, positions)
        for number in range(1, self.options.count):
            other = derive(seed, f"candidate-{number}")
            rival = make(other)
            score = self._score(rival, condition, other, positions)
            better = score > best
            chosen[better], best = rival[better], torch.maximum(score, best)
        return chosen

    def _score(self, hard: Tensor, condition: Tensor | None, seed: int, positions: Tensor | None) -> Tensor:
        """Perturbed scores `[count]`: the highest is a draw from the softmax of the scores (the Gumbel-max trick)."""
        places = torch.arange(len(hard)) if positions is None else positions
        uniform = Draws(derive(seed, "choice"), places).uniform("gumbel").double()
        noise = -torch.log(-torch.log(uniform.clamp_min(1e-12)))
        return self.options.sharpness * self.logits(hard, condition).double() + noise

    def logits(self, hard: Tensor, condition: Tensor | None) -> Tensor:
        """How real hard samples look to the discriminator, `[count]` float32 on the CPU: the mean of its heads."""
        device = next(self.judge.parameters()).device
        found = []
        for rows in torch.arange(len(hard)).split(CHUNK):
            classes = None if condition is None else condition[rows].to(device)
            logits = heads(self.judge(self.spec.relax(hard[rows].to(device)), classes))
            found.append(torch.stack([of_samples(head) for head in logits]).mean(0).float().cpu())
        return torch.cat(found) if found else torch.empty(0)
