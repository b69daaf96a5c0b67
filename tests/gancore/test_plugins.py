"""Finding, loading and isolating plugins."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib.metadata import EntryPoint
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from pydantic import BaseModel

from gancore import hookimpl
from gancore.components import (
    KINDS,
    Architecture,
    Component,
    Dataset,
    Game,
    Loss,
    Optimizer,
    Penalty,
    PluginInfo,
    Preset,
    Schedule,
    Writer,
)
from gancore.errors import PluginError, UnknownNameError, UsageError
from gancore.options import ArchitectureOptions, OptimizerOptions, Options, PenaltyOptions, ScheduleOptions
from gancore.plugins import BUILTIN, DISABLE_VARIABLE, Registry
from gancore.targets import build, options_model, resolve

BUILTIN_PLUGINS = (BUILTIN, "image", "tensorboard")

Install = Callable[..., None]
Make = Callable[..., ModuleType]


# --- what is installed ------------------------------------------------------------------------------------------------


def test_built_in_and_third_party_plugins_are_found_in_the_same_way(installed: Registry) -> None:
    found = {p.name: p for p in installed.installed()}
    assert {"image", "tensorboard", "toy"} <= set(found)
    toy = found["toy"]
    assert (toy.distribution, toy.version, toy.module) == ("gan-toy", "0.1.0", "gan_toy")
    assert toy.summary == "Points in the plane, for tests"
    assert not toy.disabled


def test_plugin_is_loaded_through_its_entry_point(installed: Registry) -> None:
    plugin = installed.load("toy")
    assert plugin.info.demo_preset == "demo"
    assert list(plugin.of_kind(Dataset)) == ["circles", "points"]
    assert list(plugin.of_kind(Loss)) == []


def test_plugin_is_loaded_once(installed: Registry) -> None:
    assert installed.load("toy") is installed.load("toy")


def test_unknown_plugin_is_answered_with_the_nearest_names(installed: Registry) -> None:
    with pytest.raises(UnknownNameError, match="unknown plugin 'imge'; did you mean 'image'") as caught:
        installed.load("imge")
    assert caught.value.suggestions == ("image",)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("import no_such_module_at_all", "ModuleNotFoundError: No module named 'no_such_module_at_all'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def broken(:", "SyntaxError"),
        ("import sys; sys.exit('no licence')", "SystemExit: no licence"),
    ],
)
def test_plugin_that_is_broken_on_import_tells_its_cause_and_harms_no_other(
    fake_dist: Install, line: str, cause: str
) -> None:
    fake_dist("broken", line + "\n")
    fake_dist("fine")
    registry = Registry()
    assert {"broken", "fine"} <= {p.name for p in registry.installed()}
    with pytest.raises(PluginError, match=r"plugin 'broken' \(fake_broken\) is broken") as caught:
        registry.load("broken")
    assert cause in str(caught.value)
    assert registry.load("fine").info.summary == "For a test"
    with pytest.raises(PluginError, match="is broken"):  # and no half of it is taken for a whole one later
        registry.load("broken")


@pytest.mark.parametrize(("version", "advice"), [(2, "upgrade gancore"), (0, "upgrade the plugin")])
def test_plugin_of_another_api_version_is_refused_and_told_who_must_upgrade(
    fake_dist: Install, version: int, advice: str
) -> None:
    fake_dist("other", api_version=version)
    with pytest.raises(PluginError, match=f"written for version {version} .* speaks version 1; {advice}"):
        Registry().load("other")


def test_newer_plugin_is_told_by_its_version_even_where_it_has_hooks_that_are_not_known_yet(fake_dist: Install) -> None:
    fake_dist("newer", "@hookimpl\ndef gan_dreams():\n    yield 1\n", api_version=2)
    with pytest.raises(PluginError, match="upgrade gancore"):
        Registry().load("newer")


def test_name_that_two_distributions_claim_is_an_error_that_names_both_and_others_load(fake_dist: Install) -> None:
    fake_dist("rows", dist="gan-rows", module="fake_one")
    fake_dist("rows", dist="better-rows", module="fake_two")
    fake_dist("fine")
    registry = Registry()
    assert {p.distribution for p in registry.installed() if p.name == "rows"} == {"gan-rows", "better-rows"}
    with pytest.raises(PluginError, match="'rows' is claimed by") as caught:
        registry.load("rows")
    assert "gan-rows (fake_one)" in str(caught.value)
    assert "better-rows (fake_two)" in str(caught.value)
    registry.load("fine")


def test_disabled_plugins_are_listed_as_such_and_not_imported(
    fake_dist: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_dist("one", "raise RuntimeError('imported')")
    fake_dist("two", "raise RuntimeError('imported')")
    fake_dist("three")
    monkeypatch.setenv(DISABLE_VARIABLE, "one, two,")
    registry = Registry()
    assert {p.name for p in registry.installed() if p.disabled} == {"one", "two"}
    for name in ("one", "two"):
        with pytest.raises(PluginError, match=f"'{name}' is disabled by {DISABLE_VARIABLE}"):
            registry.load(name)
    registry.load("three")


def test_entry_point_must_name_a_module() -> None:
    registry = Registry([EntryPoint("odd", "gancore:hookimpl", "gancore")])
    with pytest.raises(PluginError, match="must name a module"):
        registry.load("odd")


def test_module_under_two_names_is_refused_with_the_first_name_and_keeps_working(plugin_module: Make) -> None:
    registry = Registry([])
    module = plugin_module('@hookimpl\ndef gan_losses():\n    yield Loss(name="a", summary="A", target="x:y")\n')
    registry.register(module, "one")
    with pytest.raises(PluginError, match="'two' is 'one' under another name"):
        registry.register(module, "two")
    assert registry.find(Loss, "a", "one").qualified == "one:a"


def test_second_module_of_one_name_is_refused_and_the_first_still_hears_events(plugin_module: Make) -> None:
    registry = Registry([])
    module = plugin_module("heard = []\n@hookimpl\ndef gan_tick(event):\n    heard.append(event)\n")
    registry.register(module, "one")
    with pytest.raises(PluginError, match="'one' is registered already"):
        registry.register(plugin_module(""), "one")
    registry.notify("gan_tick", 7)
    assert module.heard == [7]


# --- what a plugin may declare ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "words"),
    [
        pytest.param(
            "@hookimpl\ndef gan_lossess():\n    yield 1\n", "hook that gancore does not know.*gan_lossess", id="typo"
        ),
        pytest.param(
            "@hookimpl\ndef gan_losses(spec):\n    yield 1\n", "cannot call.*gan_losses.*spec", id="extra argument"
        ),
        pytest.param(
            '@hookimpl\ndef gan_losses():\n    yield Penalty(name="p", summary="P", target="x:y")\n',
            r"gan_losses must yield Loss records, not Penalty\(",
            id="wrong kind",
        ),
        pytest.param("@hookimpl\ndef gan_losses():\n    return 'abc'\n", "must yield Loss records, not 'a'", id="text"),
        pytest.param(
            "@hookimpl\ndef gan_losses():\n    raise OSError('no disk')\n    yield\n",
            "hook gan_losses raised OSError: no disk",
            id="raises",
        ),
        pytest.param(
            "@hookimpl\ndef gan_losses():\n    yield Loss(name='a')\n", "gan_losses raised TypeError", id="incomplete"
        ),
        pytest.param(
            "@hookimpl\ndef gan_losses():\n"
            "    yield Loss(name='a', summary='A', target='x:y')\n    yield Loss(name='a', summary='B', target='x:z')\n",
            "yields two loss components called 'a'",
            id="duplicate",
        ),
    ],
)
def test_faulty_declarations_are_refused_with_what_is_wrong(plugin_module: Make, source: str, words: str) -> None:
    registry = Registry([])
    with pytest.raises(PluginError, match=words) as caught:
        registry.register(plugin_module(source), "faulty")
    assert "'faulty'" in str(caught.value)
    registry.register(plugin_module(""), "faulty")  # nothing of the faulty one is left in the way


@pytest.mark.parametrize(
    "info",
    [
        pytest.param("from gancore import hookimpl\n", id="missing"),
        pytest.param("from gancore import hookimpl\n@hookimpl\ndef gan_plugin_info():\n    return {}\n", id="a dict"),
        pytest.param("from gancore import hookimpl\n@hookimpl\ndef gan_plugin_info():\n    return\n", id="nothing"),
    ],
)
def test_plugin_must_say_who_it_is(plugin_module: Make, info: str) -> None:
    with pytest.raises(PluginError, match="must define the hook gan_plugin_info and return one PluginInfo"):
        Registry([]).register(plugin_module("", info=info), "nobody")


def test_hook_that_returns_nothing_brings_nothing(plugin_module: Make) -> None:
    plugin = Registry([]).register(plugin_module("@hookimpl\ndef gan_losses():\n    return None\n"), "empty")
    assert dict(plugin.of_kind(Loss)) == {}


def test_records_are_kept_by_kind_and_name_in_their_order(plugin_module: Make) -> None:
    source = """
        @hookimpl
        def gan_losses():
            yield Loss(name="b", summary="B", target="x:y")
            yield Loss(name="a", summary="A", target="x:y")

        @hookimpl
        def gan_penalties():
            return [Penalty(name="a", summary="A", target="x:y")]
    """
    plugin = Registry([]).register(plugin_module(source), "both")
    assert list(plugin.of_kind(Loss)) == ["b", "a"]
    assert list(plugin.of_kind(Penalty)) == ["a"]


# --- components by name -----------------------------------------------------------------------------------------------


def test_component_is_found_in_the_chosen_plugin_and_among_the_built_ins(installed: Registry) -> None:
    assert installed.find(Architecture, "mlp", "toy").qualified == "toy:mlp"
    assert installed.find(Loss, "hinge", "toy").qualified == f"{BUILTIN}:hinge"


def test_component_of_another_plugin_is_not_found_by_its_bare_name(installed: Registry) -> None:
    installed.load("image")
    with pytest.raises(UnknownNameError, match="unknown architecture 'dcgan'"):
        installed.find(Architecture, "dcgan", "toy")


def test_qualified_name_loads_the_plugin_that_it_names(fake_dist: Install, installed: Registry) -> None:
    fake_dist("extra", '@hookimpl\ndef gan_losses():\n    yield Loss(name="a", summary="A", target="x:y")\n')
    assert Registry().find(Loss, "extra:a", "image").plugin == "extra"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("toy:mpl", "unknown architecture of plugin 'toy' 'mpl'; did you mean 'mlp'"),
        ("tyo:mlp", "unknown plugin 'tyo'; did you mean 'toy'"),
        ("os:system", "unknown plugin 'os'"),
        ("toy:", "unknown architecture of plugin 'toy' ''"),
        (":mlp", "unknown plugin ''"),
        ("lmp", "unknown architecture 'lmp'; did you mean 'mlp'"),
    ],
)
def test_unknown_component_is_a_usage_error_with_the_nearest_names(installed: Registry, name: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        installed.find(Architecture, name, "toy")
    assert words in str(caught.value)


def test_clash_with_a_built_in_is_an_error_that_names_both_and_qualified_names_still_work(plugin_module: Make) -> None:
    registry = Registry([])
    source = '@hookimpl\ndef gan_losses():\n    yield Loss(name="hinge", summary="Mine", target="x:y")\n'
    registry.register(plugin_module(source), "rival")
    with pytest.raises(PluginError, match=f"loss 'hinge' is provided twice, as {BUILTIN}:hinge and rival:hinge"):
        registry.find(Loss, "hinge", "rival")
    assert registry.find(Loss, "rival:hinge", "rival").record.summary == "Mine"
    assert registry.find(Loss, f"{BUILTIN}:hinge", "rival").plugin == BUILTIN


# --- targets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target", ["collections", "no_such_module:x", "collections:NoSuch", ":x", "collections:", "collections.:x"]
)
def test_target_that_cannot_be_resolved_is_a_plugin_error_that_names_it(target: str) -> None:
    with pytest.raises(PluginError) as caught:
        resolve(target)
    assert f"'{target}'" in str(caught.value)


def test_target_whose_module_fails_on_import_is_a_plugin_error_with_the_cause(fake_dist: Install) -> None:
    fake_dist("heavy", "raise OSError('libc10_cuda.so: cannot open shared object file')")
    with pytest.raises(PluginError, match=r"'fake_heavy:build' cannot be loaded: OSError: libc10_cuda\.so"):
        resolve("fake_heavy:build")


def test_target_is_called_with_its_options_first_where_it_has_any() -> None:
    without = Loss(name="a", summary="A", target="builtins:list")
    assert build(without, None, (1, 2)) == [1, 2]
    with_options = Loss(name="a", summary="A", target="builtins:slice", options="builtins:int")
    assert build(with_options, 1, 2, 3) == slice(1, 2, 3)


def _components() -> list[Any]:
    registry = Registry()
    return [
        pytest.param(record, id=f"{name}-{record.kind}-{record.name}")
        for name in BUILTIN_PLUGINS
        for kind in KINDS
        for record in registry.load(name).of_kind(kind).values()
        if isinstance(record, Component)
    ]


BASES: dict[type[Component], type[BaseModel]] = {
    Architecture: ArchitectureOptions,
    Optimizer: OptimizerOptions,
    Penalty: PenaltyOptions,
    Schedule: ScheduleOptions,
}


@pytest.mark.parametrize("record", _components())
def test_every_target_of_the_built_in_plugins_resolves(record: Component) -> None:
    assert callable(resolve(record.target))
    assert record.summary
    if isinstance(record, Dataset):
        assert "class_count" in dir(resolve(record.spec))
    if isinstance(record, Game):
        assert "generator" in record.players


@pytest.mark.parametrize("record", _components())
def test_every_option_of_the_built_in_plugins_is_described(record: Component) -> None:
    model = options_model(record)
    if model is None:
        return
    assert issubclass(model, BASES.get(type(record), Options))
    assert model.model_config["extra"] == "forbid"
    assert model.model_config["frozen"]
    for name, field in model.model_fields.items():
        assert field.description, f"{name} has no description"
    if isinstance(record, Dataset) and (record.suffixes or record.directories):
        assert "path" in model.model_fields


def test_every_plugin_with_data_names_presets_that_it_has() -> None:
    registry = Registry()
    for name in BUILTIN_PLUGINS:
        plugin = registry.load(name)
        for preset in filter(None, (plugin.info.demo_preset, plugin.info.data_preset)):
            assert preset in plugin.of_kind(Preset)
        if plugin.of_kind(Dataset):
            assert plugin.info.demo_preset
            assert plugin.of_kind(Writer)


# --- lifecycle --------------------------------------------------------------------------------------------------------


class Heard:
    """A listener that remembers what it was told, and raises where it is to."""

    def __init__(self, answer: str | None = None, fails: bool = False) -> None:
        self.events: list[object] = []
        self.answer = answer
        self.fails = fails

    @hookimpl
    def gan_tick(self, event: object) -> None:
        self.events.append(event)
        if self.fails:
            raise ValueError("listener is out of order")

    @hookimpl
    def gan_should_stop(self, event: object) -> str | None:
        return self.answer


def test_listener_that_raises_is_named_once_left_out_from_then_on_and_harms_no_other() -> None:
    registry, good, bad = Registry([]), Heard(), Heard(fails=True)
    registry.add_listener(good, "good one")
    registry.add_listener(bad, "bad one")
    with pytest.warns(UserWarning, match="'bad one': its hook gan_tick raised ValueError: listener is out of order"):
        registry.notify("gan_tick", 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        registry.notify("gan_tick", 2)
    assert bad.events == [1]
    assert good.events == [1, 2]


def test_listener_that_failed_in_one_hook_is_still_asked_in_others() -> None:
    registry = Registry([])
    registry.add_listener(Heard(answer="enough", fails=True), "both")
    with pytest.warns(UserWarning, match="'both'"):
        registry.notify("gan_tick", 1)
    assert registry.notify("gan_should_stop", 1) == ["enough"]


def test_answers_are_those_that_are_not_none() -> None:
    registry = Registry([])
    registry.add_listener(Heard(), "silent")
    registry.add_listener(Heard(answer="an hour is over"), "strict")
    assert registry.notify("gan_should_stop", 1) == ["an hour is over"]


def test_removed_listener_is_not_told_any_more() -> None:
    registry, listener = Registry([]), Heard()
    registry.add_listener(listener, "short")
    registry.remove_listener("short")
    registry.notify("gan_tick", 1)
    assert listener.events == []


def test_listener_under_the_name_of_one_that_raised_is_called() -> None:
    registry, second = Registry([]), Heard()
    registry.add_listener(Heard(fails=True), "mine")
    with pytest.warns(UserWarning, match="'mine'"):
        registry.notify("gan_tick", 1)
    registry.remove_listener("mine")
    registry.add_listener(second, "mine")
    registry.notify("gan_tick", 2)
    assert second.events == [2]


def test_loaded_plugin_listens_too(plugin_module: Make) -> None:
    registry = Registry([])
    module = plugin_module("heard = []\n@hookimpl\ndef gan_run_finished():\n    heard.append('finished')\n")
    registry.register(module, "ears")
    registry.notify("gan_run_finished", SimpleNamespace())  # and a hook need not take the event
    assert module.heard == ["finished"]


def test_listener_with_a_hook_that_does_not_exist_is_refused_and_not_kept() -> None:
    class Misspelt:
        @hookimpl
        def gan_tik(self, event: object) -> None: ...

    class WrongArgument:
        @hookimpl
        def gan_tick(self, tick: object) -> None: ...

    registry = Registry([])
    for listener in (Misspelt(), WrongArgument()):
        with pytest.raises(PluginError, match="'mine' cannot listen"):
            registry.add_listener(listener, "mine")
    with pytest.raises(PluginError, match=r"gan_tik is no hook; did you mean gan_tick\?"):
        registry.add_listener(Misspelt(), "mine")
    with pytest.raises(PluginError, match=r"its gan_tick takes \(tick\), and is called as gan_tick\(event\)"):
        registry.add_listener(WrongArgument(), "mine")
    with pytest.raises(PluginError, match=r"it is a class; pass an object, Heard\(\)"):
        registry.add_listener(Heard, "mine")
    listener = Heard()
    registry.add_listener(listener, "mine")
    with pytest.raises(
        PluginError, match=r"^'again' cannot listen: it listens already, as 'mine'; add each object once$"
    ):
        registry.add_listener(listener, "again")
    with pytest.raises(PluginError, match=r"^'mine' cannot listen: there is .* of that name already$"):
        registry.add_listener(Heard(), "mine")


def test_records_are_frozen() -> None:
    info = PluginInfo(summary="A", api_version=1)
    with pytest.raises(AttributeError):
        info.summary = "B"  # type: ignore[misc]


def test_record_with_the_target_itself_instead_of_its_name_is_told_the_name(plugin_module: Make) -> None:
    module = plugin_module(
        "def logistic(spec): ...\n@hookimpl\ndef gan_losses():\n    yield Loss(name='l', summary='L', target=logistic)\n"
    )
    with pytest.raises(
        PluginError, match=r"the loss 'l' has target=logistic, at <plugin>:\d+, .*must be text.*:logistic\"$"
    ):
        Registry([]).register(module, "mine")


def test_record_whose_target_is_a_function_within_the_hook_is_told_its_place_and_to_move_it(
    plugin_module: Make,
) -> None:
    source = (
        "@hookimpl\ndef gan_losses():\n    def inner(spec): ...\n    yield Loss(name='l', summary='L', target=inner)\n"
    )
    with pytest.raises(PluginError, match=r"at <plugin>:\d+,.*:inner\"; define it at the top level") as caught:
        Registry([]).register(plugin_module(source), "mine")
    assert "<locals>" not in str(caught.value)


class Unmarked:
    def gan_tick(self, event: object) -> None: ...


class Misnamed:
    def on_tick(self, event: object) -> None: ...


@pytest.mark.parametrize(
    ("listener", "words"),
    [
        (Unmarked(), "its gan_tick would never be called; mark it with @hookimpl"),
        (Misnamed(), "it has no lifecycle hook; did you mean gan_tick instead of on_tick"),
        (print, "it has no lifecycle hook; hooks are methods marked with @hookimpl: gan_run_started"),
    ],
)
def test_listener_that_would_hear_nothing_is_refused_and_not_kept(listener: object, words: str) -> None:
    registry = Registry([])
    with pytest.raises(PluginError, match=words):
        registry.add_listener(listener, "mine")
    registry.add_listener(Heard(), "mine")
