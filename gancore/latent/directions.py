"""Directions of a run's latent space, kept in its folder: steps of codes, and what each does to samples."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from gancore.errors import RunFolderError
from gancore.latent.address import Number, Value
from gancore.latent.curves import Curve, Directions, Predictor
from gancore.storage import new_file_mode

FOLDER = "directions"
"""The folder within that of a run."""
TENSORS = "directions.safetensors"
"""In it, steps `[layers, size]` by name ..."""
PREDICTOR = "predictor.safetensors"
"""... weights of what curves go by, where there are any ..."""
RECORD = "directions.json"
"""... and what is known of them."""
MOST_BYTES = 64 * 1024 * 1024
"""Of this, more than thousands of directions have."""


class Effects(Value):
    """What an edit of 1 does to samples that the direction was not found by; see docs/how-to/steer.md.

    Changes are in standard deviations of each attribute among samples of one class.
    """

    change: Number = Field(description="Mean change of the direction's attribute.")
    spearman: Number = Field(description="Mean rank correlation of position and attribute over nine positions.")
    others: Number = Field(description="Mean absolute change of the other attributes.")
    random_change: Number = Field(description="Root mean square of the mean changes by random steps as long.")
    random_spearman: Number = Field(description="Of these, the mean absolute rank correlation.")
    random_others: Number = Field(description="Of these, what they do to the other attributes.")
    changes: Mapping[str, Number] = Field({}, description="Mean change of each attribute.")


class Course(Value):
    """What a curve is, beside the predictor; see `gancore.latent.curves.Curve`."""

    own: int = Field(ge=0, description="Number of the prediction that rises.")
    rate: Number = Field(description="By how much it does with an edit of 1.")
    longest: Number = Field(description="Length of the way of an edit of 1, in standard deviations of codes, at most.")


class Direction(Value):
    """One direction: how it was found, and what samples become along it."""

    kind: Literal["named", "sefa", "pca"] = Field(description="Found by an attribute, by weights, or by components.")
    attribute: str = Field("", description="The attribute that it changes most, or is named after.")
    less: str = Field("", description="What samples become with a negative edit ...")
    more: str = Field("", description="... and with a positive one.")
    unit: str = Field("", description="Unit of the attribute.")
    deviation: Number = Field(0.0, description="Its standard deviation among samples of one class, in this unit.")
    layers: tuple[int, int] = Field((0, 0), description="First and last layer of codes that are moved.")
    apart: Number = Field(0.0, description="How strongly changes of other attributes were taken out of it.")
    curve: Course | None = Field(None, description="How it turns from code to code; None where it is straight.")
    effects: Effects | None = Field(None, description="None where nothing could be measured.")


class Found(Value):
    """All directions of some weights, and how they were found."""

    gancore: int = Field(1, ge=1, le=1, description="Version of this form.")
    step: int = Field(ge=0, description="Step of the checkpoint.")
    weights: str = Field(description="SHA-256 of the generator's weights.")
    seed: int = Field(description="Decides all codes.")
    samples: int = Field(description="Samples by which directions were found ...")
    judged: int = Field(description="... and other samples by which each was judged.")
    classes: tuple[str, ...] = Field(
        (), description="Classes that were measured as attributes, as they were asked for ..."
    )
    features: Any = Field(
        None, description="... by other features than the plugin's first, as in an evaluation's options."
    )
    directions: Mapping[str, Direction] = Field(description="By name.")
    left_out: Mapping[str, str] = Field({}, description="Why others are none.")


@dataclass(frozen=True, slots=True)
class Kept:
    """Directions as a run's folder has them: `steps` by name, and what is known of them; None where none have been found."""

    steps: Directions = field(default_factory=dict)
    found: Found | None = None

    def warning(self, step: int, weights: str, run: Path) -> str:
        """What to know before they are used with the `weights` of `step`; empty where nothing."""
        if self.found is None or not weights or self.found.weights == weights:
            return ""
        return (
            f"the directions of '{run}' were found at step {self.found.step:,} and this is step {step:,}: they may do less, or "
            f"other things; find them anew: gan directions {run} --replace"
        )


def load(run: Path) -> Kept:
    """The directions of the run in folder `run`; none where none have been found.

    Raises:
        RunFolderError: a file is damaged.
    """
    folder = run / FOLDER
    if not folder.is_dir():
        return Kept()
    try:
        with (folder / RECORD).open("rb") as file:
            found = Found.model_validate_json(file.read(MOST_BYTES))
        steps: dict[str, Tensor | Curve] = dict(_finite(folder / TENSORS))
        curved = {name: one for name, one in found.directions.items() if one.curve is not None}
        if curved:
            steps |= _curves(Predictor(**_finite(folder / PREDICTOR)), curved)
        if steps.keys() != found.directions.keys():
            raise ValueError("the files are of different directions")
    except (SafetensorError, ValidationError, OSError, ValueError, TypeError) as error:
        raise RunFolderError(
            f"'{folder}' cannot be read, because it is damaged; remove it and find the directions anew: gan directions {run}"
        ) from error
    return Kept(steps, found)


def _finite(path: Path) -> dict[str, Tensor]:
    """The tensors of a file; ValueError where they are not finite float32."""
    tensors: dict[str, Tensor] = load_file(path)
    if not all(tensor.dtype == torch.float32 and bool(tensor.isfinite().all()) for tensor in tensors.values()):
        raise ValueError("numbers that are not finite float32")
    return tensors


def _curves(predictor: Predictor, directions: Mapping[str, Direction]) -> dict[str, Curve]:
    made = {}
    for name, one in directions.items():
        course = one.curve
        assert course is not None
        if course.own >= len(predictor.bias):
            raise ValueError("the files are of different directions")
        made[name] = Curve(predictor, course.own, one.apart, course.rate, course.longest)
    return made


def save(run: Path, found: Found, steps: Directions, draw: Callable[[Path], object]) -> Path:
    """Keep `found` and `steps` in the run's folder, in place of what is there, with what `draw` puts beside; the folder.

    They are written elsewhere first, so that nobody reads a part of them.
    """
    target = run / FOLDER
    draft = Path(tempfile.mkdtemp(dir=run, prefix=f".{FOLDER}-"))
    try:
        draft.chmod(0o777 & ~(0o666 ^ new_file_mode()))
        draw(draft)
        curves = [step for step in steps.values() if isinstance(step, Curve)]
        files = {TENSORS: {name: step for name, step in steps.items() if isinstance(step, Tensor)}}
        if curves:
            files[PREDICTOR] = curves[0].predictor.tensors()
        for file, tensors in files.items():
            save_file(
                {name: tensor.detach().float().cpu().contiguous() for name, tensor in tensors.items()}, draft / file
            )
            (draft / file).chmod(new_file_mode())  # safetensors makes files that nobody else can read
        (draft / RECORD).write_text(found.model_dump_json(indent=2) + "\n", encoding="utf-8")
        if target.exists():
            old = draft.with_name(f"{draft.name}-old")
            os.replace(target, old)
            os.replace(draft, target)
            shutil.rmtree(old, ignore_errors=True)
        else:
            try:
                os.replace(draft, target)
            except OSError:
                if not target.exists():
                    raise
                raise RunFolderError(
                    f"'{target}' was made by another program meanwhile, and is left as it is; --replace puts others in its place"
                ) from None
    except BaseException:
        with contextlib.suppress(OSError):
            shutil.rmtree(draft)
        raise
    return target
