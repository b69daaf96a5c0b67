"""The codes of a generator: what can be moved by degrees, whatever the modality and the architecture."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from gancore.components import Prior
from gancore.data.spec import SampleSpec
from gancore.errors import PluginError, UsageError
from gancore.games.calling import call_generator, draw_latent
from gancore.nets.conditioning import ClassEmbedding
from gancore.options import Options
from gancore.powers import DrawsLatent, HasPrior, MapsLatent, SamplesItself, TakesGiven
from gancore.random import Draws, derive
from gancore.sampling.drawing import check_finite

AVERAGED = 1024
"""Codes of which the mean of each class is taken."""
AT_ONCE = 256
"""Of these, so many are mapped at once."""


@dataclass(frozen=True, slots=True)
class Codes:
    """Codes `w` `[n, layers, size]`, the noise that goes with them `[n, ...]`, and the classes: weights `[n, classes]`, or None."""

    w: Tensor
    noise: Tensor
    classes: Tensor | None

    def __len__(self) -> int:
        return len(self.w)


def prior_of(generator: nn.Module) -> Prior:
    """How the latents of `generator` are drawn, by what it says or else by what they are."""
    if isinstance(generator, HasPrior):
        return generator.prior
    if not isinstance(generator, DrawsLatent):
        return Prior()
    latent = generator.draw_latent(
        Draws(0, torch.zeros(1, dtype=torch.int64, device=next(generator.parameters()).device))
    )
    return Prior(kind="uniform") if latent.is_floating_point() else Prior(kind="none")


class Space:
    """The codes of `generator`, a network in evaluation mode that makes samples of `spec`.

    With the power `MapsLatent` codes are what it maps latents to (`maps`), else they are the smooth part of the latents, in one layer.
    `layers` and `size` are those of a code. `straight` says whether the way between two leads along a line, or else along an arc, as
    between normal latents, of which those on the line between are too short.

    Raises:
        UsageError: it has no codes: its latents cannot be moved by degrees.
    """

    def __init__(self, generator: nn.Module, spec: SampleSpec) -> None:
        self.generator, self.spec = generator, spec
        self.prior = prior_of(generator)
        if self.prior.kind == "none":
            instead = self.prior.instead or "another seed, and another class where there are classes"
            raise UsageError(
                f"this generator has no latent that could be moved by degrees; it can be steered by {instead}"
            )
        self.device = next(generator.parameters()).device
        self.maps = isinstance(generator, MapsLatent)
        self.straight = self.maps or self.prior.kind == "uniform"
        mixes = any(isinstance(module, ClassEmbedding) for module in generator.modules())
        self.mixes_classes = mixes or isinstance(generator, MapsLatent)
        self._means: dict[int | None, Tensor] = {}
        one = self.start(self._latents(0, torch.zeros(1, dtype=torch.int64)), self._one(0, 1))
        _, self.layers, self.size = one.w.shape

    def _latents(self, seed: int, positions: Tensor) -> Tensor:
        return draw_latent(self.generator, Draws(seed, positions.to(self.device)))

    def _one(self, number: int, count: int) -> Tensor | None:
        if not self.spec.classes:
            return None
        classes = torch.full((count,), number, device=self.device)
        return torch.nn.functional.one_hot(classes, self.spec.class_count).float()

    def drawn(self, seeds: list[int], positions: Tensor, classes: Tensor | None) -> Codes:
        """Codes of random latents: sample `positions[i]`, int64, of `seeds[i]`, as `Generator.sample` counts them."""
        parts = [self._latents(derive(seed, "sample"), positions[i : i + 1]) for i, seed in enumerate(seeds)]
        return self.start(torch.cat(parts), classes)

    def start(self, z: Tensor, classes: Tensor | None) -> Codes:
        """The codes of latents `z` `[n, *latent_shape]` on the device."""
        if isinstance(self.generator, MapsLatent):
            with torch.no_grad():
                w = self.generator.map(z, self.condition(classes))
            if w.dim() != 3 or len(w) != len(z):
                raise PluginError(
                    f"{type(self.generator).__name__}.map gave a tensor of shape {list(w.shape)} for {len(z)} latents; codes are "
                    "[batch, layers, size]"
                )
            return Codes(w, z[:, :0], classes)
        smooth = self.prior.smooth
        if smooth is None:
            return Codes(z.flatten(1)[:, None], z.flatten(1)[:, :0], classes)
        return Codes(z[:, None, :smooth], z[:, smooth:], classes)

    def condition(self, classes: Tensor | None) -> Tensor | None:
        """What a network is called with: class indices, or weights where some are mixed."""
        if classes is None:
            return None
        if bool((classes.max(dim=1).values == 1.0).all()):
            return classes.argmax(dim=1)
        if not self.mixes_classes:
            raise UsageError(
                "this generator cannot mix classes: its networks take them by index alone; name one class (authors of plugins: "
                "gancore.nets.conditioning.ClassEmbedding mixes them)"
            )
        return classes

    def synthesise(self, codes: Codes, given: Tensor | None = None) -> Tensor:
        """Relaxed samples `[n, *shape]` on the device, differentiable by the codes."""
        condition = self.condition(codes.classes)
        if not isinstance(self.generator, MapsLatent):
            made: Tensor = call_generator(self.generator, self._latent(codes), condition, given)
        elif given is not None and isinstance(self.generator, TakesGiven):
            made = self.generator.synthesise(codes.w, condition, given)  # type: ignore[call-arg]
        else:
            made = self.generator.synthesise(codes.w, condition)
        return made.float()

    def _latent(self, codes: Codes) -> Tensor:
        z = torch.cat([codes.w[:, 0], codes.noise], dim=1)
        return z if self.prior.smooth is not None else z.view(len(z), *self.generator.latent_shape)  # type: ignore[misc]

    @torch.no_grad()
    def samples(self, codes: Codes, given: Tensor | None = None, sampling: Options | None = None) -> Tensor:
        """Hard samples on the CPU.

        Raises:
            NonFiniteError: what is made has numbers that are not finite.
        """
        if isinstance(self.generator, SamplesItself) and not isinstance(self.generator, MapsLatent):
            more = () if given is None else (given,)
            hard = self.generator.sample(self._latent(codes), self.condition(codes.classes), sampling, *more)
            check_finite(hard)
            return hard.cpu()
        made = self.synthesise(codes, given)
        check_finite(made)
        return self.spec.harden(made).cpu()

    def mean(self, classes: Tensor | None) -> Tensor:
        """The mean code of each row of `classes`, `[n, layers, size]`, `[1, layers, size]` without: what truncation draws towards.

        Of mixed classes it is the weighted mean of theirs.
        """
        if classes is None:
            return self._mean_of(None)[None]
        present = classes.any(dim=0).nonzero().flatten().tolist()
        means = torch.stack([self._mean_of(number) for number in present])
        return torch.einsum("nc,cls->nls", classes[:, present], means)

    def _mean_of(self, number: int | None) -> Tensor:
        """That of a class, `[layers, size]`: of normal latents and directions exactly 0, else over random ones."""
        if number not in self._means:
            if not isinstance(self.generator, MapsLatent) and self.prior.kind != "uniform":
                self._means[number] = torch.zeros(self.layers, self.size, device=self.device)
            else:
                seed = derive(0, "mean code")
                total = torch.zeros(self.layers, self.size, dtype=torch.float64, device=self.device)
                for places in torch.arange(AVERAGED).split(AT_ONCE):
                    classes = None if number is None else self._one(number, len(places))
                    total += self.start(self._latents(seed, places), classes).w.double().sum(dim=0)
                self._means[number] = (total / AVERAGED).float()
        return self._means[number]


def moved(codes: Codes, w: Tensor) -> Codes:
    """The same noise and classes with other codes `w`."""
    return replace(codes, w=w)
