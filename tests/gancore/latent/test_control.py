"""How far samples change between codes, and what codes tell of samples, of generators of which it is known."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from toys.latents import CLASSED, SPEC, Mapped, Plain, Uniform

from gancore.data.spec import SampleSpec
from gancore.errors import UsageError
from gancore.evaluation.attributes import Attributes
from gancore.evaluation.records import Material, Measured, Samples
from gancore.latent.control import Control, Options, in_turns
from gancore.latent.directions import Direction, Found, Kept
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


class Straight(Plain):
    """Latents are samples, and those of a class lie away from others."""

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        return SMALL * (z[:, :3] + (0.0 if condition is None else 10.0 * condition[:, None]))


class Doubled(Straight):
    """Codes are twice the latents in each of two layers, beside a number that never varies."""

    def map(self, z: Tensor, condition: Tensor | None) -> Tensor:
        return torch.nn.functional.pad(2.0 * z, (0, 1), value=1.0)[:, None].expand(-1, 2, -1)

    def synthesise(self, w: Tensor, condition: Tensor | None) -> Tensor:
        return super().forward(w[:, 1] / 2.0, condition)


def only(limit: float) -> Any:
    """The second number, of samples where it is above `limit`."""
    return lambda x: torch.where(x[:, 1] > limit, x[:, 1], torch.nan)


MEASURES: dict[str, Any] = {"toy:first": lambda x: x[:, 0], "toy:second": only(-1.0)}


def scores(
    monkeypatch: pytest.MonkeyPatch,
    module: torch.nn.Module,
    measures: dict[str, Any],
    spec: SampleSpec = SPEC,
    real: Samples | None = None,
    **options: Any,
) -> Measured:
    """What `control` says of a generator without directions, whose samples have `measures`."""
    monkeypatch.setattr("gancore.latent.control.attributes_of", lambda *_: Attributes({}, measures, {}))
    generator: Any = SimpleNamespace(
        module=module.eval(), run=Path("none"), settings=None, sampling=None, step=1, weights=""
    )
    few = Samples(torch.zeros(2, 3))
    features = {} if real is None else {"own": FEATURES}
    material = Material(generated=few, real=real or few, train=few, generator=generator, features=features)
    return Control(Options(samples=20, **options), spec)(material)


@pytest.mark.parametrize(("spec", "classes"), [(SPEC, 0), (CLASSED, 3)])
def test_numbers_of_latents_that_are_factors_are_disentangled_and_others_tell_as_much(
    monkeypatch: pytest.MonkeyPatch, spec: SampleSpec, classes: int
) -> None:
    found = scores(monkeypatch, Straight(classes), MEASURES, spec).figures
    for name in ("disentanglement", "completeness"):
        assert found[f"dci-z/{name}"] > 0.9
        assert found[f"dci-z/random-{name}"] < 0.6
    assert found["dci-z/error"] == pytest.approx((found["dci-z/error/first"] + found["dci-z/error/second"]) / 2.0)
    assert found["dci-z/error"] < 0.1
    assert not [name for name in found if name.startswith("dci-w")]


class Half(SampleSpec):
    """The first number is given."""

    @property
    def given_shape(self) -> tuple[int, ...]:
        return (1,)

    def given_part(self, relaxed: Tensor) -> Tensor:
        return relaxed[:, :1]


class Around(Straight):
    takes_given = True

    def forward(self, z: Tensor, condition: Tensor | None, given: Tensor) -> Tensor:  # type: ignore[override]
        return torch.cat([given, super().forward(z, condition)[:, 1:]], dim=1)


def test_samples_are_made_around_what_real_ones_give_where_something_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = Half(**SPEC.model_dump())
    real = Samples(torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]).to(getattr(torch, SPEC.dtype)))
    seen = []

    def first(x: Tensor) -> Tensor:
        seen.append(x[:, 0])
        return x[:, 0]

    measures = {"toy:second": lambda x: x[:, 1], "toy:third": lambda x: x[:, 2], "toy:first": first}
    options: dict[str, Any] = {"factors": ("second", "third")}
    found = scores(monkeypatch, Around(), measures, spec, real=real, **options).figures
    assert found["dci-z/disentanglement"] > 0.9
    assert found["path-z-own"] > 0.0
    assert all(torch.equal(x, real.x[torch.arange(len(x)) % 2, 0]) for x in seen)


def test_what_is_given_is_of_the_class_that_is_made_of_it() -> None:
    real = Samples(torch.arange(7)[:, None], torch.tensor([1, 1, 0, 2, 0, 1, 2]))
    assert in_turns(real, CLASSED)[:, 0].tolist() == [2, 0, 3, 4, 1, 6]
    lacking = Samples(torch.arange(2)[:, None], torch.tensor([1, 2]))
    assert in_turns(lacking, CLASSED)[:, 0].tolist() == [0, 1]


def test_mapped_codes_have_scores_beside_those_of_their_latents(monkeypatch: pytest.MonkeyPatch) -> None:
    found = scores(monkeypatch, Doubled(), MEASURES).figures
    # Of four numbers in two equal layers, and one that never varies, there are four.
    assert found["dci-w/completeness"] == pytest.approx(found["dci-z/completeness"], abs=1e-4)
    assert found["dci-w/error"] == pytest.approx(found["dci-z/error"], abs=1e-4)
    assert found["dci-z/error"] < 0.05


def test_attributes_that_few_samples_have_or_that_never_vary_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    same = dict.fromkeys(("toy:same", "toy:alike"), lambda x: torch.ones(len(x)))
    found = scores(monkeypatch, Straight(), MEASURES | {"toy:rare": only(1.5), **same})
    assert [name for name in found.figures if "/error/" in name] == ["dci-z/error/first", "dci-z/error/second"]
    assert any(
        re.fullmatch(r"control: DCI is without rare: only [5-8]\.\d% of samples have it", n) for n in found.notes
    )
    assert "control: DCI is without same, alike: it is the same in all samples" in found.notes


def test_factors_are_those_that_were_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    more = MEASURES | {"toy:third": lambda x: x[:, 2]}
    found = scores(monkeypatch, Straight(), more, factors="third,first").figures
    assert [name for name in found if "/error/" in name] == ["dci-z/error/third", "dci-z/error/first"]
    with pytest.raises(UsageError, match=r"no attribute 'fourth' among first, second, third"):
        scores(monkeypatch, Straight(), more, factors="first,fourth")
    with pytest.raises(UsageError, match="no DCI of fewer than two attributes"):
        scores(monkeypatch, Straight(), more, factors="first")


def test_directions_towards_classes_are_judged_and_their_classes_are_no_factors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def told(*_: Any, **by: Any) -> Attributes:
        assert by["features"] == "pixels"
        return Attributes({}, {"class:class-kick": lambda x: x[:, 2]}, {"classes": "some are gone"})

    named = Direction(kind="named", attribute="class:class-kick")
    found = Found(
        step=1,
        weights="",
        seed=0,
        samples=100,
        judged=20,
        classes=("kick",),
        features="pixels",
        directions={"more": named},
    )
    step = torch.tensor([[0.0, 0.0, 1.0, 0.0]])
    monkeypatch.setattr("gancore.latent.control.class_attributes", told)
    monkeypatch.setattr("gancore.latent.directions.load", lambda run: Kept({"more": step}, found))
    judged = scores(monkeypatch, Straight(), MEASURES)
    assert judged.figures["more/spearman"] == pytest.approx(1.0)
    assert [name for name in judged.figures if "/error/" in name] == ["dci-z/error/first", "dci-z/error/second"]
    assert judged.notes == ("control: without directions towards classes: some are gone",)


def test_samples_without_a_generator_have_no_control() -> None:
    few = Samples(torch.zeros(2, 3))
    with pytest.raises(UsageError, match="a metric of a run's generator"):
        Control(Options(), SPEC)(Material(generated=few, real=few, train=few))
