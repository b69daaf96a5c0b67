"""Points in the plane: the smallest complete plugin, and the scene on which components are tried that bring none."""

from __future__ import annotations

from collections.abc import Iterable

from gancore import hookimpl
from gancore.components import Architecture, Dataset, PluginInfo, Preset, Writer

NAME = "gancore-points"
"""Under which the kit registers this module."""

_PARTS = "gancore.testing.points_parts"


@hookimpl
def gan_plugin_info() -> PluginInfo:
    return PluginInfo(summary="Points on two circles in the plane", api_version=1, demo_preset="demo")


@hookimpl
def gan_datasets() -> Iterable[Dataset]:
    spec = "gancore.data.spec:SampleSpec"
    yield Dataset(
        name="circles",
        summary="Points on two circles, the circle their class",
        target=f"{_PARTS}:open_circles",
        options=f"{_PARTS}:CirclesOptions",
        spec=spec,
    )
    yield Dataset(
        name="csv",
        summary="Two numbers a line, with commas",
        target=f"{_PARTS}:open_csv",
        options=f"{_PARTS}:CsvOptions",
        spec=spec,
        suffixes=(".csv",),
    )


@hookimpl
def gan_architectures() -> Iterable[Architecture]:
    yield Architecture(
        name="mlp",
        summary="Two perceptrons with one hidden layer",
        target=f"{_PARTS}:build",
        options=f"{_PARTS}:MlpOptions",
    )


@hookimpl
def gan_writers() -> Iterable[Writer]:
    yield Writer(name="csv", summary="All points in one CSV file", target=f"{_PARTS}:CsvWriter", role="sheet")


@hookimpl
def gan_presets() -> Iterable[Preset]:
    config = {"data": {"name": "circles"}, "architecture": {"name": "mlp"}, "steps": 1000, "samples": 64}
    yield Preset(name="demo", summary="Two circles", config=config)
