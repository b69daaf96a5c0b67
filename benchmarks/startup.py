"""How long help and lists take where 50 plugins and 10 commands are installed, two of which sleep 5 seconds when imported.

    python benchmarks/startup.py --rounds 15

Each command runs in a process of its own, beside `python -c pass`; within a round they take turns, and what is quoted is the
median over rounds, in seconds and as a multiple of the bare interpreter in the same round. `alone` is the same command without
the 60 packages. Bytecode is cached, as it is after `pip install`; the first round fills the cache
and does not count. `cpu_seconds` is what the processes themselves used, on a machine that does other things too.
It exits with 1 where a median of `seconds` is above `--limit`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.environments import MARKERS, many_packages

COMMANDS = {
    "gan --help": ("--help",),
    "gan plugins": ("plugins",),
    "gan run --plugin image --help": ("run", "--plugin", "image", "--help"),
}


def cost(command: list[str], environment: dict[str, str], folder: Path) -> tuple[float, float]:
    """Wall time of one process from its start to its end, and the processor's time that it used."""
    begun, before = time.perf_counter(), os.times()
    subprocess.run(command, env=environment, cwd=folder, check=True, capture_output=True)
    took, after = time.perf_counter() - begun, os.times()
    return took, after.children_user + after.children_system - before.children_user - before.children_system


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--limit", type=float, default=0.5, help="seconds that each command may take")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        many_packages(folder / "site")
        (folder / "markers").mkdir()
        alone = os.environ | {"COLUMNS": "100", "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}
        alone.pop("PYTHONDONTWRITEBYTECODE", None)
        crowded = alone | {"PYTHONPATH": str(folder / "site"), MARKERS: str(folder / "markers")}
        jobs = {("python -c pass", "alone"): ([sys.executable, "-c", "pass"], alone)}
        for words, arguments in COMMANDS.items():
            command = [sys.executable, "-m", "gan_cli", *arguments]
            jobs |= {(words, "alone"): (command, alone), (words, "crowded"): (command, crowded)}
        times: dict[tuple[str, str], list[float]] = {job: [] for job in jobs}
        cpu: dict[tuple[str, str], list[float]] = {job: [] for job in jobs}
        for number in range(args.rounds + 1):
            for job, (command, environment) in jobs.items():
                took, used = cost(command, environment, folder)
                if number:
                    times[job].append(took)
                    cpu[job].append(used)
        imported = [path.name for path in (folder / "markers").iterdir()]
    bare = times["python -c pass", "alone"]
    print(json.dumps({"command": "python -c pass", "seconds": round(statistics.median(bare), 4), "imported": imported}))
    slow = bool(imported)
    for words in COMMANDS:
        mine = times[words, "crowded"]
        median = statistics.median(mine)
        slow |= median > args.limit
        result = {
            "command": words,
            "seconds": round(median, 4),
            "range": [round(min(mine), 4), round(max(mine), 4)],
            "cpu_seconds": round(statistics.median(cpu[words, "crowded"]), 4),
            "alone_seconds": round(statistics.median(times[words, "alone"]), 4),
            "over_python": round(statistics.median(a / b for a, b in zip(mine, bare, strict=True)), 2),
        }
        print(json.dumps(result), flush=True)
    sys.exit(1 if slow else 0)


if __name__ == "__main__":
    main()
