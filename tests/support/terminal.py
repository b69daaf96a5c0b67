"""Whole commands in fresh processes, as a user types them."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

TINY = (
    "architecture.width=8",
    "architecture.latent=16",
    "batch_size=16",
    "every.log=5",
    "every.health=10",
    "samples=10",
)
"""Settings that make a training of a few seconds out of any."""


@dataclass(frozen=True)
class Terminal:
    """Runs `gan` in `folder`."""

    folder: Path

    def start(self, *arguments: object, launcher: tuple[str, ...] = ("-m", "gan_cli")) -> subprocess.Popen[str]:
        environment = os.environ | {
            "OMP_NUM_THREADS": "1",
            "GAN_CACHE_DIR": str(self.folder / "cache"),
            "COLUMNS": "200",
        }
        command = [sys.executable, *launcher, *map(str, arguments)]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=environment,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def gan(
        self, *arguments: object, code: int = 0, launcher: tuple[str, ...] = ("-m", "gan_cli")
    ) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments, launcher=launcher)
        out, err = process.communicate(timeout=240)
        assert process.returncode == code, f"exit {process.returncode}\n{out}\n{err}"
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)
