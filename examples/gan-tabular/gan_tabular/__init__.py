"""The tabular plugin: rows of CSV files with numbers and categories. Declarations only; their targets are imported when used."""

from __future__ import annotations

from collections.abc import Iterable

from gancore import hookimpl
from gancore.components import Architecture, Attribute, Dataset, Metric, PluginInfo, Preset, Writer

from gan_tabular.presets import PRESETS

SPEC = "gan_tabular.spec:TableSpec"


@hookimpl
def gan_plugin_info() -> PluginInfo:
    return PluginInfo(
        summary="Tables: rows of CSV files with numbers and categories, and a built-in set of households",
        api_version=1,
        demo_preset="demo",
        data_preset="table",
    )


@hookimpl
def gan_datasets() -> Iterable[Dataset]:
    yield Dataset(
        name="csv",
        summary="Rows of a CSV file with a header; kinds of columns are found, or given",
        target="gan_tabular.data:open_csv",
        options="gan_tabular.data:CsvOptions",
        spec=SPEC,
        suffixes=(".csv", ".gz", ".tsv"),
    )
    yield Dataset(
        name="households",
        summary="Invented households whose numbers and categories depend on each other by known rules: the built-in demo",
        target="gan_tabular.households:open_households",
        options="gan_tabular.households:Options",
        spec=SPEC,
    )


@hookimpl
def gan_architectures() -> Iterable[Architecture]:
    yield Architecture(
        name="mlp",
        summary="Residual perceptrons with tanh for numbers and straight-through Gumbel-softmax for choices",
        target="gan_tabular.nets:build",
        options="gan_tabular.nets:Options",
        spec=SPEC,
    )


@hookimpl
def gan_attributes() -> Iterable[Attribute]:
    yield Attribute(
        name="number",
        summary="The number in a column",
        target="gan_tabular.attributes:number",
        options="gan_tabular.attributes:NumberOptions",
        spec=SPEC,
        less="lower",
        more="higher",
    )
    yield Attribute(
        name="category",
        summary="Whether a row is of a category",
        target="gan_tabular.attributes:category",
        options="gan_tabular.attributes:CategoryOptions",
        spec=SPEC,
        less="of another",
        more="of this one",
    )


@hookimpl
def gan_metrics() -> Iterable[Metric]:
    yield Metric(
        name="two-sample",
        summary="How well boosted trees tell generated from real rows: 0.5 is perfect",
        target="gan_tabular.metrics:TwoSample",
        options="gan_tabular.metrics:TwoSampleOptions",
        spec=SPEC,
    )
    yield Metric(
        name="columns",
        summary="Distance of each column's distribution, and of the association of each pair",
        target="gan_tabular.metrics:Columns",
        spec=SPEC,
    )


@hookimpl
def gan_writers() -> Iterable[Writer]:
    yield Writer(
        name="csv", summary="All rows in one CSV file", target="gan_tabular.writers:CsvSheet", role="sheet", spec=SPEC
    )


@hookimpl
def gan_presets() -> Iterable[Preset]:
    return PRESETS
