"""Checks of augmentations, each for itself."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gancore.components import Augmentation
from gancore.options import StrengthOptions
from gancore.powers import HasStrength
from gancore.random import Draws
from gancore.testing.bench import seed_all
from gancore.testing.check import Mismatch, NotApplicable, check
from gancore.testing.elsewhere import elsewhere
from gancore.testing.kit import BATCH, Kit, tried_on
from gancore.testing.objectives import POSITIONS, stage_of


def at_full_strength(augment: Any) -> Any:
    """The augmentation, doing all that it can: at strength 0 there would be nothing to look at."""
    if isinstance(augment, HasStrength):
        augment.strength = 1.0
    return augment


@check(
    "augmentation.contract",
    "gan_augmentations",
    "samples keep shape and type, gradients pass through, the same draws give the same, each sample by itself",
    lambda kit: kit.subjects(Augmentation),
)
def augmentation_contract(kit: Kit, subject: str) -> None:
    stage = stage_of(kit)
    settings, spec, _ = kit.ready(stage)
    real = spec.relax(kit.batch(kit.source(settings))[0]).requires_grad_()
    augment = at_full_strength(kit.tried(subject))
    with tried_on(stage):
        _look_at_augmentation(augment, real)


def _look_at_augmentation(augment: Any, real: Tensor) -> None:
    def apply(rows: slice, noise: int) -> Tensor:
        seed_all(noise)
        changed: Tensor = augment(real[rows], Draws(5, POSITIONS[rows]))
        return changed

    changed = apply(slice(None), 1)
    if changed.shape != real.shape or changed.dtype is not real.dtype:
        raise Mismatch(f"samples {list(real.shape)} {real.dtype} became {list(changed.shape)} {changed.dtype}")
    if not torch.equal(changed, apply(slice(None), 1)):
        raise Mismatch(
            "called twice in the same way it gives two results: what it keeps between calls is in no checkpoint"
        )
    if not torch.equal(changed, apply(slice(None), 2)):
        raise Mismatch("the same samples and draws give other ones: draw from `draws`, not from torch")
    if not torch.allclose(changed[-2:], apply(slice(BATCH - 2, None), 1), atol=1e-6):
        raise Mismatch(
            "a sample is changed otherwise when it is alone: a part of a batch must be changed as in the whole"
        )
    if not changed.requires_grad:
        raise Mismatch("no gradient passes through it: the generator could not learn")
    (grad,) = torch.autograd.grad(changed.square().sum(), real)
    if not bool(torch.isfinite(grad).all()) or not bool(grad.any()):
        raise Mismatch("the gradient that passes through it is zero or not finite")


@check(
    "augmentation.strength",
    "gan_augmentations",
    "at strength 0 samples stay exactly as they are, at 1 they are finite, and options and attribute of a strength come together",
    lambda kit: kit.subjects(Augmentation),
)
def augmentation_strength(kit: Kit, subject: str) -> None:
    kit.passed("augmentation.contract", subject)
    stage, augment, model = kit.stage(), kit.tried(subject), kit.model(subject)
    says = model is not None and issubclass(model, StrengthOptions)
    if not isinstance(augment, HasStrength):
        if says:
            raise Mismatch("its options derive from StrengthOptions, and it has no attribute strength to set")
        raise NotApplicable("it has no strength")
    if not says:
        raise Mismatch("it has a strength, and its options do not derive from gancore.options.StrengthOptions")
    settings, spec, _ = kit.ready(stage)
    real, draws = spec.relax(kit.batch(kit.source(settings))[0]), Draws(5, POSITIONS)
    with tried_on(stage):
        augment.strength = 0.0
        if not torch.equal(augment(real, draws), real):  # type: ignore[operator]
            raise Mismatch("at strength 0 it changes samples; give back what it was given")
        if not bool(torch.isfinite(at_full_strength(augment)(real, draws)).all()):
            raise Mismatch("at strength 1 it makes samples that are not finite")


@check(
    "augmentation.device",
    "gan_augmentations",
    "it works where its samples are, on a graphics card too",
    lambda kit: kit.subjects(Augmentation),
)
def augmentation_device(kit: Kit, subject: str) -> None:
    kit.passed("augmentation.contract", subject)
    settings, spec, _ = kit.ready(kit.stage())
    real = spec.relax(kit.batch(kit.source(settings))[0])
    with elsewhere("the augmentation"):
        at_full_strength(kit.tried(subject))(real.to("meta"), Draws(5, POSITIONS.to("meta")))
