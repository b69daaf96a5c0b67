"""The architecture `translator`, for any samples that are maps: pictures, spectrograms, piano rolls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from pydantic import Field
from torch import nn

from gancore.data.spec import SampleSpec
from gancore.errors import UsageError
from gancore.nets.translating import (
    Directions,
    End,
    PatchDiscriminator,
    Sight,
    StyleTranslator,
    Translator,
    bounded,
)
from gancore.options import ArchitectureOptions, on_cpu


class Options(ArchitectureOptions):
    """Options of translators and of their discriminator."""

    width: int = Field(
        64,
        ge=4,
        le=1024,
        json_schema_extra=on_cpu(32),
        description="Channels of the largest map; each halving doubles them.",
    )
    halvings: int = Field(
        2, ge=0, le=6, description="How often maps are halved on the way in, and doubled on the way out, at most."
    )
    blocks: int = Field(
        6, ge=2, le=32, description="Residual blocks of the smallest map: 9 in CycleGAN for pictures of 256 pixels."
    )
    separate: bool = Field(
        False,
        description="A generator of its own for each domain, as in CycleGAN; false: one that is told where to by its normalisation.",
    )
    style: int = Field(
        0,
        ge=0,
        le=4096,
        description="Length of the latent that says in what manner, for the game stargan (16 in its paper); 0: no latent, one way.",
    )
    code: int = Field(
        64, ge=1, le=4096, description="Length of the code of a domain, or of a style, that normalisation follows."
    )
    discriminator_width: int = Field(
        64, ge=4, le=1024, json_schema_extra=on_cpu(32), description="Channels of the discriminator's largest map."
    )
    patches: int = Field(
        3,
        ge=1,
        le=6,
        description="How often the discriminator halves a sample, at most: with 3, as usual, it judges patches of some 70 places"
        " a side.",
    )
    scales: int = Field(
        1, ge=1, le=3, description="Discriminators, each of which sees samples half as large as the one before."
    )
    discriminator_norm: Literal["none", "instance"] = Field(
        "instance",
        description="Normalisation in the discriminator, of each sample by itself; none with penalties of gradients.",
    )


def build(
    options: Options, spec: SampleSpec, end: Callable[[], End] = lambda: bounded, sight: Sight | None = None
) -> dict[str, nn.Module]:
    """Generator and discriminator between the domains of `spec`; `end` is called for what makes relaxed samples of the last outputs.

    It is called for each generator, so that separate ones share nothing. Both players see samples as `sight` shows them, where there
    is one.

    Raises:
        UsageError: samples are no maps `[channels, height, width]`, or have no domains, or options do not go together.
    """
    if not spec.domains:
        raise UsageError(
            "architecture 'translator' makes samples of one domain of those of another, and these data have no domains; take a game"
            " that translates, such as game=cut or game=cycle, or another architecture"
        )
    if len(spec.shape) != 3 or min(spec.shape[1:]) < 8:
        raise UsageError(
            f"architecture 'translator' works on maps of at least 8 by 8 places, [channels, height, width], and these samples are "
            f"{list(spec.shape)}; take an architecture that is made for them"
        )
    if options.separate and options.style:
        raise UsageError(
            "architecture.separate=true has a generator for each domain, and architecture.style one for all; leave one of them out"
        )
    domains = len(spec.domains)
    sizes = {"width": options.width, "halvings": options.halvings, "blocks": options.blocks}
    common: dict[str, Any] = {**sizes, "sight": sight}
    generator: nn.Module
    if options.style:
        generator = StyleTranslator(spec.shape, domains, latent=options.style, code=options.code, end=end(), **common)
    elif options.separate:
        generator = Directions([Translator(spec.shape, 1, code=0, end=end(), **common) for _ in range(domains)])
    else:
        generator = Translator(spec.shape, domains, code=options.code, end=end(), **common)
    discriminator = PatchDiscriminator(
        spec.shape,
        domains,
        width=options.discriminator_width,
        patches=options.patches,
        scales=options.scales,
        norm=options.discriminator_norm == "instance",
        sight=sight,
    )
    return {"generator": generator, "discriminator": discriminator}
