"""The last layer of a discriminator in two parts, a direction and all else, each with a loss of its own (SAN, Takida et al. 2024)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from gancore.errors import UsageError
from gancore.nets.conditioning import ProjectionHead


class Slices:
    """The heads of a discriminator, from now on sliced: logits are what they were, and have no gradient by the direction of w.

    Raises:
        UsageError: the discriminator has no `ProjectionHead`.
    """

    def __init__(self, discriminator: nn.Module) -> None:
        self._heads = [m for m in discriminator.modules() if isinstance(m, ProjectionHead)]
        if not self._heads:
            raise UsageError(
                "game.san=true: the discriminator does not end in a ProjectionHead (gancore.nets.conditioning), of whose weights the "
                "direction could be trained apart; leave game.san out, or take another architecture"
            )
        for head in self._heads:
            head.sliced = True

    @contextmanager
    def collected(self) -> Iterator[list[Tensor]]:
        """A list of what each head called meanwhile says by its direction alone, `[batch]`, in order of calls."""
        found: list[Tensor] = []
        for head in self._heads:
            head.slices = found
        try:
            yield found
        finally:
            for head in self._heads:
                head.slices = None


def wasserstein(slices: list[Tensor], reals: int, together: bool) -> Tensor:
    """E[<h(G(z)), d>] - E[<h(x), d>] for the directions d of all heads, of features h without a gradient.

    `reals` rows of each are of real samples, and as many behind them of generated ones, where both went through the discriminator
    `together`; else the first half of `slices` is of real ones. Rows behind these are of other samples.
    """
    half = len(slices) // 2
    apart = [(r[:reals], f[:reals]) for r, f in zip(slices[:half], slices[half : 2 * half], strict=True)]
    pairs = [(s[:reals], s[reals : 2 * reals]) for s in slices] if together else apart
    first, *others = (fake.mean() - real.mean() for real, fake in pairs)
    return sum(others, first)
