"""How the kit is asked and how it answers: reports, hosts, data, pytest."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from gancore.blame import describe
from gancore.components import API_VERSION
from gancore.errors import UnknownNameError
from gancore.plugins import Registry
from gancore.testing import ContractError, check_plugin
from gancore.testing.check import CHECKS, Mismatch
from gancore.testing.kit import Kit
from gancore.testing.suite import cases

LOSS = """
@hookimpl
def gan_losses():
    yield Loss(name="other", summary="Another name for hinge", target="gancore.losses.adversarial:Hinge")
"""

FEATURES_OF_A_FILE = """
@hookimpl
def gan_features():
    yield Features(
        name="weights", summary="Of a file", target="gan_image.features.pixels:Pixels", options="gan_image.data.folder:Options")
"""

IMAGE_NETWORKS = """
@hookimpl
def gan_architectures():
    yield Architecture(
        name="net", summary="A DCGAN", target="gan_image.nets.dcgan:build", options="gan_image.nets.dcgan:Options")
"""


def register(plugin_module: Callable[..., ModuleType], source: str) -> Registry:
    registry = Registry()
    registry.register(plugin_module(source), "mine")
    return registry


def test_a_plugin_that_only_adds_a_loss_is_tried_on_points(plugin_module: Callable[..., ModuleType]) -> None:
    report = check_plugin("mine", registry=register(plugin_module, LOSS), only="[ls]*.[lcf]*")
    assert report.ok
    assert {r.check for r in report.of("passed")} >= {"loss.contract", "loss.finite", "step.loss"}


def test_features_of_a_file_that_the_kit_has_not_are_skipped(plugin_module: Callable[..., ModuleType]) -> None:
    registry = register(plugin_module, FEATURES_OF_A_FILE)
    assert check_plugin("mine", registry=registry, only="component.defaults").ok
    report = check_plugin("mine", registry=registry, only="features.contract")
    assert [(r.outcome, r.found) for r in report.results] == [
        ("skipped", "it needs a path to a file or folder, and the kit has none")
    ]


def test_networks_for_images_need_a_host_and_say_so(plugin_module: Callable[..., ModuleType]) -> None:
    alone = check_plugin("mine", registry=register(plugin_module, IMAGE_NETWORKS), only="networks.*")
    assert not alone.ok
    assert alone.of("failed") == ()
    assert all("--with PLUGIN" in r.found for r in alone.of("blocked"))
    hosted = check_plugin("mine", registry=register(plugin_module, IMAGE_NETWORKS), host="image", only="networks.*")
    assert hosted.ok, [str(r) for r in hosted.of("failed")]
    assert {r.subject for r in hosted.results} == {"architecture net"}


def test_what_is_read_from_files_is_checked_on_the_data_given(tmp_path: Path) -> None:
    pictures = np.random.default_rng(0).integers(0, 255, (20, 16, 16), dtype=np.uint8)
    np.savez(tmp_path / "x.npz", x_train=pictures, y_train=np.arange(20) % 3)
    without = check_plugin("image", only="data.*array]")
    assert {r.outcome for r in without.results if r.check != "data.broken"} == {"skipped"}
    given = check_plugin("image", data=tmp_path / "x.npz", only="data.*array]")
    assert {r.outcome for r in given.results} == {"passed"}


def test_an_unknown_plugin_is_an_error_with_suggestions() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'image'"):
        check_plugin("imgae")


def test_a_report_is_plain_values() -> None:
    report = check_plugin("gancore-points", only="plugin.*")
    told = json.loads(json.dumps(report.dump()))
    assert told["ok"] is True
    assert (told["plugin"], told["version"]) == ("gancore-points", API_VERSION)
    assert [set(r) for r in told["results"]] == [
        {"check", "subject", "hook", "outcome", "expected", "found", "seconds"}
    ] * len(told["results"])


def test_a_pattern_picks_checks_or_subjects() -> None:
    with Kit("gancore") as kit:
        assert {c.check.name for c in cases(kit, "loss.*")} == {n for n in CHECKS if n.startswith("loss.")}
        assert {c.subject for c in cases(kit, "*hinge]")} == {"loss hinge"}
        assert list(cases(kit, "nothing")) == []


def test_global_random_numbers_are_left_as_they_were() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    check_plugin("gancore-points", only="data.*")
    assert torch.equal(torch.rand(3), expected)


def test_a_case_raises_what_was_expected_found_and_where_to_read(plugin_module: Callable[..., ModuleType]) -> None:
    registry = register(plugin_module, LOSS.replace("adversarial:Hinge", "adversarial:Hinged"))
    with Kit("mine", registry=registry) as kit:
        [case] = cases(kit, "component.resolves")
        with pytest.raises(ContractError) as caught:
            case()
    for words in ("component.resolves", "loss other", "expected: ", "found: ", "Hinged", "gancore.hookspecs"):
        assert words in str(caught.value)


def test_an_exception_is_described_by_the_authors_own_line() -> None:
    def author() -> None:
        raise KeyError("rate")

    try:
        author()
    except KeyError as error:
        line = describe(error)
    assert line.startswith("KeyError: 'rate'")
    assert "in author" in line
    assert Path(__file__).name in line


def test_an_exception_that_is_its_own_cause_is_described() -> None:
    error = Mismatch("odd")
    error.__cause__ = error
    assert describe(error).startswith("Mismatch: odd")


def test_every_check_says_what_it_expects_and_whose_hook_it_is() -> None:
    from gancore import hookspecs

    for check in CHECKS.values():
        assert check.expected
        assert hasattr(hookspecs, check.hook), check.name


def test_authors_write_one_test_and_pytest_shows_one_for_each_check(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        from gancore.testing import conformance

        @conformance("gancore-points", only="plugin.*")
        def test_contract(check):
            check()

        def test_fixtures(gan_registry, gan_train, gan_command):
            run = gan_train("gancore-points", steps=1)
            assert run.step == 1
            assert "image" in [p.name for p in gan_registry.installed()]
            assert gan_command("--version").stdout.strip()
    """)
    pytester.makeconftest("""
        import pytest
        from gancore.testing import points

        @pytest.fixture
        def gan_registry(gan_registry):
            gan_registry.register(points, points.NAME)
            return gan_registry
    """)
    result = pytester.runpytest_inprocess("-v", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=3, skipped=2)
    result.stdout.fnmatch_lines(["*version 1 of the plugin contract*", "*plugin.loads?gancore-points?*PASSED*"])
