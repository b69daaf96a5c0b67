"""The discriminator of texts by convolutions over two to five tokens, on several representations (Nie et al. 2019)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from gan_text.nets.reading import TextDiscriminator
from gancore.nets.conditioning import ProjectionHead
from gancore.options import Options

if TYPE_CHECKING:
    from gan_text.spec import TextSpec


class CnnOptions(Options):
    """The convolutional discriminator of RelGAN, with sizes for a CPU: the paper has 64 representations, 300 channels."""

    representations: int = Field(
        8, ge=1, le=256, description="How many embedded representations of a text are judged, all by the same weights."
    )
    embedding: int = Field(8, ge=1, le=1024, description="Numbers for each token in each representation.")
    windows: tuple[Annotated[int, Field(ge=1, le=64)], ...] = Field(
        (2, 3, 4, 5), min_length=1, max_length=16, description="How many tokens each kind of convolution sees."
    )
    channels: int = Field(100, ge=1, le=4096, description="Channels of each kind of convolution.")
    dropout: float = Field(0.25, ge=0.0, le=0.9, description="Share of features that are left out in training.")
    heads: Literal["averaged", "separate"] = Field(
        "averaged",
        description="Logits of the representations: their mean is judged by the loss, or (as in RelGAN) each by itself.",
    )


class Highway(nn.Module):
    """`g * relu(a) + (1 - g) * x` with `g` and `a` linear in `x` (Srivastava et al. 2015), mostly open at first."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.both = nn.Linear(features, 2 * features)
        nn.init.constant_(self.both.bias[:features], -1.0)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.both(x).chunk(2, dim=-1)
        return torch.lerp(x, F.relu(value), torch.sigmoid(gate))


class Head(nn.Module):
    """Logits of features `[batch, representations * features]`: the mean `[batch]`, or one tensor `[batch]` a representation."""

    def __init__(self, features: int, representations: int, class_count: int, separate: bool) -> None:
        super().__init__()
        self.representations = representations
        self.separate = separate
        self.logit = ProjectionHead(features, class_count)

    def forward(self, features: Tensor, condition: Tensor | None) -> Tensor | tuple[Tensor, ...]:
        count = self.representations
        rows = features.unflatten(1, (count, -1))
        if not self.separate:
            # The logit is linear in the features: that of their mean is the mean of the logits.
            return self.logit(rows.mean(1), condition)
        classes = None if condition is None else condition.repeat_interleave(count)
        return self.logit(rows.flatten(0, 1), classes).view(-1, count).unbind(1)


class Discriminator(TextDiscriminator):
    """Relaxed texts `[batch, length, vocabulary]` to logits `[batch]`, by class projection where there are classes.

    A token's vector is cut into `representations` parts; the same convolutions, highway layer and linear logit judge each.
    The windows that are looked at end at a place of the text, its end included, and may begin before it.

    One loss of the mean logit is not the mean of the losses of each logit, which RelGAN takes and `heads=separate` gives (as
    a sum): the first lets representations share the work, the second has each of them tell real from fake.
    """

    def __init__(self, options: CnnOptions, spec: TextSpec) -> None:
        super().__init__(spec, options.representations * options.embedding)
        self.representations = options.representations
        self.sizes = options.windows
        self.windows = nn.ModuleList(nn.Conv1d(options.embedding, options.channels, w) for w in options.windows)
        features = options.channels * len(options.windows)
        self.highway = Highway(features)
        self.dropout = nn.Dropout(options.dropout)
        self.head = Head(features, options.representations, spec.class_count, options.heads == "separate")

    def read(self, embedded: Tensor, condition: Tensor | None, mask: Tensor) -> Tensor:
        """`[batch, representations * features]`."""
        del condition
        batch, count = len(embedded), self.representations
        x = (embedded * mask[..., None]).unflatten(2, (count, -1)).permute(0, 2, 3, 1).flatten(0, 1)
        outside = torch.where(mask > 0.0, 0.0, -torch.inf).repeat_interleave(count, 0)[:, None]
        seen = []
        for size, window in zip(self.sizes, self.windows, strict=True):
            y = window(F.pad(x, (size - 1, 0)))
            # relu after the maximum is the same as before it, and has less to do.
            seen.append(F.relu((y + outside.to(y.dtype)).amax(2)))
        return self.dropout(self.highway(torch.cat(seen, dim=1))).view(batch, -1)


def build_discriminator(options: CnnOptions, spec: TextSpec) -> Discriminator:
    """The network for texts of `spec`."""
    return Discriminator(options, spec)
