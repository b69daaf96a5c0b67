"""The folder of a run: made once, readable by anyone, and never overwritten."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gancore.data.fingerprint import Fingerprint
from gancore.data.report import ScanReport, Skipped
from gancore.errors import RunFolderError
from gancore.run import RunFolder, check_place, replace_text
from gancore.runs import list_runs

PRINT = Fingerprint(samples=2, content="c0ffee")


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "run", "toy")


# --- making one -------------------------------------------------------------------------------------------------------


def test_new_folder_is_made_with_its_parents(tmp_path: Path) -> None:
    made = RunFolder.create(tmp_path / "a" / "b", "toy")
    assert made.path == tmp_path / "a" / "b"
    assert made.path.is_dir()


def test_empty_folder_may_be_used(tmp_path: Path) -> None:
    assert RunFolder.create(tmp_path, "toy").path == tmp_path


@pytest.mark.parametrize("kind", ["file", "hidden file inside", "folder inside"])
def test_what_exists_is_never_overwritten(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "run"
    if kind == "file":
        path.write_text("mine")
    else:
        path.mkdir()
        (path / ".mine").touch() if kind == "hidden file inside" else (path / "samples").mkdir()
    with pytest.raises(RunFolderError, match=r"exists already and nothing is overwritten; choose another --out"):
        RunFolder.create(path, "toy")


def test_folder_that_cannot_be_made_is_an_error_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").touch()
    for path in (None, tmp_path / "runs" / "inside"):
        with pytest.raises(RunFolderError, match=r"cannot be made \((File exists|Not a directory)\)"):
            RunFolder.create(path, "toy")


def test_runs_without_a_name_are_numbered_by_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = [RunFolder.create(None, plugin).path.as_posix() for plugin in ("toy", "toy", "image", "toy")]
    assert names == ["runs/toy-001", "runs/toy-002", "runs/image-001", "runs/toy-003"]


@pytest.mark.parametrize(
    ("existing", "expected"),
    [
        (["toy-001", "toy-007"], "toy-008"),
        (["toy-999"], "toy-1000"),
        (["toy-1000", "toy-002"], "toy-1001"),
        (["toy-mine", "toy-1x", "xtoy-5", "image-9"], "toy-001"),
    ],
)
def test_number_is_one_above_the_highest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, existing: list[str], expected: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in existing:
        (tmp_path / "runs" / name).mkdir(parents=True)
    assert RunFolder.create(None, "toy").path.name == expected


def test_plugin_name_is_no_pattern(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "aab-005").mkdir(parents=True)
    assert [RunFolder.create(None, "c++").path.name for _ in range(2)] == ["c++-001", "c++-002"]
    assert RunFolder.create(None, "a.b").path.name == "a.b-001"


def test_runs_that_begin_at_once_get_folders_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: RunFolder.create(None, "toy").path.name, range(24)))
    assert sorted(made) == [f"toy-{n:03d}" for n in range(1, 25)]


# --- opening and listing ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "words"), [("gone", "it does not exist"), ("", "it has no config.toml")])
def test_folder_that_is_no_run_is_not_opened(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(RunFolderError, match=words):
        RunFolder.open(tmp_path / name)


def test_runs_are_listed_oldest_first_and_other_folders_left_out(tmp_path: Path) -> None:
    import os

    (tmp_path / "notes").mkdir()
    (tmp_path / "file").touch()
    for age, name in ((10, "b"), (30, "a"), (20, "c")):
        RunFolder.create(tmp_path / name, "toy").write_config({"steps": 1}, "")
        os.utime(tmp_path / name / "config.toml", (1000 - age, 1000 - age))
    assert [p.name for p in list_runs(tmp_path)] == ["a", "c", "b"]


def test_where_there_is_no_folder_there_are_no_runs(tmp_path: Path) -> None:
    assert list_runs(tmp_path / "none") == []


# --- what is written --------------------------------------------------------------------------------------------------


def test_configuration_is_toml_below_its_header(folder: RunFolder) -> None:
    folder.write_config({"steps": 3, "loss": {"name": 'a "b" \\ c'}}, "first\nsecond")
    text = folder.config.read_text(encoding="utf-8")
    assert text.startswith("# first\n# second\n")
    assert tomllib.loads(text) == {"steps": 3, "loss": {"name": 'a "b" \\ c'}}
    assert RunFolder.open(folder.path) == folder


def test_environment_names_versions_and_device(folder: RunFolder) -> None:
    import torch

    folder.write_environment("cpu")
    facts = json.loads((folder.path / "environment.json").read_text())
    # Some builds name what they were compiled for in one of the two places only.
    assert facts["packages"]["torch"].partition("+")[0] == torch.__version__.partition("+")[0]
    assert facts["packages"]["gancore"] == "0.1.0"
    assert facts["device"] == "cpu"


def test_data_report_lists_what_was_skipped(folder: RunFolder) -> None:
    folder.write_data_report(ScanReport("photos", 3, 2, (Skipped("chat \u00e9t\u00e9.png", "truncated"),)), PRINT)
    facts = json.loads((folder.path / "data.json").read_text(encoding="utf-8"))
    assert facts == {
        "source": "photos",
        "found": 3,
        "used": 2,
        "skipped": [{"path": "chat \u00e9t\u00e9.png", "reason": "truncated"}],
        "skipped_by_reason": {"truncated": 1},
        "held_out": 0,
        "notes": [],
        "warnings": [],
        "fingerprint": {"samples": 2, "content": "c0ffee", "files": ""},
    }


def test_data_report_is_read_as_it_was_written(folder: RunFolder) -> None:
    skipped = (Skipped("a\nb", "truncated"), Skipped("others", "more", 7))
    for report in (ScanReport("x", 9, 1, skipped, 2, ("a note",), ("a doubt",)), ScanReport("x", 1, 1)):
        folder.write_data_report(report, PRINT)
        assert folder.read_data_report() == report
    (folder.path / "data.json").write_text('{"source": 3}')
    assert folder.read_data_report() is None


def test_replacing_leaves_the_old_text_when_it_fails(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    replace_text(path, "old")
    with pytest.raises(UnicodeEncodeError):
        replace_text(path, "half \ud800")
    assert path.read_text() == "old"
    replace_text(path, "new")
    assert [p.read_text() for p in tmp_path.glob("a.txt")] == ["new"]


# --- figures ----------------------------------------------------------------------------------------------------------


def test_figures_come_back_in_order(folder: RunFolder) -> None:
    assert list(folder.read_metrics()) == []
    rows = [{"step": 1, "loss": 0.1}, {"step": 2, "loss": 1e-30, "alerts": ["step 2: \u2028 odd"]}]
    for row in rows:
        folder.append_metrics(row)
    assert list(folder.read_metrics()) == rows


@pytest.mark.parametrize("rest", ['{"step": 3, "lo', '{"step"', "{", "7"])
def test_last_line_that_was_cut_off_is_left_out(folder: RunFolder, rest: str) -> None:
    folder.append_metrics({"step": 1})
    with folder.metrics.open("a") as file:
        file.write(rest)
    assert list(folder.read_metrics()) == [{"step": 1}]


def test_resumed_run_forgets_what_came_after_its_checkpoint_and_any_cut_off_line(folder: RunFolder) -> None:
    for step in (50, 100, 150):
        folder.append_metrics({"step": step})
    with folder.metrics.open("a") as file:
        file.write('{"step": 200, "los')
    folder.forget_after(100)
    folder.append_metrics({"step": 150, "again": True})
    assert list(folder.read_metrics()) == [{"step": 50}, {"step": 100}, {"step": 150, "again": True}]


DAMAGE = {
    "binary": b'{"step": 50}\n\xff\xfe\x00\n{"step": 100}\n',
    "a line that is cut in the middle": b'{"step": 50}\n{"step": 6\n{"step": 100}\n',
    "a step that is text": b'{"step": 50}\n{"step": "60"}\n{"step": 100}\n',
    "nested deep": b'{"step": 50}\n' + b"[" * 100_000 + b'\n{"step": 100}\n',
    "no mapping": b'{"step": 50}\n[1]\n{"step": 100}\n',
    "alerts that are none": b'{"step": 50}\n{"step": 60, "alerts": 3}\n{"step": 100}\n',
    "seconds that are none": b'{"step": 50}\n{"step": 60, "seconds": []}\n{"step": 100}\n',
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_figures_are_set_aside_and_what_can_be_read_is_kept(folder: RunFolder, kind: str) -> None:
    folder.metrics.write_bytes(DAMAGE[kind])
    with pytest.warns(UserWarning, match=r"is damaged in line 2; it now is metrics\.damaged-1\.jsonl"):
        folder.forget_after(100)
    assert list(folder.read_metrics()) == [{"step": 50}, {"step": 100}]
    assert folder.metrics.with_name("metrics.damaged-1.jsonl").read_bytes() == DAMAGE[kind]


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to(path.name)])
def test_what_is_no_file_of_figures_is_set_aside(folder: RunFolder, make: Callable[[Path], None]) -> None:
    for number in (1, 2):
        make(folder.metrics)
        assert list(folder.read_metrics()) == []
        with pytest.warns(UserWarning, match=rf"metrics\.damaged-{number}\.jsonl"):
            folder.forget_after(100)
        folder.append_metrics({"step": 1})
        assert list(folder.read_metrics()) == [{"step": 1}]
        folder.metrics.unlink()


def test_folder_in_the_place_of_a_record_is_set_aside(folder: RunFolder) -> None:
    (folder.path / "data.json").mkdir()
    with pytest.warns(UserWarning, match=r"data\.json' is a folder, and now called data\.damaged-1\.json"):
        folder.write_data_report(ScanReport("photos", 3, 2), PRINT)
    assert (folder.path / "data.json").is_file()


def test_forgetting_without_figures_is_no_error(folder: RunFolder) -> None:
    folder.forget_after(5)
    assert not folder.metrics.exists()


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("file/run", "'.*file' is no folder"),
        ("a/" + "b" * 300 + "/c", "a name in it is longer than 255 bytes"),
        ("away", "'.*away' is no folder"),
    ],
)
def test_place_where_no_folder_can_be_made_is_told_before_anything_is_read(
    tmp_path: Path, place: str, words: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "away").symlink_to(tmp_path / "nowhere")
    with pytest.raises(RunFolderError, match=words):
        check_place(tmp_path / place)
    check_place(tmp_path / "x" / "y")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["away", "file"]


def test_folder_that_may_not_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(RunFolderError, match="cannot be written"):
        check_place(tmp_path / "x")
