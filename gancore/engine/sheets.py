"""Samples on the way: always the same latents and classes, so that the sheets of a run show one picture growing."""

from __future__ import annotations

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
from gancore.data.spec import SampleSpec
from gancore.disk import cause, trouble, write_error
from gancore.engine.candidates import Chooser
from gancore.errors import GanError, NonFiniteError, PluginError, UnknownNameError, UsageError
from gancore.finite import is_finite
from gancore.games.gan import call_generator, draw_latent
from gancore.options import Options
from gancore.powers import SamplesItself
from gancore.random import Draws, derive
from gancore.run import RunFolder
from gancore.text import LONGEST, brief

CHUNK = 64
"""Samples generated at once: a constant, so that memory stays bounded."""
NOTHING_GIVEN = "this generator makes whole samples and is given nothing; leave --given (from Python, given=) out"

GivenParts = Callable[[Tensor], Tensor]
"""Numbers of samples `[n]` int64 to what the generator is given of them: `[n, *given_shape]`, on the device of the numbers."""


def parts_of(spec: SampleSpec, hard: Tensor) -> GivenParts:
    """What is given of hard samples `[m, *hard shape]`, taken in turn: of sample i % m for the i-th."""

    def parts(numbers: Tensor) -> Tensor:
        given = spec.given_part(spec.relax(hard[numbers.cpu() % len(hard)].to(numbers.device)))
        assert given is not None
        return given

    return parts


@torch.no_grad()
def generate(
    generator: nn.Module,
    spec: SampleSpec,
    count: int,
    seed: int,
    condition: Tensor | None,
    given: GivenParts | None = None,
) -> Tensor:
    """`count` relaxed samples `[count, *shape]` on the generator's device.

    The i-th depends on `seed`, i, its class and what is given of it only. Raises UsageError where something is given and
    `spec` wants nothing, or the other way round.
    """

    def one(z: Tensor, classes: Tensor | None, part: Tensor | None) -> Tensor:
        made = call_generator(generator, z, classes, part).float()
        if made.shape[1:] != spec.shape:
            found, wanted = tuple(made.shape[1:]), spec.shape
            raise PluginError(
                f"the generator makes samples of shape {found}, the data have {wanted}; choose another architecture"
            )
        return made

    parts = _chunks(generator, spec, count, seed, condition, given, one)
    return torch.cat(parts) if parts else torch.empty(0, *spec.shape, device=next(generator.parameters()).device)


@torch.no_grad()
def draw(
    generator: nn.Module,
    spec: SampleSpec,
    count: int,
    seed: int,
    condition: Tensor | None,
    given: GivenParts | None = None,
    sampling: Options | None = None,
    chooser: Chooser | None = None,
) -> Tensor:
    """`count` hard samples on the CPU, as `generate` and `spec.harden` make them, or as the generator's own `sample` does.

    `sampling` are options of the latter; its own without. `chooser` takes the place of each by one of several candidates.

    Raises:
        NonFiniteError: what the generator makes has numbers that are not finite.
    """
    if chooser is not None and count:
        return chooser(lambda other: draw(generator, spec, count, other, condition, given, sampling), seed, condition)
    if not isinstance(generator, SamplesItself) or not count:
        made = generate(generator, spec, count, seed, condition, given)
        if not is_finite(made):
            raise NonFiniteError(
                "the generator makes samples that are not finite, though its weights are: it has diverged, or its checkpoint was "
                "changed; take an earlier one (--step N)"
            )
        return spec.harden(made).cpu()

    def one(z: Tensor, classes: Tensor | None, part: Tensor | None) -> Tensor:
        given = () if part is None else (part,)
        return generator.sample(z, classes, sampling, *given).cpu()

    return torch.cat(_chunks(generator, spec, count, seed, condition, given, one))


def _chunks(
    generator: nn.Module,
    spec: SampleSpec,
    count: int,
    seed: int,
    condition: Tensor | None,
    given: GivenParts | None,
    make: Callable[[Tensor, Tensor | None, Tensor | None], Tensor],
) -> list[Tensor]:
    """What `make` makes of the latents of all samples, with their classes and what is given of them, chunk by chunk."""
    if spec.given_shape is not None and given is None:
        raise UsageError(
            "this generator makes the rest of a sample of which a part is given; pass --given FILE (from Python, given=...)"
        )
    if spec.given_shape is None and given is not None:
        raise UsageError(NOTHING_GIVEN)
    device = next(generator.parameters()).device
    parts = []
    for start in range(0, count, CHUNK):
        positions = torch.arange(start, min(start + CHUNK, count), device=device)
        classes = None if condition is None else condition[start : start + CHUNK].to(device)
        z = draw_latent(generator, Draws(seed, positions))
        parts.append(make(z, classes, None if given is None else given(positions)))
    return parts


def cycle_classes(spec: SampleSpec, count: int) -> Tensor | None:
    """Classes in turn, 0, 1, 2 ..., `[count]` int64; None without labels."""
    return torch.arange(count) % spec.class_count if spec.class_count else None


def write(
    settings: Settings, spec: SampleSpec, samples: Tensor, labels: Tensor | None, folder: Path, stem: str, role: str
) -> list[Path]:
    """Write hard `samples` with every writer of `role`; the files written.

    Raises:
        WriteError: the disk is full, or the folder cannot be written.
        PluginError: a writer failed for another reason.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for chosen in of_role(settings, role):
        try:
            written += write_with(chosen, spec, samples, labels, folder, stem)
        except GanError:
            raise
        except Exception as error:
            told = write_error(trouble(folder) or error, f"'{folder}'", folder)
            raise told or PluginError(
                f"writer '{chosen.found.qualified}' failed with {type(error).__name__}: {error}"
            ) from error
    return written


def of_role(settings: Settings, role: str) -> list[Chosen]:
    """The writers of `role`."""
    return [chosen for chosen in settings.writers.values() if chosen.found.record.role == role]


def write_with(
    chosen: Chosen, spec: SampleSpec, samples: Tensor, labels: Tensor | None, folder: Path, stem: str
) -> list[Path]:
    """Write hard `samples` with one writer."""
    files: list[Path] = chosen.build(spec).write(samples, folder, stem, None if labels is None else labels.tolist())
    return files


def check_writers(settings: Settings, spec: SampleSpec) -> None:
    """Make every writer once, so that one that cannot be made, for want of a file say, is told of before any work is done."""
    for chosen in settings.writers.values():
        chosen.build(spec)


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
            samples, labels = self._drawn(generator, count)
        except NonFiniteError as error:
            self._tell("samples", f"the sheet of step {step:,} could not be drawn", error)
            return []
        except GanError:  # the networks do not fit the data, or what was asked for cannot be
            raise
        except Exception as error:
            self._tell("samples", f"the sheet of step {step:,} could not be generated", error)
            return []
        if not self._real_done:
            self._real_done = self._real(count)
        stem = f"step-{step:08d}"
        files = self._write_all(samples, labels, self.folder.samples, stem, f"the sheet of step {step:,}")
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

    def real_samples(self, count: int) -> tuple[Tensor, Tensor | None]:
        """Real samples from all over the data set, `count` or as many as there are, and their classes: always the same."""
        n = min(count, len(self.source))
        positions = torch.linspace(0, len(self.source) - 1, n).long()
        return self.source.fetch(positions, Draws(derive(self.settings.run.seed, "real"), positions))

    def _real(self, count: int) -> bool:
        """Write the real samples to compare with: of the same classes at the same places as those that are generated.

        Whether all of it could be done.
        """
        what = "the sheet of real samples"
        try:
            classes = None if self.spec.given_shape is not None else cycle_classes(self.spec, count)
            positions = None if classes is None else of_classes(self.source, classes)
            if positions is None:
                x, labels = self.real_samples(count)
            else:
                x, labels = self.source.fetch(positions, Draws(derive(self.settings.run.seed, "real"), positions))
        except Exception as error:
            self._tell("real", f"{what} could not be made", error)
            return False
        return None not in self._write_all(x, labels, self.folder.samples / "real", "real", what)

    def make_progress(self) -> list[Path]:
        """One file out of all sheets so far, from every writer of role `progress`."""
        sheets = sheets_of(self.folder)
        written: list[Path] = []
        for chosen in films(self.settings) if len(sheets) > 1 else ():
            write = partial(write_film, chosen, self.spec, sheets, self.folder)
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
        except Exception as error:
            writer = f"writer '{chosen.found.record.name}' of plugin '{chosen.found.plugin}'"
            self._tell(chosen.found.qualified, f"{writer} could not write {what}", error)
            for path in _named(folder, stem) - before:
                with suppress(OSError):
                    path.unlink()
            return None

    def _tell(self, who: str, problem: str, error: Exception) -> None:
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
        n = min(len(there), len(places))
        spread = there[torch.linspace(0, len(there) - 1, n).long()]
        positions[places] = spread[torch.arange(len(places)) % n]
    return positions


def films(settings: Settings) -> list[Chosen]:
    """The writers that make one file out of all sheets of a run."""
    return of_role(settings, "progress")


def sheets_of(folder: RunFolder) -> list[Path]:
    """The sheets of a run so far, in order: those of the kind of file of which there are most."""
    by_suffix: dict[str, list[Path]] = {}
    for path in sorted(folder.samples.glob("step-*")):
        by_suffix.setdefault(path.suffix, []).append(path)
    return max(by_suffix.values(), key=len, default=[])


def make_films(settings: Settings, spec: SampleSpec, folder: RunFolder) -> list[Path]:
    """One file out of all sheets so far, from every writer of role `progress`; none where there is only one sheet."""
    sheets = sheets_of(folder)
    if len(sheets) < 2:
        return []
    return [path for chosen in films(settings) for path in write_film(chosen, spec, sheets, folder)]


def write_film(chosen: Chosen, spec: SampleSpec, sheets: list[Path], folder: RunFolder) -> list[Path]:
    """One file out of `sheets`, from one writer."""
    files: list[Path] = chosen.build(spec).write(sheets, folder.samples, "progress")
    return files


def check_class(spec: SampleSpec, wanted: str | int) -> int:
    """The index of a class given by index or by name; text that is both is a name, a number always an index.

    Raises:
        UsageError: there are no classes, or none of that name.
    """
    if not spec.classes:
        raise UsageError("this generator was trained without labels; it has no classes to choose from")
    text = str(wanted)
    if isinstance(wanted, str) and text in spec.classes:
        return spec.classes.index(text)
    if text.isdecimal() and len(text) < 20 and int(text) < len(spec.classes):
        return int(text)
    raise UnknownNameError("class", text if len(text) <= LONGEST else brief(text), spec.classes)
