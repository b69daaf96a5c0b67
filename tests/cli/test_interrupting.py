"""Ctrl-C while programs are still being loaded."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from gan_cli.interrupting import ending_at_once

INTERRUPTED = """
import os, signal
from gan_cli.interrupting import ending_at_once

class Finder:
    def find_spec(self, *arguments):  # as torch is imported: the interruption comes in the middle
        os.kill(os.getpid(), signal.SIGINT)

import sys
sys.meta_path.insert(0, Finder())
with ending_at_once():
    import something
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent otherwise there")
def test_interruption_while_programs_are_loaded_ends_in_one_word() -> None:
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (130, "interrupted\n")


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent otherwise there")
def test_interruption_when_all_is_done_does_nothing() -> None:
    script = "import os, signal\nfrom gan_cli.interrupting import ended\nended()\nos.kill(os.getpid(), signal.SIGINT)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_interruption_afterwards_is_again_what_it_was() -> None:
    before = signal.getsignal(signal.SIGINT)
    with ending_at_once():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before


def test_interruption_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with ending_at_once():
            assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
