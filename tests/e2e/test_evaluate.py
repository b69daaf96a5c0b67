"""From a trained run to a table of figures, as a user types it."""

from __future__ import annotations

import json
import re

import pytest
from support.terminal import DIGITS, TINY, Terminal


@pytest.mark.slow
def test_a_run_that_holds_out_phrases_is_compared_with_those(terminal: Terminal) -> None:
    small = ("--steps", 4, "data.count=200", "held_out=0.2", "architecture.width=8", "batch_size=16", "every.sample=0")
    terminal.gan("run", "--plugin", "music", *small, "--out", "r", "--quiet")
    done = terminal.gan("evaluate", "r", "-n", 100)
    told = json.loads((terminal.folder / "r" / "evaluations" / "step-00000004.json").read_text())
    head, *sentences, columns = done.stdout.splitlines()[: len(told["summary"]) + 2]
    rows = done.stdout.splitlines()[len(sentences) + 2 :]
    assert sentences == told["summary"]
    assert len(sentences) == 5
    protocol = told["protocol"]
    assert f"100 samples generated with seed 0 and {protocol['real']} real ones (held-out part of" in head
    assert protocol["train_size"] + protocol["reference_size"] == 200
    assert columns.split()[:2] == ["figure", "generated"]
    hidden = int(re.search(r"not shown: (\d+) figures", done.stderr)[1])
    assert len(rows) + hidden == sum(len(figures) for figures in told["figures"].values()) + len(told["notes"])
    assert "what figures mean: docs/explanation/figures.md, docs/reference/music-metrics.md" in done.stderr
    assert "Traceback" not in done.stderr


def test_pictures_are_spoken_of_in_sentences_and_as_a_table_of_features(terminal: Terminal) -> None:
    terminal.gan(*DIGITS, "--steps", 1, "--out", "r", "--quiet", *TINY)
    done = terminal.gan("evaluate", "r", "-n", 40, "features.lite0.size=32")
    told = json.loads((terminal.folder / "r" / "evaluations" / "step-00000001.json").read_text())
    head, *lines = done.stdout.splitlines()
    assert "40 samples generated with seed 0 and 40 real ones (training set of digits" in head
    assert lines[: len(told["summary"])] == told["summary"]
    assert told["summary"][0].startswith("Do they seem real? ")
    assert told["protocol"]["features"]["lite0"]["size"] == 32
    assert any(line.startswith("mind-lite0 ") for line in lines)
    assert told["pictures"] == ["step-00000001-nearest.png", "step-00000001-best-and-worst.png"]
    assert all((terminal.folder / "r" / "evaluations" / name).exists() for name in told["pictures"])
    assert "Traceback" not in done.stderr


def test_a_run_without_metrics_says_so_in_one_sentence(terminal: Terminal) -> None:
    terminal.gan(*DIGITS, "--steps", 1, "--out", "r", "--quiet", *TINY)
    failed = terminal.gan("evaluate", "r", "features=none", code=2)
    assert failed.stdout == ""
    assert failed.stderr.startswith("error: no metric was left, so there is nothing to compute; name one")
    assert len(failed.stderr.splitlines()) == 1
