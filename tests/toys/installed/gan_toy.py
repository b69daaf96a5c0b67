"""A third party's plugin as small as they come: points in the plane. `gan_toy-0.1.0.dist-info` makes it look installed."""

from __future__ import annotations

from collections.abc import Iterable

from gancore import hookimpl
from gancore.components import Architecture, Attribute, Dataset, Metric, PluginInfo, Preset, Writer


@hookimpl
def gan_plugin_info() -> PluginInfo:
    return PluginInfo(summary="Points in the plane", api_version=1, demo_preset="demo", data_preset="file")


@hookimpl
def gan_datasets() -> Iterable[Dataset]:
    spec = "gancore.data.spec:SampleSpec"
    yield Dataset(
        name="circles",
        summary="Points on two circles",
        target="gancore.testing.points_parts:open_circles",
        options="gancore.testing.points_parts:CirclesOptions",
        spec=spec,
    )
    yield Dataset(
        name="points",
        summary="Two numbers a line",
        target="gan_toy_parts:points",
        options="gan_toy_parts:PointsOptions",
        spec=spec,
        suffixes=(".txt",),
    )


@hookimpl
def gan_architectures() -> Iterable[Architecture]:
    yield Architecture(
        name="mlp",
        summary="Two perceptrons",
        target="gancore.testing.points_parts:build",
        options="gancore.testing.points_parts:MlpOptions",
    )


@hookimpl
def gan_metrics() -> Iterable[Metric]:
    yield Metric(name="gap", summary="Distance of the means", target="gan_toy_parts:gap")
    yield Metric(
        name="reach",
        summary="Share of points beyond a radius",
        target="gan_toy_parts:reach",
        options="gan_toy_parts:ReachOptions",
    )


@hookimpl
def gan_attributes() -> Iterable[Attribute]:
    yield Attribute(name="height", summary="Of the point", target="gan_toy_parts:height", less="lower", more="higher")


@hookimpl
def gan_writers() -> Iterable[Writer]:
    yield Writer(name="json", summary="All points in one file", target="gan_toy_parts:JsonWriter", role="sheet")
    yield Writer(name="text", summary="A file a point", target="gan_toy_parts:TextWriter", role="each")


@hookimpl
def gan_presets() -> Iterable[Preset]:
    brief = {"architecture": {"name": "mlp", "width": 8}, "steps": 4, "batch_size": 8, "samples": 4, "listeners": []}
    yield Preset(name="demo", summary="Two circles", config=brief | {"data": {"name": "circles"}})
    yield Preset(name="file", summary="Points from a file", config=brief | {"penalties": {"r1": {"weight": 1.0}}})
