"""The discriminator of Projected GANs (Sauer et al. 2021): it looks at images through a network that was trained on ImageNet."""

from __future__ import annotations

from itertools import pairwise
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_image.features.lite import pretrained
from gan_image.nets.sizes import image_shape
from gancore.data.spec import SampleSpec
from gancore.errors import UsageError
from gancore.nets.conditioning import ProjectionHead
from gancore.nets.norm import BatchNorm

N = TypeVar("N", bound=nn.Module)
FEATURES = "lite0"
"""The features that it looks through."""
SCALES = (9.0, 8.0, 7.0, 3.0)
"""Root mean squares of its levels, of photographs and drawings of 64 to 224 pixels: mixed maps are of about 1."""
PUBLISHED = 224
"""Height and width in pixels that their network was trained with; larger images are made smaller."""
LEAK = 0.2
SMALL = 8
"""Maps are halved until one of their sides is below this."""


class Discriminator(nn.Module):
    """Images `[batch, 1 or 3, height, width]` to logits `[batch]` from each of four levels of frozen features.

    Features of one level are mixed by a 1x1 convolution over channels and, from the smallest map up, added to those of the next
    by a 3x3 convolution, both of random weights that are never trained. Of these maps, one small convolutional network a level
    is all that learns.

    Args:
        width: Channels of the largest map after mixing; each smaller one has twice as many.
        size: Length in pixels that the shorter side of smaller images is brought to.
        spec: What a sample is; logits are by class projection where there are classes.

    Raises:
        UsageError: images have neither one nor three channels.
    """

    def __init__(self, width: int, size: int, spec: SampleSpec) -> None:
        super().__init__()
        channels, height, columns = image_shape(spec)
        if channels not in (1, 3):
            raise UsageError(
                f"the projected discriminator looks at grey and colour images, and these have {channels} channels: say "
                "architecture.discriminator=plain"
            )
        shorter = min(height, columns)
        factor = max(size, min(shorter, PUBLISHED)) / shorter
        self.size = (round(height * factor), round(columns * factor))
        self.network = frozen(pretrained(FEATURES), persistent=False)
        before = list(self.network.ends.values())
        widths = [width * 2**level for level in range(len(before))]
        self.mix_channels = nn.ModuleList(_mixing(a, b, 1) for a, b in zip(before, widths, strict=True))
        self.mix_scales = nn.ModuleList(_mixing(b, a, 3) for a, b in pairwise(widths))
        sides = [[-(-side // 2 ** (level + 2)) for side in self.size] for level in range(len(widths))]
        self.judges = nn.ModuleList(
            _Judge(w, widths[-1], rows, wide, spec.class_count) for w, (rows, wide) in zip(widths, sides, strict=True)
        )

    def forward(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, ...]:
        return tuple(judge(maps, condition) for judge, maps in zip(self.judges, self.mixed(x), strict=True))

    def features(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Means over the positions of all mixed maps, `[batch, features]`: these stay the same in training."""
        return torch.cat([maps.mean(dim=(2, 3)) for maps in self.mixed(x)], dim=1)

    def mixed(self, x: Tensor) -> list[Tensor]:
        """The maps that are judged, from the largest to the smallest."""
        if x.shape[2:] != self.size:
            smaller = x.shape[2] > self.size[0]
            x = F.interpolate(x, self.size, mode="bilinear", align_corners=False, antialias=smaller)
        # As the features `lite0` take the values 0 to 255.
        levels = self.network.levels((x.expand(-1, 3, -1, -1) * 127.5 + 0.5) / 128.0)
        maps = [mix(level / scale) for mix, level, scale in zip(self.mix_channels, levels, SCALES, strict=True)]
        for level in reversed(range(len(maps) - 1)):
            deeper = self.mix_scales[level](maps[level + 1])
            size = maps[level].shape[2:]
            deeper = F.interpolate(deeper, size, mode="bilinear", align_corners=False)
            maps[level] = (maps[level] + deeper) * 0.5**0.5
        return maps


class _Judge(nn.Module):
    """One level's network: strided convolutions until the map is small, and a logit of all of it."""

    def __init__(self, width: int, max_width: int, height: int, columns: int, class_count: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        while min(height, columns) >= SMALL:
            wide = min(2 * width, max_width)
            layers += [nn.Conv2d(width, wide, 4, 2, 1, bias=False), BatchNorm(wide), nn.LeakyReLU(LEAK)]
            width, height, columns = wide, height // 2, columns // 2
        self.layers = nn.Sequential(*layers)
        self.head = ProjectionHead(width * height * columns, class_count)

    def forward(self, maps: Tensor, condition: Tensor | None) -> Tensor:
        return self.head(self.layers(maps).flatten(1), condition)


def _mixing(before: int, after: int, kernel: int) -> nn.Conv2d:
    """A convolution of weights N(0, 1 / fan_in) that stay as they are; checkpoints keep them."""
    conv = nn.Conv2d(before, after, kernel, padding=kernel // 2, bias=False)
    nn.init.normal_(conv.weight, std=conv.weight[0].numel() ** -0.5)
    return frozen(conv, persistent=True)


def frozen(network: N, *, persistent: bool) -> N:
    """`network` with its weights as buffers, which no optimizer moves; where not `persistent`, no checkpoint keeps them either."""
    for part in network.modules():
        for name, weight in list(part.named_parameters(recurse=False)):
            delattr(part, name)
            part.register_buffer(name, weight.detach(), persistent=persistent)
    return network
