"""The image plugin: what it brings. Declarations only; everything they name is imported when it is used."""

from __future__ import annotations

from collections.abc import Iterable

from gan_image.presets import PRESETS
from gancore import hookimpl
from gancore.components import (
    Architecture,
    Attribute,
    Augmentation,
    Dataset,
    Features,
    Metric,
    PluginInfo,
    Preset,
    Writer,
)

SPEC = "gan_image.spec:ImageSpec"
BLOSSOMS = "gan_image.blossoms.spec:BlossomSpec"
PAIRS = "gan_image.pairs.spec:PairSpec"


@hookimpl
def gan_plugin_info() -> PluginInfo:
    return PluginInfo(
        summary="Images: folders of pictures, arrays, and built-in sets of handwritten digits and of blossoms",
        api_version=1,
        demo_preset="demo",
        data_preset="small",
        evaluated=5000,
    )


@hookimpl
def gan_datasets() -> Iterable[Dataset]:
    yield Dataset(
        name="digits",
        summary="scikit-learn's 1,797 handwritten digits, grey, 8x8: the built-in demo",
        target="gan_image.data.digits:open_digits",
        options="gan_image.data.digits:Options",
        spec=SPEC,
        given="gan_image.data.given:Reader",
    )
    yield Dataset(
        name="blossoms",
        summary="Blossoms of eight independent factors, in colour, 32x32, drawn when they are opened",
        target="gan_image.data.blossoms:open_blossoms",
        options="gan_image.data.blossoms:Options",
        spec=BLOSSOMS,
        given="gan_image.data.given:Reader",
    )
    yield Dataset(
        name="folder",
        summary="A folder or zip of pictures in any format that Pillow reads; class sub-folders become labels",
        target="gan_image.data.folder:open_folder",
        options="gan_image.data.folder:Options",
        spec=SPEC,
        given="gan_image.data.given:Reader",
        suffixes=(".zip",),
        directories=True,
        glance="gan_image.data.folder:glance",
    )
    yield Dataset(
        name="array",
        summary="Images in a .npz or .npy file, with or without labels",
        target="gan_image.data.array:open_array",
        options="gan_image.data.array:Options",
        spec=SPEC,
        given="gan_image.data.given:Reader",
        suffixes=(".npz", ".npy"),
        glance="gan_image.data.array:glance",
    )
    yield Dataset(
        name="pairs",
        summary="Pairs of pictures, of which one is given: two folders, two halves, or edges and the like of your own",
        target="gan_image.pairs.data:open_pairs",
        options="gan_image.pairs.data:Options",
        spec=PAIRS,
        given="gan_image.pairs.given:Reader",
        suffixes=(".zip",),
        directories=True,
    )
    yield Dataset(
        name="outlines",
        summary="Blossoms and their edges, which are given: pairs to try translation on",
        target="gan_image.pairs.data:open_outlines",
        options="gan_image.data.blossoms:Options",
        spec=PAIRS,
        given="gan_image.pairs.given:Reader",
    )


@hookimpl
def gan_architectures() -> Iterable[Architecture]:
    yield Architecture(
        name="translator",
        summary="From domain to domain: a residual translator and a discriminator of patches (CycleGAN, Zhu et al. 2017)",
        target="gancore.nets.translator:build",
        options="gancore.nets.translator:Options",
        spec=SPEC,
    )
    yield Architecture(
        name="dcgan",
        summary="Strided convolutions (Radford et al. 2016): small and fast",
        target="gan_image.nets.dcgan:build",
        options="gan_image.nets.dcgan:Options",
    )
    yield Architecture(
        name="resnet",
        summary="Residual blocks, optional self-attention (SNGAN, SAGAN, BigGAN)",
        target="gan_image.nets.resnet:build",
        options="gan_image.nets.resnet:Options",
    )
    yield Architecture(
        name="r3gan",
        summary="Grouped residual blocks without normalisation (Huang et al. 2024), for rpgan with r1 and r2",
        target="gan_image.nets.r3gan:build",
        options="gan_image.nets.r3gan:Options",
    )
    yield Architecture(
        name="style",
        summary="A style for every convolution of the generator (StyleGAN2, Karras et al. 2020), for non-saturating with r1",
        target="gan_image.nets.style:build",
        options="gan_image.nets.style:Options",
    )
    yield Architecture(
        name="fast",
        summary="FastGAN's generator (Liu et al. 2021), judged by features of ImageNet (Sauer et al. 2021)",
        target="gan_image.nets.fast:build",
        options="gan_image.nets.fast:Options",
    )
    yield Architecture(
        name="unet",
        summary="A U-Net from image to image, judged in patches (Isola et al. 2017), for pairs",
        target="gan_image.nets.unet:build",
        options="gan_image.nets.unet:Options",
        spec=PAIRS,
    )


@hookimpl
def gan_augmentations() -> Iterable[Augmentation]:
    yield Augmentation(
        name="diffaugment",
        summary="DiffAugment: colour, translation and cutout of images (Zhao et al. 2020)",
        target="gan_image.augment:DiffAugment",
        options="gan_image.augment:DiffAugmentOptions",
        spec=SPEC,
    )
    yield Augmentation(
        name="ada",
        summary="ADA: 18 transforms of images, as strong as the discriminator needs (Karras et al. 2020)",
        target="gan_image.ada:Ada",
        options="gan_image.ada:AdaOptions",
        spec=SPEC,
    )


@hookimpl
def gan_features() -> Iterable[Features]:
    yield Features(
        name="lite0",
        summary="EfficientNet-Lite0 with ImageNet weights (Tan and Le 2019), 1,280 numbers",
        target="gan_image.features.lite:lite0",
        options="gan_image.features.lite:Options",
        spec=SPEC,
    )
    yield Features(
        name="lite2",
        summary="EfficientNet-Lite2: a second opinion, where lite0 took part in training",
        target="gan_image.features.lite:lite2",
        options="gan_image.features.lite:Options",
        spec=SPEC,
        default=False,
    )
    yield Features(
        name="inception",
        summary="Inception-v3 with the weights that FID is defined by, from a file, 2,048 numbers",
        target="gan_image.features.inception:Inception",
        options="gan_image.features.inception:Options",
        spec=SPEC,
        default=False,
    )
    yield Features(
        name="transformers",
        summary="An encoder of images of the library transformers from a folder: DINOv2, CLIP, a ViT",
        target="gan_image.features.transformer:Encoder",
        options="gan_image.features.transformer:Options",
        spec=SPEC,
        default=False,
    )
    yield Features(
        name="judge",
        summary="A small classifier trained on the labels of the training images, 128 numbers",
        target="gan_image.features.judge:Judge",
        options="gan_image.features.judge:Options",
        spec=SPEC,
        default=False,
    )
    yield Features(
        name="pixels",
        summary="Principal components of the training images: no network at all",
        target="gan_image.features.pixels:Pixels",
        options="gan_image.features.pixels:Options",
        spec=SPEC,
        default=False,
    )
    yield Features(
        name="made-lite0",
        summary="EfficientNet-Lite0 of the images that were made, without those that were given",
        target="gan_image.pairs.judging:MadeLite",
        options="gan_image.features.lite:Options",
        spec=PAIRS,
    )
    yield Features(
        name="made-pixels",
        summary="Principal components of the images that were made, without those that were given",
        target="gan_image.pairs.judging:MadePixels",
        options="gan_image.features.pixels:Options",
        spec=PAIRS,
        default=False,
    )


@hookimpl
def gan_attributes() -> Iterable[Attribute]:
    own = "gan_image.attributes"
    for name, summary, less, more in (
        ("brightness", "Mean of the light", "darker", "brighter"),
        ("contrast", "Deviation of the light", "fainter", "more contrasting"),
        ("sharpness", "How far neighbouring pixels differ, whatever the contrast", "softer", "sharper"),
        ("symmetry", "How far the left half is the mirror image of the right", "more lopsided", "more symmetric"),
        ("saturation", "Mean strength of the colours", "greyer", "more colourful"),
        ("redness", "Mean of red less green", "greener", "redder"),
        ("warmth", "Mean of yellow less blue", "cooler", "warmer"),
    ):
        yield Attribute(name=name, summary=summary, target=f"{own}:{name}", spec=SPEC, less=less, more=more)
    yield Attribute(
        name="fill",
        summary="Share of pixels of another colour than the border's",
        target=f"{own}:fill",
        options=f"{own}:FillOptions",
        spec=SPEC,
        less="emptier",
        more="fuller",
    )
    yield Attribute(
        name="hue",
        summary="Angle of the mean colour, from magenta by red, yellow and green to blue",
        target=f"{own}:hue",
        options=f"{own}:HueOptions",
        spec=SPEC,
        unit="degrees",
        less="towards magenta",
        more="towards blue",
    )
    own = "gan_image.blossoms.attributes"
    for name, unit, summary, less, more in (
        ("petals", "", "How many petals a blossom has", "fewer petals", "more petals"),
        ("blossom-size", "", "Radius of the blossom, as a share of half the picture", "smaller", "larger"),
        ("petal-width", "", "Width of the petals, as a share of their room", "slimmer petals", "wider petals"),
        ("petal-hue", "degrees", "Hue of the petals, from blue by red to yellow", "bluer petals", "yellower petals"),
        ("ground-hue", "degrees", "Hue of the ground, from green to blue", "greener ground", "bluer ground"),
        ("eye-size", "", "Radius of the eye, as a share of the blossom's", "smaller eye", "larger eye"),
    ):
        target = f"{own}:{name.replace('-', '_')}"
        yield Attribute(name=name, summary=summary, target=target, spec=BLOSSOMS, unit=unit, less=less, more=more)


@hookimpl
def gan_metrics() -> Iterable[Metric]:
    yield Metric(
        name="factors",
        summary="Blossoms whose factors can be read, and how far these are from those of real ones",
        target="gan_image.metrics.factors:build",
        options="gan_image.metrics.factors:Options",
        spec=BLOSSOMS,
    )
    yield Metric(
        name="nearness",
        summary="How far what was made is from the real image of its source, beside a constant, a neighbour and a copy",
        target="gan_image.pairs.judging:Nearness",
        spec=PAIRS,
    )


@hookimpl
def gan_writers() -> Iterable[Writer]:
    yield Writer(
        name="grid",
        summary="One PNG with all samples in a grid",
        target="gan_image.writers:GridWriter",
        options="gan_image.writers:GridOptions",
        role="sheet",
    )
    yield Writer(
        name="png",
        summary="A PNG a sample",
        target="gan_image.writers:PngWriter",
        options="gan_image.writers:PngOptions",
        role="each",
    )
    yield Writer(
        name="pair-grid",
        summary="One PNG with all pairs in a grid, what was given to the left of what was made",
        target="gan_image.pairs.writers:PairGrid",
        options="gan_image.writers:GridOptions",
        spec=PAIRS,
        role="sheet",
    )
    yield Writer(
        name="pair-png",
        summary="A PNG of what was made of each",
        target="gan_image.pairs.writers:PairPng",
        options="gan_image.writers:PngOptions",
        spec=PAIRS,
        role="each",
    )
    yield Writer(
        name="walk",
        summary="Samples one after another, as an animated GIF and an animated PNG",
        target="gan_image.walk:WalkWriter",
        options="gan_image.walk:WalkOptions",
        role="walk",
    )
    yield Writer(
        name="gif",
        summary="An animated GIF of the grids of a run",
        target="gan_image.writers:GifWriter",
        options="gan_image.writers:GifOptions",
        role="progress",
    )


@hookimpl
def gan_presets() -> Iterable[Preset]:
    yield from PRESETS
