"""Evaluations on disk: figures as JSON, pictures and samples to look at beside them."""

from __future__ import annotations

import contextlib
import itertools
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from gancore.configuration.settings import Settings
from gancore.data.spec import SampleSpec
from gancore.disk import cause
from gancore.evaluation.curves import Curve, draw
from gancore.evaluation.records import Evaluation
from gancore.evaluation.summary import headlines
from gancore.run import RunFolder
from gancore.sampling.writing import captioning, of_role, write_captioned
from gancore.storage import fill


def keep(found: Evaluation, folder: Path, settings: Settings, spec: SampleSpec) -> Evaluation:
    """Write it as `step-00002000.json` into `folder`, or `...-2.json` and so on where that is taken; a warning where it cannot be.

    Pictures are beside it, `step-00002000-NAME.png`, and samples to look at in what the run's writers of sheets make of them.
    What is not of a run begins with `evaluation`. One without figures is not kept.
    """
    if not found.figures:
        return replace(found, drawn={}, exhibits=())
    stem = "evaluation" if found.step is None else f"step-{found.step:08d}"
    pictures: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with reserved(folder, stem, ".json") as path:
            for name, picture in found.drawn.items():
                pictures.append(path.with_name(f"{path.stem}-{name}.png"))
                _write(pictures[-1], picture)
            pictures += _sheets(found, path, settings, spec)
            found = replace(found, pictures=tuple(pictures), drawn={}, exhibits=())
            # A path may hold what UTF-8 does not; escaped, it is JSON all the same.
            _write(path, found.to_json().encode("utf-8", "backslashreplace"))
    except OSError as error:
        for unwanted in pictures:
            with contextlib.suppress(OSError):
                unwanted.unlink(missing_ok=True)
        warnings.warn(f"the evaluation is not kept: '{folder}' cannot be written to ({error.strerror})", stacklevel=3)
        return replace(found, pictures=())
    return replace(found, path=path)


def keep_curve(found: Sequence[Evaluation], folder: RunFolder) -> Path | None:
    """Draw the figures of several checkpoints of a run as `evaluations/checkpoints.png`; a warning where it cannot be written.

    None where there is nothing to draw: of one checkpoint alone, or where they share no figure.
    """
    curves = curves_of(found)
    if len(found) < 2 or not curves:
        return None
    try:
        folder.evaluations.mkdir(exist_ok=True)
        with reserved(folder.evaluations, "checkpoints", ".png") as path:
            _write(path, draw(curves))
    except OSError as error:
        warnings.warn(
            f"the curve is not kept: '{folder.evaluations}' cannot be written to ({error.strerror})", stacklevel=2
        )
        return None
    return path


def curves_of(found: Sequence[Evaluation]) -> list[Curve]:
    """The headlines of the first evaluation that all have, by step."""
    curves = []
    for metric, name in headlines(found[0]) if found else ():
        figures = {one.step or 0: one.figures.get(metric, {}).get(name) for one in found}
        known = {step: figure for step, figure in figures.items() if figure is not None}
        if len(known) < len(figures):
            continue
        lines = {
            part: {step: v for step, f in known.items() if (v := f.parts().get(part)) is not None and math.isfinite(v)}
            for part in ("value", "floor", "real", *found[0].others)
        }
        word = "floor" if lines["floor"] else "real"
        others = {other: lines[other] for other in found[0].others if lines[other]}
        if lines["value"]:
            curves.append(Curve(name, lines["value"], lines[word], word, others))
    return curves


@contextmanager
def reserved(folder: Path, stem: str, suffix: str) -> Iterator[Path]:
    """`folder/stem.suffix`, or with `-2` and so on behind the stem where that is taken; within, no other process is given it.

    One that is killed leaves a hidden mark, so that nothing of it is ever mixed with what comes after it.
    """
    for number in itertools.count(1):
        path = folder / f"{stem if number == 1 else f'{stem}-{number}'}{suffix}"
        mark = path.with_name(f".{path.stem}.reserved")
        try:
            mark.open("xb").close()
        except FileExistsError:
            continue
        try:
            if not path.exists():
                yield path
                return
        finally:
            mark.unlink(missing_ok=True)


def _write(path: Path, content: bytes) -> None:
    fill(path, lambda file: file.write(content))


def _sheets(found: Evaluation, path: Path, settings: Settings, spec: SampleSpec) -> list[Path]:
    """Samples to look at, by the run's writers of sheets that write captions, or by all where none does.

    Writers are other people's code: a warning for one that fails.
    """
    written: list[Path] = []
    for chosen in captioning(of_role(settings, "sheet")) if found.exhibits else ():
        for one in found.exhibits:
            stem = f"{path.stem}-{one.name}"
            try:
                written += write_captioned(
                    chosen, spec, one.samples.x, path.parent, stem, one.captions, one.columns, one.title
                )
            except (Exception, SystemExit) as error:
                warnings.warn(
                    f"writer '{chosen.found.qualified}' could not show samples ({stem}): {cause(error, path.parent)}",
                    stacklevel=4,
                )
                break
    return written
