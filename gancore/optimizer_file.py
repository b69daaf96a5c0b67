"""The state of an optimizer in a file of a checkpoint: torch's archive, read without pickle and without trust in its sizes."""

from __future__ import annotations

import operator
import pickle
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from gancore.disk import in_one_line
from gancore.errors import CheckpointError
from gancore.finite import not_finite_in


def read(file: Path) -> dict[str, Any]:
    """The state in `file`, all its numbers finite.

    Raises:
        CheckpointError: it holds anything but tensors and plain values, or not as many as it says.
    """
    where = f"checkpoint '{file.parent}': {file.name}"
    try:
        # What is packed could unfold to any size, and we pack nothing.
        with zipfile.ZipFile(file) as archive:
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
                raise ValueError("it is compressed")
        with warnings.catch_warnings():  # torch 2.14 remarks on sparse tensors, which are refused below
            warnings.simplefilter("ignore")
            state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
        tensors = list(_tensors_in(state))
        if any(t.layout is not torch.strided for t in tensors):
            raise ValueError("it holds sparse tensors")
        # Tensors may also claim to be larger than the numbers that they have, repeating these.
        sizes = [t.numel() * t.element_size() for t in tensors]
        own = [t.untyped_storage().nbytes() for t in tensors]
        if any(map(operator.gt, sizes, own)) or sum(sizes) > file.stat().st_size:
            raise ValueError("its tensors claim more numbers than it holds")
    except Exception as error:
        # Here torch would advise to read it in the way that runs whatever code it holds.
        foreign = isinstance(error, pickle.UnpicklingError)
        why = (
            "it holds something else, which is never read because it could run code" if foreign else in_one_line(error)
        )
        raise CheckpointError(f"{where} was refused; it must hold tensors and plain values only ({why})") from error
    if not isinstance(state, dict):
        raise CheckpointError(f"{where} holds a {type(state).__name__}, not a state")
    if bad := next(not_finite_in(state), ""):
        raise CheckpointError(f"{where} has numbers that are not finite, in {bad}")
    return state


def write(state: Mapping[str, Any], file: Path) -> None:
    """Write an optimizer's `state_dict()`.

    Raises:
        OSError: the disk is full or cannot be written.
    """
    with file.open("wb") as opened:
        patient = _Patient(opened)
        torch.save(state, patient)  # type: ignore[arg-type]
        if patient.error is not None:
            raise patient.error


def remembered(state: Mapping[str, Any]) -> int:
    """How many values of its parameters (moments, counts of steps) an optimizer with this `state_dict()` has."""
    of_parameters = state.get("state")
    if not isinstance(of_parameters, Mapping):
        return 0
    return sum(len(values) for values in of_parameters.values() if isinstance(values, Mapping))


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


def _tensors_in(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict | list | tuple):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _tensors_in(inner)
