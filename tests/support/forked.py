"""Commands in processes of their own that have torch imported already, each forked from one that waits: 0.7 s of CPU instead of 5.

What is imported before is other people's only, so a command still imports all of gancore itself, and from the environment whose
interpreter it is.
"""

from __future__ import annotations

import gc
import importlib
import json
import multiprocessing
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

IMPORTED = ("torch._dynamo", "torch.utils.tensorboard", "sklearn.datasets", "PIL.Image")
"""What takes long, and what nearly every training needs."""


def run_gan(
    python: str, arguments: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout: float = 240.0
) -> subprocess.CompletedProcess[str]:
    """`gan` with `arguments`, by an interpreter that has gancore, in folder `cwd` with the environment variables `env`."""
    if sys.platform != "linux":  # elsewhere, what torch has loaded may not outlast a fork
        command = [python, "-m", "gan_cli", *arguments]
        return subprocess.run(command, cwd=cwd, env=env, timeout=timeout, capture_output=True, text=True)
    server = _server(python, env.get("PYTHONPATH", ""))
    assert server.stdin is not None
    assert server.stdout is not None
    with tempfile.TemporaryDirectory() as folder:
        files = [str(Path(folder, name)) for name in ("out", "err")]
        order = {"arguments": list(arguments), "cwd": str(cwd), "env": dict(env), "files": files}
        server.stdin.write(json.dumps(order) + "\n")
        server.stdin.flush()
        ended, _, _ = select.select([server.stdout], [], [], timeout)
        if not ended:
            os.killpg(server.pid, signal.SIGKILL)
            _server.cache_clear()
            raise subprocess.TimeoutExpired(["gan", *arguments], timeout)
        code = int(server.stdout.readline())
        out, err = (Path(file).read_text(encoding="utf-8", errors="replace") for file in files)
    return subprocess.CompletedProcess(["gan", *arguments], code, out, err)


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
        child = multiprocessing.get_context("fork").Process(target=_gan, kwargs=json.loads(line))
        child.start()
        child.join()
        print(child.exitcode, flush=True)


def _gan(arguments: list[str], cwd: str, env: dict[str, str], files: list[str]) -> None:
    """In the child: take on what a new process would have been started with, and be `gan`."""
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    for number, file in enumerate(files, start=1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), number)
    sys.argv = ["gan", *arguments]
    from gan_cli import main

    main()


if __name__ == "__main__":
    _serve()
