"""The kit finds nothing in a plugin that keeps every promise, and each broken promise by the name of its check."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from toys.faults import FAULTS, NOT_EXACT
from toys.specimen import WITH_GIVEN, Change, install, more_data

from gancore.testing.check import CHECKS, Result
from gancore.testing.kit import Kit
from gancore.testing.suite import cases

SLOW = ("plugin.light", "*.device", "step.processes", "run.*")
"""Checks that take longest: left out where all others are looked at."""

Look = Callable[..., list[Result]]


@pytest.fixture
def look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Look]:
    """Install the specimen with changes, and run the checks on it that `only` names, and what they need, but not `without`."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def run(*changes: Change, only: str = "*", without: tuple[str, ...] = (), data: Path | None = None) -> list[Result]:
        install(tmp_path, changes)
        importlib.invalidate_caches()
        with Kit("specimen", data=data) as kit:
            wanted = [c for c in cases(kit, only) if not any(fnmatchcase(c.check.name, w) for w in without)]
            return [case.result() for case in wanted]

    yield run
    for module in [m for m in sys.modules if m.startswith("fake_specimen")]:
        del sys.modules[module]


def failed(results: list[Result]) -> set[str]:
    return {r.check for r in results if r.outcome == "failed"}


def test_a_plugin_that_keeps_every_promise_passes_every_check(look: Look) -> None:
    results = look(*WITH_GIVEN)
    assert [str(r) for r in results if r.outcome in ("failed", "blocked")] == []
    assert {r.check for r in results if r.outcome == "passed"} == set(CHECKS)


def test_a_way_back_that_is_only_near_will_do_where_the_spec_says_so(look: Look) -> None:
    near = (
        Change("parts", "    def harden(self, relaxed):", NOT_EXACT),
        Change("parts", "relaxed.float().clamp(-1.0, 1.0)", "relaxed.float() * 0.9"),
    )
    results = look(*near, only="data.relaxes")
    assert {r.outcome for r in results if r.check == "data.relaxes"} == {"passed"}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_found_by_name(fault: str, look: Look) -> None:
    check, changes = FAULTS[fault]
    results = look(*changes, only=check)
    assert check in failed(results), "\n".join(f"{r.outcome}: {r}" for r in results)
    [result, *_] = [r for r in results if r.check == check and r.outcome == "failed"]
    assert result.found
    assert result.expected


PLACED = {
    "options hold a list": "fake_specimen_parts.py:",
    "samples leave their range": "in fetch",
    "fetch draws from torch": "in fetch",
    "harden is not the inverse": "in harden",
    "the generator ignores the class": "in forward",
    "fetch mixes in a neighbour": "fake_specimen_parts.py:",
    "the generator fails in bf16": "in forward",
    "a flat sample cannot be written": "in write",
    "the generator remembers the last batch": "fake_specimen_parts.py:",
    "the generator draws noise of its own": "fake_specimen_parts.py:",
    "a power is misspelt": "fake_specimen_parts.py:",
    "a power lacks an argument": "fake_specimen_parts.py:",
    "a listener raises": "in gan_tick",
    "the loss is a sum": "fake_specimen_parts.py:",
    "the features lack a sample": "fake_specimen_parts.py:",
    "the metric is not finite": "in gap_metric",
    "values are lost": "fake_specimen_parts.py:",
}
"""Faults with what must be told of their place."""


@pytest.mark.parametrize("fault", PLACED)
def test_a_fault_is_told_with_its_place_in_the_authors_own_file(fault: str, look: Look) -> None:
    check, changes = FAULTS[fault]
    [found, *_] = [r.found for r in look(*changes, only=check) if r.check == check and r.outcome == "failed"]
    assert re.search(r"at fake_specimen(_parts)?\.py:[0-9]+", found), found
    assert PLACED[fault] in found


RAISES = """source = open_csv(options, progress)
    def fetch(indices, draws):
        raise KeyError("second")
    source.fetch = fetch
    return source"""
SHRINKS = """source = open_csv(options, progress)
    source.points = source.points * 0.5
    return source"""
OF_TEXTS = """rows = [[float(v) for v in file.read_text().split()] for file in sorted(options.path.glob("*.txt"))]
    if not rows:
        raise DataError(f"data '{options.path}': there is no .txt file")
    return Points(torch.tensor(rows), None, (), ScanReport(source="texts", found=len(rows), used=len(rows)))"""
REFUSES = """raise DataError(f"data '{options.path}': there is no .dat file")"""


def test_faults_of_a_data_set_are_told_of_no_other_and_of_no_writer(look: Look) -> None:
    results = look(*more_data('suffixes=(".csv",)', RAISES), only="[dw]*", without=SLOW)
    assert {r.subject for r in results if r.outcome in ("failed", "blocked")} == {"dataset second"}


def test_data_set_that_reads_back_otherwise_than_another_is_the_one_to_look_at(look: Look) -> None:
    results = look(*more_data('suffixes=(".csv",)', SHRINKS), only="writer.reads-back")
    [found] = [r.found for r in results if r.outcome == "failed"]
    assert re.search(r"data set 'csv' reads what was written, so look at 'second' first, at .*in open_second$", found)


def test_data_set_is_not_blamed_for_a_folder_that_another_reads(look: Look) -> None:
    changes = more_data("directories=True", OF_TEXTS) + more_data("directories=True", REFUSES, "third")
    results = look(*changes, only="*[.-][ob][pa][ec]*")
    told = {(r.check, r.subject): r.outcome for r in results}
    assert told["data.opens", "dataset second"] == told["writer.reads-back", "writer text"] == "passed"
    assert told["data.opens", "dataset third"] == "skipped"


def test_data_set_of_a_preset_is_not_tried_on_a_file_for_another(look: Look, tmp_path: Path) -> None:
    (tmp_path / "points.csv").write_text("0.1,0.2\n0.3,-0.4\n")
    yields = "    yield Preset("
    named = Change(
        "declarations", yields, yields + 'name="two", summary="More", config={**config, "data": "second"})\n' + yields
    )
    changes = (*more_data('suffixes=(".dat",)', REFUSES), named)
    results = look(*changes, only="data.opens", data=tmp_path / "points.csv")
    assert {r.subject: r.outcome for r in results}["dataset second"] == "skipped"


@pytest.mark.parametrize(
    ("scenes", "outcome", "told"), [(WITH_GIVEN, "passed", ""), ((), "skipped", "of halves alone")]
)
def test_attribute_that_refuses_the_samples_of_the_demo_is_tried_on_those_of_another_preset(
    look: Look, scenes: tuple[Change, ...], outcome: str, told: str
) -> None:
    refuses = """def radius_of(spec):
    if not spec.given_shape:
        from gancore.errors import UsageError

        raise UsageError("of halves alone")"""
    results = look(*scenes, Change("parts", "def radius_of(spec):", refuses), only="attribute.[ac]*")
    assert {(r.outcome, r.found) for r in results} == {(outcome, told)}


def test_what_is_blocked_names_the_check_that_blocks_it_and_no_more(look: Look) -> None:
    results = look(*FAULTS["there is no latent_shape"][1], without=SLOW)
    found = {r.found for r in results if r.outcome == "blocked"}
    assert "blocked by networks.build (preset demo)" in found
    assert all(re.fullmatch(r"blocked by [a-z.]+ \([^()]+\)", words) for words in found)


@pytest.mark.parametrize(
    ("fault", "blocked"),
    [
        ("fetch draws from torch", "data.travels"),
        ("fetch draws from torch", "run.seeded"),
        ("the generator remembers the last batch", "step.parts"),
        ("the generator remembers the last batch", "run.seeded"),
        ("the generator draws noise of its own", "run.loads"),
    ],
)
def test_what_a_fault_makes_incomparable_is_blocked_by_the_check_that_finds_it(
    fault: str, blocked: str, look: Look
) -> None:
    check, changes = FAULTS[fault]
    results = look(*changes, only=blocked)
    assert {r.outcome for r in results} == {"blocked"}, results
    assert all(r.found.startswith(f"blocked by {check} (") for r in results), results


def test_every_check_has_a_fault_that_it_finds() -> None:
    assert {check for check, _ in FAULTS.values()} | {
        "step.loss",
        "step.penalty",
        "step.augmentation",
        "run.trains",
    } == set(CHECKS)
