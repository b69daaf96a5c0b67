"""The examples in the docstrings of the hooks run as they stand."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from textwrap import dedent
from types import FunctionType, ModuleType
from typing import Any

import pytest

import gancore
from gancore import components, hookspecs
from gancore.components import API_VERSION, KINDS, PluginInfo
from gancore.events import CheckpointSaved, Progress, RunFinished, RunStarted, Tick
from gancore.plugins import Registry

HOOKS = {name: value for name, value in vars(hookspecs).items() if name.startswith("gan_")}
NOUNS = {
    "gan_datasets": "csv",
    "gan_architectures": "mlp",
    "gan_losses": "hellinger",
    "gan_penalties": "slope",
    "gan_augmentations": "jitter",
    "gan_games": "jury",
    "gan_optimizers": "lion",
    "gan_schedules": "staircase",
    "gan_metrics": "mean-gap",
    "gan_features": "columns",
    "gan_attributes": "spread",
    "gan_writers": "csv",
    "gan_presets": "demo",
}
"""Each noun hook with the name of the component in its example."""

AT = Path("runs/toy-001")
TICK = Tick(folder=AT, step=50, steps=100, scalars={"discriminator/loss": 0.5}, samples_per_second=10.0, seconds=3601.0)
EVENTS: dict[str, tuple[object, str]] = {
    "gan_run_started": (
        RunStarted(folder=AT, config={"steps": 100}, step=0, steps=100, parameters={}, data="circles", device="cpu"),
        "runs/toy-001 100\n",
    ),
    "gan_tick": (TICK, "50 0.5\n"),
    "gan_progress": (
        Progress(folder=AT, step=7, steps=100, scalars={}, samples_per_second=10.0, seconds=70.0, seconds_left=930.0),
        "7 930.0\n",
    ),
    "gan_should_stop": (TICK, ""),
    "gan_checkpoint_saved": (
        CheckpointSaved(folder=AT, step=50, path=AT / "checkpoints"),
        "50 runs/toy-001/checkpoints\n",
    ),
    "gan_run_finished": (RunFinished(folder=AT, step=100, outcome="completed"), "completed 100\n"),
}


def example(hook: str) -> str:
    """The lines below `Example:` in the docstring of a hook."""
    doc = inspect.getdoc(HOOKS[hook]) or ""
    return dedent(doc.partition("Example:\n")[2]).rstrip()


def run(*sources: str) -> ModuleType:
    """A module with the imports that the page's head shows, and the examples."""
    module = ModuleType("example_plugin")
    names: dict[str, Any] = {record.__name__: record for record in (PluginInfo, *KINDS)}
    vars(module).update(names, hookimpl=gancore.hookimpl)
    for source in sources:
        exec(source, vars(module))
    return module


def test_every_hook_is_known_to_these_tests() -> None:
    assert set(HOOKS) == {"gan_plugin_info", *NOUNS, *EVENTS}
    assert len(NOUNS) == len(KINDS)


@pytest.mark.parametrize("hook", HOOKS)
def test_docstring_says_when_and_where_and_has_an_example_of_at_most_six_lines(hook: str) -> None:
    assert isinstance(HOOKS[hook], FunctionType)
    doc = inspect.getdoc(HOOKS[hook]) or ""
    assert re.search(r"^When: .*Where: ", doc, re.MULTILINE)
    assert 3 <= len(example(hook).splitlines()) <= 6
    assert f"def {hook}(" in example(hook)


def test_example_of_plugin_info_makes_a_plugin() -> None:
    plugin = Registry([]).register(run(example("gan_plugin_info")), "example")
    assert plugin.info == PluginInfo(
        summary="Folk dances", api_version=API_VERSION, demo_preset="demo", data_preset="small"
    )


@pytest.mark.parametrize("hook", NOUNS)
def test_example_of_a_noun_hook_yields_records_that_a_registry_takes(hook: str) -> None:
    plugin = Registry([]).register(run(example("gan_plugin_info"), example(hook)), "example")
    records = {kind.__name__: dict(plugin.of_kind(kind)) for kind in KINDS}
    filled = {kind: list(found) for kind, found in records.items() if found}
    kind = next(iter(filled))
    assert list(filled) == [kind]
    assert filled[kind] == [NOUNS[hook]]
    assert f"{kind}(" in example(hook)


@pytest.mark.parametrize("hook", EVENTS)
def test_example_of_a_lifecycle_hook_runs_on_its_event(hook: str, capsys: pytest.CaptureFixture[str]) -> None:
    registry = Registry([])
    registry.register(run(example("gan_plugin_info"), example(hook)), "example")
    event, printed = EVENTS[hook]
    answers = registry.notify(hook, event)
    assert capsys.readouterr().out == printed
    assert answers == (["an hour is over"] if hook == "gan_should_stop" else [])


def test_all_examples_together_make_one_plugin() -> None:
    plugin = Registry([]).register(run(*(example(hook) for hook in HOOKS)), "example")
    assert sum(len(plugin.of_kind(kind)) for kind in KINDS) == len(NOUNS)


def test_head_of_the_page_imports_what_exists() -> None:
    for line in re.findall(r"^ {4}(from .* import .*)$", hookspecs.__doc__ or "", re.MULTILINE):
        exec(line, {})


def test_records_say_what_their_targets_are_called_with() -> None:
    for kind in KINDS:
        if kind is not components.Preset:
            assert "Target: `(" in (kind.__doc__ or ""), kind.__name__
