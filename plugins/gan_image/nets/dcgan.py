"""The deep convolutional GAN of Radford, Metz & Chintala (2016): one strided convolution per halving, the fastest."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from gan_image.nets.sizes import channel_ladder, image_shape, plan
from gancore.data.spec import SampleSpec
from gancore.nets.conditioning import LatentWithClass, ProjectionHead
from gancore.nets.layout import prefers_channels_last
from gancore.nets.norm import BatchNorm
from gancore.nets.upsampling import Upsampling
from gancore.options import ArchitectureOptions

Norm = Literal["none", "batch"]


class Options(ArchitectureOptions):
    """Options of the DCGAN."""

    latent: int = Field(128, ge=1, le=4096, description="Length of the latent vector.")
    width: int = Field(
        64, ge=4, le=1024, description="Channels of the feature map next to the image; each halving doubles them."
    )
    max_width: int = Field(512, ge=4, le=4096, description="Most channels of any feature map.")
    base_width: int = Field(
        0,
        ge=0,
        le=4096,
        description="Channels of a 4x4 feature map: a larger one has fewer, in proportion to its sides, but never less than width, so "
        "that large images cost little more. 0 counts from the image instead.",
    )
    refine: int = Field(
        0, ge=0, le=4, description="3x3 convolutions more at each resolution but the image's; the paper has none."
    )
    upsampling: Literal["strided", "nearest"] = Field(
        "strided",
        description="How the generator doubles maps: strided as in the paper, by free 4x4 kernels that may leave checkerboards, or "
        "nearest, by repeated pixels and 3x3 kernels, with one more 3x3 convolution at the image.",
    )
    norm: Norm = Field("batch", description="Normalisation in the generator.")
    discriminator_norm: Norm = Field(
        "none",
        description="Normalisation in the discriminator; gradient penalties want none, as it couples the samples.",
    )
    leak: float = Field(0.2, ge=0.0, lt=1.0, description="Negative slope of the discriminator's leaky ReLU.")
    embedding: int = Field(32, ge=1, le=4096, description="Length of the class embedding that joins the latent vector.")


def build(options: Options, spec: SampleSpec) -> dict[str, nn.Module]:
    """Generator and discriminator for images `[channels, height, width]`; conditional where `spec` has classes."""
    return {"generator": Generator(options, spec), "discriminator": Discriminator(options, spec)}


class Generator(nn.Module):
    """`z` `[batch, latent]` to images `[batch, channels, height, width]` in [-1, 1].

    With classes an embedding joins the latent.
    """

    def __init__(self, options: Options, spec: SampleSpec) -> None:
        super().__init__()
        channels, height, width = image_shape(spec)
        halvings, base_height, base_width = plan(height, width)
        ladder = _ladder(options, halvings, base_height, base_width)
        self.latent_shape = (options.latent,)
        self.base = (ladder[0], base_height, base_width)
        self.latent = LatentWithClass(options.latent, spec.class_count, options.embedding)
        biased = options.norm == "none"
        self.project = nn.Linear(self.latent.dim, ladder[0] * base_height * base_width, bias=biased)

        layers: list[nn.Module] = [*_norm(options.norm, ladder[0]), nn.ReLU()]
        for i, wide in enumerate(ladder):
            if i:
                layers += [_up(options, ladder[i - 1], wide, bias=biased), *_norm(options.norm, wide)]
                layers += [nn.ReLU()]
            for _ in range(options.refine):
                layers += [nn.Conv2d(wide, wide, 3, 1, 1, bias=biased), *_norm(options.norm, wide), nn.ReLU()]
        if options.upsampling == "nearest":
            last = max(8, ladder[-1] // 2)
            layers += [_up(options, ladder[-1], last, bias=biased), *_norm(options.norm, last), nn.ReLU()]
            layers += [nn.Conv2d(last, channels, 3, 1, 1), nn.Tanh()]
        else:
            layers += [_up(options, ladder[-1], channels), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        _initialise(self)

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        channels, height, width = self.base
        maps = self.project(self.latent(z, condition)).view(-1, height, width, channels).permute(0, 3, 1, 2)
        return self.layers(maps if prefers_channels_last(self) else maps.contiguous())


class Discriminator(nn.Module):
    """Images `[batch, channels, height, width]` to logits `[batch]`, by class projection where there are classes."""

    def __init__(self, options: Options, spec: SampleSpec) -> None:
        super().__init__()
        channels, height, width = image_shape(spec)
        halvings, base_height, base_width = plan(height, width)
        ladder = _ladder(options, halvings, base_height, base_width)[::-1]
        norm = options.discriminator_norm

        layers: list[nn.Module] = []
        for i, wide in enumerate(ladder):
            # The paper leaves the layer next to the image without normalisation.
            here: Norm = norm if i else "none"
            before = ladder[i - 1] if i else channels
            layers += [nn.Conv2d(before, wide, 4, 2, 1, bias=here == "none"), *_norm(here, wide)]
            layers += [nn.LeakyReLU(options.leak)]
            for _ in range(options.refine):
                layers += [nn.Conv2d(wide, wide, 3, 1, 1, bias=norm == "none"), *_norm(norm, wide)]
                layers += [nn.LeakyReLU(options.leak)]
        self.layers = nn.Sequential(*layers)
        self.head = ProjectionHead(ladder[-1] * base_height * base_width, spec.class_count)
        _initialise(self)
        if self.head.classes is not None:
            nn.init.normal_(self.head.classes.weight, std=0.02)

    def features(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """What the logit is a linear function of: the smallest map, flattened, `[batch, features]`."""
        # Channels innermost, so that nothing is rearranged, forward or backward, where the layout is channels_last.
        return self.layers(x).permute(0, 2, 3, 1).flatten(1)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        return self.head(self.features(x, condition), condition)


def _ladder(options: Options, halvings: int, height: int, width: int) -> list[int]:
    """Channels from the smallest map, of `height` and `width`, to the one next to the image."""
    if not options.base_width:
        return channel_ladder(options.width, options.max_width, halvings - 1)
    ideal = [4.0 * options.base_width / ((height * width) ** 0.5 * 2**n) for n in range(halvings)]
    return [min(max(8 * round(channels / 8), options.width), options.max_width) for channels in ideal]


def _up(options: Options, before: int, after: int, *, bias: bool = True) -> nn.Module:
    if options.upsampling == "nearest":
        return Upsampling(before, after, bias=bias)
    return nn.ConvTranspose2d(before, after, 4, 2, 1, bias=bias)


def _norm(kind: Norm, channels: int) -> list[nn.Module]:
    return [BatchNorm(channels)] if kind == "batch" else []


def _initialise(network: nn.Module) -> None:
    """Weights N(0, 0.02) (of `Upsampling` 0.04), gains of the normalisation N(1, 0.02), biases zero, as in the paper and its code."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(module.weight, std=0.04 if isinstance(module, Upsampling) else 0.02)
        elif isinstance(module, BatchNorm):
            nn.init.normal_(module.weight, mean=1.0, std=0.02)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)
