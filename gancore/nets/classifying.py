"""Classes as something that the discriminator tells of samples, rather than something that it is told: classifiers on its features."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gancore import distributed
from gancore.errors import UsageError
from gancore.nets.conditioning import ClassLinear, ProjectionHead

Kind = Literal["ac", "tac", "adc", "mh", "2c", "d2d-ce"]
COUPLED = ("2c", "d2d-ce")
"""Those that compare samples of a batch with each other, and need whole ones."""
MARGIN, TEMPERATURE = 0.98, {"2c": 1.0, "d2d-ce": 0.5}
"""As in the papers' experiments with CIFAR-10."""


class Embedder(nn.Module):
    """Directions `[batch, dim]` of length 1 for features `[batch, features]`, and one for each class."""

    def __init__(self, features: int, class_count: int) -> None:
        super().__init__()
        dim = min(512, features)
        self.linear = nn.Linear(features, dim)
        self.proxies = nn.Embedding(class_count, dim)

    def forward(self, features: Tensor) -> Tensor:
        return F.normalize(self.linear(features).float(), dim=1)

    def of_classes(self, y: Tensor) -> Tensor:
        """The directions of classes `[batch]`."""
        return F.normalize(self.proxies(y), dim=1)


def contrast(e: Tensor, v: Tensor, y: Tensor) -> Tensor:
    """The conditional contrastive loss (2C) of directions `e` `[batch, dim]`, `v` those of their classes `y` `[batch]`.

    With s = exp(e . e' / t) of two samples and p = exp(e . v / t): the mean of
    -log((p + sum of s over others of the class) / (p + sum of s over all others)).
    """
    t = TEMPERATURE["2c"]
    own = (e * v).sum(1, keepdim=True) / t
    others = (e @ e.T / t).masked_fill(torch.eye(len(e), dtype=torch.bool, device=e.device), -math.inf)
    alike = others.masked_fill(y[:, None] != y[None, :], -math.inf)
    return (torch.cat([own, others], 1).logsumexp(1) - torch.cat([own, alike], 1).logsumexp(1)).mean()


def data_to_data(e: Tensor, v: Tensor, y: Tensor) -> Tensor:
    """The data-to-data cross-entropy (D2D-CE) of directions `e` `[batch, dim]`, `v` those of their classes `y` `[batch]`.

    With p = exp(min(0, e . v - m) / t) and s = exp(max(0, e . e' - (1 - m)) / t) of two samples: the mean of
    -log(p / (p + sum of s over samples of other classes)).
    """
    t = TEMPERATURE["d2d-ce"]
    own = ((e * v).sum(1, keepdim=True) - MARGIN).clamp(max=0.0) / t
    others = (e @ e.T - (1.0 - MARGIN)).clamp(min=0.0) / t
    others = others.masked_fill(y[:, None] == y[None, :], -math.inf)
    return (torch.cat([own, others], 1).logsumexp(1) - own.squeeze(1)).mean()


def multi_hinge(f: Tensor, y: Tensor) -> Tensor:
    """The hinge loss of Crammer and Singer (2001), E[max(0, 1 - f_y + max over k != y of f_k)], of outputs `f` `[batch, classes]`."""
    wanted = F.one_hot(y, f.shape[1]).bool()
    others = f.masked_fill(wanted, -math.inf).amax(dim=1)
    return F.relu(1.0 - f[wanted] + others).mean()


class Classifier:
    """Classifiers on the features before each `ProjectionHead` of a discriminator, whose projection of classes is taken out.

    With y the classes, x real and G(z) generated samples, C and M classifiers of K classes, A one of 2K and H one of K + 1, the last
    of which is that of generated samples, the discriminator's and the generator's terms are, in cross-entropy CE and `multi_hinge` MH,

        ac   CE(C(x), y)                        CE(C(G(z)), y)                          (AC-GAN, Odena et al. 2017)
        tac  CE(C(x), y) + CE(M(G(z)), y)       CE(C(G(z)), y) - CE(M(G(z)), y)         (TAC-GAN, Gong et al. 2019)
        adc  CE(A(x), y) + CE(A(G(z)), K + y)   CE(A(G(z)), y) - CE(A(G(z)), K + y)     (ADC-GAN, Hou et al. 2022)
        mh   MH(H(x), y) + MH(H(G(z)), K + 1)   MH(H(G(z)), y)                          (MHingeGAN, Kavalerov et al. 2021)

    As in TAC-GAN, C learns of real samples alone; the first paper's learnt of both. `mh` leaves the projection, as its paper does.
    `2c` (ContraGAN, Kang and Park 2020) and `d2d-ce` (ReACGAN, Kang et al. 2021) have `contrast` and `data_to_data` of real samples'
    and of generated ones' directions.

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
        outputs = {"ac": class_count, "mh": class_count + 1}.get(kind, 2 * class_count)
        for head in self.heads:
            if kind != "mh":
                head.classes = None
            features = head.linear.in_features
            head.classifier = Embedder(features, class_count) if kind in COUPLED else ClassLinear(features, outputs)

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
        Rows behind these are of other samples.
        """
        n, half = len(condition), len(seen) // 2
        apart = [s[:n] for s in seen[:half]], [s[:n] for s in seen[half:]]
        reals, fakes = ([s[:n] for s in seen], [s[n : 2 * n] for s in seen]) if together else apart
        told = list(zip(self.heads, reals, fakes, strict=False))
        return _sum([self._discriminator(head, real, fake, condition) for head, real, fake in told])

    def generator(self, seen: list[Tensor], condition: Tensor) -> Tensor:
        """The generator's term, of features of generated samples of the classes `condition` `[batch]`."""
        return _sum([self._generator(head, fake, condition) for head, fake in zip(self.heads, seen, strict=False)])

    def _discriminator(self, head: ProjectionHead, real: Tensor, fake: Tensor, y: Tensor) -> Tensor:
        if self.kind in COUPLED:
            return self._coupled(head, real, y)
        k, told = self.class_count, _said(head, real)
        if self.kind == "ac":
            return F.cross_entropy(told, y)
        made = _said(head, fake)
        if self.kind == "tac":
            return F.cross_entropy(told[:, :k], y) + F.cross_entropy(made[:, k:], y)
        if self.kind == "mh":
            return multi_hinge(told, y) + multi_hinge(made, torch.full_like(y, k))
        return F.cross_entropy(told, y) + F.cross_entropy(made, k + y)

    def _generator(self, head: ProjectionHead, fake: Tensor, y: Tensor) -> Tensor:
        if self.kind in COUPLED:
            return self._coupled(head, fake, y)
        k, made = self.class_count, _said(head, fake)
        if self.kind == "ac":
            return F.cross_entropy(made, y)
        if self.kind == "tac":
            return F.cross_entropy(made[:, :k], y) - F.cross_entropy(made[:, k:], y)
        if self.kind == "mh":
            return multi_hinge(made, y)
        return F.cross_entropy(made, y) - F.cross_entropy(made, k + y)

    def _coupled(self, head: ProjectionHead, features: Tensor, y: Tensor) -> Tensor:
        """A term of the whole batch, of all processes."""
        assert isinstance(head.classifier, Embedder)
        e, y = distributed.gather(head.classifier(features)), distributed.gather(y)
        return (contrast if self.kind == "2c" else data_to_data)(e, head.classifier.of_classes(y), y)


def _said(head: ProjectionHead, features: Tensor) -> Tensor:
    """Outputs for classes, `[batch, K]`, `[batch, K + 1]` or `[batch, 2K]`, float32."""
    assert head.classifier is not None
    logits: Tensor = head.classifier(features)
    return logits.float()


def _sum(terms: list[Tensor]) -> Tensor:
    first, *others = terms
    return sum(others, first)
