"""State on disk that survives anything: atomic, verified, and read without pickle.

A checkpoint is a folder `step-00000123/` of safetensors files, optimizer states, `state.json` and, written last, a
`manifest.json` with every file's SHA-256. It is written under another name and renamed when complete.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, ParamSpec

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from gancore.disk import write_error
from gancore.errors import CheckpointError

MANIFEST = "manifest.json"
STATE = "state.json"
FORMAT = 1
_NAME = re.compile(r"step-(\d{8,})")
P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A verified checkpoint: `state` is its `state.json`."""

    path: Path
    step: int
    state: Mapping[str, Any]

    def tensors(self, name: str) -> dict[str, Tensor]:
        """The tensors of `name.safetensors`.

        Raises:
            CheckpointError: the file is not part of the checkpoint or is not safetensors.
        """
        file = self.path / f"{name}.safetensors"
        try:
            return load_file(file)
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"checkpoint '{self.path}': {file.name} cannot be read ({error})") from error

    def optimizer(self, name: str) -> dict[str, Any]:
        """The optimizer state of player `name`.

        Raises:
            CheckpointError: the file holds anything but tensors and plain values.
        """
        file = self.path / f"{name}.optimizer.pt"
        try:
            state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:  # damaged bytes make the reader raise anything
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise CheckpointError(
                f"checkpoint '{self.path}': {file.name} was refused; it must hold tensors and plain values only ({reason})"
            ) from error
        if not isinstance(state, dict):
            raise CheckpointError(f"checkpoint '{self.path}': {file.name} holds a {type(state).__name__}, not a state")
        return state


def _or_nothing(write: Callable[P, Path]) -> Callable[P, Path]:
    """Have `write(folder, step, ...)` leave nothing unfinished behind when it fails: that would keep a full disk full."""

    @functools.wraps(write)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> Path:
        try:
            return write(*args, **kwargs)
        except (Exception, KeyboardInterrupt) as error:
            bound = inspect.signature(write).bind(*args, **kwargs).arguments
            clean(bound["folder"])
            told = write_error(error, f"the checkpoint of step {bound['step']:,} in '{bound['folder']}'")
            if told is None:
                raise
            raise told from error

    return wrapper


@_or_nothing
def save(
    folder: Path,
    step: int,
    modules: Mapping[str, nn.Module],
    optimizers: Mapping[str, Mapping[str, Any]],
    state: Mapping[str, Any],
    keep: int,
) -> Path:
    """Write a complete checkpoint of `step` into `folder`, then delete older ones but the newest `keep`; returns its path.

    One of this step that verifies is left as it is: at no moment is there less on the disk than before.

    Raises:
        WriteError: the disk is full or cannot be written; what was there before still is.
    """
    final = folder / f"step-{step:08d}"
    if final.exists() and _verifies(final):
        return final
    temporary = folder / f"{final.name}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    folder.mkdir(exist_ok=True)  # not its parents: a run's folder that is gone is not to come back as a part of itself
    temporary.mkdir()
    for name, module in modules.items():
        tensors = {k: v.detach().cpu().contiguous().clone() for k, v in module.state_dict().items()}
        save_file(tensors, temporary / f"{name}.safetensors")
    for name, value in optimizers.items():
        _torch_save(value, temporary / f"{name}.optimizer.pt")
    (temporary / STATE).write_text(json.dumps({"step": step, **state}, indent=1), encoding="utf-8")
    files = {p.name: _digest(p) for p in sorted(temporary.iterdir())}
    for name in files:
        _sync(temporary / name)
    (temporary / MANIFEST).write_text(
        json.dumps({"format": FORMAT, "step": step, "sha256": files}, indent=1), encoding="utf-8"
    )
    _sync(temporary / MANIFEST)
    _sync(temporary)
    if final.exists():  # a damaged one that was passed over on resume
        _remove(final)
    temporary.rename(final)
    _sync(folder)
    # Later ones are damaged, or they would have been resumed from: they must not push this one out.
    for old in [path for number, path in _steps(folder) if number <= step][keep:]:
        _remove(old)
    return final


class _Patient:
    """A file whose errors wait: torch's writer of archives would tell them in words of its own, without the cause."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        try:
            if self.error is None:
                self.file.write(data)
        except OSError as error:
            self.error = error
        return len(data)

    def flush(self) -> None:
        """Nothing: closing the file does it."""


def _torch_save(value: object, path: Path) -> None:
    with path.open("wb") as file:
        patient = _Patient(file)
        torch.save(value, patient)  # type: ignore[arg-type]
        if patient.error is not None:
            raise patient.error


def verify(path: Path) -> Checkpoint:
    """The checkpoint at `path`, every file compared with the manifest.

    Raises:
        CheckpointError: something is missing, added or changed.
    """
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        version = manifest["format"]
        expected: dict[str, str] = dict(manifest["sha256"])
        step = int(manifest["step"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"checkpoint '{path}' has no readable manifest ({error})") from error
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
        file = path / name
        if Path(name).name != name or not file.is_file():
            raise CheckpointError(f"checkpoint '{path}' lacks {name}")
        if _digest(file) != digest:
            raise CheckpointError(f"checkpoint '{path}': {name} is not what was written (its SHA-256 differs)")
    try:
        state = json.loads((path / STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"checkpoint '{path}': {STATE} cannot be read ({error})") from error
    if STATE not in expected or not isinstance(state, dict):
        raise CheckpointError(f"checkpoint '{path}': {STATE} is not covered by the manifest")
    if state.get("step") != step:
        raise CheckpointError(f"checkpoint '{path}': its manifest is of step {step}, its state of {state.get('step')}")
    return Checkpoint(path, step, state)


def any_in(folder: Path) -> bool:
    """Whether anything was ever saved in `folder`, good or damaged."""
    return bool(_steps(folder))


def at(folder: Path, step: int) -> Checkpoint:
    """The checkpoint of `step` in `folder`.

    Raises:
        CheckpointError: there is none, or it does not verify.
    """
    path = folder / f"step-{step:08d}"
    if not path.is_dir():
        there = ", ".join(str(n) for n, _ in reversed(_steps(folder))) or "none"
        raise CheckpointError(f"there is no checkpoint of step {step} in '{folder}'; steps there: {there}")
    return verify(path)


def newest(folder: Path) -> tuple[Checkpoint, list[CheckpointError]]:
    """The newest checkpoint in `folder` that verifies, and what was wrong with newer ones.

    Raises:
        CheckpointError: none verifies.
    """
    problems: list[CheckpointError] = []
    for _, path in _steps(folder):
        try:
            return verify(path), problems
        except CheckpointError as error:
            problems.append(error)
    if problems:
        listed = "; ".join(map(str, problems))
        raise CheckpointError(f"no checkpoint in '{folder}' can be used: {listed}")
    raise CheckpointError(f"there is no checkpoint in '{folder}'; the run ended before its first was saved")


def load_module(module: nn.Module, tensors: Mapping[str, Tensor], what: str) -> None:
    """Fill `module` with `tensors`, all of them or none.

    Raises:
        CheckpointError: names or shapes differ; the first differences are in the message.
    """
    own = module.state_dict()
    missing = [k for k in own if k not in tensors]
    extra = [k for k in tensors if k not in own]
    shapes = [
        f"{k} is {tuple(v.shape)}, expected {tuple(own[k].shape)}"
        for k, v in tensors.items()
        if k in own and v.shape != own[k].shape
    ]
    if missing or extra or shapes:
        details = [f"missing: {', '.join(missing[:3])}"] if missing else []
        details += [f"not expected: {', '.join(extra[:3])}"] if extra else []
        details += [f"of another shape: {'; '.join(shapes[:3])}"] if shapes else []
        raise CheckpointError(f"the saved {what} does not fit the network of this configuration ({'; '.join(details)})")
    module.load_state_dict(dict(tensors))


def clean(folder: Path) -> None:
    """Delete what an interrupted save has left behind."""
    for path in folder.glob("*.tmp"):
        shutil.rmtree(path, ignore_errors=True)


def _steps(folder: Path) -> list[tuple[int, Path]]:
    """Complete-looking checkpoints with their steps, newest first."""
    found = [(int(m[1]), p) for p in folder.glob("step-*") if (m := _NAME.fullmatch(p.name))]
    return sorted(found, reverse=True)


def _verifies(path: Path) -> bool:
    try:
        verify(path)
    except CheckpointError:
        return False
    return True


def _remove(path: Path) -> None:
    """Delete a checkpoint so that half of it is never taken for a whole one."""
    doomed = path.with_name(f"{path.name}.old.tmp")
    shutil.rmtree(doomed, ignore_errors=True)
    path.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    """Wait until `path` is on the disk; directories too, where the system can."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:  # directories cannot be opened on Windows
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
