"""What architectures of texts share: their options, the choice of a discriminator, and the base of generators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field
from torch import nn

from gan_text.nets import cnn, transformer
from gan_text.nets.cnn import CnnOptions
from gan_text.nets.generator import TextGenerator
from gan_text.nets.sampling import Sampling
from gan_text.nets.transformer import TransformerOptions
from gancore.options import ArchitectureOptions

if TYPE_CHECKING:
    from gan_text.spec import TextSpec

__all__ = ["TextArchitectureOptions", "TextGenerator", "build_discriminator"]


class TextArchitectureOptions(ArchitectureOptions):
    """Options of every architecture of texts; the generator's own come with each."""

    feed: Literal["hard", "soft"] = Field(
        "hard",
        description="What a generator in training reads of its own output: the token drawn, without a gradient (hard; RelGAN),"
        " or what the discriminator sees of it, with one (soft).",
    )
    sampling: Sampling = Field(Sampling(), description="How final texts are drawn.")
    discriminator: Literal["cnn", "transformer"] = Field(
        "cnn", description="Which network tells generated texts from real ones."
    )
    cnn: CnnOptions = Field(CnnOptions(), description="Options of the discriminator cnn.")
    transformer: TransformerOptions = Field(
        TransformerOptions(), description="Options of the discriminator transformer."
    )


def build_discriminator(options: TextArchitectureOptions, spec: TextSpec) -> nn.Module:
    """The discriminator that `options` choose, for texts of `spec`."""
    if options.discriminator == "transformer":
        return transformer.build_discriminator(options.transformer, spec)
    return cnn.build_discriminator(options.cnn, spec)
