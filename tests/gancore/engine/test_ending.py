"""Ends that nobody asked for: everything is saved that can be, one sentence says what happened, and nothing is in the way."""

from __future__ import annotations

import shutil

import pytest
from support.limits import no_file_above
from toys import pictures as toys
from toys.runs import begin as run
from toys.runs import go_on, rows

import gancore
from gancore import checkpoint
from gancore.errors import ConfigError, DataError, UsageError, WriteError


class At:
    """Calls a function at a tick."""

    def __init__(self, step, act):
        self.step = step
        self.act = act

    @gancore.hookimpl
    def gan_tick(self, event):
        if event.step == self.step:
            self.act()


def last_files(folder, step):
    files = [
        *(folder / "checkpoints" / f"step-{step:08d}").glob("*.safetensors"),
        *(folder / "samples").glob("step-*"),
    ]
    assert files
    return {p.name: p.read_bytes() for p in files}


@pytest.fixture
def whole(tmp_path):
    return run(tmp_path / "whole").folder


# --- writers ----------------------------------------------------------------------------------------------------------


class Failing:
    """The toy writer, failing at the sheets whose stems are named; it begins to write, as real ones do."""

    def __init__(self, *stems):
        self.stems = set(stems)
        self.real = toys.Text.write

    def __call__(self, writer, samples, folder, stem, labels=None):
        if stem in self.stems:
            (folder / f"{stem}.txt").write_text("half of it")
            raise ValueError("no such font")
        return self.real(writer, samples, folder, stem, labels)


def failing(monkeypatch, *stems):
    fails = Failing(*stems)
    monkeypatch.setattr(toys.Text, "write", lambda *a, **k: fails(*a, **k))
    return fails


def test_writer_that_raises_is_told_once_and_tried_again_and_the_run_completes(tmp_path, monkeypatch, whole, recwarn):
    failing(monkeypatch, "step-00000000", "step-00000005", "real")
    done = run(tmp_path / "run")
    told = [str(w.message) for w in recwarn if "writer" in str(w.message)]
    assert len(told) == 1
    assert "writer 'text' of plugin 'toy' could not write" in told[0]
    assert "ValueError: no such font" in told[0]
    assert done.outcome == "completed"
    assert [p.name for p in (tmp_path / "run" / "samples").glob("step-*")] == ["step-00000010.txt"]
    assert not list((tmp_path / "run" / "samples").rglob("real*.txt"))
    assert rows(tmp_path / "run") == rows(whole)


def test_real_samples_are_tried_again_at_the_next_sheet(tmp_path, monkeypatch):
    fails = failing(monkeypatch, "real")
    with pytest.warns(UserWarning, match="real samples"):
        run(tmp_path / "run", listeners=[At(4, fails.stems.clear)])
    assert (tmp_path / "run" / "samples" / "real" / "real.txt").exists()


def test_checkpoint_that_is_due_is_on_the_disk_before_the_sheet(tmp_path, monkeypatch):
    saved = {}

    def write(writer, samples, folder, stem, labels=None):
        saved[stem] = [p.name for p in (tmp_path / "run" / "checkpoints").glob("step-*")]
        return []

    monkeypatch.setattr(toys.Text, "write", write)
    run(tmp_path / "run", 6, **{"every.checkpoint": 5})
    assert saved["step-00000005"] == ["step-00000005"]


def test_sheet_that_an_end_came_before_is_written_on_resumption(tmp_path, monkeypatch):
    class PowerCut(BaseException):
        pass

    def cut(writer, samples, folder, stem, labels=None):
        if stem == "step-00000005":
            raise PowerCut
        return real(writer, samples, folder, stem, labels)

    real = toys.Text.write
    run(tmp_path / "other", **{"every.checkpoint": 5})
    monkeypatch.setattr(toys.Text, "write", cut)
    with pytest.raises(PowerCut):
        run(tmp_path / "run", **{"every.checkpoint": 5})
    monkeypatch.setattr(toys.Text, "write", real)
    go_on(tmp_path / "run")
    assert last_files(tmp_path / "run", 10) == last_files(tmp_path / "other", 10)


def test_samples_that_cannot_be_drawn_cost_a_sheet_and_no_training(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "gancore.sampling.sheets.draw", lambda *a: (_ for _ in ()).throw(RuntimeError("probabilities are negative"))
    )
    with pytest.warns(UserWarning, match="could not be generated: RuntimeError: probabilities are negative"):
        assert run(tmp_path / "run").outcome == "completed"


def test_report_that_cannot_be_written_is_a_warning(tmp_path, monkeypatch):
    monkeypatch.setattr("gancore.engine.ending.write_report", lambda *a: (_ for _ in ()).throw(ValueError("bad row")))
    with pytest.warns(UserWarning, match="the report could not be written: ValueError: bad row"):
        assert run(tmp_path / "run").outcome == "completed"


# --- disks ------------------------------------------------------------------------------------------------------------


def test_full_disk_is_one_sentence_with_what_is_saved_and_the_resumed_run_equals_the_whole(tmp_path, whole):
    limit = no_file_above(300)  # room for lines of figures, not for networks
    with pytest.raises(WriteError) as caught:
        run(tmp_path / "run", listeners=[At(4, limit.__enter__)])
    limit.__exit__(None, None, None)
    folder = tmp_path / "run"
    assert "checkpoint of step 6" in str(caught.value)
    assert (
        f"Step 3 is saved; raise the limit (ulimit -f) or choose another disk, then go on with: gan resume {folder}"
        in str(caught.value)
    )
    assert not list(folder.rglob("*.tmp"))
    go_on(folder)
    assert last_files(folder, 10) == last_files(whole, 10)
    assert rows(folder) == rows(whole)


def test_line_of_figures_that_finds_no_room_is_not_lost(tmp_path, whole, monkeypatch):
    real = gancore.run.RunFolder.append_metrics

    def full(folder, row):
        if row["step"] == 8:
            raise WriteError("'metrics.jsonl' could not be written: no space is left on the disk", "free some space")
        real(folder, row)

    monkeypatch.setattr(gancore.run.RunFolder, "append_metrics", full)
    with pytest.raises(WriteError, match="Step 8 is saved; free some space, then go on"):
        run(tmp_path / "run")
    monkeypatch.setattr(gancore.run.RunFolder, "append_metrics", real)
    go_on(tmp_path / "run")
    assert rows(tmp_path / "run") == rows(whole)
    assert last_files(tmp_path / "run", 10) == last_files(whole, 10)


def test_full_disk_in_a_writer_is_told_as_such(tmp_path, monkeypatch, recwarn):
    real = toys.Text.write

    def write(writer, samples, folder, stem, labels=None):
        with no_file_above(10):
            return real(writer, samples, folder, stem, labels)

    monkeypatch.setattr(toys.Text, "write", write)
    assert run(tmp_path / "run").outcome == "completed"
    [told] = [str(w.message) for w in recwarn if "writer" in str(w.message)]
    assert "exceed the maximum file size" in told
    assert not [p for p in (tmp_path / "run" / "samples").rglob("*") if p.is_file()]


def test_folder_that_vanishes_is_one_sentence_and_does_not_come_back(tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(WriteError, match=r"the run's folder '.*' is gone"):
        run(folder, listeners=[At(4, lambda: shutil.rmtree(folder))])
    assert not folder.exists()


def test_data_that_fail_between_two_steps_cost_nothing(tmp_path, whole, monkeypatch):
    real = toys.ToyData.fetch

    def fetch(data, indices, draws):
        if len(indices) == 8 and int(draws.positions[0]) // 8 == 7:
            raise OSError("the disk went away")
        return real(data, indices, draws)

    monkeypatch.setattr(toys.ToyData, "fetch", fetch)
    with pytest.raises(DataError, match=r"step 7 could not be read.*Step 7 is saved"):
        run(tmp_path / "run")
    monkeypatch.setattr(toys.ToyData, "fetch", real)
    go_on(tmp_path / "run")
    assert last_files(tmp_path / "run", 10) == last_files(whole, 10)


# --- nothing in the way -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("out", ["run", "new/deep/run"])
def test_run_that_fails_before_anything_was_saved_leaves_nothing(tmp_path, out):
    with no_file_above(100), pytest.raises(WriteError, match=r"config\.toml"):
        run(tmp_path / out)
    assert not list(tmp_path.iterdir())
    toys.FAULTS["crash"] = {2}
    with pytest.raises(RuntimeError, match="broke down"):
        run(tmp_path / out)
    assert not list(tmp_path.iterdir())
    toys.FAULTS.clear()
    assert run(tmp_path / out, 2).outcome == "completed"


def test_numbered_run_that_fails_takes_its_parent_with_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    toys.FAULTS["crash"] = {0}
    with pytest.raises(RuntimeError, match="broke down"):
        run(None)
    assert not list(tmp_path.iterdir())


def test_folder_that_was_there_stays_empty(tmp_path):
    (tmp_path / "run").mkdir()
    toys.FAULTS["crash"] = {0}
    with pytest.raises(RuntimeError, match="broke down"):
        run(tmp_path / "run")
    assert not list((tmp_path / "run").iterdir())


def test_run_with_a_checkpoint_or_figures_stays(tmp_path):
    toys.FAULTS["crash"] = {4}
    with pytest.raises(RuntimeError, match="broke down"):
        run(tmp_path / "a")
    assert checkpoint.any_in(tmp_path / "a" / "checkpoints")


# --- other options on resumption --------------------------------------------------------------------------------------


def test_run_is_resumed_with_other_options_that_do_not_change_the_training(tmp_path, whole):
    run(tmp_path / "run", 6)
    more = {"every.checkpoint": 100, "every.sample": 0, "writers.texts": "none", "keep": 5}
    go_on(tmp_path / "run", steps=10, options=more)
    ours, theirs = last_files(tmp_path / "run", 10), last_files(whole, 10)
    assert ours["ema.safetensors"] == theirs["ema.safetensors"]
    written = gancore.configuration.layers.read_file(tmp_path / "run" / "config.toml")
    assert (written["every"]["checkpoint"], written["keep"], written["steps"]) == (100, 5, 10)
    assert written["writers"]["texts"] == "none"


def test_what_would_change_the_training_is_refused_by_name_with_all_other_mistakes(tmp_path):
    run(tmp_path / "run", 4)
    before = (tmp_path / "run" / "config.toml").read_text()
    with pytest.raises(ConfigError) as caught:
        go_on(
            tmp_path / "run",
            steps=8,
            options={"seed": 3, "architecture.width": 9, "kep": 3, "every.log": 0, "steps": 9},
        )
    told = str(caught.value)
    assert "5 mistakes" in told
    for words in (
        "seed: cannot be changed",
        "architecture: cannot be changed",
        "kep: no such option",
        "keep",
        "every.log",
    ):
        assert words in told
    assert "steps: is given as --steps N" in told
    assert (tmp_path / "run" / "config.toml").read_text() == before


def test_steps_among_the_settings_are_those_of_the_argument(tmp_path, whole):
    run(tmp_path / "one", 6)
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    go_on(tmp_path / "one", options={"steps": 10})
    go_on(tmp_path / "two", steps=10, options={"steps": 10})
    assert last_files(tmp_path / "one", 10) == last_files(tmp_path / "two", 10)
    assert last_files(tmp_path / "one", 10)["ema.safetensors"] == last_files(whole, 10)["ema.safetensors"]


def test_finished_run_is_not_changed_by_options(tmp_path):
    run(tmp_path / "run", 4)
    before = (tmp_path / "run" / "config.toml").read_text()
    with pytest.raises(UsageError, match="to train it further, add --steps 8"):
        go_on(tmp_path / "run", options={"keep": 5})
    assert (tmp_path / "run" / "config.toml").read_text() == before


def test_error_of_a_plugin_has_a_note_on_whose_it_is_what_is_saved_and_how_to_go_on(tmp_path):
    toys.FAULTS["crash"] = {4}
    with pytest.raises(RuntimeError, match="broke down") as caught:
        run(tmp_path / "run")
    assert str(caught.value) == "the toy generator broke down"
    (note,) = caught.value.__notes__
    assert note.startswith("in architecture 'pair' of plugin 'toy', at pictures.py:")
    assert note.endswith(f"Step 3 is saved; mend that, then go on with: gan resume {tmp_path / 'run'}")
