"""Options that suit the device: chosen where nobody has, written down, and told."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import Field

from gancore.api import plan
from gancore.configuration.by_device import suit
from gancore.options import Options, on_cpu


class Widths(Options):
    """One that suits the device, one that does not care."""

    width: int = Field(64, ge=4, le=1024, json_schema_extra=on_cpu(12), description="Width.")
    depth: int = Field(3, ge=1, description="Depth.")


def image(**options: Any) -> Any:
    return plan(plugin="image", options=options)


def test_default_for_a_processor_takes_the_place_of_that_for_a_gpu() -> None:
    options, notes = suit(Widths(), "cpu", "architecture")
    assert (options.width, options.depth) == (12, 3)
    assert [n.partition(" ")[0] for n in notes] == ["architecture.width=12"]
    assert "64, the default on a GPU, would take many times as long" in notes[0]


@pytest.mark.parametrize("device", ["cuda", "cuda:1", "mps"])
def test_other_devices_keep_the_default(device: str) -> None:
    assert suit(Widths(), device, "architecture") == (Widths(), ())


def test_what_was_set_stays_even_where_it_is_the_default() -> None:
    assert suit(Widths(width=64), "cpu", "architecture") == (Widths(width=64), ())


@pytest.mark.parametrize("architecture", ["resnet", "r3gan"])
def test_large_architectures_are_narrow_on_a_processor_and_the_configuration_names_the_width(architecture: str) -> None:
    narrow = image(architecture=architecture, device="cpu")
    width = narrow.dump()["architecture"]["width"]
    assert width <= 16
    assert narrow.notes[0].startswith(f"architecture.width={width} was chosen because this run uses no GPU")
    assert image(architecture=architecture, device="cuda").dump()["architecture"]["width"] == 64
    again = plan(config=narrow.dump() | {"device": "cuda"})
    assert (again.architecture.options.width, again.notes) == (width, ())


def test_device_that_is_found_out_counts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert image(architecture="resnet").architecture.options.width == 64
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert image(architecture="resnet").architecture.options.width < 64


@pytest.mark.parametrize("architecture", ["resnet", "r3gan"])
def test_on_a_processor_they_take_a_few_times_as_many_operations_as_dcgan_not_sixty(architecture: str) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    from gan_image.spec import ImageSpec

    def operations(**options: Any) -> int:
        networks = image(data="digits", device="cpu", **options).architecture.build(ImageSpec(shape=(3, 32, 32)))
        with FlopCounterMode(display=False) as counted, torch.no_grad():
            for name, module in networks.items():
                module.eval()(
                    torch.randn(2, *module.latent_shape) if name == "generator" else torch.randn(2, 3, 32, 32)
                )
        return counted.get_total_flops()

    usual, chosen = (
        operations(**{"architecture": "dcgan", "architecture.width": 32}),
        operations(architecture=architecture),
    )
    assert chosen < 10 * usual
    assert operations(**{"architecture": architecture, "architecture.width": 64}) > 15 * chosen
