"""A trained generator as a value: load it from a run, draw samples, write them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from gancore.blame import describe
from gancore.components import GivenReader, ProgressReport
from gancore.configuration.mistakes import explain
from gancore.configuration.settings import Settings
from gancore.data.runs import check_apart
from gancore.data.spec import Given, SampleSpec
from gancore.disk import write_error
from gancore.engine.restore import SavedData
from gancore.errors import ConfigError, GanError, Mistake, PluginError, RunFolderError, UsageError
from gancore.options import Options, check_whole
from gancore.powers import Exports, SamplesItself, StreamsGiven, TellsLikelihood
from gancore.random import derive
from gancore.sampling.candidates import Chooser
from gancore.sampling.drawing import CHUNK, NOTHING_GIVEN, check_class, cycle_classes, draw, parts_of, settled
from gancore.sampling.names import kind_of, renamed
from gancore.sampling.writing import write
from gancore.storage import new_file_mode, occupied, whole_folder
from gancore.targets import resolve
from gancore.text import check_path

MOST = 10_000_000
"""Samples that are drawn at once, at most."""
ANY = ".any"
"""A suffix that stands for all kinds of sheets."""


class Generator:
    """The averaged generator of a run, in evaluation mode.

    `spec` says what a sample is; `step` how long it was trained; `settings` how. `sampling` says how samples are drawn (their
    temperature), None where there is nothing to choose; `chooser` chooses between candidates, where the run's `candidates` ask for
    it. `judge` is the network by which the game tells real samples from generated ones, where it has such a one. `others` are the
    generators that the game kept beside this one, without candidates. `data` tells the data that it was trained on from others.
    `run` is the folder that it was loaded from, `weights` the SHA-256 of its weights there.
    """

    def __init__(
        self,
        module: nn.Module,
        spec: SampleSpec,
        settings: Settings,
        step: int,
        *,
        others: Mapping[str, Generator] | None = None,
        sampling: Mapping[str, Any] | None = None,
        chooser: Chooser | None = None,
        judge: nn.Module | None = None,
        data: SavedData | None = None,
        run: Path | None = None,
        weights: str = "",
    ) -> None:
        self.module = module.eval().requires_grad_(False)
        self.spec = spec
        self.settings = settings
        self.step = step
        self.others = dict(others or {})
        self.sampling: Options | None = module.sampling if isinstance(module, SamplesItself) else None
        self.sampling = self._sampling(sampling)
        self.chooser = chooser
        self.judge = None if judge is None else judge.eval().requires_grad_(False)
        self.data = data
        self.run = run
        self.weights = weights

    def sample(
        self,
        n: int | None = None,
        *,
        seed: int = 0,
        condition: int | str | Sequence[int | str] | Tensor | None = None,
        given: Given | Tensor | str | Path | None = None,
        sampling: Mapping[str, Any] | None = None,
    ) -> Tensor:
        """`n` hard samples `[n, *shape]` on the CPU, such as uint8 images `[n, channels, height, width]`.

        `condition` is one class for all (index or name), or one per sample; without it classes take turns. `given` is the
        conditioning input, where the data have one: a file, what `read_given` made of it, or hard samples `[m, *shape]` of
        which a part is used; sample i gets that of i % m. Without `n` there is 1 sample, or one for each that is given.
        `sampling` are changes of `self.sampling`, `{"temperature": 0.8}`. Sample i depends on `seed`, i, its class, what it is
        given and these alone.

        Raises:
            UsageError: a class that does not exist, or not as many as samples; something is given that cannot be, or nothing
                where something must be.
            ConfigError: a mistake in `sampling`.
            DataError: the file that is given is damaged.
        """
        how = self._sampling(sampling)
        check_whole(seed, "the seed", 0)
        known = None if given is None else self.read_given(given)
        if n is None:
            n = 1 if known is None else len(known)
        if known is not None:
            self.check_number(n, known)
        labels = self.labels(n, condition, known if not isinstance(given, Tensor) else None)
        parts = None
        if known is not None:
            parts = parts_of(self.spec, settled(self.spec, known.x))
        return draw(self.module, self.spec, n, derive(seed, "sample"), labels, parts, how, self.chooser)

    def translate(
        self,
        sources: Given | Tensor | str | Path,
        to: int | str | Sequence[int | str] | Tensor | None = None,
        *,
        seed: int = 0,
        sampling: Mapping[str, Any] | None = None,
    ) -> Tensor:
        """What becomes of each of `sources`: hard samples `[m, *shape]` on the CPU, in their order.

        `sources` are a file or folder, what `read_given` made of one, or hard samples `[m, *shape]`; `to` is the domain, by name or
        index, or one for each, where the run was trained between domains. `seed` decides in what manner, where there are several.

        Raises:
            UsageError: the run was not trained to translate, there is no such domain, or none is named.
            DataError: the file is damaged.
        """
        return self.sample(seed=seed, condition=to, given=sources, sampling=sampling)

    def _sampling(self, changes: Mapping[str, Any] | None) -> Options | None:
        if not changes:
            return self.sampling
        if self.sampling is None:
            words = "this generator has one way of drawing samples, and nothing to choose"
            raise ConfigError([Mistake(f"sampling.{key}", words) for key in changes])
        model = type(self.sampling)
        try:
            return model.model_validate(self.sampling.model_dump() | dict(changes))
        except ValidationError as error:
            raise ConfigError(explain(error, model, "sampling")) from error

    @torch.no_grad()
    def log_likelihood(self, samples: Tensor, condition: Tensor | None = None) -> Tensor:
        """The natural logarithms `[n]` float32 of the probabilities of hard samples `[n, *shape]` of classes `condition` `[n]`.

        Raises:
            UsageError: this generator cannot tell.
        """
        if not isinstance(self.module, TellsLikelihood):
            raise UsageError(
                "this generator cannot tell how likely a sample is; only those that make samples part by part can"
            )
        device = next(self.module.parameters()).device
        classes = [None] * len(samples) if condition is None else condition.split(CHUNK)
        parts = [
            self.module.log_likelihood(x.to(device), None if y is None else y.to(device)).float().cpu()
            for x, y in zip(samples.split(CHUNK), classes, strict=False)
        ]
        return torch.cat(parts) if parts else torch.empty(0)

    def export(self, folder: str | Path, condition: int | str | None = None) -> list[Path]:
        """Write the generator as a model of another library, where its architecture can; the files written.

        That model makes samples of one class, `condition`, where there are classes.

        Raises:
            UsageError: its architecture cannot, or there is no such class, or none is named, or the folder is among the run's data.
            RunFolderError: the folder has something in it.
        """
        if not isinstance(self.module, Exports):
            name = self.settings.architecture.name
            raise UsageError(f"architecture '{name}' does not belong to another library, so there is nothing to export")
        check_path(folder, "the folder")
        target = Path(folder).absolute()
        if occupied(target):
            raise RunFolderError(f"'{folder}' exists already and nothing is overwritten; choose another folder")
        check_apart(target, self.settings.data_path)
        if self.spec.classes and condition is None:
            names = ", ".join(self.spec.classes)
            raise UsageError(f"what is exported makes samples of one class; name it with --class (condition=): {names}")
        number = None if condition is None else check_class(self.spec, condition)
        with whole_folder(target):
            try:
                target.mkdir(parents=True, exist_ok=True)
                self.module.export(target, self.spec, number)
                files = sorted(path for path in target.rglob("*") if path.is_file())
                for path in files:
                    path.chmod(new_file_mode())  # the writer of safetensors makes files that nobody else can read
            except Exception as error:
                if isinstance(error, GanError):
                    raise
                told = write_error(error, f"'{folder}'", target)
                if told is None:
                    raise
                raise told from error
        return files

    def check_number(self, n: int, given: Sized) -> None:
        """Raise UsageError where `n` samples for what is given would be copies, because nothing is drawn for them."""
        if n > len(given) and getattr(self.module, "latent_shape", None) == (0,):
            raise UsageError(
                f"this generator makes one sample of each that is given, always the same, and {len(given):,} are given; ask for no more"
            )

    def read_given(self, given: Given | Tensor | str | Path) -> Given:
        """What is given in a file or by hard samples `[m, *shape]`, for `sample`, `labels` and `save`.

        Raises:
            UsageError: this generator is given nothing, or this cannot be given to it.
            DataError: the file is damaged.
        """
        if self.spec.given_shape is None:
            raise UsageError(NOTHING_GIVEN)
        if isinstance(given, str | Path):
            check_path(given, "the file that is given,")
            reader = self._reader()
            if reader is None:
                raise UsageError(
                    f"'{given}': samples of this kind cannot be given in a file; pass them as a tensor, from Python"
                )
            with _reading(self.settings, f"could not read '{given}'"):
                given = reader.read(Path(given))
        known = Given(given) if isinstance(given, Tensor) else given
        try:
            fits = len(known) > 0 and self.spec.relax(known.x[:1]).shape[1:] == self.spec.shape
        except (RuntimeError, IndexError, ValueError, TypeError):
            fits = False
        if not fits or str(known.x.dtype).removeprefix("torch.") != self.spec.dtype:
            raise UsageError(
                f"what is given must be hard samples, {self.spec.dtype} [m, ...] as the data set holds them, m at least 1; "
                f"found {known.x.dtype} {list(known.x.shape)}"
            )
        return known

    def given_in_turn(self, path: str | Path, progress: ProgressReport) -> Callable[[], Iterator[Given]] | None:
        """What reads the files at `path` in turn, from the first one on each time that it is called; None where only `read_given` can.

        Raises:
            UsageError: this generator is given nothing. What is wrong with the files is raised as they are read.
        """
        if self.spec.given_shape is None:
            raise UsageError(NOTHING_GIVEN)
        check_path(path, "the file that is given,")
        reader = self._reader()
        what = f"could not read '{path}'"
        if not isinstance(reader, StreamsGiven):
            return None
        with _reading(self.settings, what):
            if reader.stream(Path(path), progress) is None:
                return None

        def read() -> Iterator[Given]:
            with _reading(self.settings, what):
                bits = reader.stream(Path(path), progress)
            count = 0
            while True:
                with _reading(self.settings, what):
                    bit = None if bits is None else next(bits, None)
                    if bit is None and not count:
                        raise ValueError("its stream gives nothing, and raises no error")
                    if bit is not None and len(bit.names) != len(bit):
                        raise ValueError(f"its stream gives {len(bit):,} samples at once with {len(bit.names):,} names")
                if bit is None:
                    return
                count += len(bit)
                yield bit
                del bit  # not kept while the next one is read

        return read

    def _reader(self) -> GivenReader | None:
        """What reads files that are given and joins samples, by the data set's record; None where it names nothing."""
        target = self.settings.data.found.record.given
        with _reading(self.settings, "could not be made"):
            return resolve(target)(self.spec) if target else None

    def labels(
        self,
        n: int,
        condition: int | str | Sequence[int | str] | Tensor | None = None,
        given: Given | str | Path | None = None,
    ) -> Tensor | None:
        """The classes `[n]` int64 that `sample(n, condition=condition, given=given)` uses; None for a generator without labels.

        What a file gives belongs together: it has the class that it names, else all of it is of one class, and when it is
        used up and begins again, of the next.
        """
        check_whole(n, "the number of samples", 1, MOST)
        if condition is None and given is not None and self.spec.domains:
            raise UsageError(
                "name the domain to translate to, with --to (or --class; from Python, to= or condition=): "
                f"{', '.join(self.spec.domains)}"
            )
        if condition is None and given is not None and self.spec.classes:
            known = self.read_given(given)
            turn, place = torch.arange(n) // len(known), torch.arange(n) % len(known)
            return turn % self.spec.class_count if known.condition is None else known.condition[place]
        if condition is None:
            return cycle_classes(self.spec, n)
        if isinstance(condition, Tensor):
            condition = condition.tolist() if condition.dim() else int(condition)
        wanted = [condition] * n if isinstance(condition, (int, str)) else list(condition)
        if len(wanted) != n:
            raise UsageError(f"condition names {len(wanted)} classes for {n} samples")
        return torch.tensor([check_class(self.spec, w) for w in wanted])

    def save(
        self,
        samples: Tensor,
        path: str | Path,
        labels: Sequence[int] | Tensor | None = None,
        *,
        given: Given | None = None,
        overwrite: bool = False,
        texts: Sequence[str] | None = None,
        stem: str = "sample",
        role: str | None = None,
    ) -> list[Path]:
        """Write hard samples with the run's own writers; the files written.

        A `path` with a suffix (`out.png`) becomes one sheet of all samples, of that kind, or is refused where no writer makes
        such files (`out.any` becomes a sheet of every kind that there is); one without a suffix, or with one that begins with a
        digit (`edit-1.5`), becomes a folder with a file a sample. Samples that were made around `given` are written as it says
        (tempo, names), and put together where they are the parts of one whole: the sheet then shows wholes, and the folder also
        has a file of each, `joined-...`.

        `texts`, in JSON, are what the file of each sample carries, where its writer can, a sheet a list of all; `stem` is what the
        names of files of samples begin with.
        `role="walk"` makes one file of samples in their order, an animation say, instead of a sheet.

        Raises:
            UsageError: the run has no writer for this, or `path` is among its data.
            RunFolderError: the file, or a folder with something in it, exists and `overwrite` is false.
        """
        check_path(path, "the file or folder")
        target = Path(path)
        if not overwrite and occupied(target):
            raise RunFolderError(f"'{target}' exists already; choose another path, or say overwrite=True")
        check_apart(target, self.settings.data_path)
        classes = None if labels is None else torch.as_tensor(labels)
        suffix = kind_of(target)
        role = role or ("sheet" if suffix else "each")
        folder = target.parent if suffix else target
        spec = self.spec if given is None or given.spec is None else given.spec
        lots: list[tuple[str, SampleSpec, Tensor, Tensor | None]] = [(stem, spec, samples, classes)]
        reader = None if given is None else self._reader()
        whole = None
        if given is not None and reader is not None:
            with _reading(self.settings, "could not join the samples"):
                whole = reader.join(samples, given)
        if given is not None and whole is not None:
            firsts = None if classes is None else classes[:: len(given)][: len(whole[1])]
            lots.append(("joined", *whole, firsts))
        if suffix:
            lots = [(target.stem, *lots[-1][1:])]

        def put(place: Path) -> list[Path]:
            written = []
            for number, (name, own, x, y) in enumerate(lots):
                files = write(self.settings, own, x, y, place, name, role, None if number else texts)
                if not number and role == "each" and given is not None and given.names and len(files) % len(x) == 0:
                    files = renamed(files, [given.names[n % len(given.names)] for n in range(len(x))])
                written += files
            if not written:
                raise UsageError(f"plugin '{self.settings.run.plugin}' has no writer of role '{role}'")
            return written

        if suffix in ("", ANY):
            return put(folder)
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder, prefix=f".{target.stem}-") as draft:
            written = put(Path(draft))
            asked = next((f for f in written if f.suffix.lower() == suffix.lower()), None)
            if asked is None:
                kinds = " or ".join(sorted({f.suffix for f in written}))
                raise UsageError(
                    f"no sheet can be written as '{target.name}': the writers of this run make {kinds} of one; a path "
                    "without a suffix becomes a folder with a file a sample"
                )
            asked.replace(target)
        return [target]


@contextmanager
def _reading(settings: Settings, what: str) -> Iterator[None]:
    """Within, the reader of what is given works, which is other people's code: PluginError where it fails."""
    try:
        yield
    except GanError:
        raise
    except (Exception, SystemExit) as error:
        found = settings.data.found
        raise PluginError(
            f"data set '{found.qualified}': its reader of what is given, {found.record.given}, {what}: {describe(error)}"
        ) from error
