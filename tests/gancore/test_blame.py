"""Whose code an unforeseen error came from: every kind of component, in a run as in a command."""

from __future__ import annotations

import re
from types import ModuleType

import pytest
from toys.specimen import ALL_CHOSEN, FALLING, install

import gancore
from gancore.blame import describe, explain
from gancore.errors import DataError
from gancore.plugins import Registry


@pytest.fixture
def fall(toy, tmp_path, monkeypatch, clean_modules):
    """A plugin that fails where it is told to."""
    monkeypatch.syspath_prepend(str(tmp_path))
    install(tmp_path, FALLING)
    return lambda place: monkeypatch.setenv("FALL", place)


@pytest.mark.parametrize(
    ("place", "component", "function"),
    [
        ("dataset", "dataset 'circles'", "open_circles"),
        ("architecture", "architecture 'mlp'", "build"),
        ("network", "architecture 'mlp'", "forward"),
        ("loss", "loss 'logistic'", "discriminator"),
        ("penalty", "penalty 'slope'", "penalty"),
        ("augmentation", "augmentation 'shift'", "shift"),
        ("game", "game 'witness'", "phases"),
    ],
)
def test_error_of_a_component_names_it_with_its_plugin_and_distribution(fall, tmp_path, place, component, function):
    fall(place)
    with pytest.raises(ZeroDivisionError, match="it fell") as caught:
        gancore.train(plugin="toy", out=tmp_path / "run", options={**ALL_CHOSEN, "steps": 2})
    (note,) = caught.value.__notes__
    assert re.match(
        rf"in {component} of plugin 'specimen', at fake_specimen_parts.py:\d+ in fall, which is not gancore's", note
    )
    assert "tell the author of gan-specimen" in note
    assert function in {entry.name for entry in caught.traceback}


def test_error_that_came_through_no_plugin_is_nobody_elses_fault():
    with pytest.raises(ZeroDivisionError) as caught:
        _ = 1 / 0
    assert explain(caught.value, Registry([])) == ""


def test_module_that_was_registered_here_is_named_too():
    module = ModuleType("my_notebook")
    exec(
        "from gancore import hookimpl\nfrom gancore.components import PluginInfo\n"
        "@hookimpl\ndef gan_plugin_info(): return PluginInfo(summary='S', api_version=1)\n"
        "def work(): raise ValueError('no')\n",
        vars(module),
    )
    registry = Registry([])
    registry.register(module, "mine")
    with pytest.raises(ValueError, match="no") as caught:
        module.work()
    assert "plugin 'mine'" in explain(caught.value, registry)


def test_what_was_told_in_a_sentence_needs_no_explanation():
    assert explain(DataError("no pictures"), Registry([])) == ""


def test_description_has_the_authors_own_line():
    with pytest.raises(ZeroDivisionError) as caught:
        _ = 1 / 0
    line = caught.traceback[-1].lineno + 1
    assert describe(caught.value) == (
        f"ZeroDivisionError: division by zero, at test_blame.py:{line} in test_description_has_the_authors_own_line"
    )
