"""From samples of one domain to samples of another, for any that are maps `[channels, height, width]`: pictures, spectrograms, rolls.

`Translator` is the residual network of CycleGAN (Zhu et al. 2017) after Johnson et al. 2016, told where to by its normalisation, so
that one network serves all directions; `StyleTranslator` is told how as well (StarGAN v2, Choi et al. 2020). `Directions` holds one
network for each domain instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gancore.components import Prior
from gancore.nets.conditioning import ClassEmbedding, required
from gancore.nets.upsampling import Upsampling

LEAK = 0.2
NO_LATENT = Prior(kind="none", instead="what is translated")
End = Callable[[Tensor, Tensor], Tensor]
"""What makes relaxed samples of the last layer's outputs and of what is given, both `[batch, channels, height, width]`."""


class Sight(Protocol):
    """What networks see of samples, where that is more than the samples: maps of other things that follow from them."""

    channels: int
    """Channels of what it makes."""

    def __call__(self, x: Tensor, /) -> Tensor:
        """Relaxed samples to maps `[batch, channels, height, width]` of the same sides."""


def bounded(outputs: Tensor, given: Tensor) -> Tensor:
    """Outputs brought into (-1, 1): all of a sample is made anew."""
    del given
    return torch.tanh(outputs)


class AdaptiveInstanceNorm(nn.Module):
    """Normalisation of each map of each sample by itself, with gains and biases that follow from a code (Huang & Belongie 2017)."""

    def __init__(self, features: int, code: int) -> None:
        super().__init__()
        self.affine = nn.Linear(code, 2 * features)
        nn.init.normal_(self.affine.weight, std=0.02)
        nn.init.zeros_(self.affine.bias)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        """`x` `[batch, features, height, width]` and codes `[batch, code]` to the shape of `x`."""
        gain, bias = self.affine(code)[:, :, None, None].chunk(2, dim=1)
        return torch.addcmul(bias, F.instance_norm(x), 1.0 + gain)


def _norm(features: int, code: int) -> nn.Module:
    """Normalisation of each map by itself, by a code where there is one."""
    return AdaptiveInstanceNorm(features, code) if code else nn.InstanceNorm2d(features, affine=True)


class _Block(nn.Module):
    """Two convolutions beside a path around them, normalised by a code where there is one."""

    def __init__(self, features: int, code: int) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.Conv2d(features, features, 3, padding=1, padding_mode="reflect", bias=False) for _ in range(2)
        )
        self.norms = nn.ModuleList(_norm(features, code) for _ in range(2))

    def forward(self, x: Tensor, *code: Tensor) -> Tensor:
        first, second = self.convolutions
        before, after = self.norms
        made: Tensor = x + after(second(F.relu(before(first(x), *code))), *code)
        return made


class Encoder(nn.Module):
    """What is in a sample, whatever its domain: maps that are halved, and then refined by residual blocks."""

    def __init__(self, channels: int, width: int, halvings: int, blocks: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(channels, width, 7, padding=3, padding_mode="reflect", bias=False),
            nn.InstanceNorm2d(width, affine=True),
            nn.ReLU(),
        )
        self.down = nn.ModuleList()
        for _ in range(halvings):
            layers = nn.Conv2d(width, 2 * width, 4, 2, 1, bias=False), nn.InstanceNorm2d(2 * width, affine=True)
            self.down.append(nn.Sequential(*layers, nn.ReLU()))
            width *= 2
        self.blocks = nn.ModuleList(_Block(width, 0) for _ in range(blocks))
        self.width = width

    def forward(self, x: Tensor) -> list[Tensor]:
        """Maps of samples `[batch, channels, height, width]` after each halving and each block, the last one last."""
        x = self.stem(x)
        maps = [x]
        for layer in (*self.down, *self.blocks):
            x = layer(x)
            maps.append(x)
        return maps


class Translator(nn.Module):
    """`given` `[batch, channels, height, width]` of any domain to samples of domains `condition` `[batch]`, of the same shape.

    What it sees is what is given, or what `sight` makes of that. Nothing is drawn: `z` is `[batch, 0]`. Half of the blocks are of the
    encoder, and know nothing of the domain; the others and the layers that double maps are normalised by a code of it, of length
    `code`; with 0 there is one domain, and no code. Sides that cannot be halved as often are padded, and cut again.
    """

    takes_given = True
    prior = NO_LATENT

    def __init__(
        self,
        shape: Sequence[int],
        domains: int,
        *,
        width: int,
        blocks: int,
        halvings: int,
        code: int = 64,
        end: End = bounded,
        sight: Sight | None = None,
    ) -> None:
        super().__init__()
        channels, *sides = shape
        self.latent_shape: tuple[int, ...] = (0,)
        self.end, self.sight = end, sight
        # At least 4 places a side are left: normalised over fewer, maps say little.
        while halvings and min(sides) // 2**halvings < 4:
            halvings -= 1
        self.factor = 2**halvings
        self.targets = ClassEmbedding(domains, code) if code else None
        self.encoder = Encoder(sight.channels if sight else channels, width, halvings, blocks - blocks // 2)
        features = self.encoder.width
        self.blocks = nn.ModuleList(_Block(features, code) for _ in range(blocks // 2))
        self.up, self.norms = nn.ModuleList(), nn.ModuleList()
        for _ in range(halvings):
            self.up.append(Upsampling(features, features // 2, bias=False))
            self.norms.append(_norm(features // 2, code))
            features //= 2
        self.last = nn.Conv2d(features, channels, 7, padding=3, padding_mode="reflect")
        initialise(self)

    def forward(self, z: Tensor, condition: Tensor | None, given: Tensor) -> Tensor:
        """Relaxed samples `[batch, channels, height, width]`."""
        return self.translate(given) if self.targets is None else self.translate(given, self.targets(condition))

    def encode(self, given: Tensor, condition: Tensor | None) -> list[Tensor]:
        """Maps `[batch, features, rows, columns]` of what is in samples, the samples themselves first; see `EncodesGiven`."""
        del condition  # what is in a sample does not depend on where it goes
        return [given, *self.encoder(self._seen(given))[1:]]

    def translate(self, given: Tensor, *code: Tensor) -> Tensor:
        """Relaxed samples of the domains, and the manner, that codes `[batch, code]` stand for, if there are such."""
        height, width = given.shape[2:]
        x = self.encoder(self._seen(given))[-1]
        for block in self.blocks:
            x = block(x, *code)
        for up, norm in zip(self.up, self.norms, strict=True):
            x = F.relu(norm(up(x), *code))
        return self.end(self.last(x)[:, :, :height, :width], given).to(given.dtype)

    def _seen(self, x: Tensor) -> Tensor:
        x = x if self.sight is None else self.sight(x)
        below, right = (-side % self.factor for side in x.shape[2:])
        return F.pad(x, (0, right, 0, below), mode="replicate") if below or right else x


class StyleTranslator(Translator):
    """A `Translator` with a manner of doing it: a style, of latents or of another sample (StarGAN v2, Choi et al. 2020).

    `map` makes styles of latents `[batch, latent]`, `read` finds those of samples, each with an output for every domain.
    """

    prior = Prior()

    def __init__(
        self,
        shape: Sequence[int],
        domains: int,
        *,
        latent: int,
        width: int,
        blocks: int,
        halvings: int,
        code: int = 64,
        end: End = bounded,
        sight: Sight | None = None,
    ) -> None:
        super().__init__(shape, domains, width=width, blocks=blocks, halvings=halvings, code=code, end=end, sight=sight)
        self.targets = None
        self.latent_shape = (latent,)
        self.domains, self.code = domains, code
        wide = 4 * code
        self.mapping = nn.Sequential(
            nn.Linear(latent, wide), nn.ReLU(), nn.Linear(wide, wide), nn.ReLU(), nn.Linear(wide, domains * code)
        )
        layers: list[nn.Module] = [nn.Conv2d(shape[0], width, 3, padding=1)]
        for _ in range(self.factor.bit_length()):
            layers += [nn.LeakyReLU(LEAK), nn.Conv2d(width, 2 * width, 3, padding=1), nn.AvgPool2d(2)]
            width *= 2
        pool = [nn.LeakyReLU(LEAK), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, domains * code)]
        self.reader = nn.Sequential(*layers, *pool)
        for layer in [*self.mapping, *self.reader]:
            if isinstance(layer, nn.Linear | nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight)
                nn.init.zeros_(cast(Tensor, layer.bias))

    def forward(self, z: Tensor, condition: Tensor | None, given: Tensor) -> Tensor:
        """Relaxed samples `[batch, channels, height, width]`."""
        return self.synthesise(self.map(z, condition), condition, given)

    def map(self, z: Tensor, condition: Tensor | None) -> Tensor:
        """Styles `[batch, 1, code]` of latents."""
        weight = next(self.mapping.parameters())
        return self._of_domains(self.mapping(z.to(weight.dtype)), condition)[:, None]

    def synthesise(self, w: Tensor, condition: Tensor | None, given: Tensor) -> Tensor:
        """Relaxed samples of styles `[batch, 1, code]`; they say what domain it is."""
        return self.translate(given, w[:, 0])

    def read(self, x: Tensor, condition: Tensor | None) -> Tensor:
        """Styles `[batch, 1, code]` of relaxed samples of domains `condition` `[batch]`; see `ReadsStyle`."""
        return self._of_domains(self.reader(x), condition)[:, None]

    def _of_domains(self, outputs: Tensor, condition: Tensor | None) -> Tensor:
        domains = required(condition, self.domains)
        each = outputs.view(-1, self.domains, self.code)
        if domains.is_floating_point():
            return torch.einsum("nd,ndc->nc", domains.to(each), each)
        return each[torch.arange(len(each), device=each.device), domains]


class Directions(nn.Module):
    """One generator for each domain, called for the samples that are to be of it: those of CycleGAN, which share nothing.

    Each of `generators` is called `generator(z, None, given)`, and all have latents of one shape; one for each domain, in their order.
    """

    takes_given = True

    def __init__(self, generators: Sequence[nn.Module]) -> None:
        super().__init__()
        self.generators = nn.ModuleList(generators)
        self.latent_shape = cast(tuple[int, ...], generators[0].latent_shape)
        self.prior = getattr(generators[0], "prior", Prior())

    def forward(self, z: Tensor, condition: Tensor | None, given: Tensor) -> Tensor:
        """Relaxed samples `[batch, ...]` of the domains `condition` `[batch]` int64."""
        domains = required(condition, len(self.generators))
        return self._each(domains, lambda one, rows: [one(z[rows], None, given[rows])])[0]

    def encode(self, given: Tensor, condition: Tensor | None) -> list[Tensor]:
        """Maps of what is in samples, by the generator that each goes to; see `EncodesGiven`."""
        domains = required(condition, len(self.generators))
        return self._each(domains, lambda one, rows: one.encode(given[rows], None))  # type: ignore[operator]

    def _each(self, domains: Tensor, call: Callable[[nn.Module, Tensor], list[Tensor]]) -> list[Tensor]:
        """What `call` makes with each generator for the rows of its domain, in the order of `domains` `[batch]`."""
        order, made = [], []
        for number, one in enumerate(self.generators):
            rows = (domains == number).nonzero()[:, 0]
            if len(rows):
                order.append(rows)
                made.append(call(one, rows))
        back = torch.cat(order).argsort()
        return [torch.cat(parts)[back] for parts in zip(*made, strict=True)]


class PatchDiscriminator(nn.Module):
    """Samples `[batch, channels, height, width]` to logits `[batch, rows, columns]` of patches, for each scale (Isola et al. 2017).

    By as many halvings as `patches`, 3 in the paper, for patches of some 70 places, and two more convolutions; each of the `scales`
    sees samples half as large as the one before (Wang et al. 2018). Of classes it is told by projection.
    """

    def __init__(
        self,
        shape: Sequence[int],
        classes: int,
        *,
        width: int,
        patches: int,
        scales: int = 1,
        norm: bool = True,
        sight: Sight | None = None,
    ) -> None:
        super().__init__()
        own, *sides = shape
        channels = sight.channels if sight else own
        self.sight = sight
        halvings = (min(sides) // 3).bit_length() - 1  # as often as leaves 3 places a side
        self.judges = nn.ModuleList(
            _Patches(channels, classes, width, max(1, min(patches, halvings - 1 - number)), norm)
            for number in range(scales)
        )

    def forward(self, x: Tensor, condition: Tensor | None) -> tuple[Tensor, ...]:
        found = []
        x = x if self.sight is None else self.sight(x)
        for judge in self.judges:
            found.append(judge(x, condition))
            x = F.avg_pool2d(x, 2)
        return tuple(found)


class _Patches(nn.Module):
    """Judges patches of samples by as many halvings and two more convolutions."""

    def __init__(self, channels: int, classes: int, width: int, halvings: int, norm: bool) -> None:
        super().__init__()
        wide = width
        layers: list[nn.Module] = [nn.Conv2d(channels, wide, 4, 2, 1), nn.LeakyReLU(LEAK)]
        for number in range(1, halvings + 1):
            before, wide = wide, min(2 * wide, 8 * width)
            stride = 2 if number < halvings else 1
            kernel = 4 if stride == 2 else 3
            layers += [nn.Conv2d(before, wide, kernel, stride, 1, bias=not norm)]
            layers += [nn.InstanceNorm2d(wide)] if norm else []
            layers += [nn.LeakyReLU(LEAK)]
        self.layers = nn.Sequential(*layers)
        self.head = nn.Conv2d(wide, 1, 3, 1, 1)
        self.classes = ClassEmbedding(classes, wide) if classes else None
        initialise(self)
        if self.classes is not None:
            nn.init.normal_(self.classes.weight, std=0.02)

    def forward(self, x: Tensor, condition: Tensor | None) -> Tensor:
        maps = self.layers(x)
        logits: Tensor = self.head(maps)[:, 0]
        if self.classes is not None:
            logits = logits + torch.einsum("nc,nchw->nhw", self.classes(condition).to(maps.dtype), maps)
        return logits


def initialise(network: nn.Module) -> None:
    """Weights of convolutions N(0, 0.02) (of `Upsampling` 0.04), biases zero, as in the code of Isola et al. and of Zhu et al."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, std=0.04 if isinstance(module, Upsampling) else 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
