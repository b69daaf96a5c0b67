"""Defaults < preset < file < key=value, and how mistakes are told."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from gancore.components import Augmentation, Preset
from gancore.configuration.configure import configure
from gancore.configuration.layers import parse_assignments
from gancore.configuration.run_config import BY_PLAYER, BY_SETTING, DEFAULT_CHOICES, MAPS, SECTIONS, RunConfig
from gancore.configuration.settings import KIND_OF, Settings, usable
from gancore.errors import ConfigError, PluginError, UnknownNameError, UsageError
from gancore.optimizers import AdamOptions, SgdOptions
from gancore.plugins import Registry

IMAGE = Registry()
DATA = {"pairs": "outlines", "outlines": "outlines"}
"""By preset, data of the image plugin that need no file, where these are not `digits`."""
IMAGE_PRESETS = list(IMAGE.load("image").of_kind(Preset))
RELATIVE = "pictures"


@pytest.fixture
def toy_settings(installed: Registry) -> Callable[..., Settings]:
    """`toy_settings("loss=hinge", ...)`: settings of the toy plugin with these key=value arguments."""

    def make(*assignments: str, **how: Any) -> Settings:
        layers = [*how.pop("layers", ()), parse_assignments(assignments)]
        return configure(installed, plugin="toy", layers=layers, **how)

    return make


@pytest.fixture
def points(tmp_path: Path) -> Path:
    """A file that the toy plugin reads."""
    path = tmp_path / "points.txt"
    path.write_text("0 1\n1 0\n", encoding="utf-8")
    return path


Make = Callable[..., Settings]


def mistakes(make: Callable[..., Settings], *assignments: str, **how: Any) -> dict[str, tuple[str, str]]:
    """Path to message and suggestion of every mistake."""
    with pytest.raises(ConfigError) as caught:
        make(*assignments, **how)
    return {m.path: (m.message, m.suggestion) for m in caught.value.mistakes}


def image(*assignments: str, **how: Any) -> Settings:
    return configure(IMAGE, plugin="image", layers=[parse_assignments(assignments)], **how)


def option(chosen: Any, name: str) -> Any:
    return getattr(chosen.options, name)


# --- precedence -------------------------------------------------------------------------------------------------------


def test_key_value_outranks_file_outranks_preset_outranks_default(toy_settings: Make) -> None:
    assert toy_settings(preset="none", layers=[{"data": "circles", "architecture": "mlp"}]).run.steps == 2000
    assert toy_settings().run.steps == 4
    assert toy_settings(layers=[{"steps": 5}]).run.steps == 5
    assert toy_settings("steps=6", layers=[{"steps": 5}]).run.steps == 6


def test_each_layer_changes_only_what_it_names(toy_settings: Make) -> None:
    made = toy_settings("every.sample=3", layers=[{"every": {"log": 7}}])
    assert (made.run.every.log, made.run.every.sample, made.run.every.health) == (7, 3, 200)
    assert made.run.batch_size == 8  # the preset's


def test_file_that_chooses_another_component_drops_the_options_of_the_preset(toy_settings: Make) -> None:
    made = toy_settings(layers=[{"architecture": {"name": "image:dcgan"}}])
    assert made.architecture.found.plugin == "image"
    assert option(made.architecture, "width") != 8


def test_without_any_choice_game_and_loss_have_defaults_and_all_writers_of_the_plugin_are_used(
    toy_settings: Make,
) -> None:
    made = toy_settings(preset="none", layers=[{"data": "circles", "architecture": "mlp"}])
    assert made.loss.name == DEFAULT_CHOICES["loss"]["name"] == "non-saturating"
    assert made.game.name == "gan"
    assert list(made.writers) == ["json", "text"]
    assert (dict(made.penalties), dict(made.augmentations)) == ({}, {})


def test_every_player_has_an_optimizer_section_given_or_not(toy_settings: Make) -> None:
    made = toy_settings("optimizers.generator.lr=0.5")
    assert made.optimizers["generator"].options == AdamOptions(lr=0.5)
    assert made.optimizers["discriminator"].options == AdamOptions()


def test_another_optimizer_keeps_the_learning_rate_and_clipping_of_the_one_before(toy_settings: Make) -> None:
    before = {"optimizers": {"generator": {"lr": 0.5, "clip": 2.0, "beta2": 0.9, "eps": 0.1}}}
    falls = {"schedules": {"optimizers.generator.lr": {"factor": 0.5}}}
    made = toy_settings("optimizers.generator.name=sgd", layers=[before | falls])
    assert made.optimizers["generator"].options == SgdOptions(lr=0.5, clip=2.0)
    assert set(made.schedules) == {"optimizers.generator.lr"}
    told = mistakes(toy_settings, "optimizers.generator.name=sgd", "optimizers.generator.beta2=0.5")
    assert told == {"optimizers.generator.beta2": ("no such option", "beta1")}
    assert mistakes(toy_settings, "optimizers.generator.name=adm") == {
        "optimizers.generator.name": ("unknown optimizer 'adm'", "adam")
    }


@pytest.mark.parametrize("optimizers", ["adam", {"generator": "adam"}, {"generator": {"name": "adm"}}])
def test_schedules_of_an_optimizer_with_a_mistake_are_not_told_of_as_well(toy_settings: Make, optimizers: Any) -> None:
    falls = {"schedules": {"optimizers.generator.lr": {"factor": 0.5}}}
    assert len(mistakes(toy_settings, layers=[{"optimizers": optimizers}, falls])) == 1


def test_optimizer_that_is_no_section_is_told_of_once_with_how_to_name_it(toy_settings: Make) -> None:
    falls = {"schedules": {"optimizers.generator.lr": {"factor": 0.5}}}
    assert mistakes(toy_settings, "optimizers.generator=sgd", layers=[falls]) == {
        "optimizers.generator": ("must be a section of options, not 'sgd'", "optimizers.generator.name=sgd")
    }


def test_presets_schedule_of_a_beta_goes_with_the_optimizer_that_has_it() -> None:
    [preset] = [
        n for n, p in IMAGE.load("image").of_kind(Preset).items() if "optimizers.generator.beta2" in str(p.config)
    ][:1]
    before, made = (
        set(image("data=digits", *more, preset=preset).schedules) for more in ((), ("optimizers.generator.name=sgd",))
    )
    assert before - made == {"optimizers.generator.beta2"}


# --- choice of the preset ---------------------------------------------------------------------------------------------


def test_demo_preset_is_the_base_without_data_and_data_preset_with_data(toy_settings: Make, points: Path) -> None:
    assert toy_settings().run.preset == "demo"
    assert toy_settings(data=points).run.preset == "file"
    assert toy_settings(f"data.path={points}").run.preset == "file"
    assert toy_settings("data=circles").run.preset == "file"
    assert toy_settings("data.count=8").run.preset == "demo"


def test_explicit_preset_outranks_that_of_a_layer_outranks_the_plugins_own(toy_settings: Make, points: Path) -> None:
    assert toy_settings("preset=file", "data=circles").run.preset == "file"
    assert toy_settings(layers=[{"preset": "demo"}], data=points).run.preset == "demo"
    assert toy_settings("preset=file", "data=circles", preset="demo").run.preset == "demo"


def test_unknown_preset_is_answered_with_the_nearest(toy_settings: Make) -> None:
    with pytest.raises(UnknownNameError, match="unknown preset 'dmo'; did you mean 'demo'"):
        toy_settings(preset="dmo")


@pytest.mark.parametrize("preset", IMAGE_PRESETS)
def test_every_image_preset_is_valid(preset: str) -> None:
    made = image(f"data={DATA.get(preset, 'digits')}", preset=preset)
    assert made.run.preset == preset
    assert made.data.name == DATA.get(preset, "digits")


def test_plugin_may_come_from_a_layer_and_none_at_all_is_a_usage_error(installed: Registry) -> None:
    assert configure(installed, layers=[{"plugin": "toy"}]).run.plugin == "toy"
    with pytest.raises(
        UsageError, match=r"no plugin was named; choose one with --plugin NAME \(.*image.*toy.*\)"
    ) as told:
        configure(installed)
    assert "tensorboard" not in str(told.value)  # it only listens


# --- sections of several ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("assignments", "weights"),
    [
        ([], {"r1": 1.0}),
        (["penalties=none"], {}),
        (["penalties=[]"], {}),
        (["penalties=r2"], {"r2": 10.0}),
        (["penalties=r1,r2"], {"r1": 1.0, "r2": 10.0}),
        (['penalties=["r2", "r1"]'], {"r2": 10.0, "r1": 1.0}),
        (["penalties.r1=none"], {}),
        (["penalties.r1.weight=3"], {"r1": 3.0}),
        (["penalties.r2.weight=3"], {"r1": 1.0, "r2": 3.0}),
        (["penalties=none", "penalties.r2.weight=3"], {"r2": 3.0}),
        (["penalties.r2.weight=3", "penalties=r2"], {"r2": 3.0}),
        (["penalties.r2.weight=3", "penalties=none"], {}),
        (["penalties.r1=none", "penalties.r1.weight=3"], {"r1": 3.0}),
    ],
)
def test_penalties_on_the_command_line(toy_settings: Make, assignments: list[str], weights: dict[str, float]) -> None:
    made = toy_settings(*assignments, "data=circles", preset="file")
    assert {n: option(c, "weight") for n, c in made.penalties.items()} == weights
    assert list(made.penalties) == list(weights)


def test_file_that_says_none_takes_all_out_of_the_preset_and_a_later_layer_adds(toy_settings: Make) -> None:
    file = {"penalties": "none", "data": "circles", "preset": "file"}
    assert dict(toy_settings(layers=[file]).penalties) == {}
    assert list(toy_settings("penalties.r2.weight=3", layers=[file]).penalties) == ["r2"]


def test_writer_is_taken_out_by_none_and_others_stay(toy_settings: Make) -> None:
    made = toy_settings("writers.json=none")
    assert list(made.writers) == ["text"]
    assert made.removed_writers == ("json",)
    assert list(toy_settings("writers=json").writers) == ["json"]
    assert list(toy_settings("writers=none").writers) == []


def test_component_of_another_plugin_may_join_a_section_of_several(toy_settings: Make) -> None:
    made = toy_settings("writers.image:grid.columns=3")
    assert list(made.writers) == ["json", "text", "image:grid"]
    assert made.writers["image:grid"].found.plugin == "image"


def test_misspelt_name_of_what_is_to_be_taken_out_is_a_mistake(toy_settings: Make) -> None:
    assert mistakes(toy_settings, "writers.jsn=none")["writers.jsn"] == ("unknown writer 'jsn'", "json")


def test_listeners_are_given_as_a_list_or_by_commas_or_none(toy_settings: Make) -> None:
    assert toy_settings("listeners=none").run.listeners == ()
    assert toy_settings("listeners=toy,tensorboard").run.listeners == ("toy", "tensorboard")
    assert toy_settings('listeners=["toy"]').run.listeners == ("toy",)


# --- data -------------------------------------------------------------------------------------------------------------


def test_data_set_is_guessed_by_suffix_in_any_case(toy_settings: Make, points: Path) -> None:
    shouting = points.rename(points.with_suffix(".TXT"))
    made = toy_settings(data=shouting)
    assert made.data.name == "points"
    assert option(made.data, "path") == shouting


def test_data_set_is_guessed_for_a_folder_an_archive_and_an_array(tmp_path: Path) -> None:
    folder, archive, array = tmp_path / "f", tmp_path / "f.zip", tmp_path / "f.npz"
    folder.mkdir()
    archive.touch()
    array.touch()
    assert image(data=folder).data.name == "folder"
    assert image(data=archive).data.name == "folder"
    assert image(data=str(array)).data.name == "array"


def test_options_of_the_guessed_data_set_may_be_given_beside_it(tmp_path: Path) -> None:
    made = image("data.size=32", data=tmp_path)
    assert (made.data.name, option(made.data, "size")) == ("folder", 32)


def test_path_in_a_layer_is_enough(toy_settings: Make, points: Path) -> None:
    assert toy_settings(f"data.path={points}").data.name == "points"


@pytest.mark.parametrize(
    "file", [{"name": "digits"}, {"name": "array", "path": "/old.npz"}, {"name": "folder", "path": "/old", "size": 32}]
)
def test_data_on_the_command_line_outrank_those_of_a_file(file: Mapping[str, Any], tmp_path: Path) -> None:
    made = configure(IMAGE, plugin="image", data=tmp_path, layers=[{"data": file}])
    assert (made.data.name, option(made.data, "path")) == ("folder", tmp_path)
    assert option(made.data, "size") == file.get("size", 64)


def test_missing_data_are_a_usage_error(toy_settings: Make, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.txt': there is no such file or folder"):
        toy_settings(data=tmp_path / "nowhere.txt")


@pytest.mark.parametrize("name", ["table.xlsx", "no_suffix", "folder/"])
def test_data_that_nothing_reads_are_a_usage_error_that_says_what_is_read(
    toy_settings: Make, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    path.mkdir() if name.endswith("/") else path.touch()
    with pytest.raises(UsageError, match=r"plugin 'toy' reads no such file; it takes .*\.txt \(points\)"):
        toy_settings(data=path)


def test_relative_path_of_data_becomes_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / RELATIVE).mkdir()
    wanted = tmp_path / RELATIVE
    assert option(image(data=RELATIVE).data, "path") == wanted
    assert option(image(f"data.path={RELATIVE}").data, "path") == wanted
    assert option(image("data=folder", f"data.path={RELATIVE}").data, "path") == wanted


# --- mistakes ---------------------------------------------------------------------------------------------------------


def test_all_mistakes_are_told_at_once_with_suggestions(toy_settings: Make) -> None:
    file = {
        "stepz": 5,
        "loss": {"name": "hing"},
        "architecture": {"name": "mlp", "widht": 9},
        "precision": "fp33",
        "batch_size": 0,
        "optimizers": {"generater": {"lr": 0.1}},
        "every": {"logg": 1},
    }
    found = mistakes(toy_settings, layers=[file])
    assert found["stepz"] == ("no such option", "steps")
    assert found["loss.name"] == ("unknown loss 'hing'", "hinge")
    assert found["architecture.widht"] == ("no such option", "width")
    assert found["precision"] == ("must be one of fp32, bf16, not 'fp33'", "fp32")
    assert found["batch_size"][0] == "must be a whole number, 1 to 65,536, not 0"
    assert found["optimizers.generater"][1] == "generator"
    assert found["every.logg"] == ("no such option", "log")
    assert len(found) == 7


def test_component_of_another_plugin_is_suggested_with_its_prefix(toy: str, fake_dist: Callable[..., None]) -> None:
    fake_dist(
        "extra",
        """
        @hookimpl
        def gan_augmentations():
            yield Augmentation(name="brightness", summary="Any samples", target="gan_extra:a")
            yield Augmentation(name="blur", summary="Images", target="gan_extra:b", spec="gan_image.spec:ImageSpec")
        """,
    )

    def make(*assignments: str) -> Settings:
        return configure(Registry(), plugin=toy, layers=[parse_assignments(assignments)])

    found = mistakes(make, "augmentations.brightness.strength=0.3", "augmentations.blur.radius=2")
    assert found["augmentations.brightness"] == ("unknown augmentation 'brightness'", "extra:brightness")
    assert found["augmentations.blur"][1] == ""  # it is not for such samples


@pytest.mark.parametrize(
    ("key", "whole"),
    [
        ("width=9", "architecture.width"),
        ("mlp.width=9", "architecture.width"),
        ("hinge=true", "loss=hinge"),
        ("r1.weight=3", "penalties.r1.weight"),
        ("half_life=10", "ema.half_life"),
        ("lr=0.1", "optimizers.generator.lr"),
    ],
)
def test_option_without_its_section_is_suggested_with_it(toy_settings: Make, key: str, whole: str) -> None:
    assert mistakes(toy_settings, key)[key.partition("=")[0].partition(".")[0]] == ("no such option", whole)


def test_section_that_is_misspelt_is_suggested(toy_settings: Make) -> None:
    assert mistakes(toy_settings, "penaltys.r1.weight=1")["penaltys"] == ("no such option", "penalties")


def test_unknown_option_inside_an_optimizer_is_suggested(toy_settings: Make) -> None:
    found = mistakes(toy_settings, "optimizers.generator.beta3=0.5")
    assert found == {"optimizers.generator.beta3": ("no such option", found["optimizers.generator.beta3"][1])}
    assert found["optimizers.generator.beta3"][1] in {"beta1", "beta2"}


def test_option_that_resembles_none_is_answered_with_all_there_are(toy_settings: Make) -> None:
    message, hint = mistakes(toy_settings, "ema.zzz=1")["ema.zzz"]
    assert message == "no such option; there are half_life, warmup"
    assert hint == ""


def test_component_without_options_says_so(toy_settings: Make) -> None:
    assert mistakes(toy_settings, "loss=hinge", "loss.margin=2")["loss.margin"][0] == "loss 'hinge' has no options"


def test_missing_choices_are_asked_for_by_name(toy_settings: Make) -> None:
    found = mistakes(toy_settings, preset="none")
    assert set(found) == {"data", "architecture"}
    assert found["data"][0] == "choose one by name, such as data=NAME"


def test_required_option_that_is_missing_is_named(toy_settings: Make) -> None:
    assert mistakes(toy_settings, "data=points")["data.path"][0] == "is required"


@pytest.mark.parametrize(
    "assignment",
    [
        "data=5",
        "data=[1]",
        "loss=true",
        "architecture.name=7",
        "penalties=5",
        "penalties.r1=5",
        "writers=false",
        "optimizers=adam",
        "optimizers.generator=adam",
        "every=5",
        "every.log=often",
        "steps=1.5",
        "ema.half_life=nan",
        "ema.half_life=inf",
        "seed=-1",
        "device=tpu",
        "listeners=5",
        "=".join(["steps", "{ a = 1 }"]),
    ],
)
def test_value_of_the_wrong_kind_is_a_mistake_at_its_place(toy_settings: Make, assignment: str) -> None:
    key = assignment.partition("=")[0]
    found = mistakes(toy_settings, assignment)
    assert all(path.startswith(key.split(".")[0]) for path in found), found


def test_contradicting_assignments_are_no_crash(toy_settings: Make) -> None:
    mistakes(toy_settings, "penalties.r1.weight=3", "penalties=5")
    assert option(toy_settings("penalties=5", "penalties.r1.weight=3").penalties["r1"], "weight") == 3.0


@pytest.mark.parametrize(
    "name", ["os:system", "builtins:eval", "gan_toy_parts:gap", "gancore.losses.adversarial:Hinge"]
)
@pytest.mark.parametrize("section", [*SECTIONS])
def test_no_import_path_can_come_in_through_a_configuration(toy_settings: Make, section: str, name: str) -> None:
    found = mistakes(toy_settings, layers=[{section: {"name": name}}])
    assert found[f"{section}.name"][0].startswith(f"unknown plugin '{name.split(':')[0]}'")


def test_target_and_options_of_a_component_cannot_be_set(toy_settings: Make) -> None:
    found = mistakes(toy_settings, layers=[{"loss": {"name": "hinge", "target": "os:system", "options": "os:environ"}}])
    assert set(found) == {"loss.target", "loss.options"}


def test_listener_is_only_ever_a_plugin_by_name(installed: Registry) -> None:
    with pytest.raises(UnknownNameError, match="unknown plugin 'os'"):
        installed.load("os")


def test_component_of_a_broken_plugin_is_an_error_that_names_it(
    toy_settings: Make, fake_dist: Callable[..., None]
) -> None:
    fake_dist("broken", "1 / 0")
    with pytest.raises(PluginError, match=r"'broken' .* is broken"):
        configure(Registry(), plugin="toy", layers=[{"loss": {"name": "broken:x"}}])


# --- writing down and reading back ------------------------------------------------------------------------------------


def again(made: Settings, registry: Registry) -> Settings:
    """Through `config.toml` and back."""
    return configure(registry, layers=[tomllib.loads(tomli_w.dumps(made.dump()))])


def same(one: Settings, two: Settings) -> bool:
    """Equal in everything; sections of several in the same order too."""
    orders = [[list(getattr(s, section)) for section in MAPS] for s in (one, two)]
    return one == two and orders[0] == orders[1]


@pytest.mark.parametrize(
    "removal", [(), ("penalties=none",), ("penalties.r1=none", "writers.gif=none"), ("writers=none",)]
)
@pytest.mark.parametrize("preset", IMAGE_PRESETS)
def test_written_configuration_gives_the_same_settings(preset: str, removal: tuple[str, ...]) -> None:
    data = f"data={DATA.get(preset, 'digits')}"
    if "penalties.r1=none" in removal and "r1" not in image(data, preset=preset).penalties:
        removal = removal[1:]
    made = image(data, *removal, preset=preset)
    assert same(again(made, IMAGE), made)


def test_written_configuration_does_not_depend_on_the_preset_it_came_from(toy_settings: Make) -> None:
    made = toy_settings("penalties=none", "data=circles", preset="file")
    assert made.run.preset == "file"
    dump = made.dump()
    assert (dump["preset"], dump["complete"]) == ("file", True)
    assert dump["penalties"] == {}
    assert configure(Registry(), layers=[dump | {"preset": "gone"}]).run.preset == "gone"


def test_written_configuration_holds_every_option(toy_settings: Make) -> None:
    dump = toy_settings().dump()
    assert {*RunConfig.model_fields, *SECTIONS, *MAPS, *BY_PLAYER, *BY_SETTING} == set(dump)
    assert dump["architecture"] == {"name": "mlp", "spectral_norm": "none", "width": 8, "latent": 4}
    assert set(dump["optimizers"]) == {"generator", "discriminator"}
    assert set(KIND_OF) == {*SECTIONS, *MAPS, *BY_PLAYER, *BY_SETTING}


# --- schedules --------------------------------------------------------------------------------------------------------


def scheduled(made: Settings) -> dict[str, dict[str, Any]]:
    unusual = {path: one.options.model_dump(exclude_defaults=True) for path, one in made.schedules.items()}
    return {path: {"name": made.schedules[path].name, **options} for path, options in unusual.items()}


def test_schedules_are_named_by_the_settings_that_they_move(toy_settings: Make) -> None:
    made = toy_settings(
        "penalties.r1.weight=2",
        "schedules.penalties.r1.weight=cosine",
        "schedules.penalties.r1.weight.last=0.2",
        "schedules.ema.half_life.first=0",
        layers=[
            {
                "schedules": {
                    "optimizers.generator.lr": {"factor": 0.5},
                    "optimizers": {"generator": {"beta2": {"first": 0.9}}},
                }
            }
        ],
    )
    assert scheduled(made) == {
        "optimizers.generator.lr": {"name": "linear", "factor": 0.5},
        "optimizers.generator.beta2": {"name": "linear", "first": 0.9},
        "penalties.r1.weight": {"name": "cosine", "last": 0.2},
        "ema.half_life": {"name": "linear", "first": 0.0},
    }
    assert same(again(made, Registry()), made)


def test_another_schedule_keeps_when_and_from_what_to_what(toy_settings: Make) -> None:
    falling = {"schedules": {"optimizers.generator.lr": {"begin": 0.5, "factor": 0.1}}}
    made = toy_settings("schedules.optimizers.generator.lr=cosine", layers=[falling])
    assert scheduled(made) == {"optimizers.generator.lr": {"name": "cosine", "begin": 0.5, "factor": 0.1}}


def test_schedules_are_taken_out_one_by_one_or_all_together() -> None:
    paths = {f"optimizers.{player}.lr" for player in ("generator", "discriminator")}
    assert set(image(preset="digits").schedules) == paths
    assert set(image("schedules.optimizers.generator.lr=none", preset="digits").schedules) == {
        "optimizers.discriminator.lr"
    }
    assert not image("schedules=none", preset="digits").schedules


def test_presets_schedule_of_a_penalty_goes_with_the_penalty(toy: str, fake_dist: Callable[..., None]) -> None:
    fake_dist(
        "moving",
        """
        @hookimpl
        def gan_presets():
            parts = {"data": {"name": "toy:circles"}, "architecture": {"name": "toy:mlp"}, "penalties": {"r1": {}}}
            yield Preset(name="p", summary="P", config={**parts, "schedules": {"penalties.r1.weight": {"factor": 0.1}}})
        """,
    )

    def made(*assignments: str) -> Settings:
        return configure(Registry(), plugin="moving", preset="p", layers=[parse_assignments(assignments)])

    assert set(made().schedules) == {"penalties.r1.weight"}
    assert not made("penalties=none").schedules
    assert not made("penalties.r1=none").schedules


@pytest.mark.parametrize(
    ("assignment", "path", "words", "hint"),
    [
        (
            "optimizers.generator.rl.factor=0",
            "optimizers.generator.rl",
            "no setting that a schedule",
            "optimizers.generator.lr",
        ),
        ("lr=cosine", "lr", "no setting that a schedule can move; there are", "optimizers.discriminator.lr"),
        ("penalties.r2.weight=none", "penalties.r2.weight", "this run has no penalties.r2 with a setting", ""),
        ("ema.half_life=cosin", "ema.half_life.name", "unknown schedule 'cosin'", "cosine"),
        ("ema.half_life.frist=0", "ema.half_life.frist", "no such option", "first"),
        ("ema.half_life.first=-1", "ema.half_life.first", "ema.half_life must be a number, at least 0, not -1", ""),
        ("optimizers.generator.beta2.last=1", "optimizers.generator.beta2.last", "at least 0 and below 1, not 1", ""),
        ("ema.half_life.begin=0.5", "ema.half_life", "moves nothing: ema.half_life is 5000 from beginning to end", ""),
        ("ema.half_life={begin=0.5,end=0.2,factor=0}", "ema.half_life", "end=0.2 is before begin=0.5", ""),
        ("ema.half_life=3", "ema.half_life", "must be a section of options, not 3", ""),
        (
            "ema.half_life={first=3,last=3}",
            "ema.half_life",
            "moves nothing: ema.half_life is 3 from beginning to end",
            "",
        ),
        ("penalties=linear", "penalties", "no setting that a schedule can move; there are", ""),
        ("=linear", "", "no setting that a schedule can move; there are", ""),
    ],
)
def test_schedule_that_cannot_be_is_told_with_what_could(
    toy_settings: Make, assignment: str, path: str, words: str, hint: str
) -> None:
    found = mistakes(toy_settings, f"schedules.{assignment}")
    at = f"schedules.{path}".rstrip(".")
    assert list(found) == [at]
    assert words in found[at][0]
    if hint:
        assert found[at][1] == hint


finite = st.floats(min_value=1e-12, max_value=10.0, allow_subnormal=False)
path_text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
layers = st.fixed_dictionaries(
    {},
    optional={
        "seed": st.integers(0, 2**63 - 1),
        "steps": st.integers(1, 10**9),
        "precision": st.sampled_from(["fp32", "bf16"]),
        "listeners": st.lists(st.text(min_size=1, max_size=5).filter(lambda t: t.isidentifier()), max_size=3),
        "ema": st.fixed_dictionaries({"half_life": st.floats(0, 1e12), "warmup": st.floats(0, 1)}),
        "optimizers": st.dictionaries(
            st.sampled_from(["generator", "discriminator"]),
            st.fixed_dictionaries({"lr": finite, "name": st.sampled_from(["adam", "sgd"])}),
        ),
        "penalties": st.one_of(
            st.just("none"),
            st.dictionaries(
                st.sampled_from(["r1", "r2", "dragan"]), st.fixed_dictionaries({"weight": st.floats(0, 1e6)})
            ),
        ),
        "writers": st.one_of(
            st.just("none"), st.dictionaries(st.sampled_from(["grid", "png", "gif"]), st.just("none"))
        ),
        "data": st.fixed_dictionaries({"name": st.just("folder"), "path": path_text.map("/x".__add__)}),
    },
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(layer=layers)
def test_any_valid_configuration_survives_being_written(layer: dict[str, Any]) -> None:
    made = configure(IMAGE, plugin="image", preset=IMAGE_PRESETS[0], layers=[layer])
    assert same(again(made, IMAGE), made)


def test_changed_settings_are_validated(toy_settings: Make) -> None:
    made = toy_settings()
    assert made.updated(steps=9, seed=None).run.steps == 9
    assert made.run.steps == 4
    with pytest.raises(ConfigError, match="steps: "):
        made.updated(steps=0)


def models(model: type[BaseModel]) -> list[type[BaseModel]]:
    found = [model]
    for field in model.model_fields.values():
        for inner in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                found += models(inner)
    return found


@pytest.mark.parametrize("model", models(RunConfig))
def test_every_setting_of_the_engine_is_described(model: type[BaseModel]) -> None:
    assert model.model_config["extra"] == "forbid"
    assert all(field.description for field in model.model_fields.values())


def test_every_section_is_described() -> None:
    assert all((SECTIONS | MAPS | BY_PLAYER | BY_SETTING).values())


def test_another_game_is_not_refused_for_the_presets_optimizers(
    plugin_module: Callable[..., ModuleType], installed: Registry
) -> None:
    installed.register(
        plugin_module(
            """
            @hookimpl
            def gan_games():
                yield Game(name="alone", summary="One player", target="x:y", players=("generator",))

            @hookimpl
            def gan_presets():
                optimizers = {"generator": {"lr": 0.5}, "discriminator": {"lr": 0.25}}
                yield Preset(name="two", summary="Two players", config={
                    "data": {"name": "toy:circles"}, "architecture": {"name": "toy:mlp"}, "optimizers": optimizers})
            """
        ),
        "mine",
    )
    settings = configure(installed, plugin="mine", preset="two", layers=[{"game": {"name": "alone"}}])
    assert {n: o.options.lr for n, o in settings.optimizers.items()} == {"generator": 0.5}
    both = configure(installed, plugin="mine", preset="two")
    assert {n: o.options.lr for n, o in both.optimizers.items()} == {"generator": 0.5, "discriminator": 0.25}
    asked = {"game": {"name": "alone"}, "optimizers": {"discriminator": {"lr": 0.1}}}
    with pytest.raises(ConfigError, match="the game has no such player"):
        configure(installed, plugin="mine", preset="two", layers=[asked])


# --- what components work on ------------------------------------------------------------------------------------------


def test_components_for_other_samples_are_refused_together_before_any_data_are_read(
    toy_settings: Make, points: Path
) -> None:
    points.write_bytes(b"not even points")
    told = mistakes(toy_settings, "augmentations=image:diffaugment", "game=text:sequence", data=points)
    assert told == {
        "game": (
            "game 'text:sequence' is for texts, which these data are not; choose one that is made for them",
            "",
        ),
        "augmentations.image:diffaugment": (
            "augmentation 'image:diffaugment' is for images, which these data are not; leave it out "
            "(augmentations.image:diffaugment=none)",
            "",
        ),
    }


def test_component_is_usable_for_data_of_its_own_kind_without_naming_another_plugin(installed: Registry) -> None:
    assert usable(installed, Augmentation, "image", image().data) == ["apa", "diffaugment", "ada"]
    assert usable(installed, Augmentation, "image", configure(installed, plugin="text").data) == ["apa"]
    assert usable(installed, Augmentation, "text", image().data) == ["apa"]
