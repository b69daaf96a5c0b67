"""How a class reaches a network: an embedding on the generator's side, a projection on the discriminator's."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gancore.errors import UsageError


def required(condition: Tensor | None, class_count: int) -> Tensor:
    """`condition` itself; a `UsageError` where a network of `class_count` classes was called without one."""
    if condition is None:
        raise UsageError(
            f"this network is conditional on {class_count} classes and was called without a condition: "
            f"pass class indices [batch] from 0 to {class_count - 1}"
        )
    return condition


class ClassEmbedding(nn.Embedding):
    """A learned vector for each class: `[batch]` int64 to `[batch, dim]`, standard normal at first.

    Of weights `[batch, classes]`, floats, it gives the weighted mean, as between two classes.
    """

    def __init__(self, class_count: int, dim: int) -> None:
        super().__init__(class_count, dim)

    def forward(self, input: Tensor | None) -> Tensor:
        classes = required(input, self.num_embeddings)
        return classes.to(self.weight) @ self.weight if classes.is_floating_point() else super().forward(classes)


class ClassLinear(nn.Linear):
    """Outputs that are those of classes, in their order: one for each, or one and more."""


class LatentWithClass(nn.Module):
    """What a generator starts from: the latent, followed by the class embedding where there are classes.

    `dim` is the length of the result: `latent`, or `latent + embedding_dim`.
    """

    def __init__(self, latent: int, class_count: int, embedding_dim: int) -> None:
        super().__init__()
        self.dim = latent + (embedding_dim if class_count else 0)
        self.embedding = ClassEmbedding(class_count, embedding_dim) if class_count else None

    def forward(self, z: Tensor, condition: Tensor | None) -> Tensor:
        """`z` `[batch, latent]`, `condition` `[batch]` int64 or None, to `[batch, dim]`."""
        if self.embedding is None:
            return z
        return torch.cat([z, self.embedding(condition).to(z.dtype)], dim=1)


class ProjectionHead(nn.Module):
    """The logit of a projection discriminator (Miyato & Koyama 2018): `w . h + b + <v_y, h>`.

    Without classes the last term is absent. `gancore.nets.slicing` can have it train the direction of w + v_y apart.
    """

    sliced = False
    slices: list[Tensor] | None = None
    """Where to put what the direction alone says ..."""
    seen: list[Tensor] | None = None
    """... and the features that this is called with."""

    def __init__(self, features: int, class_count: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, 1)
        self.classes = ClassEmbedding(class_count, features) if class_count else None
        self.classifier: nn.Module | None = None
        """What tells classes by the features, where `gancore.nets.classifying` has put it."""
        if self.classes is not None:
            nn.init.normal_(self.classes.weight, std=features**-0.5)

    def forward(self, features: Tensor, condition: Tensor | None) -> Tensor:
        """`features` `[batch, features]` to logits `[batch]`."""
        if self.seen is not None:
            self.seen.append(features.to(self.linear.weight.dtype))  # it is used outside of autocast
        if self.sliced:
            return self._sliced(features, condition)
        logit = self.linear(features).squeeze(1)
        if self.classes is not None:
            logit = logit + (self.classes(condition) * features).sum(dim=1)
        return logit

    def _sliced(self, features: Tensor, condition: Tensor | None) -> Tensor:
        """The same value, of features scaled by |w|; the gradient by the direction of w is that of what is put in `slices` only."""
        weight = self.linear.weight
        if self.classes is not None:
            weight = weight + self.classes(condition)
        length = torch.linalg.vector_norm(weight, dim=1, keepdim=True).clamp(min=1e-12)
        direction, scaled = weight / length, features * length
        if self.slices is not None:
            self.slices.append((scaled.detach() * direction).sum(dim=1))
        return (scaled * direction.detach()).sum(dim=1) + self.linear.bias
