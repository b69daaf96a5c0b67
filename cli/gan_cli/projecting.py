"""What `gan project` does."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan_cli.errors import say
from gan_cli.evaluating import told
from gan_cli.sampling import Asked, Session
from gancore.errors import UsageError

if TYPE_CHECKING:
    from gancore.latent.fidelity import Fidelity

FIGURES = "projections.json"


@dataclass(frozen=True, slots=True)
class Projection:
    """What was found of one sample: distances of its projection and of the nearest training sample, by the name of the features."""

    original: str
    file: str
    label: str | None
    projection: Mapping[str, float]
    nearest: Mapping[str, float]


def project(
    asked: Asked, files: Sequence[Path], seed: int, steps: int, features: Any, *, quiet: bool
) -> tuple[Path, list[Path], list[Projection]]:
    """Find the codes of what is in `files` and write their samples; the new folder, the files in it, and what was found.

    `features` is the section of an evaluation's options.
    """
    session = Session(asked, "projected")
    from gancore.latent import originals
    from gancore.latent.fidelity import features_of, fidelity
    from gancore.latent.projecting import Projector, addresses
    from gancore.latent.saving import save_pairs
    from gancore.sampling.drawing import check_class

    steering = session.steering
    own, spec = steering.generator, steering.spec
    if spec.given_shape is not None:
        raise UsageError(
            "this generator is given a part of each sample, so that no code stands for a whole one; take another run"
        )
    steering.check()
    compared = features_of(own, features)
    with told(quiet) as progress:
        found = originals.read(files, own.settings, spec, progress=progress)
        labels = found.labels
        if asked.label is not None:
            labels = labels.new_full(labels.shape, check_class(spec, asked.label))
        projector = Projector(steering.space, own.judge, seed=seed, steps=steps, progress=progress)
        places = addresses(projector.find(spec.relax(found.x), labels).codes, spec)
        samples, recipes = session.drawn(places)
        near = fidelity(own, found.x, samples, compared, progress=progress)
    for words in () if quiet else (*found.skipped, *near.notes):
        say(words)
    told_of: list[Projection] = []

    def put(folder: Path) -> list[Path]:
        written = save_pairs(own, found.x, samples, recipes, folder, [Path(name).name for name in found.names])
        each = [file.name for file in written][: len(found)]
        classes = [None if one.classes is None else next(iter(one.classes)) for one in places]
        told_of.extend(_told_of(near, found.names, each, classes))
        figures = folder / FIGURES
        figures.write_text(
            json.dumps([asdict(one) for one in told_of], indent=1, ensure_ascii=False) + "\n",
            "utf-8",
            "backslashreplace",
        )
        return [*written, figures]

    folder, written = session.write(put, len(found))
    return folder, written, told_of


def _told_of(
    near: Fidelity, names: Sequence[str], files: Sequence[str], classes: Sequence[str | None]
) -> list[Projection]:
    def at(row: int, figures: Mapping[str, Any]) -> dict[str, float]:
        return {name: float(distances[row]) for name, distances in figures.items()}

    return [
        Projection(
            name, files[row] if row < len(files) else "", classes[row], at(row, near.projected), at(row, near.nearest)
        )
        for row, name in enumerate(names)
    ]


def table(found: Sequence[Projection]) -> list[str]:
    """Lines for people: a row a projection, and the share of those that are nearer than the nearest training sample."""
    kinds = list(found[0].projection) if found else []
    rows = [["", *(f"{kind} {side}" for kind in kinds for side in ("projection", "nearest"))]]
    for one in found:
        cells = [(one.projection[kind], one.nearest.get(kind)) for kind in kinds]
        rows.append([Path(one.original).name, *("" if x is None else f"{x:.4g}" for pair in cells for x in pair)])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.rjust(width) if n else cell.ljust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    for kind in kinds:
        known = [one for one in found if kind in one.nearest]
        nearer = sum(one.projection[kind] < one.nearest[kind] for one in known)
        if known:
            lines.append(f"{nearer} of {len(known)} projections are nearer than the nearest training sample by {kind}")
    return lines
