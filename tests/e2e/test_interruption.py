"""A run that is killed, interrupted or told to stop loses nothing: what `gan resume` ends with is what would have been."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from support.terminal import DIGITS, TINY, Terminal

Digests = Callable[[Path], dict[str, str]]
STEPS = 60
BUSY = (*TINY, "every.checkpoint=4", "every.sample=20", "every.log=7")


def wait_for(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def arguments(terminal: Terminal, workers: int, out: str) -> list[object]:
    """A run on pictures that are streamed, flipped and labelled: everything in which order and chance matter."""
    folder = terminal.folder / "pictures"
    if not folder.exists():
        noise = random.Random(0)
        for name in ("cats", "dogs"):
            (folder / name).mkdir(parents=True)
            for number in range(9):
                image = Image.frombytes("L", (12, 12), noise.randbytes(144))
                image.save(folder / name / f"{number}.png")
    return [
        "run", "--plugin", "image", "--data", "pictures", "--steps", STEPS, "--out", out, "data.size=8", "data.flip=true",
        "data.memory_limit_mb=0", f"workers={workers}", "penalties.r1.every=3", "augmentations=diffaugment", *BUSY,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, digests: Digests) -> dict[str, str]:
    """What an uninterrupted run comes to."""
    terminal = Terminal(tmp_path_factory.mktemp("uninterrupted"))
    terminal.gan(*arguments(terminal, 0, "whole"))
    return digests(terminal.folder / "whole")


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_killed_at_any_moment_and_resumed_equals_uninterrupted(
    terminal: Terminal, digests: Digests, whole: dict[str, str], workers: int
) -> None:
    run = terminal.folder / "killed"

    def reached() -> int:
        return max((int(p.name[5:]) for p in run.glob("checkpoints/step-????????")), default=0)

    chance = random.Random(workers)
    killed_at = []
    process = terminal.start(*arguments(terminal, workers, "killed"))
    for moment in (0, 1, STEPS // 2):
        wait_for(lambda least=moment: (run / "config.toml").exists() and reached() >= least)  # type: ignore[misc]
        time.sleep(chance.uniform(0.0, 0.1))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        killed_at.append(reached())
        process = terminal.start("resume", "killed")
    _, err = process.communicate(timeout=240)
    assert process.returncode == (2 if killed_at[-1] == STEPS else 0), err
    assert killed_at[0] < STEPS
    killed = digests(run)
    last = {k for k in whole if k.startswith((f"checkpoints/step-{STEPS:08d}", "samples/step-"))}
    assert len(last) >= 8
    assert {k: killed.get(k) for k in last} == {k: whole[k] for k in last}


@pytest.mark.parametrize(("number", "name"), [(signal.SIGINT, "Ctrl-C"), (signal.SIGHUP, "SIGHUP")])
def test_a_stopped_run_saves_and_says_how_to_go_on(
    terminal: Terminal, digests: Digests, number: signal.Signals, name: str
) -> None:
    # A schedule follows the length of the run, so only a constant one can come to the same.
    steady = ["schedules=none"]
    settings = [*DIGITS, "--steps", 3000, *steady, *TINY]
    process = terminal.start(*settings, "--out", "stopped")
    run = terminal.folder / "stopped"
    wait_for(lambda: (run / "metrics.jsonl").exists())
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"stopped by {name}" in err
    assert "gan resume stopped" in err
    [saved] = run.glob("checkpoints/step-*")
    step = int(saved.name[5:])
    assert 0 < step < 3000
    terminal.gan("resume", "stopped", "--steps", step + 5)
    terminal.gan(*DIGITS, "--steps", step + 5, *steady, *TINY, "--out", "whole")
    newest = f"checkpoints/step-{step + 5:08d}"
    whole, stopped = digests(terminal.folder / "whole"), digests(run)
    last = {k for k in whole if k.startswith(newest)}
    assert last
    assert {k: stopped.get(k) for k in last} == {k: whole[k] for k in last}


def test_reader_of_the_progress_that_leaves_does_not_end_the_training(terminal: Terminal) -> None:
    process = terminal.launch(*DIGITS, "--steps", 10, *TINY, "--out", "alone")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    process.stderr.close()
    assert process.wait(timeout=240) == 0
    assert (terminal.folder / "alone/checkpoints/step-00000010/manifest.json").exists()


def test_run_in_training_is_refused_to_a_second_process_and_free_when_it_is_killed(terminal: Terminal) -> None:
    process = terminal.start(*DIGITS, "--steps", 100000, "workers=2", *TINY, "--out", "one")
    wait_for(lambda: (terminal.folder / "one/metrics.jsonl").exists())
    refused = terminal.gan("resume", "one", code=1)
    assert f"'one' is being trained by process {process.pid} on " in refused.stderr
    assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.communicate()
    # Its loader processes are there for some seconds more; they keep nobody out.
    terminal.gan("resume", "one", "--steps", 1, "every.log=3")
    assert "log = 3" in (terminal.folder / "one/config.toml").read_text()
