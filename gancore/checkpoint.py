"""State on disk that survives anything: atomic, verified, and read without pickle.

A checkpoint is a folder `step-00000123/` of safetensors files, optimizer states, `state.json` and, written last, a
`manifest.json` with every file's SHA-256. It is written under another name and renamed when complete.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from gancore import optimizer_file
from gancore.disk import in_one_line, write_error
from gancore.errors import ChangedError, CheckpointError, GanError, MisfitError
from gancore.storage import new_file_mode, sync

MANIFEST = "manifest.json"
STATE = "state.json"
TENSORS = ".safetensors"
OPTIMIZER = ".optimizer.pt"
BEST = "best"
"""The folder beside the checkpoints with that of the best evaluation."""
FORMAT = 1
MOST_JSON = 64 * 1024 * 1024
"""Bytes of a manifest or a state, at most; they have some thousands."""
_NAME = re.compile(r"step-([0-9]{8,})")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A verified checkpoint: `state` is its `state.json`."""

    path: Path
    step: int
    state: Mapping[str, Any]

    @property
    def networks(self) -> list[str]:
        """Names that `tensors` takes."""
        return sorted(p.name.removesuffix(TENSORS) for p in self.path.glob(f"*{TENSORS}"))

    @property
    def players(self) -> list[str]:
        """Names that `optimizer` takes."""
        return sorted(p.name.removesuffix(OPTIMIZER) for p in self.path.glob(f"*{OPTIMIZER}"))

    def tensors(self, name: str) -> dict[str, Tensor]:
        """The tensors of `name.safetensors`.

        Raises:
            CheckpointError: the file is not part of the checkpoint or is not safetensors.
        """
        file = self.path / f"{name}{TENSORS}"
        try:
            return load_file(file)
        except Exception as error:  # damaged bytes make the reader raise anything
            raise CheckpointError(
                f"checkpoint '{self.path}': {file.name} cannot be read ({in_one_line(error)})"
            ) from error

    def digest(self, name: str) -> str:
        """The SHA-256 of `name.safetensors`, in hexadecimal, as the manifest has it."""
        return str(_read_json(self.path, MANIFEST, "has no readable manifest")["sha256"][f"{name}{TENSORS}"])

    def optimizer(self, name: str) -> dict[str, Any]:
        """The optimizer state of player `name`, all its numbers finite.

        Raises:
            CheckpointError: the file holds anything but tensors and plain values, or not as many as it says.
        """
        return optimizer_file.read(self.path / f"{name}{OPTIMIZER}")


def save(
    folder: Path,
    step: int,
    modules: Mapping[str, nn.Module],
    optimizers: Mapping[str, Mapping[str, Any]],
    state: Mapping[str, Any],
    keep: int,
) -> Path:
    """Write a complete checkpoint of `step` into `folder`, then delete older ones but the newest `keep`; returns its path.

    One of this step that holds the same weights already is left as it is: at no moment is there less on the disk than before.

    Raises:
        WriteError: the disk is full or cannot be written; what was there before still is.
    """
    try:
        return _save(folder, step, modules, optimizers, state, keep)
    except (Exception, KeyboardInterrupt) as error:
        clean(folder)  # what is unfinished would keep a full disk full
        told = write_error(error, f"the checkpoint of step {step:,} in '{folder}'")
        if told is None:
            raise
        raise told from error


def _save(
    folder: Path,
    step: int,
    modules: Mapping[str, nn.Module],
    optimizers: Mapping[str, Mapping[str, Any]],
    state: Mapping[str, Any],
    keep: int,
) -> Path:
    final = folder / f"step-{step:08d}"
    temporary = folder / f"{final.name}.tmp"
    _delete(temporary)
    folder.mkdir(exist_ok=True)  # not its parents: a run's folder that is gone is not to come back as a part of itself
    temporary.mkdir()
    mode = new_file_mode()
    for name, module in modules.items():
        tensors = {k: v.detach().cpu().contiguous().clone() for k, v in module.state_dict().items()}
        save_file(tensors, temporary / f"{name}{TENSORS}")
        (temporary / f"{name}{TENSORS}").chmod(mode)  # it makes files that nobody else can read
    for name, value in optimizers.items():
        optimizer_file.write(value, temporary / f"{name}{OPTIMIZER}")
    (temporary / STATE).write_text(json.dumps({"step": step, **state}, indent=1, allow_nan=False), encoding="utf-8")
    files = {p.name: _digest(p) for p in sorted(temporary.iterdir())}
    if _holds(final, files):
        _delete(temporary)
        return final
    for name in files:
        sync(temporary / name)
    (temporary / MANIFEST).write_text(
        json.dumps({"format": FORMAT, "step": step, "sha256": files}, indent=1), encoding="utf-8"
    )
    sync(temporary / MANIFEST)
    sync(temporary)
    if os.path.lexists(final):  # one that was passed over on resume
        _remove(final)
    temporary.rename(final)
    sync(folder)
    sync(folder.parent)
    # Later ones are damaged, or they would have been resumed from: they must not push this one out.
    for old in [path for number, path in _steps(folder) if number <= step][keep:]:
        _remove(old)
    return final


def keep_best(folder: Path, step: int) -> bool:
    """Keep the checkpoint of `step` in `folder` also in its folder `best`, whatever becomes of it here; whether it could be.

    Where the disk has hard links, both are the same files. A best before it stays as long as a checkpoint in `folder` is older
    than those after it: whoever has to go back there knows no other.

    Raises:
        WriteError: the disk is full or cannot be written; what was there before still is.
    """
    try:
        return _keep_best(folder, step)
    except OSError as error:
        clean(folder)
        told = write_error(error, f"the best checkpoint, of step {step:,}, in '{folder / BEST}'")
        if told is None:
            raise
        raise told from error


def _keep_best(folder: Path, step: int) -> bool:
    source, best = folder / f"step-{step:08d}", folder / BEST
    final = best / source.name
    if not final.is_dir() and source.is_dir():
        temporary = best / f"{source.name}.tmp"
        best.mkdir(exist_ok=True)
        _delete(temporary)
        temporary.mkdir()
        for path in source.iterdir():
            try:
                os.link(path, temporary / path.name)
            except OSError:
                shutil.copyfile(path, temporary / path.name)
                sync(temporary / path.name)
        sync(temporary)
        temporary.rename(final)
        sync(best)
    oldest = min(steps_of(folder), default=0)
    for _, path in [(number, path) for number, path in _steps(best) if number <= oldest][1:]:
        _remove(path)
    return final.is_dir()


def best_at(folder: Path, step: int) -> Checkpoint:
    """The checkpoint of `step` that `folder` keeps as the best one; CheckpointError where it does not verify."""
    return verify(folder / BEST / f"step-{step:08d}")


def forget_best_after(folder: Path, step: int) -> None:
    """Remove best checkpoints of steps after `step`, from which a run goes on."""
    for number, path in _steps(folder / BEST):
        if number > step:
            _remove(path)


def verify(path: Path) -> Checkpoint:
    """The checkpoint at `path`, every file compared with the manifest.

    Raises:
        CheckpointError: something is missing, added, changed or cannot be read.
    """
    try:
        return _verified(path)
    except OSError as error:
        where = f": {Path(error.filename).name} cannot be read" if error.filename else " cannot be read"
        raise CheckpointError(f"checkpoint '{path}'{where} ({error.strerror or error})") from error


def _verified(path: Path) -> Checkpoint:
    manifest = _read_json(path, MANIFEST, "has no readable manifest")
    version, step = manifest.get("format"), manifest.get("step")
    expected: Any = manifest.get("sha256")
    stated = _is_count(version) and _is_count(step) and isinstance(expected, dict)
    if not stated or not all(isinstance(digest, str) for digest in expected.values()):
        raise CheckpointError(
            f"checkpoint '{path}' has no readable manifest (it must state a format, a step and a digest of each file)"
        )
    if version != FORMAT:
        raise CheckpointError(
            f"checkpoint '{path}' is of format {version}, this gancore reads {FORMAT}; upgrade gancore"
        )
    # Hidden files are what file managers leave wherever they look.
    added = [p.name for p in path.iterdir() if p.name not in {MANIFEST, *expected} and not p.name.startswith(".")]
    if added:
        raise CheckpointError(
            f"checkpoint '{path}' has files that were not written with it: {', '.join(sorted(added))}"
        )
    for name, digest in expected.items():
        if Path(name).name != name or not _is_file(path / name):
            raise CheckpointError(f"checkpoint '{path}' lacks {_short(name)}")
        if _digest(path / name) != digest:
            raise CheckpointError(f"checkpoint '{path}': {name} is not what was written (its SHA-256 differs)")
    if STATE not in expected:
        raise CheckpointError(f"checkpoint '{path}': {STATE} is not covered by the manifest")
    state = _read_json(path, STATE, f": {STATE} cannot be read")
    found = state.get("step")
    if found is None or not _is_count(found) or found != step:
        raise CheckpointError(f"checkpoint '{path}': its manifest is of step {step}, its state of {_short(found)}")
    named = _NAME.fullmatch(path.name)
    if named and int(named[1]) != step:
        raise CheckpointError(f"checkpoint '{path}' has been renamed: it is of step {step}")
    return Checkpoint(path, int(found), state)


def _read_json(path: Path, name: str, trouble: str) -> dict[str, Any]:
    """The mapping in a file of the checkpoint at `path`, all its numbers finite and of a usual size."""
    words = f"checkpoint '{path}'{'' if trouble.startswith(':') else ' '}{trouble}"
    try:
        if not _is_file(path / name):
            raise ValueError(
                "there is no such file" if not os.path.lexists(path / name) else "it is not a regular file"
            )
        if (path / name).stat().st_size > MOST_JSON:
            raise ValueError(f"it is larger than {MOST_JSON / 2**20:.0f} MiB")
        value = json.loads((path / name).read_bytes().decode("utf-8"))
        _check_numbers(value)
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        reason = "it is nested too deep" if isinstance(error, RecursionError) else in_one_line(error)
        raise CheckpointError(f"{words} ({reason})") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{words} (it holds a {type(value).__name__}, not names with values)")
    return value


def _check_numbers(value: Any) -> None:
    """ValueError for a number that JSON lets through but nothing here can hold."""
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            _check_numbers(inner)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"it holds the number {value}")
    elif isinstance(value, int) and abs(value) >= 2**63:
        raise ValueError(f"it holds a number of {len(str(abs(value)))} digits")


def any_in(folder: Path) -> bool:
    """Whether anything was ever saved in `folder`, good or damaged."""
    return bool(_steps(folder))


def at(folder: Path, step: int) -> Checkpoint:
    """The checkpoint of `step` in `folder`, or among those of its best evaluations.

    Raises:
        CheckpointError: there is none, or it does not verify.
    """
    name = f"step-{step:08d}"
    path = next((path for path in (folder / name, folder / BEST / name) if path.is_dir()), None)
    if path is None:
        there = ", ".join(str(n) for n in all_steps_of(folder)) or "none"
        raise CheckpointError(f"there is no checkpoint of step {step} in '{folder}'; steps there: {there}")
    return verify(path)


def newest(folder: Path) -> tuple[Checkpoint, list[CheckpointError]]:
    """The newest checkpoint in `folder` that verifies, and what was wrong with newer ones.

    Raises:
        CheckpointError: none verifies.
    """
    return newest_usable(folder, lambda found: found)


def newest_usable(folder: Path, use: Callable[[Checkpoint], T]) -> tuple[T, list[CheckpointError]]:
    """What `use` makes of the newest checkpoint in `folder` that verifies and that it takes, and what was wrong with newer ones.

    `use` raises CheckpointError for one that cannot be used; it must change nothing.

    Raises:
        CheckpointError: there is none; MisfitError where all are whole, but of another configuration; ChangedError at once, for going
            back would not undo the change.
    """
    problems: list[CheckpointError] = []
    for path in _newest_first(folder):
        try:
            return use(verify(path)), problems
        except ChangedError:
            raise
        except CheckpointError as error:
            problems.append(error)
        except GanError:
            raise
        except Exception as error:  # whatever keeps one from being read, there may be another
            trouble = CheckpointError(
                f"checkpoint '{path}' cannot be used ({type(error).__name__}: {in_one_line(error)})"
            )
            trouble.__cause__ = error
            problems.append(trouble)
    if problems and all(isinstance(problem, MisfitError) for problem in problems):
        raise problems[0]
    if problems:
        listed = "; ".join(map(str, problems))
        raise CheckpointError(f"no checkpoint in '{folder}' can be used: {listed}")
    raise CheckpointError(f"there is no checkpoint in '{folder}'; the run ended before its first was saved")


def steps_of(folder: Path) -> list[int]:
    """The steps that `folder` holds checkpoints of, rising."""
    return sorted(step for step, _ in _steps(folder))


def all_steps_of(folder: Path) -> list[int]:
    """The steps that `folder` holds checkpoints of, with those of its best evaluations, rising."""
    return sorted({*steps_of(folder), *steps_of(folder / BEST)})


def _newest_first(folder: Path) -> Iterator[Path]:
    """Checkpoints, and in the end those that have come meanwhile: a training takes old ones away as it saves new ones."""
    seen: set[Path] = set()
    while new := [path for _, path in _steps(folder) if path not in seen]:
        seen.update(new)
        yield from new


def clean(folder: Path) -> None:
    """Delete what an interrupted save has left behind."""
    for path in [*folder.glob("*.tmp"), *folder.glob(f"{BEST}/*.tmp")]:
        _delete(path)


def _steps(folder: Path) -> list[tuple[int, Path]]:
    """Complete-looking checkpoints with their steps, newest first."""
    found = [(int(m[1]), p) for p in folder.glob("step-*") if (m := _NAME.fullmatch(p.name))]
    return sorted(found, reverse=True)


def _holds(path: Path, files: Mapping[str, str]) -> bool:
    """Whether the checkpoint at `path` verifies and has the same weights and optimizer states, by their digests."""
    try:
        verify(path)
        saved = _read_json(path, MANIFEST, "has no readable manifest")["sha256"]
    except CheckpointError:
        return False
    return {k: v for k, v in saved.items() if k != STATE} == {k: v for k, v in files.items() if k != STATE}


def _remove(path: Path) -> None:
    """Delete a checkpoint so that half of it is never taken for a whole one."""
    doomed = path.with_name(f"{path.name}.old.tmp")
    _delete(doomed)
    path.rename(doomed)
    _delete(doomed)


def _delete(path: Path) -> None:
    """Delete a folder, or what lies there in its place."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_file(path: Path) -> bool:
    """Whether a regular file, which alone ends when it is read."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        return False
    except ValueError:  # a name that no file can have
        return False


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
