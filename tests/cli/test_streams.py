"""Output that nobody reads, or that cannot be written, ends nothing but itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gan_cli import streams


def test_stream_falls_silent_when_its_reader_is_gone() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as file:
        stream = streams.Lasting(file)
        for _ in range(3):
            assert stream.write("word\n") == 5
            stream.flush()
        assert stream.lost is None


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
def test_result_that_a_full_disk_does_not_take_is_told_and_exits_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with open("/dev/full", "w") as file:
        monkeypatch.setattr(sys, "stdout", streams.Lasting(file))
        print("result")
        assert streams.close(0) == 1
    assert "could not be written to standard output (No space left on device)" in capsys.readouterr().err


def command(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", script, sys.executable],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"COLUMNS": "80"},
    )


def test_reader_that_leaves_ends_a_command_quietly() -> None:
    done = command('{ "$0" -m gan_cli --help; echo "exit $?" >&2; } | true')
    assert done.stderr == "exit 0\n"


def test_file_does_not_become_a_stream_that_was_closed() -> None:
    code = (
        "from gan_cli import streams; streams.open_all(); import os, sys; "
        "print(os.open(os.devnull, os.O_RDONLY)); print(1, file=sys.stderr)"
    )
    assert int(command(f'"$0" -c "{code}" 0<&- 2>&-').stdout) > 2
