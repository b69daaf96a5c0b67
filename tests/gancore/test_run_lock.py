"""One process at a time trains in a run's folder."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from toys import pictures as toys
from toys.runs import begin, go_on

from gancore import run_lock
from gancore.api import plan
from gancore.errors import RunFolderError, WriteError
from gancore.run import RunFolder

HOLDER = """
import sys, time
from pathlib import Path
from gancore import run_lock
with run_lock.held(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_second_holder_is_refused_with_the_name_of_the_first(tmp_path, holder):
    host = os.uname().nodename
    with (
        pytest.raises(RunFolderError, match=rf"is being trained by process {holder.pid} on {host} since 20\d\d-"),
        run_lock.held(tmp_path),
    ):
        pass


def test_process_that_is_killed_frees_its_lock(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with run_lock.held(tmp_path):
        pass


def test_lock_within_one_process_keeps_out_another_training_too(tmp_path):
    with (
        run_lock.held(tmp_path),
        pytest.raises(RunFolderError, match=f"process {os.getpid()}"),
        run_lock.held(tmp_path),
    ):
        pass
    with run_lock.held(tmp_path):
        pass


def test_a_look_at_the_lock_does_not_keep_a_training_out(tmp_path, monkeypatch):
    (tmp_path / run_lock.FILE).touch()
    with (tmp_path / run_lock.FILE).open("rb") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        monkeypatch.setattr("time.sleep", lambda seconds: fcntl.flock(looking, fcntl.LOCK_UN))
        with run_lock.held(tmp_path):
            pass


def test_copied_folder_is_free(tmp_path):
    (tmp_path / "a").mkdir()
    with run_lock.held(tmp_path / "a"):
        shutil.copytree(tmp_path / "a", tmp_path / "b")
        with run_lock.held(tmp_path / "b"):
            pass


def test_child_that_outlives_its_parent_does_not_keep_the_lock(tmp_path):
    reading, writing = os.pipe()
    with run_lock.held(tmp_path):
        child = os.fork()
        if child == 0:  # as a loader process does: it hangs on reading while its parent is killed
            os.write(writing, b"x")
            signal.pause()
        assert os.read(reading, 1) == b"x"
        [handle] = run_lock._held
    try:
        with run_lock.held(tmp_path):
            assert handle is not None
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_file_system_without_locks_is_a_warning(tmp_path, monkeypatch):
    def none(*arguments):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", none)
    with pytest.warns(UserWarning, match="files cannot be locked on this file system"), run_lock.held(tmp_path):
        pass


def test_folder_that_is_gone_is_told(tmp_path):
    with pytest.raises(WriteError, match="the folder is gone"), run_lock.held(tmp_path / "none"):
        pass


def test_run_in_training_is_neither_resumed_nor_begun_again(tmp_path, holder):
    settings = plan(plugin="toy", registry=toys.new_registry(), options=toys.SMALL)
    RunFolder(tmp_path).write_config(settings.dump(), "")
    before = sorted(p.name for p in tmp_path.iterdir())
    with pytest.raises(RunFolderError, match=f"process {holder.pid}"):
        go_on(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == before


def test_run_that_two_begin_at_once_belongs_to_the_first(tmp_path, monkeypatch):
    with RunFolder.begun(tmp_path / "run", "toy") as first:
        monkeypatch.setattr("gancore.run.check_free", lambda *a, **k: None)
        monkeypatch.setattr("gancore.api.check_free", lambda *a, **k: None)
        with pytest.raises(RunFolderError, match="is being trained by"):
            begin(tmp_path / "run", 2)
        assert first.path.is_dir()


def test_new_run_is_locked_while_it_trains(tmp_path):
    import gancore

    class Other:
        @gancore.hookimpl
        def gan_tick(self, event):
            try:
                go_on(event.folder)
            except RunFolderError as error:
                told.append(str(error))

    told: list[str] = []
    begin(tmp_path / "run", 4, [Other()])
    assert len(told) == 1
    assert f"process {os.getpid()}" in told[0]
    assert Path(tmp_path / "run" / "checkpoints" / "step-00000004").is_dir()
