"""Whole commands in processes of their own, as a user types them."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from support.forked import run_gan

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
        """A new process, which goes on meanwhile."""
        return subprocess.Popen(
            [sys.executable, *launcher, *map(str, arguments)],
            cwd=self.folder,
            env=self._variables(),
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def gan(
        self, *arguments: object, code: int = 0, launcher: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run it to its end, by another `launcher` in new processes; it must end with `code`."""
        if launcher:
            process = self.start(*arguments, launcher=launcher)
            out, err = process.communicate(timeout=240)
            done = subprocess.CompletedProcess(process.args, process.returncode, out, err)
        else:
            done = run_gan(sys.executable, [*map(str, arguments)], cwd=self.folder, env=self._variables())
        assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def _variables(self) -> dict[str, str]:
        own = {"OMP_NUM_THREADS": "1", "GAN_CACHE_DIR": str(self.folder / "cache"), "COLUMNS": "200"}
        return dict(os.environ) | own
