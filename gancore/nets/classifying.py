"""Classes as something that the discriminator tells of samples, rather than something that it is told: classifiers on its features."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from gancore.errors import UsageError
from gancore.nets.conditioning import ProjectionHead

Kind = Literal["ac", "tac", "adc"]


class Classifier:
    """Classifiers on the features before each `ProjectionHead` of a discriminator, whose projection of classes is taken out.

    With y the classes, x real and G(z) generated samples, C and M softmax classifiers of K classes and A one of 2K, the discriminator's
    and the generator's terms are, in cross-entropy CE,

        ac   CE(C(x), y)                        CE(C(G(z)), y)                          (AC-GAN, Odena et al. 2017)
        tac  CE(C(x), y) + CE(M(G(z)), y)       CE(C(G(z)), y) - CE(M(G(z)), y)         (TAC-GAN, Gong et al. 2019)
        adc  CE(A(x), y) + CE(A(G(z)), K + y)   CE(A(G(z)), y) - CE(A(G(z)), K + y)     (ADC-GAN, Hou et al. 2022)

    As in TAC-GAN, C learns of real samples alone; the first paper's learnt of both.

    Raises:
        UsageError: there are no classes, or no `ProjectionHead`.
    """

    def __init__(self, discriminator: nn.Module, kind: Kind, class_count: int) -> None:
        self.kind = kind
        self.class_count = class_count
        self.heads: list[ProjectionHead] = [m for m in discriminator.modules() if isinstance(m, ProjectionHead)]
        if not class_count or not self.heads:
            why = "the discriminator does not end in a ProjectionHead (gancore.nets.conditioning)"
            raise UsageError(f"game.classes={kind}: {why if class_count else 'the data have no classes'}; leave it out")
        for head in self.heads:
            head.classes = None
            head.classifier = nn.Linear(head.linear.in_features, class_count * (1 if kind == "ac" else 2))

    @contextmanager
    def collected(self) -> Iterator[list[Tensor]]:
        """A list of the features `[batch, features]` that each head is called with meanwhile, in order of calls."""
        found: list[Tensor] = []
        for head in self.heads:
            head.seen = found
        try:
            yield found
        finally:
            for head in self.heads:
                head.seen = None

    def discriminator(self, seen: list[Tensor], condition: Tensor, together: bool) -> Tensor:
        """The discriminator's term, of features of real samples of the classes `condition` `[batch]` and of generated ones of the same.

        Both are in one tensor, real ones first, where they went through the discriminator `together`; else in the halves of `seen`.
        """
        n, half = len(condition), len(seen) // 2
        reals, fakes = ([s[:n] for s in seen], [s[n : 2 * n] for s in seen]) if together else (seen[:half], seen[half:])
        told = list(zip(self.heads, reals, fakes, strict=False))
        return _sum([self._discriminator(self.said(h, r), self.said(h, f), condition) for h, r, f in told])

    def generator(self, seen: list[Tensor], condition: Tensor) -> Tensor:
        """The generator's term, of features of generated samples of the classes `condition` `[batch]`."""
        return _sum([self._generator(self.said(h, f), condition) for h, f in zip(self.heads, seen, strict=False)])

    def said(self, head: ProjectionHead, features: Tensor) -> Tensor:
        """Logits of classes, `[batch, K]` or `[batch, 2K]`, float32."""
        assert head.classifier is not None
        logits: Tensor = head.classifier(features)
        return logits.float()

    def _discriminator(self, real: Tensor, fake: Tensor, y: Tensor) -> Tensor:
        k = self.class_count
        if self.kind == "ac":
            return F.cross_entropy(real, y)
        if self.kind == "tac":
            return F.cross_entropy(real[:, :k], y) + F.cross_entropy(fake[:, k:], y)
        return F.cross_entropy(real, y) + F.cross_entropy(fake, k + y)

    def _generator(self, fake: Tensor, y: Tensor) -> Tensor:
        k = self.class_count
        if self.kind == "ac":
            return F.cross_entropy(fake, y)
        if self.kind == "tac":
            return F.cross_entropy(fake[:, :k], y) - F.cross_entropy(fake[:, k:], y)
        return F.cross_entropy(fake, y) - F.cross_entropy(fake, k + y)


def _sum(terms: list[Tensor]) -> Tensor:
    first, *others = terms
    return sum(others, first)
