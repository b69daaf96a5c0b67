"""Samples on the way: always the same latents and classes, so that the sheets of a run show one picture growing."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from gancore.components import DataSource
from gancore.configuration.settings import Chosen, Settings
from gancore.data.held_out import labels_of
from gancore.data.sampler import spread
from gancore.data.spec import SampleSpec
from gancore.disk import cause
from gancore.errors import GanError, NonFiniteError
from gancore.random import Draws, derive
from gancore.run import RunFolder
from gancore.sampling.drawing import GivenParts, cycle_classes, draw, generate, parts_of
from gancore.sampling.writing import animations, of_role, sheets_of, write_animation, write_captioned, write_with


class SheetMaker:
    """Writes `samples/step-00000500.*` during training and one file of progress at the end.

    What other people's code fails to draw or to write is told once and tried again at the next sheet: no training ends for it.
    """

    def __init__(self, settings: Settings, spec: SampleSpec, folder: RunFolder, source: DataSource) -> None:
        self.settings = settings
        self.spec = spec
        self.folder = folder
        self.source = source
        self.last: Path | None = None
        self._real_done = any((folder.samples / "real").glob("real*"))
        self._told: set[str] = set()

    def generate(
        self, generator: nn.Module, count: int, condition: Tensor | None, given: GivenParts | None = None
    ) -> Tensor:
        """Relaxed samples from the run's fixed latents."""
        return generate(generator, self.spec, count, derive(self.settings.run.seed, "sheets"), condition, given)

    def make(self, generator: nn.Module, step: int) -> list[Path]:
        """Write the sheet of `step`; on the first one, a sheet of real samples beside it."""
        count, classes = self.settings.run.samples, self.spec.class_count
        if 0 < classes < count:
            count -= count % classes  # as many of each class
        try:
            sources = self._sources(count) if self.spec.domains else None
            samples, labels = self._drawn(generator, count) if sources is None else self._translated(generator, sources)
        except NonFiniteError as error:
            self._tell("samples", f"the sheet of step {step:,} could not be drawn", error)
            return []
        except GanError:  # the networks do not fit the data, or what was asked for cannot be
            raise
        except (Exception, SystemExit) as error:
            self._tell("samples", f"the sheet of step {step:,} could not be generated", error)
            return []
        if not self._real_done:
            self._real_done = self._real(count)
        stem = f"step-{step:08d}"
        what = f"the sheet of step {step:,}"
        if sources is None or labels is None:
            files = self._write_all(samples, labels, self.folder.samples, stem, what)
        else:
            beside = torch.stack([sources[0], samples], dim=1).flatten(0, 1)
            names = self.spec.domains
            both = zip(sources[1].tolist(), labels.tolist(), strict=True)
            captions = [words for one, other in both for words in (names[one], f"to {names[other]}")]
            files = self._write_pairs(beside, captions, stem, what)
        written = [file for group in files if group is not None for file in group]
        self.last = written[0] if written else self.last
        return written

    def _drawn(self, generator: nn.Module, count: int) -> tuple[Tensor, Tensor | None]:
        """Hard samples from the run's fixed latents, and their classes."""
        labels, given = cycle_classes(self.spec, count), None
        if self.spec.given_shape is not None:
            # Parts of real samples, with the classes that these have.
            x, labels = self.real_samples(count)
            given = parts_of(self.spec, x)
            labels = None if labels is None else labels[torch.arange(count) % len(x)]
        return draw(generator, self.spec, count, derive(self.settings.run.seed, "sheets"), labels, given), labels

    def _sources(self, count: int) -> tuple[Tensor, Tensor]:
        """Half as many samples as there are places on a sheet, of each domain in turn, and their domains: always the same."""
        domains = torch.arange(max(1, count // 2)) % len(self.spec.domains)
        positions = of_classes(self.source, domains)
        assert positions is not None  # a data set of domains knows them
        return self._fetched(positions)[0], domains

    def _translated(self, generator: nn.Module, sources: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Hard samples that are made of others, and their domains: each of the next one, and of the one after it as they come again."""
        x, domains = sources
        count = len(self.spec.domains)
        labels = (domains + 1 + torch.arange(len(x)) // count % (count - 1)) % count
        seed = derive(self.settings.run.seed, "sheets")
        return draw(generator, self.spec, len(x), seed, labels, parts_of(self.spec, x)), labels

    def _write_pairs(self, samples: Tensor, captions: list[str], stem: str, what: str) -> list[list[Path] | None]:
        """As `_write_all`, samples that belong together by two, with words."""
        columns = max(2, 2 * round(math.sqrt(len(samples)) / 2))

        def attempt(chosen: Chosen) -> list[Path] | None:
            def write() -> list[Path]:
                return write_captioned(chosen, self.spec, samples, self.folder.samples, stem, captions, columns, "")

            return self._try(chosen, write, self.folder.samples, stem, what)

        return [attempt(chosen) for chosen in of_role(self.settings, "sheet")]

    def real_samples(self, count: int) -> tuple[Tensor, Tensor | None]:
        """Real samples from all over the data set, `count` or as many as there are, and their classes: always the same."""
        return self._fetched(spread(len(self.source), count))

    def _fetched(self, positions: Tensor) -> tuple[Tensor, Tensor | None]:
        return self.source.fetch(positions, Draws(derive(self.settings.run.seed, "real"), positions))

    def _real(self, count: int) -> bool:
        """Write the real samples to compare with: of the same classes at the same places as those that are generated.

        Whether all of it could be done.
        """
        what = "the sheet of real samples"
        try:
            classes = (
                None if self.spec.given_shape is not None and not self.spec.domains else cycle_classes(self.spec, count)
            )
            positions = None if classes is None else of_classes(self.source, classes)
            x, labels = self.real_samples(count) if positions is None else self._fetched(positions)
        except (Exception, SystemExit) as error:
            self._tell("real", f"{what} could not be made", error)
            return False
        return None not in self._write_all(x, labels, self.folder.samples / "real", "real", what)

    def make_progress(self) -> list[Path]:
        """One file out of all sheets so far, from every writer of role `progress`."""
        sheets = sheets_of(self.folder)
        written: list[Path] = []
        for chosen in animations(self.settings) if len(sheets) > 1 else ():
            write = partial(write_animation, chosen, self.spec, sheets, self.folder)
            written += self._try(chosen, write, self.folder.samples, "progress", "the progress of the run") or []
        return written

    def _write_all(
        self, samples: Tensor, labels: Tensor | None, folder: Path, stem: str, what: str
    ) -> list[list[Path] | None]:
        """The files of every writer of sheets; None for one that failed."""

        def attempt(chosen: Chosen) -> list[Path] | None:
            def write() -> list[Path]:
                return write_with(chosen, self.spec, samples, labels, folder, stem)

            return self._try(chosen, write, folder, stem, what)

        return [attempt(chosen) for chosen in of_role(self.settings, "sheet")]

    def _try(
        self, chosen: Chosen, write: Callable[[], list[Path]], folder: Path, stem: str, what: str
    ) -> list[Path] | None:
        """What `write` wrote; None where it failed, which is told, and of which nothing stays."""
        before = _named(folder, stem)
        try:
            self.folder.samples.mkdir(exist_ok=True)  # but not the run's folder, where that is gone
            folder.mkdir(exist_ok=True)
            return list(write())
        except (Exception, SystemExit) as error:
            writer = f"writer '{chosen.found.record.name}' of plugin '{chosen.found.plugin}'"
            self._tell(chosen.found.qualified, f"{writer} could not write {what}", error)
            for path in _named(folder, stem) - before:
                with suppress(OSError):
                    path.unlink()
            return None

    def _tell(self, who: str, problem: str, error: BaseException) -> None:
        if who not in self._told:
            self._told.add(who)
            why = cause(error, self.folder.samples if self.folder.samples.is_dir() else self.folder.path)
            warnings.warn(
                f"{problem}: {why}. The run continues, and the writer is tried again at the next sheet", stacklevel=2
            )


def _named(folder: Path, stem: str) -> set[Path]:
    """Files that begin with `stem`, those that are being written included."""
    return {path for pattern in (f"{stem}*", f".{stem}*") for path in folder.glob(pattern) if path.is_file()}


def of_classes(source: DataSource, classes: Tensor) -> Tensor | None:
    """Positions in `source` of samples of `classes` `[n]`, from all over it; None where it does not say what is of which class.

    Where a class has fewer than are wanted, they come again; where it has none, there is nothing that fits and None too.
    """
    labels = labels_of(source)
    if labels is None:
        return None
    positions = torch.empty_like(classes)
    for one in classes.unique().tolist():
        there, places = (labels == one).nonzero()[:, 0], (classes == one).nonzero()[:, 0]
        if not len(there):
            return None
        chosen = there[spread(len(there), len(places))]
        positions[places] = chosen[torch.arange(len(places)) % len(chosen)]
    return positions
