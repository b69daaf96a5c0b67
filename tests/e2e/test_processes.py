"""The same command on two processes."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from support.terminal import DIGITS, TINY, Terminal

import gan_cli

# `torchrun -m gan_cli`, but with processes that it forks, so that they have torch imported.
TORCHRUN = (
    *("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
    *("--start-method", "fork", "--run-path", str(Path(gan_cli.__file__).with_name("__main__.py"))),
)


def test_two_processes_train_what_one_does(terminal: Terminal) -> None:
    settings = [*DIGITS, "--steps", 6, "architecture.norm=batch", "penalties.r1.every=2", *TINY]
    terminal.gan(*settings, "--out", "one")
    terminal.gan(*settings, "--out", "two", launcher=TORCHRUN)
    one, two = (
        load_file(terminal.folder / f"{run}/checkpoints/step-00000006/ema.safetensors") for run in ("one", "two")
    )
    assert one.keys() == two.keys()
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, atol=1e-4, rtol=1e-3, msg=name)
    terminal.gan("resume", "two", "--steps", 8, launcher=TORCHRUN)
    assert (terminal.folder / "two/checkpoints/step-00000008/manifest.json").exists()
