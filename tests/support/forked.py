"""Commands in processes of their own that have torch imported already, each forked from one that waits: 0.7 s of CPU instead of 5.

What is imported before is other people's only, so a command still imports all of gancore itself, and from the environment whose
interpreter it is. A command is what would follow the name of the interpreter: a script, `-m` and a module, or `-c` and
source text, and arguments.
"""

from __future__ import annotations

import gc
import importlib
import json
import multiprocessing
import os
import runpy
import select
import signal
import site
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

IMPORTED = ("torch._dynamo", "torch.utils.tensorboard", "sklearn.datasets", "PIL.Image")
"""What takes long, and what nearly every training needs."""


class Forked:
    """A running command, in the words of `subprocess.Popen`. Its parent is another process, the keeper, which outlives it."""

    def __init__(self, pid: int, keeper: int, folder: tempfile.TemporaryDirectory[str]) -> None:
        self.pid = pid
        self._keeper = os.pidfd_open(keeper)
        self._folder = folder

    def __del__(self) -> None:
        os.close(self._keeper)

    @property
    def returncode(self) -> int:
        return int(self._text("code"))

    def poll(self) -> int | None:
        return self.returncode if select.select([self._keeper], [], [], 0)[0] else None

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def communicate(self, timeout: float = 240.0) -> tuple[str, str]:
        """Wait for its end; what it wrote to stdout and stderr."""
        if not select.select([self._keeper], [], [], timeout)[0]:
            self.send_signal(signal.SIGKILL)
            raise subprocess.TimeoutExpired("a forked command", timeout)
        return self._text("out"), self._text("err")

    def _text(self, name: str) -> str:
        return Path(self._folder.name, name).read_text(encoding="utf-8", errors="replace")


def start(
    python: str, arguments: Sequence[str], *, cwd: Path, env: Mapping[str, str]
) -> Forked | subprocess.Popen[str]:
    """`python` with `arguments`, an interpreter that has torch, in folder `cwd` with the environment variables `env`."""
    if sys.platform != "linux":  # elsewhere, what torch has loaded may not outlast a fork
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [python, *arguments], cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True
        )
    server = _server(python, env.get("PYTHONPATH", ""))
    assert server.stdin is not None
    assert server.stdout is not None
    folder = tempfile.TemporaryDirectory()
    order = {"arguments": list(arguments), "cwd": str(cwd), "env": dict(env), "folder": folder.name}
    server.stdin.write(json.dumps(order) + "\n")
    server.stdin.flush()
    pid, keeper = map(int, server.stdout.readline().split())
    return Forked(pid, keeper, folder)


def run(
    python: str, arguments: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout: float = 240.0
) -> subprocess.CompletedProcess[str]:
    """The same, to its end."""
    process = start(python, arguments, cwd=cwd, env=env)
    out, err = process.communicate(timeout=timeout)
    return subprocess.CompletedProcess([python, *arguments], process.returncode, out, err)


@cache
def _server(python: str, path: str) -> subprocess.Popen[str]:
    """It ends with this process, whose end closes its input."""
    return subprocess.Popen(
        [python, "-P", __file__],
        env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _serve() -> None:
    for name in IMPORTED:
        importlib.import_module(name)
    gc.freeze()  # so that children neither look through all of it nor copy it
    for line in sys.stdin:
        # `start` lets go of keepers that have ended; whoever ordered them has opened them by then.
        keeper = multiprocessing.get_context("fork").Process(target=_keep, args=(json.loads(line),))
        keeper.start()


def _keep(order: dict[str, Any]) -> None:
    """In a child: start one of its own, say who they are, and write down how that ended."""
    child = multiprocessing.get_context("fork").Process(target=_command, kwargs=order)
    child.start()
    print(child.pid, os.getpid(), flush=True)
    child.join()
    Path(order["folder"], "code").write_text(str(child.exitcode))


def _command(arguments: list[str], cwd: str, env: dict[str, str], folder: str) -> None:
    """In the child: take on what a new process would have been started with, and be the command."""
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    for number, name in enumerate(("out", "err"), start=1):
        os.dup2(os.open(Path(folder, name), os.O_WRONLY | os.O_CREAT), number)
    for place in site.getsitepackages():  # for what has been installed since the server began
        site.addsitedir(place)
    importlib.invalidate_caches()
    if arguments[0] == "-m":
        sys.path.insert(0, cwd)
        sys.argv = arguments[1:]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    elif arguments[0] == "-c":
        sys.path.insert(0, cwd)
        sys.argv = ["-c", *arguments[2:]]
        exec(compile(arguments[1], "<string>", "exec"), {"__name__": "__main__"})
    else:
        sys.path.insert(0, str(Path(arguments[0]).resolve().parent))
        sys.argv = arguments
        runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    _serve()
