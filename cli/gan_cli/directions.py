"""What `gan directions` does: search, keep, and tell what was found."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan_cli.errors import say, tell
from gan_cli.evaluating import told
from gan_cli.sampling import Step, check_device
from gan_cli.waiting import loading
from gancore.errors import RunFolderError

if TYPE_CHECKING:
    from gancore.latent.directions import Found

HEADINGS = ("name", "less ... more", "change", "Spearman", "others", "random")


def find(
    run: Path,
    number: int,
    seed: int,
    *,
    step: Step,
    device: str,
    given: Path | None,
    classes: Sequence[str],
    replace: bool,
    options: Mapping[str, Any],
    quiet: bool,
    as_json: bool,
) -> None:
    """Find the directions of a run, and show them."""
    check_device(device)
    with loading(quiet):
        from gancore.latent import directions
        from gancore.latent.find import find_directions

    if (run / directions.FOLDER).exists() and not replace:
        raise RunFolderError(
            f"'{run}' has directions already, which recipes with edits need; --replace puts others in their place"
        )
    with told(quiet) as progress:
        folder, found = find_directions(
            run,
            samples=number,
            seed=seed,
            step=step,
            device=device,
            given=given,
            classes=classes,
            options=options,
            progress=progress,
        )
    if as_json:
        print(json.dumps({"folder": str(folder), **found.model_dump(mode="json")}))
        return
    for line in table(found):
        tell(line)
    for name, why in found.left_out.items():
        say(f"left out: {name}: {why}")
    if not quiet:
        say(
            "change: of the attribute by an edit of 1, in standard deviations; Spearman: how steadily it follows; others: mean change "
            "of the other attributes; random: change by random directions as long"
        )
    say(f"{len(found.directions):,} directions in {folder}, a sheet of each beside them")


def table(found: Found) -> list[str]:
    """A line for each direction, the headings first."""
    rows = [HEADINGS] if found.directions else []
    for name, one in found.directions.items():
        e = one.effects
        if e is None:
            rows.append((name, "not measured, see its sheet", "", "", "", ""))
            continue
        short = one.attribute.rpartition(":")[2]
        words = f"{one.less} ... {one.more}" + ("" if name.endswith(short) else f" ({short})")
        rows.append((name, words, f"{e.change:+.2f}", f"{e.spearman:.2f}", f"{e.others:.2f}", f"{e.random_change:.2f}"))
    widths = [max(len(row[at]) for row in rows) for at in range(len(HEADINGS))] if rows else []
    return [
        "  ".join(
            cell.ljust(width) if at < 2 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
