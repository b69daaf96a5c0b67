"""How far samples change between codes, of generators of which it is known."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from toys.latents import SPEC, Mapped, Plain, Uniform

from gancore.errors import UsageError
from gancore.evaluation.attributes import Attributes
from gancore.evaluation.records import Material, Samples
from gancore.latent.control import Control, Options
from gancore.latent.probing import Probe
from gancore.latent.space import Space

FEATURES: Any = SimpleNamespace(of=lambda samples: samples.x)
"""Samples as features of themselves."""
SMALL, RANGE = 0.01, SPEC.value_range[1]


def path(generator: torch.nn.Module, *, mapped: bool, step: float = 0.05) -> float:
    torch.manual_seed(0)
    probe = Probe(Space(generator.eval(), SPEC), Attributes({}, {}, {}))
    return Control(Options(samples=4000, step=step), SPEC)._path(probe, FEATURES, mapped=mapped)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def test_the_length_of_a_straight_path_is_the_squared_distance_of_its_ends() -> None:
    generator = Uniform()
    generator.linear.weight.data *= SMALL
    # Of two uniform numbers the squared difference is 1/6 in the mean.
    wanted = RANGE**2 * float(generator.linear.weight.detach().square().sum()) / 6.0
    assert path(generator, mapped=False) == pytest.approx(wanted, rel=0.05)
    assert path(generator, mapped=False, step=0.5) == pytest.approx(wanted, rel=0.05)


def test_mapped_codes_are_joined_by_lines() -> None:
    generator = Mapped()
    generator.layers.data *= SMALL
    w = generator.map(torch.randn(40_000, 4), None)
    ends = RANGE * generator.synthesise(w, None).detach()
    wanted = 2.0 * float((ends - ends.mean(dim=0)).square().sum(dim=1).mean())
    assert path(generator, mapped=True) == pytest.approx(wanted, rel=0.1)


def test_normal_latents_are_joined_by_arcs() -> None:
    generator = Plain()
    generator.linear.weight.data *= SMALL
    # Along an arc of radius r the speed is r times the angle, which is a right one in the mean; on a line it would be shorter.
    weight = float(generator.linear.weight.detach().square().sum())
    assert path(generator, mapped=False) > 1.1 * RANGE**2 * weight * 2.0


def test_samples_without_a_generator_have_no_control() -> None:
    few = Samples(torch.zeros(2, 3))
    with pytest.raises(UsageError, match="a metric of a run's generator"):
        Control(Options(), SPEC)(Material(generated=few, real=few, train=few))
