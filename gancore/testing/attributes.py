"""Checks of attributes: numbers that samples have."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from gancore.components import Attribute, Measure
from gancore.data.spec import SampleSpec
from gancore.errors import MissingPackageError, UsageError
from gancore.evaluation.attributes import fault
from gancore.targets import resolve
from gancore.testing.bench import seed_all
from gancore.testing.check import Mismatch, NotApplicable, check
from gancore.testing.kit import Kit, Scene, tried_on

COUNT = 16
"""Real samples that attributes are measured of."""


def _samples(kit: Kit, scene: Scene) -> tuple[SampleSpec, Tensor]:
    settings, spec, _ = kit.ready(scene)
    return spec, kit.batch(kit.source(settings), COUNT)[0]


def _built(kit: Kit, subject: str) -> tuple[Measure, Tensor]:
    """A new attribute with default options, and hard samples: of the stage, or of another scene where it refuses those."""
    wanted = kit.record(subject).spec
    kind = resolve(wanted) if wanted else SampleSpec
    reason = "no preset of the plugin trains on the samples that it is made for"
    for scene in {s.name: s for s in (kit.stage(), *kit.scenes().values())}.values():
        try:
            spec, x = kit.once("samples for attributes", scene.name, make=partial(_samples, kit, scene))
            if isinstance(spec, kind) or scene.borrowed:
                with tried_on(scene):
                    return kit.built(subject, spec), x.clone()
        except NotApplicable:
            continue  # its user brings the data
        except (MissingPackageError, UsageError) as error:
            reason = str(error)
    raise NotApplicable(reason)


def _of(measure: Measure, x: Tensor) -> Tensor:
    with torch.no_grad():
        values = measure(x)
    if wrong := fault(values, len(x)):
        raise Mismatch(f"it {wrong}")
    return values


@check(
    "attribute.words",
    "gan_attributes",
    "`less` and `more` are two different words for what a sample becomes as the number falls and rises",
    lambda kit: kit.subjects(Attribute),
)
def attribute_words(kit: Kit, subject: str) -> None:
    record: Attribute = kit.record(subject)
    if not record.less.strip() or not record.more.strip() or record.less == record.more:
        raise Mismatch(f"less={record.less!r} and more={record.more!r}")


@check(
    "attribute.contract",
    "gan_attributes",
    "hard samples [n, ...] become float32 [n], finite or NaN, the same however often it is built and called",
    lambda kit: kit.subjects(Attribute),
)
def attribute_contract(kit: Kit, subject: str) -> None:
    (first, x), (second, _) = _built(kit, subject), _built(kit, subject)
    before = x.clone()
    seed_all(1)
    state = torch.get_rng_state()
    values = _of(first, x)
    if not torch.equal(state, torch.get_rng_state()):
        raise Mismatch("it draws from torch's global random numbers; the number of a sample is always the same")
    if not torch.equal(before, x):
        raise Mismatch("it changes the samples in place; clone them")
    if not torch.allclose(values, _of(second, x), rtol=0.0, atol=0.0, equal_nan=True):
        raise Mismatch("built twice, it gives other numbers for the same samples")


@check(
    "attribute.apart",
    "gan_attributes",
    "the number of a sample does not depend on the samples beside it",
    lambda kit: kit.subjects(Attribute),
)
def attribute_apart(kit: Kit, subject: str) -> None:
    kit.passed("attribute.contract", subject)
    measure, x = _built(kit, subject)
    together, alone = _of(measure, x), torch.cat([_of(measure, row) for row in x.split(1)])
    scale = float(together.nan_to_num().abs().max())
    if not torch.allclose(together, alone, rtol=1e-3, atol=1e-3 * scale + 1e-6, equal_nan=True):
        raise Mismatch("a sample by itself has another number than among others")
