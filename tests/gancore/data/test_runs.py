"""Runs that lie among data are told from folders of data, and left out."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from gancore.data.files import scan
from gancore.data.report import Skipped
from gancore.data.runs import check_apart, is_run, run_around
from gancore.errors import UsageError

CONFIG = (
    '# gancore 0.1.0: the complete configuration of this run.\n\nplugin = "image"\nsteps = 2\n\n[data]\nsize = 16\n'
)
RUN = {
    "config.toml": CONFIG,
    "environment.json": "{}",
    "checkpoints/step-000002/manifest.json": "{}",
    "samples/real/real.png": "x",
    "samples/step-000002.png": "x",
    "generated/001/sample-00000.png": "x",
    "progress.gif": "x",
}


def fill(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return root


def below(folder: str, files: dict[str, str] = RUN) -> dict[str, str]:
    return {f"{folder}/{name}": content for name, content in files.items()}


def pack(path: Path, files: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def names(path: Path) -> list[str]:
    return [entry.name for entry in scan(path).entries]


def test_runs_below_the_data_are_left_out_and_listed_whatever_they_are_called(tmp_path: Path) -> None:
    files = {"a.png": "x", "b/c.png": "x", **below("runs/image-001"), **below("b/my favourite")}
    wanted = (Skipped("b/my favourite", "the folder of a run"), Skipped("runs/image-001", "the folder of a run"))
    for place in (fill(tmp_path / "photos", files), pack(tmp_path / "photos.zip", files)):
        assert names(place) == ["a.png", "b/c.png"]
        assert scan(place).problems == wanted


@pytest.mark.parametrize("mark", ["environment.json", "checkpoints/step-1/x", "metrics.jsonl", "samples/real/real.png"])
def test_a_run_that_has_just_begun_or_has_lost_a_part_is_one(tmp_path: Path, mark: str) -> None:
    files = {"a.png": "x", **below("r", {"config.toml": CONFIG, mark: "x", "samples/one.png": "x"})}
    assert names(fill(tmp_path / "photos", files)) == ["a.png"]
    assert names(pack(tmp_path / "photos.zip", files)) == ["a.png"]


@pytest.mark.parametrize(
    "files",
    [
        {"config.toml": CONFIG, "one.png": "x"},
        {"config.toml": "[data]\nplugin = 'x'\n", "checkpoints/one.png": "x", "environment.json": "x"},
        {"checkpoints/one.png": "x", "environment.json": "x", "samples/real/one.png": "x"},
        {"config.toml/one.png": "x", "environment.json": "x"},
    ],
)
def test_folders_that_only_resemble_runs_are_data(tmp_path: Path, files: dict[str, str]) -> None:
    wanted = sorted(below("r", files))
    assert names(fill(tmp_path / "a", below("r", files))) == wanted
    assert names(pack(tmp_path / "a.zip", {"other.txt": "", **below("r", files)})) == ["other.txt", *wanted]


def test_what_the_path_itself_names_is_read_even_if_it_is_a_run(tmp_path: Path) -> None:
    run = fill(tmp_path / "runs" / "image-001", RUN)
    assert names(run / "generated") == ["001/sample-00000.png"]
    assert "samples/step-000002.png" in names(run)
    assert "image-001/samples/step-000002.png" in names(pack(tmp_path / "one.zip", below("image-001")))
    assert "samples/step-000002.png" in names(pack(tmp_path / "bare.zip", RUN))


def test_a_run_around_the_data_is_found(tmp_path: Path) -> None:
    run = fill(tmp_path / "r", RUN)
    assert run_around(run) == run_around(run / "samples" / "real") == run
    assert run_around(tmp_path) is None


@pytest.mark.parametrize("place", ["", "new", "cats/deep/new", "cats/sheet.png", "cats/../new"])
def test_samples_are_not_written_among_the_data(tmp_path: Path, place: str) -> None:
    data = fill(tmp_path / "photos", {"cats/1.png": "x"})
    (tmp_path / "link").symlink_to(data)
    for path in (data / place, tmp_path / "link" / place):
        with pytest.raises(UsageError, match="the data of this run, where samples would be trained on as data"):
            check_apart(path, data)


def test_samples_may_lie_beside_the_data_and_in_a_run_among_them_which_no_scan_reads(tmp_path: Path) -> None:
    data = fill(tmp_path / "photos", {"1.png": "x", **below("runs/one")})
    for path in (tmp_path / "photos-new", tmp_path / "new", data / "runs" / "one" / "generated" / "001"):
        check_apart(path, data)
    check_apart(data / "new", None)  # a data set that is made rather than read
    check_apart(tmp_path / "new", tmp_path / "words.txt")
    with pytest.raises(UsageError):  # the data are a run themselves, so all of it is read
        check_apart(data / "runs" / "one" / "new", data / "runs" / "one")


def test_a_pipe_called_like_a_configuration_is_not_waited_for(tmp_path: Path) -> None:
    fill(tmp_path, {"r/environment.json": "{}"})
    os.mkfifo(tmp_path / "r" / "config.toml")
    assert not is_run(tmp_path / "r")


def test_runs_of_an_archive_from_windows_are_found(tmp_path: Path) -> None:
    files = {"photos\\a.png": "x", **{name.replace("/", "\\"): text for name, text in below("photos/runs/one").items()}}
    assert names(pack(tmp_path / "photos.zip", files)) == ["photos/a.png"]
