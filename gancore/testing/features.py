"""Checks of features: vectors that stand for samples."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from gancore.components import Features
from gancore.errors import MissingPackageError
from gancore.evaluation.features import fault
from gancore.evaluation.records import Samples
from gancore.powers import FitsTraining, MeasuresDistance
from gancore.testing.bench import seed_all
from gancore.testing.check import Mismatch, NotApplicable, check
from gancore.testing.kit import Kit, tried_on

COUNT = 16
"""Real samples that features are computed of."""


def _samples(kit: Kit, subject: str) -> Samples:
    stage = kit.stage_for(subject)
    return kit.once(
        "samples for features",
        stage.name,
        make=lambda: Samples(*kit.batch(kit.source(kit.ready(stage)[0]), COUNT)),
    )


def _built(kit: Kit, subject: str, x: Samples) -> Any:
    """A new extractor, fitted where it wants to be."""
    stage, model = kit.stage_for(subject), kit.model(subject)
    if model is not None and (path := model.model_fields.get("path")) and path.is_required():
        raise NotApplicable("it needs a path to a file or folder, and the kit has none")
    with tried_on(stage):
        try:
            extractor = kit.built(subject, kit.ready(stage)[1])
        except MissingPackageError as error:
            raise NotApplicable(f"{error}") from error
        if isinstance(extractor, nn.Module):
            extractor.eval()
        if isinstance(extractor, FitsTraining):
            extractor.fit(x)
    return extractor


def _of(extractor: Any, x: Tensor) -> Tensor:
    with torch.no_grad():
        found: Tensor = extractor(x)
    if wrong := fault(found, len(x)):
        raise Mismatch(f"it {wrong}")
    return found.float()


@check(
    "features.contract",
    "gan_features",
    "hard samples [n, ...] become finite features [n, size], the same and under one fingerprint however often it is built",
    lambda kit: kit.subjects(Features),
)
def features_contract(kit: Kit, subject: str) -> None:
    samples = _samples(kit, subject)
    before = samples.x.clone()
    first, second = (_built(kit, subject, samples) for _ in range(2))
    seed_all(1)
    state = torch.get_rng_state()
    found = _of(first, samples.x)
    if not torch.equal(state, torch.get_rng_state()):
        raise Mismatch("it draws from torch's global random numbers; features of a sample are always the same")
    if not torch.equal(before, samples.x):
        raise Mismatch("it changes the samples in place; clone them")
    if not isinstance(first.fingerprint, str) or not first.fingerprint:
        raise Mismatch(f"its fingerprint is {first.fingerprint!r}, not text that names weights and preprocessing")
    if first.fingerprint != second.fingerprint:
        raise Mismatch("built twice, it has two fingerprints: kept features would never be used again")
    if not torch.equal(found, _of(second, samples.x)):
        raise Mismatch("built twice with one fingerprint, it gives other features: it draws weights without a seed")


@check(
    "features.apart",
    "gan_features",
    "the features of a sample do not depend on the samples beside it; a distance of its own is 0 from a sample to itself",
    lambda kit: kit.subjects(Features),
)
def features_apart(kit: Kit, subject: str) -> None:
    kit.passed("features.contract", subject)
    samples = _samples(kit, subject)
    extractor = _built(kit, subject, samples)
    together, alone = _of(extractor, samples.x), _of(extractor, samples.x[:1])
    if not torch.allclose(together[:1], alone, rtol=1e-3, atol=1e-3 * float(together.abs().max()) + 1e-6):
        raise Mismatch(
            "a sample by itself has other features than among others: is batch normalisation in training mode?"
        )
    if isinstance(extractor, MeasuresDistance):
        distances = extractor.nearest(samples.x, samples.x, None)
        if distances.shape != (COUNT,) or float(distances.abs().max()) > max(0.0, extractor.same) + 1e-6:
            raise Mismatch(f"its nearest() finds samples at {distances.max():g} from themselves; they are at 0")
        if len(extractor.keys(samples.x)) != COUNT:
            raise Mismatch("its keys() gives another number of keys than there are samples")
