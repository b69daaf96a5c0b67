"""`gan plugins check`: faults on stdout, an exit code for CI, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from toys.faults import FAULTS
from toys.specimen import install
from typer.testing import Result

Gan = Callable[..., Result]
QUICK = "[cdlmp]*"
"""Checks that start no process and train nothing."""


@pytest.fixture
def specimen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clean_modules: None) -> Callable[[str], None]:
    """Install the specimen with a fault."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return lambda fault: install(tmp_path, FAULTS[fault][1])


def test_a_plugin_without_faults_exits_with_0_and_a_count(gan: Gan) -> None:
    text = gan("plugins", "check", "toy", "--only", "component.*").stdout
    assert "toy: " in text
    assert "0 failed" in text


def test_a_fault_is_told_with_what_was_expected_found_and_where_to_read(
    gan: Gan, specimen: Callable[[str], None]
) -> None:
    specimen("a sign is turned")
    text = gan("plugins", "check", "specimen", "--only", QUICK, code=1).stdout
    for words in ("loss.direction (loss logistic)", "expected: ", "found: ", "is a sign turned?", "gan_losses"):
        assert words in text
    assert "1 failed" in text


def test_json_has_every_result_and_the_exit_code_stays(gan: Gan, specimen: Callable[[str], None]) -> None:
    specimen("an option has no description")
    told = json.loads(gan("plugins", "check", "specimen", "--only", QUICK, "--json", code=1).stdout)
    assert told["ok"] is False
    assert {r["check"] for r in told["results"] if r["outcome"] == "failed"} == {"component.options"}
    assert len(told["results"]) > 20


def test_a_plugin_that_fails_on_import_is_a_fault_and_no_crash(gan: Gan, specimen: Callable[[str], None]) -> None:
    specimen("it fails on import")
    result = gan("plugins", "check", "specimen", code=1)
    assert "plugin.loads (specimen)" in result.stdout
    assert "no_such_module" in result.stdout


def test_what_is_in_the_way_of_many_checks_is_told_once(gan: Gan, specimen: Callable[[str], None]) -> None:
    specimen("there is no latent_shape")
    text = gan("plugins", "check", "specimen", "--only", "[n]*", code=1).stdout
    assert text.count("latent_shape") <= 3


def test_what_cannot_be_asked_is_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    assert "did you mean 'toy'" in refused("plugins", "check", "tpy", code=2)
    assert "unknown plugin 'imagine'" in refused("plugins", "check", "toy", "--with", "imagine", code=2)
    assert "no check matches 'dat.*'" in refused("plugins", "check", "toy", "--only", "dat.*", code=2)
    assert "no such file" in refused("plugins", "check", "toy", "--data", tmp_path / "none", code=2)
