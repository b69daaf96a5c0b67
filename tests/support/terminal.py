"""Whole commands in processes of their own, as a user types them."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from support.forked import Forked, start

TINY = (
    "architecture.width=8",
    "architecture.latent=16",
    "batch_size=16",
    "every.log=5",
    "every.health=10",
    "samples=10",
)
"""Settings that make a training of a few seconds out of any."""
DIGITS = ("run", "--plugin", "image", "--preset", "digits")
"""The quickest training of images."""
GAN = ("-m", "gan_cli")


@dataclass(frozen=True)
class Terminal:
    """Runs `gan` in `folder`."""

    folder: Path

    def start(self, *arguments: object, launcher: tuple[str, ...] = GAN) -> Forked | subprocess.Popen[str]:
        """A process of its own, which goes on meanwhile."""
        return start(sys.executable, [*launcher, *map(str, arguments)], cwd=self.folder, env=self._variables())

    def launch(self, *arguments: object) -> subprocess.Popen[str]:
        """The same by a new interpreter, from the beginning, with pipes for what it prints: slow."""
        return subprocess.Popen(
            [sys.executable, *GAN, *map(str, arguments)],
            cwd=self.folder,
            env=self._variables(),
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def gan(
        self, *arguments: object, code: int = 0, launcher: tuple[str, ...] = GAN
    ) -> subprocess.CompletedProcess[str]:
        """Run it to its end, by another `launcher` where that is asked for; it must end with `code`."""
        process = self.start(*arguments, launcher=launcher)
        out, err = process.communicate(timeout=240)
        assert process.returncode == code, f"exit {process.returncode}\n{out}\n{err}"
        return subprocess.CompletedProcess(["gan", *map(str, arguments)], process.returncode, out, err)

    def _variables(self) -> dict[str, str]:
        own = {"OMP_NUM_THREADS": "1", "GAN_CACHE_DIR": str(self.folder / "cache"), "COLUMNS": "200"}
        return dict(os.environ) | own
