"""Whole runs: the contract, three steps, samples, the report."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import gancore
import pytest
import torch
from gancore.errors import UsageError
from gancore.testing import conformance
from typer.testing import CliRunner

from gan_tabular.data import CsvOptions, open_csv
from gan_tabular.report import app, compare

TINY = {
    "architecture.latent": 8,
    "architecture.width": 16,
    "batch_size": 20,
    "every.log": 1,
    "samples": 10,
    "data.modes": 3,
}


@conformance("tabular")
def test_contract(check: Callable[[], None]) -> None:
    check()


@pytest.fixture
def run(mixed: Path, tmp_path: Path) -> Path:
    trained = gancore.train(plugin="tabular", data=mixed, steps=3, out=tmp_path / "run", options=TINY)
    assert trained.outcome == "completed"
    return trained.folder


def test_three_steps_leave_finite_figures_and_sheets(run: Path) -> None:
    figures = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [f["step"] for f in figures] == [1, 2, 3]
    assert all(torch.isfinite(torch.tensor(f["generator/loss"])) for f in figures)
    assert (run / "samples" / "step-00000003.csv").read_text().startswith("place,price,weight,tier,grade\n")


def test_samples_need_no_data_and_are_read_back(run: Path, mixed: Path, tmp_path: Path) -> None:
    mixed.unlink()
    generator = gancore.load(run)
    rows = generator.sample(50, seed=4)
    assert rows.dtype == torch.int32
    assert rows.equal(generator.sample(50, seed=4))
    [path] = generator.save(rows, tmp_path / "made.csv")
    assert len(open_csv(CsvOptions(path=path), lambda words, done, total: None)) == 50


def test_conditional_run_writes_the_class_that_was_asked_for(mixed: Path, tmp_path: Path) -> None:
    trained = gancore.train(
        plugin="tabular", data=mixed, steps=2, out=tmp_path / "run", options={**TINY, "data.label": "grade"}
    )
    generator = gancore.load(trained.folder)
    labels = generator.labels(6, "b")
    [path] = generator.save(generator.sample(6, condition="b"), tmp_path / "made.csv", labels)
    header, *lines = path.read_text(encoding="utf-8").splitlines()
    assert header == "place,price,weight,tier,grade"
    assert [line.rpartition(",")[2] for line in lines] == ["b"] * 6


def test_report_compares_with_held_out_rows(run: Path, mixed: Path) -> None:
    found = compare(run, mixed)
    assert found.rows == 200
    # The training rows are the held-out rows here, in another order.
    assert found.real["numbers"] == found.real["categories"] == 0.0
    assert found.generated["accuracy"] > 0.6
    assert found.generated["numbers"] > 0.05


def test_shuffled_rows_keep_their_columns_and_lose_their_dependences(tmp_path: Path) -> None:
    trained = gancore.train(plugin="tabular", steps=1, out=tmp_path / "run", options={**TINY, "data.count": 1000})
    found = compare(trained.folder, None)
    assert found.shuffled["numbers"] == pytest.approx(found.real["numbers"])
    assert found.shuffled["association"] > found.real["association"] + 0.1
    assert found.shuffled["accuracy"] > 0.75 > 0.55 > found.real["accuracy"]


def test_report_of_a_file_needs_held_out_rows(run: Path) -> None:
    with pytest.raises(UsageError, match="--data FILE"):
        compare(run, None)


def test_report_prints_a_table_and_json(run: Path, mixed: Path) -> None:
    done = CliRunner().invoke(app, [str(run), "--data", str(mixed), "--rows", "60"])
    assert done.exit_code == 0, done.output
    assert "accuracy" in done.output
    assert "column/price" in done.output
    done = CliRunner().invoke(app, [str(run), "--data", str(mixed), "--rows", "60", "--json"])
    assert json.loads(done.output)["rows"] == 60


def test_report_of_nothing_says_so_in_a_sentence(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, [str(tmp_path / "none")])
    assert done.exit_code == 1
    assert "Error:" in done.output
