"""The folder of a run, readable without this program: configuration, environment, figures, samples, checkpoints."""

from __future__ import annotations

import contextlib
import json
import math
import os
import platform
import re
import stat
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, fields
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w

from gancore import run_lock
from gancore.configuration.layers import read_file
from gancore.data.report import ScanReport, Skipped, by_reason
from gancore.disk import write_error
from gancore.errors import RunFolderError, WriteError
from gancore.storage import missing_folders, occupied, sync, take_back
from gancore.text import check_path

if TYPE_CHECKING:
    from gancore.data.fingerprint import Fingerprint

LONGEST_NAME = 255
"""Bytes in the name of a file or folder, at most, on the usual file systems."""
PACKAGES = ("gancore", "torch", "numpy", "pydantic", "pluggy", "safetensors", "Pillow", "scikit-learn")


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Paths inside a run's folder and the few things that are done with them."""

    path: Path

    @classmethod
    def create(cls, path: Path | None, plugin: str) -> RunFolder:
        """A new run's folder: `path`, or the next free `runs/PLUGIN-001`.

        Raises:
            RunFolderError: `path` exists and is not an empty folder, or cannot be made.
        """
        if path is not None:
            check_free(path, hint=f", or go on with it: gan resume {path}")
            _make(path)
            return cls(path)
        root = Path("runs")
        _make(root)
        pattern = re.compile(rf"{re.escape(plugin)}-(\d+)")
        number = max((int(m[1]) for p in root.iterdir() if (m := pattern.fullmatch(p.name))), default=0)
        while True:
            number += 1
            try:
                (root / f"{plugin}-{number:03d}").mkdir()
            except FileExistsError:
                continue
            return cls(root / f"{plugin}-{number:03d}")

    @classmethod
    @contextmanager
    def begun(cls, path: Path | None, plugin: str) -> Iterator[RunFolder]:
        """As `create`, locked for a while. Where the body fails before anything of worth was saved, it is taken back.

        Raises:
            RunFolderError: as `create`, or another process has begun a run there.
        """
        made = missing_folders(path or Path("runs"))
        folder = cls.create(path, plugin)
        made = made if path is not None else [folder.path, *made]
        with ExitStack() as stack:
            try:
                stack.enter_context(run_lock.held(folder.path))
            except WriteError:
                take_back(folder.path, made)
                raise
            if any(p.name != run_lock.FILE for p in folder.path.iterdir()):  # another was quicker
                check_free(folder.path, hint=f", or go on with it: gan resume {folder.path}")
            try:
                yield folder
            except BaseException:
                if not folder.has_worth:
                    take_back(folder.path, made)
                raise

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """An existing run's folder.

        Raises:
            RunFolderError: there is none.
        """
        check_path(path, "the run's folder")
        if not (path / "config.toml").is_file():
            found = "does not exist" if not path.exists() else "has no config.toml"
            raise RunFolderError(f"'{path}' is not a run: it {found}; `gan runs` lists the runs here")
        return cls(path)

    @property
    def config(self) -> Path:
        return self.path / "config.toml"

    def read_config(self) -> dict[str, Any]:
        """The layer of settings in `config.toml`.

        Raises:
            UsageError: it is not TOML.
            RunFolderError: it names no plugin, as that of every run does.
        """
        layer = read_file(self.config)
        if not layer.get("plugin"):
            state = "names no plugin, so it is incomplete or belongs to another program" if layer else "is empty"
            raise RunFolderError(
                f"'{self.path}' cannot be used as a run: its config.toml {state}; put back the one that the run was trained with, "
                "or write its settings into it as `gan run ... --dry-run` prints them"
            )
        return layer

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def samples(self) -> Path:
        return self.path / "samples"

    @property
    def evaluations(self) -> Path:
        return self.path / "evaluations"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def last_saved(self) -> int | None:
        """The step of the newest checkpoint, good or damaged."""
        return max((int(p.name[5:]) for p in self.checkpoints.glob("step-*") if p.name[5:].isdecimal()), default=None)

    @property
    def has_worth(self) -> bool:
        """Whether there is a checkpoint or a line of figures: something that is not to be thrown away."""
        figures = self.metrics.exists() and self.metrics.stat().st_size > 0
        return figures or self.last_saved is not None

    def write_config(self, config: Mapping[str, Any], header: str) -> None:
        """The complete configuration, runnable again."""
        text = "".join(f"# {line}\n" for line in header.splitlines()) + "\n" + tomli_w.dumps(config)
        replace_text(self.config, text)

    def write_environment(self, device: str) -> None:
        """Versions and machine, for whoever wants the same numbers again."""
        import torch  # runs are listed without it

        facts = {
            "python": sys.version.split()[0],
            "platform": platform.platform(),
            "processor": platform.processor() or platform.machine(),
            "cpu_count": os.cpu_count(),
            "torch_threads": torch.get_num_threads(),
            "device": device,
            "cuda": torch.version.cuda,
            "packages": versions(),
        }
        replace_text(self.path / "environment.json", json.dumps(facts, indent=2) + "\n")

    def write_data_report(self, report: ScanReport, fingerprint: Fingerprint) -> None:
        """What was read, what tells it from other data, and what was skipped: a line for each, for there may be a million of them."""
        facts = {f.name: getattr(report, f.name) for f in fields(report) if f.name not in ("skipped", "files")}
        facts["fingerprint"] = asdict(fingerprint)
        facts["skipped_by_reason"] = by_reason(report.skipped)
        lines = (
            _dumped({"path": one.path, "reason": one.reason, **({"count": one.count} if one.count != 1 else {})})
            for one in report.skipped
        )
        skipped = ",\n  ".join(lines)
        listed = f"[\n  {skipped}\n ]" if skipped else "[]"
        head = json.dumps(facts, indent=1, ensure_ascii=False).removesuffix("\n}")
        replace_text(self.path / "data.json", f'{head},\n "skipped": {listed}\n}}\n')

    def read_data_report(self) -> ScanReport | None:
        """What `write_data_report` has written; None where there is nothing that can be read."""
        try:
            facts = json.loads((self.path / "data.json").read_text(encoding="utf-8"))
            skipped = tuple(Skipped(**one) for one in facts["skipped"])
            known = {f.name: facts[f.name] for f in fields(ScanReport) if f.name in facts and f.name != "skipped"}
            plain: dict[str, Any] = {
                name: tuple(value) if isinstance(value, list) else value for name, value in known.items()
            }
            return ScanReport(**plain, skipped=skipped)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write_start(self, record: Mapping[str, Any]) -> None:
        """What was taken from the run that this one begins with; `summary` holds it in sentences."""
        replace_text(self.path / "start.json", json.dumps(record, indent=1, ensure_ascii=False) + "\n")

    def read_start(self) -> list[str]:
        """The sentences that `write_start` has written; none where there are none that can be read."""
        try:
            summary = json.loads((self.path / "start.json").read_text(encoding="utf-8"))["summary"]
            return [line for line in summary if isinstance(line, str)]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return []

    def append_metrics(self, row: Mapping[str, Any]) -> None:
        """One line of metrics.jsonl; what it cannot hold is null."""
        before = self.metrics.stat().st_size if self.metrics.exists() else 0
        try:
            with self.metrics.open("a", encoding="utf-8") as file:
                file.write(json.dumps(plain(row)) + "\n")
        except OSError as error:
            with contextlib.suppress(OSError):  # a part of a line would hide those after it
                os.truncate(self.metrics, before)
            told = write_error(error, f"'{self.metrics}'")
            if told is None:
                raise
            raise told from error

    def read_metrics(self) -> Iterator[dict[str, Any]]:
        """The lines of metrics.jsonl in order, as far as they can be read; one that was cut off or damaged is left out."""
        yield from self._figures()[0]

    def forget_after(self, step: int) -> None:
        """Drop figures of steps after `step`, and of the steps that an end cut short: a resumed run writes them again.

        What is damaged is set aside with a warning, and what can be read of it is kept: figures never stop a run.
        """
        if not os.path.lexists(self.metrics):
            return
        rows, damage = self._figures()
        if damage:
            warnings.warn(
                f"'{self.metrics}' {damage}; it now is {set_aside(self.metrics).name}, and figures that could be read of it "
                "are kept",
                stacklevel=2,
            )
        kept = [row for row in rows if row["step"] <= step and not row.get("interim")]
        replace_text(self.metrics, "".join(json.dumps(row) + "\n" for row in kept))

    def _figures(self) -> tuple[list[dict[str, Any]], str]:
        """The good lines of metrics.jsonl, and what is wrong with it, in words; a cut-off last line is what a crash leaves."""
        if not os.path.lexists(self.metrics):
            return [], ""
        try:
            # Of other files than regular ones, reading may have no end.
            if not stat.S_ISREG(self.metrics.stat().st_mode):
                return [], "is not a regular file"
            data = self.metrics.read_bytes()
        except OSError as error:
            return [], f"cannot be read ({error.strerror or error})"
        *lines, last = data.split(b"\n")
        rows, damage = [], ""
        for number, line in enumerate([*lines, last] if last else lines, 1):
            row = _row(line)
            if row is not None:
                rows.append(row)
            elif number <= len(lines) and not damage:
                damage = f"is damaged in line {number:,}"
        return rows, damage

    def sync(self) -> None:
        """Wait until what a checkpoint relies on is on the disk: the configuration, the records, and the figures so far."""
        for path in (self.config, self.path / "environment.json", self.path / "data.json", self.metrics):
            if path.is_file():
                sync(path)
        sync(self.path)
        sync(self.path.absolute().parent)


def _row(line: bytes) -> dict[str, Any] | None:
    """A line of metrics.jsonl; None for one that is none."""
    try:
        row = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict) or not isinstance(row.get("step"), int) or not _is_number(row.get("seconds", 0.0)):
        return None
    if not all(_is_number(value) for value in row.values() if isinstance(value, int)):  # more digits than a float has
        return None
    alerts = row.get("alerts", [])
    if not isinstance(alerts, list) or not all(isinstance(alert, str) for alert in alerts):
        return None
    return row


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and abs(value) < 1e300  # as NaN is not


def set_aside(path: Path) -> Path:
    """Give what lies at `path` another name, `metrics.damaged-1.jsonl`; that name."""
    number = 1
    while os.path.lexists(aside := path.with_name(f"{path.stem}.damaged-{number}{path.suffix}")):
        number += 1
    path.rename(aside)
    return aside


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """`row` as JSON can hold it, which has no NaN or infinity: they become None."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}


_dumped = json.JSONEncoder(ensure_ascii=False).encode


def _make(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunFolderError(f"folder '{path}' cannot be made ({error.strerror}); choose another --out") from error


def check_free(path: Path, hint: str = "") -> None:
    """Make sure that writing to the folder `path` overwrites nothing.

    Raises:
        RunFolderError: it exists and is not an empty folder.
    """
    check_path(path, "the folder")
    if occupied(path):
        raise RunFolderError(f"'{path}' exists already and nothing is overwritten; choose another --out{hint}")


def check_place(path: Path, todo: str = "choose another --out") -> None:
    """Make sure, before anything long is done, that the folder `path` can be made, as far as it shows without making it.

    `todo` says what to do else.

    Raises:
        RunFolderError: a part of it is no folder, may not be written in, or has too long a name.
    """
    whole = path.expanduser().absolute()
    if any(len(os.fsencode(part)) > LONGEST_NAME for part in whole.parts):
        raise RunFolderError(
            f"folder '{path}' cannot be made (a name in it is longer than {LONGEST_NAME} bytes); {todo}"
        )
    there = next(folder for folder in (whole, *whole.parents) if os.path.lexists(folder))
    fault = ""
    if not there.is_dir():
        fault = f"'{there}' is no folder"
    elif not os.access(there, os.W_OK | os.X_OK):
        fault = f"'{there}' cannot be written"
    if fault:
        raise RunFolderError(f"folder '{path}' cannot be made ({fault}); {todo}")


def replace_text(path: Path, text: str) -> None:
    """Write `text` so that a reader, or a crash, finds the old file or the new one."""
    temporary = path.with_name(path.name + ".tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        sync(temporary)  # or a crash may find the new name with nothing in it
        if path.is_dir() and not path.is_symlink():
            warnings.warn(f"'{path}' is a folder, and now called {set_aside(path).name}", stacklevel=2)
        temporary.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):  # it would keep a full disk full
            temporary.unlink(missing_ok=True)
        told = write_error(error, f"'{path}'")
        if told is None:
            raise
        raise told from error


def versions() -> dict[str, str | None]:
    """The versions of the packages that decide what a run computes; None for one that is not installed."""
    return {name: _version(name) for name in PACKAGES}


@cache  # each time, all metadata of the package would be read
def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
