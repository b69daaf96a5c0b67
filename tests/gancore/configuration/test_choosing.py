"""Where no preset is named, the one whose rule suits the data best is used, and said to be."""

from __future__ import annotations

import math
from pathlib import Path
from types import ModuleType

import pytest
from pydantic import Field

from gancore import hookimpl
from gancore.components import Architecture, DataFacts, Dataset, PluginInfo, Preset
from gancore.configuration.choosing import in_words
from gancore.configuration.configure import configure
from gancore.errors import PluginError
from gancore.options import Options
from gancore.plugins import Registry
from gancore.presets import when

FACTS = DataFacts(count=600, shape=(3, 64, 48), classes=4)


@pytest.mark.parametrize(
    ("rule", "score"),
    [
        (when(), 1.0),
        (when(2.5, gpu=False), 2.5),
        (when(gpu=True), 0.0),
        (when(count=(600, 600)), 1.0),
        (when(count=(601, math.inf)), 0.0),
        (when(side=(64, 64)), 1.0),
        (when(side=(8, 63)), 0.0),
        (when(classes=True), 1.0),
        (when(classes=False), 0.0),
    ],
)
def test_a_rule_gives_its_score_where_all_its_conditions_are_kept(rule, score):
    assert rule(FACTS) == score


def test_facts_are_told_in_words():
    assert in_words(FACTS) == "600 samples of 3x64x48 in 4 classes, no GPU"
    assert in_words(DataFacts(count=1, device="cuda")) == "1 sample, a GPU (cuda)"


# --- a plugin with rules -------------------------------------------------------------------------------------------------


class LinesOptions(Options):
    path: Path = Field(description="A file of lines.")


def glance(options):
    return DataFacts(count=len(options.path.read_text().splitlines()))


def plugin(**rules):
    """Reads lines, and has presets with these rules."""
    made = ModuleType("lines")
    here = f"{__name__}:"

    @hookimpl
    def gan_plugin_info():
        return PluginInfo(summary="Lines", api_version=1, demo_preset="own", data_preset="own")

    @hookimpl
    def gan_datasets():
        lines = {"target": f"{here}glance", "options": f"{here}LinesOptions", "spec": "gancore.data.spec:SampleSpec"}
        yield Dataset(name="lines", summary="Lines", suffixes=(".txt",), glance=f"{here}glance", **lines)

    @hookimpl
    def gan_architectures():
        yield Architecture(name="net", summary="Net", target=f"{here}glance")

    @hookimpl
    def gan_presets():
        for name, rule in {"own": None, **rules}.items():
            yield Preset(name=name, summary=name, config={"architecture": {"name": "net"}}, suits=rule)

    vars(made).update((f.__name__, f) for f in (gan_plugin_info, gan_datasets, gan_architectures, gan_presets))
    registry = Registry(entries=[])
    registry.register(made, "lines")
    return registry


FEW_OR_ANY = {"few": when(2, count=(0, 3)), "any": when(gpu=False), "much": when(3, gpu=True)}


@pytest.fixture
def lines(tmp_path):
    path = tmp_path / "lines.txt"
    path.write_text("one\ntwo\n")
    return path


def chosen(registry, *layers, **how):
    return configure(registry, plugin="lines", layers=[{"device": "cpu"}, *layers], **how)


def test_the_rule_that_suits_best_wins_and_is_told(lines):
    made = chosen(plugin(**FEW_OR_ANY), data=lines)
    assert made.run.preset == "few"
    assert made.notes == ("at a glance 2 samples, no GPU: preset 'few' was chosen; --preset NAME overrides that",)
    lines.write_text("1\n" * 4)
    assert chosen(plugin(**FEW_OR_ANY), {"data": {"path": str(lines)}}).run.preset == "any"


def test_what_is_asked_for_outranks_rules(lines):
    for made in (
        chosen(plugin(**FEW_OR_ANY), data=lines, preset="any"),
        chosen(plugin(**FEW_OR_ANY), {"preset": "any"}, data=lines),
        configure(plugin(**FEW_OR_ANY), layers=[chosen(plugin(**FEW_OR_ANY), data=lines, preset="any").dump()]),
    ):
        assert (made.run.preset, made.notes) == ("any", ())


def test_where_no_rule_suits_the_preset_is_that_of_the_plugin(lines):
    assert chosen(plugin(), data=lines).run.preset == "own"
    assert chosen(plugin(much=when(gpu=True)), data=lines).run.preset == "own"


def test_a_glance_that_fails_leaves_what_is_wrong_to_be_told_by_reading(lines):
    lines.write_bytes(b"\xff")
    assert chosen(plugin(**FEW_OR_ANY), data=lines).run.preset == "own"


def test_a_rule_that_fails_is_told_with_its_preset(lines):
    with pytest.raises(PluginError, match=r"preset 'lines:bad': its rule `suits` failed .*division by zero"):
        chosen(plugin(bad=lambda facts: 1 / 0), data=lines)
