"""The example plugin for tables, installed as a third party's package in a fresh environment, and used as a user would."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path

import pytest
from support.environments import ROOT, Environment, build_wheel, make_environment

SOURCE = ROOT / "examples" / "gan-tabular"
pytestmark = pytest.mark.skipif(not SOURCE.is_dir(), reason="examples/ is not here, as in a source distribution")

TINY = (
    "architecture.latent=8",
    "architecture.width=16",
    "batch_size=32",
    "every.log=2",
    "samples=10",
    "data.modes=3",
)
"""Settings of a training of seconds."""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The wheels of the engine and of the example."""
    dist = tmp_path_factory.mktemp("dist")
    made = make_environment(tmp_path_factory.mktemp("tabular") / "venv")
    made.install(build_wheel(ROOT, dist), build_wheel(SOURCE, dist))
    return made


@pytest.fixture
def apartments(tmp_path: Path) -> Path:
    """A file as people have them: quoted texts, decimals, an empty cell here and there, a broken row."""
    draw = random.Random(0)
    path = tmp_path / "apartments.csv"
    with open(path, "w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["district", "rooms", "rent", "floor"])
        for number in range(200):
            rooms = draw.randint(1, 5)
            rent = "" if number % 9 == 4 else f"{180 * rooms + draw.gauss(0, 40):.2f}"
            rows.writerow([draw.choice(["Old Town", "Harbour, west"]), rooms, rent, draw.randint(-1, 60)])
        rows.writerow(["Harbour"])
    return path


@pytest.mark.slow
def test_its_own_tests_pass_where_it_is_installed(environment: Environment, tmp_path: Path) -> None:
    done = environment.run("python", "-m", "pytest", "-p", "no:cacheprovider", SOURCE / "tests", "-c",
                           SOURCE / "pyproject.toml", cwd=tmp_path)  # fmt: skip
    assert " passed" in done.stdout
    where = environment.run("python", "-c", "import gan_tabular; print(gan_tabular.__file__)", cwd=tmp_path)
    assert environment.site_packages in Path(where.stdout.strip()).parents


def test_a_csv_file_is_trained_on_sampled_and_reported(
    environment: Environment, apartments: Path, tmp_path: Path
) -> None:
    environment.gan(
        "run", "--plugin", "tabular", "--data", apartments, "--steps", "4", "--out", "run", *TINY, cwd=tmp_path
    )
    skipped = json.loads((tmp_path / "run" / "data.json").read_text(encoding="utf-8"))["skipped"]
    assert skipped == [{"path": "line 202", "reason": "has 1 cell instead of 4"}]

    environment.gan("sample", "run", "-n", "1000", "--out", "made", cwd=tmp_path)
    made = tmp_path / "made" / "sheet.csv"
    assert {path.name for path in made.parent.iterdir()} == {"recipes.json", "sheet.csv"}
    with open(made, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 1000
    assert {row["district"] for row in rows} <= {"Old Town", "Harbour, west"}
    assert all(row["rent"] == "" or len(row["rent"].partition(".")[2]) == 2 for row in rows)
    assert all(float(row["floor"]).is_integer() and "." not in row["floor"] for row in rows)

    # What was made is data again, and the report of it against the real file has both columns.
    environment.gan("run", "--plugin", "tabular", "--data", made, "--dry-run", cwd=tmp_path)
    done = environment.gan("tabular-report", "run", "--data", apartments, "--rows", "100", "--json", cwd=tmp_path)
    report = json.loads(done.stdout)
    assert report["rows"] == 100
    assert report["real"]["accuracy"] < report["generated"]["accuracy"]


def test_the_demo_needs_no_file(environment: Environment, tmp_path: Path) -> None:
    environment.gan(
        "run", "--plugin", "tabular", "--steps", "2", "--out", "demo", "data.count=300", *TINY, cwd=tmp_path
    )
    environment.gan("sample", "demo", "-n", "5", "--out", "made", cwd=tmp_path)
    lines = (tmp_path / "made" / "sheet.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("region,persons,age,")
    assert len(lines) == 6


def test_a_run_is_evaluated_by_the_metrics_of_the_example_on_rows_that_it_held_out(
    environment: Environment, tmp_path: Path
) -> None:
    held_out = ("held_out=0.3", "data.count=300")
    environment.gan("run", "--plugin", "tabular", "--steps", "2", "--out", "run", *held_out, *TINY, cwd=tmp_path)
    found = json.loads(environment.gan("evaluate", "run", "-n", "100", "--json", cwd=tmp_path).stdout)
    assert found["failures"] == {}
    assert found["protocol"]["reference_size"] + found["protocol"]["train_size"] == 300
    accuracy = found["figures"]["two-sample"]["accuracy"]
    assert accuracy["floor"] < accuracy["value"]  # after two steps boosted trees tell every row
