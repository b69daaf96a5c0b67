"""Evaluations on disk: figures as JSON, pictures beside them."""

from __future__ import annotations

import itertools
import warnings
from dataclasses import replace

from gancore.evaluation.records import Evaluation
from gancore.run import RunFolder


def keep(found: Evaluation, folder: RunFolder) -> Evaluation:
    """Write it as `evaluations/step-00002000.json`, or `...-2.json` and so on where that is taken; a warning where it cannot be.

    Pictures are beside it, `step-00002000-NAME.png`.
    """
    stem = f"step-{found.step:08d}"
    names = (stem if number == 1 else f"{stem}-{number}" for number in itertools.count(1))
    try:
        folder.evaluations.mkdir(exist_ok=True)
        path = next(path for name in names if not (path := folder.evaluations / f"{name}.json").exists())
        drawn = {path.with_name(f"{path.stem}-{name}.png"): picture for name, picture in found.drawn.items()}
        found = replace(found, pictures=tuple(drawn), drawn={})
        with path.open("x", encoding="utf-8") as file:
            file.write(found.to_json())
        for place, picture in drawn.items():
            place.write_bytes(picture)
    except OSError as error:
        warnings.warn(
            f"the evaluation is not kept: '{folder.evaluations}' cannot be written to ({error.strerror})", stacklevel=3
        )
        return found
    return replace(found, path=path)
