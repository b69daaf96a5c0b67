"""How near a run's rows are to held-out ones, between what a perfect and a naive generator would have: `gan tabular-report`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from gancore.sampling.generator import Generator
    from torch import Tensor

    from gan_tabular.encoding import Table
    from gan_tabular.spec import TableSpec

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@dataclass(frozen=True, slots=True)
class Report:
    """Figures of three kinds of rows, all against the same held-out rows.

    `generated` is the generator's; `real` that of training rows, as a perfect one would have; `shuffled` that of the same rows
    with every column shuffled by itself, as one would have that knows each column and nothing of how they depend on each other.
    `rows` is how many of each were compared; `step` and `seed` say which generator and which draws.
    """

    run: str
    held_out: str
    rows: int
    step: int
    seed: int
    skipped: int
    clipped: int
    generated: Mapping[str, float]
    real: Mapping[str, float]
    shuffled: Mapping[str, float]


def compare(run: Path, data: Path | None, *, seed: int = 0, most: int = 20_000) -> Report:
    """Compare at most `most` rows of each kind.

    Without `data`, for the demo set, new households by the same rules are the held-out rows. A conditional generator is
    asked for the classes of the held-out rows, and the class then counts as a column.

    Raises:
        GanError: the run, or the held-out data, cannot be used.
    """
    import gancore
    from gancore.errors import UsageError

    from gan_tabular.metrics import with_class
    from gan_tabular.spec import TableSpec

    generator = gancore.load(run, device="cpu")
    if not isinstance(generator.spec, TableSpec):
        raise UsageError(f"'{run}' makes no tables: its samples are {type(generator.spec).__name__}")
    spec = generator.spec
    held_out = _held_out(generator, spec, data)
    train = generator.settings.data.build(lambda words, done, total: None)
    n = min(most, len(held_out.rows), len(train))
    chosen = _order(len(held_out.rows), seed)[:n]
    labels = None if held_out.labels is None else held_out.labels[chosen]
    fake = with_class(generator.sample(n, seed=seed, condition=labels), labels)
    true = with_class(held_out.rows[chosen], labels)
    rows = _order(len(train), seed + 1)[:n]
    own = with_class(train.rows[rows], None if labels is None else train.labels[rows])
    return Report(
        run=str(run),
        held_out=held_out.report.source,
        rows=n,
        step=generator.step,
        seed=seed,
        skipped=len(held_out.report.skipped),
        clipped=held_out.clipped,
        generated=_figures(spec, fake, true),
        real=_figures(spec, own, true),
        shuffled=_figures(spec, _shuffled(own, seed + 2), true),
    )


def _held_out(generator: Generator, spec: TableSpec, data: Path | None) -> Table:
    from gancore.errors import UsageError

    from gan_tabular import households
    from gan_tabular.data import read_as
    from gan_tabular.encoding import encode_table

    options = generator.settings.data.options
    if data is not None:
        return read_as(spec, data, options)
    if not isinstance(options, households.Options):
        raise UsageError("the run was trained on a file; name rows that it has not seen with --data FILE")
    return encode_table(households.households(options.count, options.seed + 1), spec)


def _order(count: int, seed: int) -> Tensor:
    import torch

    return torch.randperm(count, generator=torch.Generator().manual_seed(seed))


def _shuffled(rows: Tensor, seed: int) -> Tensor:
    import torch

    return torch.stack(
        [rows[_order(len(rows), seed + 1000 * column), column] for column in range(rows.shape[1])], dim=1
    )


def _figures(spec: TableSpec, rows: Tensor, true: Tensor) -> dict[str, float]:
    from gan_tabular.metrics import Columns, TwoSample, TwoSampleOptions

    return {**TwoSample(TwoSampleOptions(), spec).compare(rows, true), **Columns(spec).compare(rows, true)}


def lines(report: Report) -> list[str]:
    """The report as a table of text."""
    width = max(len(name) for name in report.generated) + 2
    head = f"{report.rows:,} rows of each, against {report.held_out}; step {report.step:,}, seed {report.seed}"
    notes = []
    if report.skipped:
        notes.append(f"{report.skipped:,} held-out rows were skipped: they do not fit the table")
    if report.clipped:
        notes.append(f"{report.clipped:,} held-out numbers lay outside the training range and were moved to its ends")
    kinds = {"generated": report.generated, "real": report.real, "shuffled": report.shuffled}
    table = [" " * width + "".join(f"{kind:>12}" for kind in kinds)]
    for name in report.generated:
        # A difference of shares is left out where nothing is missing.
        absent = 0.0 if name.startswith("missing/") else float("nan")
        table.append(f"{name:{width}}" + "".join(f"{figures.get(name, absent):12.4f}" for figures in kinds.values()))
    return [head, *notes, *table]


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="The run's folder.")],
    data: Annotated[
        Path | None, typer.Option("--data", "-d", metavar="CSV", help="Rows that the run has not seen.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Decides which rows are drawn.")] = 0,
    most: Annotated[int, typer.Option("--rows", metavar="N", min=20, help="Rows of each kind, at most.")] = 20_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Compare a run's rows with held-out ones.

    Beside them: training rows, which is what a perfect generator would have, and training rows with each column shuffled by
    itself, which is what one would have that knows nothing of how columns depend on each other.
    """
    from gancore.errors import GanError

    try:
        found = compare(run, data, seed=seed, most=most)
    except GanError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(error.exit_code) from error
    typer.echo(json.dumps(asdict(found)) if as_json else "\n".join(lines(found)))


if __name__ == "__main__":
    app()
