"""Attributes of a run's samples are measured by name, whatever plugin they come from, and faults of theirs are told as such."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from gancore.configuration.configure import configure
from gancore.data.spec import SampleSpec
from gancore.errors import ConfigError, PluginError
from gancore.evaluation.attributes import Attributes, attributes_of, build_attributes, remembered
from gancore.plugins import Registry

POINTS = torch.tensor([[3.0, 4.0], [0.0, 0.0], [0.0, -2.0]])
SPEC = SampleSpec(shape=(2,), dtype="float32", value_range=(-9.0, 9.0))
SOURCE = """
import torch
from pydantic import Field

from gancore.data.spec import SampleSpec
from gancore.errors import UsageError
from gancore.options import Options

WORDS = {{"less": "less", "more": "more"}}


@hookimpl
def gan_attributes():
    yield Attribute(name="angle", summary="Of the point", target="fake_polar:angle", unit="rad", **WORDS)
    yield Attribute(name="length", summary="Of the point", target="fake_polar:length", options="fake_polar:Scale", **WORDS)
    yield Attribute(name="hue", summary="Of a picture", target="fake_polar:hue", **WORDS)
    yield Attribute(name="word", summary="Of a text", target="fake_polar:hue", spec="fake_polar:TextSpec", **WORDS)


class TextSpec(SampleSpec):
    pass


class Scale(Options):
    times: float = Field(1.0, ge=0.0, le=10.0, description="Unit of length.")


def hue(spec):
    raise UsageError("points have no hue")


def length(options, spec):
    return lambda x: options.times * x.norm(dim=1)


def angle(spec):
    def of(x):
        {body}

    return of
"""
ANGLE = "return torch.where(x.norm(dim=1) > 0, torch.atan2(x[:, 1], x[:, 0]), torch.nan)"

Polar = Callable[..., Attributes]


@pytest.fixture
def polar(toy: str, fake_dist: Callable[..., None]) -> Polar:
    """Attributes of a run of the toys, among them some of the plugin `polar`, the first of which has `body`."""

    def build(
        body: str = ANGLE, layers: Sequence[Mapping[str, Any]] = ({},), names: str = "angle,length,hue"
    ) -> Attributes:
        fake_dist("polar", SOURCE.format(body=body))
        registry = Registry()
        asked = {"attributes": [f"polar:{name}" for name in names.split(",")]}
        return attributes_of(registry, configure(registry, plugin=toy), SPEC, [asked, *layers])

    return build


def test_attributes_are_measured_by_qualified_name_and_may_be_nan(polar: Polar) -> None:
    found = polar().measure(POINTS)
    assert list(found) == ["polar:angle", "polar:length"]
    torch.testing.assert_close(
        found["polar:angle"], torch.tensor([math.atan2(4.0, 3.0), math.nan, -math.pi / 2]), equal_nan=True
    )
    assert found["polar:length"].tolist() == [5.0, 0.0, 2.0]


def test_every_sample_of_many_is_measured_once_and_of_none_none(polar: Polar) -> None:
    built = polar()
    x = torch.arange(1400.0).reshape(700, 2)
    assert torch.equal(built.measure(x)["polar:length"], x.norm(dim=1))
    assert built.measure(x[:0])["polar:length"].shape == (0,)


def test_attribute_that_cannot_be_measured_of_such_samples_is_left_out_with_its_reason(polar: Polar) -> None:
    built = polar()
    assert built.left_out == {"polar:hue": "points have no hue"}
    assert list(built.records) == ["polar:angle", "polar:length"]
    assert built.records["polar:angle"].unit == "rad"


def test_options_of_attributes_come_from_layers(polar: Polar) -> None:
    built = polar(layers=[{"attributes": {"polar:length": {"times": 2.0}}}])
    assert built.measure(POINTS)["polar:length"].tolist() == [10.0, 0.0, 4.0]


@pytest.mark.parametrize(
    ("names", "layer", "told"),
    [
        ("word", {}, "attributes.polar:word"),
        ("angel", {}, "angle"),
        ("length", {"attributes": {"polar:length": {"times": 11}}}, "attributes.polar:length.times"),
        ("length", {"metrics": "gap"}, "attributes.NAME.option=value"),
    ],
)
def test_what_cannot_be_is_refused_by_name(polar: Polar, names: str, layer: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        polar(names=names, layers=[layer])


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("raise KeyError('phi')", r"raised KeyError: 'phi', at fake_polar\.py:[0-9]+ in of"),
        ("raise SystemExit(3)", "raised SystemExit: 3"),
        ("return x.sum()", r"gave torch\.float32 \[\] for 3 samples, not torch\.float32 \[3\]"),
        ("return x[:, 0].double()", r"gave torch\.float64 \[3\]"),
        ("return 1 / x[:, 0]", "gave infinite values"),
        ("return None", "gave NoneType"),
        ("raise UsageError('none here')", "raised UsageError: none here"),
    ],
)
def test_fault_of_an_attribute_is_told_with_its_name(polar: Polar, body: str, told: str) -> None:
    with pytest.raises(PluginError, match=f"attribute 'polar:angle' {told}"):
        polar(body).measure(POINTS)


def test_fault_when_an_attribute_is_built_is_no_reason_to_leave_it_out(polar: Polar) -> None:
    with pytest.raises(PluginError, match="attribute 'polar:angle' raised ZeroDivisionError"):
        polar(f"{ANGLE}\n\n    1 / 0")


def test_plugin_without_attributes_has_none(toy: str) -> None:
    registry = Registry()
    settings = configure(registry, plugin=toy)
    built = attributes_of(registry, settings, SPEC, layers=[{"attributes": "none"}])
    assert (built, built.measure(POINTS)) == (build_attributes({}, SPEC), {})


def test_what_attributes_share_is_read_once_of_the_same_samples() -> None:
    reads: list[tuple[list[float], int]] = []

    @remembered
    def read(x: Tensor, power: int) -> Tensor:
        reads.append((x.tolist(), power))
        return x**power

    x = torch.tensor([2.0, 3.0])
    assert [read(x, 2).tolist(), read(x.clone(), 2).tolist()] == [[4.0, 9.0]] * 2
    assert reads == [([2.0, 3.0], 2)]
    assert read(x, 3).tolist() == [8.0, 27.0]
    x[0] = 1.0
    assert read(x, 3).tolist() == [1.0, 27.0]
    assert len(reads) == 3
