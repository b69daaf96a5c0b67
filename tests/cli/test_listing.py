"""`gan plugins` and `gan options`: what there is, read off what validates it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import Field
from typer.testing import Result

from gan_cli.describe import rows_of
from gancore.configuration.run_config import BY_PLAYER, BY_SETTING, MAPS, SECTIONS, RunConfig
from gancore.configuration.settings import KIND_OF
from gancore.options import Options, ScheduleOptions
from gancore.plugins import Registry
from gancore.targets import options_model

Gan = Callable[..., Result]


def test_help_names_every_command(gan: Gan) -> None:
    text = gan("--help").stdout
    for name in ("run", "resume", "sample", "plugins", "options", "runs"):
        assert name in text
    for command in ("run", "resume", "sample", "plugins", "options", "runs"):
        assert "--json" in gan(command, "--help").stdout


def test_plugins_are_listed_with_their_packages(gan: Gan) -> None:
    found = {p["name"]: p for p in json.loads(gan("plugins", "--json").stdout)}
    assert found["toy"]["distribution"] == "gan-toy"
    assert found["image"]["distribution"] == "gancore"
    text = gan("plugins").stdout
    assert "gan-toy 0.1.0" in text


def test_disabled_plugin_is_listed_as_such(gan: Gan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAN_DISABLE_PLUGINS", "toy")
    found = {p["name"]: p["disabled"] for p in json.loads(gan("plugins", "--json").stdout)}
    assert found["toy"]
    assert not found["image"]
    line = next(line for line in gan("plugins").stdout.splitlines() if line.startswith("toy"))
    assert line.rstrip().endswith("disabled")


def test_broken_plugin_does_not_keep_others_from_being_listed_and_shown(
    gan: Gan, fake_dist: Callable[..., None]
) -> None:
    fake_dist("broken", "1 / 0")
    assert "broken" in gan("plugins").stdout
    gan("plugins", "show", "toy")
    assert "ZeroDivisionError" in gan("plugins", "show", "broken", code=1).stderr


def test_plugin_is_shown_with_all_it_brings(gan: Gan) -> None:
    shown = json.loads(gan("plugins", "show", "toy", "--json").stdout)
    assert (shown["name"], shown["api_version"]) == ("toy", 1)
    assert [(c["kind"], c["name"]) for c in shown["components"]] == [
        ("dataset", "circles"),
        ("dataset", "points"),
        ("architecture", "mlp"),
        ("metric", "gap"),
        ("metric", "reach"),
        ("attribute", "height"),
        ("writer", "json"),
        ("writer", "text"),
        ("preset", "demo"),
        ("preset", "file"),
    ]
    text = gan("plugins", "show", "toy").stdout
    assert text.startswith("toy: Points in the plane")
    assert "Points on two circles" in text


def test_engine_can_be_shown_like_a_plugin(gan: Gan) -> None:
    assert "hinge" in gan("plugins", "show", "gancore").stdout


# --- options ----------------------------------------------------------------------------------------------------------


def options(gan: Gan, *arguments: str) -> dict[str, dict[str, str]]:
    return {row["option"]: row for row in json.loads(gan("options", *arguments, "--json").stdout)}


def test_all_settings_and_sections_are_listed(gan: Gan) -> None:
    found = options(gan, "-p", "toy")
    nested = {"every", "ema", "health", "candidates", "evaluate", "best", "stop", "start", "freeze"}
    assert {*RunConfig.model_fields} - nested | {*SECTIONS, *MAPS, *BY_PLAYER, *BY_SETTING} <= set(found)
    assert {"every.log", "ema.half_life", "health.collapse", "candidates.count"} <= set(found)
    assert {"evaluate.samples", "best.metric", "stop.patience", "start.run", "freeze.generator"} <= set(found)
    assert found["architecture"]["values"] == "mlp"
    assert "hinge" in found["loss"]["values"]
    assert all(row["description"] for row in found.values())
    for plugin in ("gancore", "image", "toy"):
        assert "ema.half_life" in gan("options", "-p", plugin).stdout


@pytest.mark.parametrize("plugin", ["gancore", "image", "toy"])
@pytest.mark.parametrize("section", [*SECTIONS, *MAPS, *BY_PLAYER])
def test_components_of_every_section_are_listed(gan: Gan, section: str, plugin: str) -> None:
    known = Registry().known(KIND_OF[section], plugin)
    assert set(options(gan, section, "-p", plugin)) == {f"{section}.{name}" for name in known}
    gan("options", section, "-p", plugin)


def _all() -> list[Any]:
    registry = Registry()
    return [
        pytest.param(plugin, section, name, id=f"{plugin}-{section}-{name}")
        for plugin in ("gancore", "image")
        for section, kind in KIND_OF.items()
        for name in registry.known(kind, plugin)
        if plugin == "image" or section in ("loss", "game", "penalties", "augmentations", "optimizers")
    ]


@pytest.mark.parametrize(("plugin", "section", "name"), _all())
def test_options_of_every_component_are_listed_with_meaning_and_values(
    gan: Gan, plugin: str, section: str, name: str
) -> None:
    model = options_model(Registry().find(KIND_OF[section], name, plugin).record)
    found = options(gan, f"{section}.{name}", "-p", plugin)
    assert {option.partition(".")[0] for option in found} == (set(model.model_fields) if model else set())
    assert all(row["description"] and row["values"] and row["default"] for row in found.values())
    text = gan("options", f"{section}.{name}", "-p", plugin).stdout
    assert text.strip()
    assert model is not None or text == f"{section}.{name} has no options\n"


def test_list_of_a_plugin_says_how_to_see_the_options_of_one_component(gan: Gan) -> None:
    assert "gan options --plugin toy architecture.mlp" in gan("options", "-p", "toy").stderr
    assert gan("options", "-p", "toy", "architecture.mlp").stderr == ""


@pytest.mark.parametrize(("name", "whole"), [("width", "architecture.mlp"), ("mlp", "architecture.mlp")])
def test_option_or_component_without_its_section_is_suggested_with_it(gan: Gan, name: str, whole: str) -> None:
    assert f"did you mean '{whole}'" in gan("options", "-p", "toy", name, code=2).stderr


@pytest.mark.parametrize(
    ("setting", "names"),
    [
        ("penalties.r1.weight", {"weight"}),
        ("architecture.mixing", {"style: mixing"}),
        ("game.top_k", {f"{game}: top_k" for game in ("gan", "pix2pix", "cut", "cycle", "stargan")}),
        ("optimizers.generator.beta2", {"adam: beta2", "adamw: beta2", "rmsprop: beta2"}),
        ("schedules.optimizers.generator.lr", set(ScheduleOptions.model_fields)),
        ("schedules.ema.half_life.first", {"first"}),
    ],
)
def test_option_may_be_asked_for_by_the_name_that_it_is_set_by(gan: Gan, setting: str, names: set[str]) -> None:
    assert set(options(gan, setting, "-p", "image")) == names


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("penalties.r1.wieght", "unknown option of r1 'wieght'; did you mean 'weight'"),
        ("optimizers.adam.rl", "unknown option of adam 'rl'"),
        ("schedules.linaer", "unknown schedule 'linaer'; did you mean 'linear'"),
    ],
)
def test_option_that_a_component_has_not_is_refused_with_the_nearest(gan: Gan, setting: str, words: str) -> None:
    assert words in gan("options", setting, "-p", "image", code=2).stderr


def test_component_of_another_plugin_may_be_asked_for(gan: Gan) -> None:
    assert set(options(gan, "architecture.toy:mlp", "-p", "image")) == {"spectral_norm", "width", "latent"}


@pytest.mark.parametrize(("section", "names"), [("ema", {"ema.half_life", "ema.warmup"}), ("every.log", {"every.log"})])
def test_part_of_the_settings_can_be_listed(gan: Gan, section: str, names: set[str]) -> None:
    assert set(options(gan, section)) == names


class Sample(Options):
    count: int = Field(3, ge=1, le=9, description="Closed.")
    rate: float = Field(0.5, gt=0.0, description="Open below.")
    large: int = Field(1, ge=1, le=1_048_576, description="Large.")
    most: float = Field(0.5, le=2.0, description="Open above.")
    kind: Literal["a", "b"] = Field("a", description="Choice.")
    flag: bool = Field(True, description="Switch.")
    name: str = Field(description="Text.")
    maybe: int | None = Field(None, ge=1, description="Optional.")
    either: Literal["auto"] | bool = Field("auto", description="Two kinds.")
    names: tuple[str, ...] = Field((), description="Several.")


def test_values_and_defaults_are_told_in_words() -> None:
    rows = {row["option"]: (row["default"], row["values"]) for row in rows_of(Sample)}
    assert rows == {
        "count": ("3", "whole number, 1 to 9"),
        "large": ("1", "whole number, 1 to 1,048,576"),
        "rate": ("0.5", "number, above 0"),
        "most": ("0.5", "number, at most 2"),
        "kind": ("a", "a or b"),
        "flag": ("true", "true or false"),
        "name": ("required", "text"),
        "maybe": ("none", "whole number, at least 1, or none"),
        "either": ("auto", "auto, true or false"),
        "names": ("none", "list of texts"),
    }


def test_options_of_drawing_samples_are_listed(gan: Gan) -> None:
    found = options(gan, "sampling", "-p", "text")
    assert {"sampling.temperature", "sampling.top_p", "sampling.prompt"} <= set(found)
    assert all(row["description"] and row["values"] for row in found.values())
    assert gan("options", "sampling", "-p", "audio").stdout == "sampling has no options\n"


def test_runs_are_looked_for_in_the_folder_runs(gan: Gan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "no runs in 'runs'" in gan("runs").stderr
