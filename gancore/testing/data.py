"""Checks of data sets: what they promise about themselves, their samples, and files that are broken."""

from __future__ import annotations

import contextlib
import itertools
import pickle
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from gancore.components import Dataset, DataSource, GivenReader
from gancore.data.held_out import domains_of, groups_of
from gancore.data.report import ScanReport, silent
from gancore.engine.contract import of_batch
from gancore.errors import GanError, PluginError
from gancore.games.breach import form
from gancore.powers import StreamsGiven
from gancore.random import Draws, derive
from gancore.targets import build, resolve
from gancore.testing.bench import seed_all
from gancore.testing.check import Blocked, Mismatch, NotApplicable, blaming, check, describe
from gancore.testing.elsewhere import elsewhere
from gancore.testing.kit import Kit

COUNT = 8
MOST_IN_MEMORY, MOST_DECODED = 4096, 64
"""How many samples are looked at, where that costs little and where it costs more."""
NEAR = 0.5
"""How far, relative to their size, relaxed samples may lie from those they come back as, where that is not exact."""
LARGEST = 4 * 1024 * 1024
"""Bytes of a file of the user's that are copied to be broken."""


def _datasets(kit: Kit) -> list[str]:
    return kit.subjects(Dataset)


def _with_files(kit: Kit) -> list[str]:
    return [f"dataset {n}" for n, r in kit.records(Dataset).items() if r.suffixes or r.directories]


def _with_reader(kit: Kit) -> list[str]:
    return [f"dataset {n}" for n, r in kit.records(Dataset).items() if r.given]


def _source(kit: Kit, subject: str) -> DataSource:
    kit.passed("data.opens", subject)
    return kit.dataset(subject)


@check(
    "data.opens",
    "gan_datasets",
    "the target returns a DataSource: spec (of the class declared), report, in_memory, a length of at least 1, fetch",
    _datasets,
)
def data_opens(kit: Kit, subject: str) -> None:
    source = kit.dataset(subject)
    missing = [n for n in ("spec", "report", "in_memory", "fetch", "__len__") if not hasattr(source, n)]
    if missing:
        raise Mismatch(f"{type(source).__name__} has no {', '.join(missing)}")
    declared = resolve(kit.record(subject).spec)
    if type(source.spec) is not declared:
        raise Mismatch(
            f"its spec is a {type(source.spec).__name__}, the record declares {declared.__name__}: a trained run could "
            "not be read back"
        )
    again = declared.model_validate_json(source.spec.model_dump_json())
    if again != source.spec:
        raise Mismatch(f"stored with a checkpoint and read back, the spec {source.spec!r} became {again!r}")
    if not isinstance(source.in_memory, bool):
        raise Mismatch(f"in_memory is {source.in_memory!r}; say True or False")
    if len(source) < 1:
        raise Mismatch("it opened with no samples; raise DataError instead, and say what was looked for")
    report = source.report
    if not isinstance(report, ScanReport) or not report.source or not report.used > 0 or report.found < 1:
        raise Mismatch(f"its report is {report!r}; give a ScanReport with what was found and used")
    try:
        groups_of(source)
        domains_of(source)
    except PluginError as error:
        raise Mismatch(str(error)) from error


@check(
    "data.samples",
    "gan_datasets",
    "fetch gives samples [batch, ...] of the spec's type and range, and labels [batch] int64 exactly where it has classes",
    _datasets,
)
def data_samples(kit: Kit, subject: str) -> None:
    source = _source(kit, subject)
    count = min(len(source), MOST_IN_MEMORY if source.in_memory else MOST_DECODED)
    with blaming(source.fetch):
        if wrong := of_batch(kit.batch(source, count), count, source.spec, values=True):
            raise Mismatch(wrong)


@check(
    "data.given",
    "gan_datasets",
    "what the record names as `given` makes a GivenReader of the spec, which refuses a file that does not exist",
    _with_reader,
)
def data_given(kit: Kit, subject: str) -> None:
    target = kit.record(subject).given
    reader = resolve(target)(_source(kit, subject).spec)
    if not isinstance(reader, GivenReader):
        raise Mismatch(f"'{target}' makes a {type(reader).__name__}, which has no methods read and join")
    absent = kit.folder("given") / "absent"
    try:
        reader.read(absent)
    except GanError:
        pass
    else:
        raise Mismatch("it reads a file that does not exist")
    if isinstance(reader, StreamsGiven):
        try:
            list(reader.stream(absent, silent) or reader.read(absent).x)
        except GanError:
            return
        raise Mismatch("its stream reads a file that does not exist")


@check(
    "data.relaxes",
    "gan_datasets",
    "spec.relax gives float32 [batch, *spec.shape] without gradient; spec.harden leads back to the hard sample, or near it",
    _datasets,
)
def data_relaxes(kit: Kit, subject: str) -> None:
    source = _source(kit, subject)
    with blaming(source.spec.harden, source.spec.relax):
        _data_relaxes(kit, subject, source)


def _data_relaxes(kit: Kit, subject: str, source: DataSource) -> None:
    spec = source.spec
    kit.passed("data.samples", subject)
    x, _ = kit.batch(source, COUNT)
    relaxed = spec.relax(x)
    if relaxed.dtype is not torch.float32 or relaxed.shape != (COUNT, *spec.shape):
        raise Mismatch(f"relaxed samples are {form(relaxed)}, the spec says float32 {[COUNT, *spec.shape]}")
    if not bool(torch.isfinite(relaxed).all()):
        raise Mismatch("relaxed samples have values that are not finite")
    part = spec.given_part(relaxed)
    found, wanted = None if part is None else tuple(part.shape), spec.given_shape
    if found != (None if wanted is None else (COUNT, *wanted)):
        raise Mismatch(f"spec.given_part gives {found}, spec.given_shape says {wanted}")
    hard = spec.harden(relaxed)
    if hard.dtype is not x.dtype or hard.shape != x.shape:
        raise Mismatch(f"harden(relax(x)) is {form(hard)}, x is {form(x)}")
    if not spec.exact:
        again = float((spec.relax(hard) - relaxed).norm() / relaxed.norm().clamp(min=1e-6))
        if again > NEAR:
            raise Mismatch(
                f"relax(harden(relax(x))) differs from relax(x) by {again:.2g} of its size, more than {NEAR}"
            )
        return
    # Numbers may lose their last digits in between, but only once: the second time nothing more may change.
    first, second = (hard, x) if not x.is_floating_point() else (spec.harden(spec.relax(hard)), hard)
    scale = max(1e-6, float(second.double().abs().max()))
    error = float((first.double() - second.double()).abs().max()) / scale
    if error > (0.0 if not x.is_floating_point() else 1e-4):
        raise Mismatch(f"harden(relax(x)) differs from x by {error:.2g} of its largest value")


@check(
    "data.device",
    "gan_datasets",
    "spec.relax and spec.harden work where their samples are, on a graphics card too",
    _datasets,
)
def data_device(kit: Kit, subject: str) -> None:
    kit.passed("data.relaxes", subject)
    source = kit.dataset(subject)
    x, _ = kit.batch(source, COUNT)
    with elsewhere("spec.relax or spec.harden"):
        source.spec.harden(source.spec.relax(x.to("meta")))


@check(
    "data.counted",
    "gan_datasets",
    "the n-th sample is always the same: every random choice comes from `draws`, one sample's from its own position",
    _datasets,
)
def data_counted(kit: Kit, subject: str) -> None:
    source = _source(kit, subject)
    with blaming(source.fetch):
        _data_counted(kit, subject, source)


def _data_counted(kit: Kit, subject: str, source: DataSource) -> None:
    positions = torch.arange(COUNT)
    indices = torch.linspace(0, len(source) - 1, COUNT).long()
    seed = derive(7, "kit")

    def fetch(rows: Tensor, noise: int) -> tuple[Tensor, Tensor | None]:
        seed_all(noise)
        return source.fetch(indices[rows], Draws(seed, positions[rows]))

    kit.passed("data.samples", subject)
    every = torch.arange(COUNT)
    whole, labels = fetch(every, 1)
    again, labels_again = fetch(every, 2)
    same_labels = labels is None or labels_again is None or torch.equal(labels, labels_again)
    if not torch.equal(whole, again) or not same_labels:
        raise Mismatch(
            "fetched twice with the same `draws`, samples differ: torch, numpy or random is drawn from instead"
        )
    alone, _ = fetch(torch.tensor([COUNT - 1]), 1)
    # Sums may be rounded otherwise in a batch of another size.
    close = torch.allclose(whole[-1:], alone, rtol=1e-4, atol=1e-5) if whole.is_floating_point() else False
    if not close and not torch.equal(whole[-1:], alone):
        raise Mismatch("a sample fetched alone differs from the same sample in a batch")
    one = [source.fetch(indices[:1].expand(COUNT), Draws(s, positions))[0] for s in (seed, seed + 1)]
    if all(torch.equal(row, one[0][0]) for row in one[0]) and not torch.equal(*one):
        raise Mismatch(
            "`draws` decide, and the position of the sample does not: use draws.uniform and its like, not draws.seed"
        )
    seed_all(5)
    before = torch.get_rng_state().clone()
    source.fetch(indices, Draws(seed, positions))
    if not torch.equal(before, torch.get_rng_state()):
        raise Mismatch("fetch moves torch's global random numbers; draw from `draws`")


@check(
    "data.travels",
    "gan_datasets",
    "it can be pickled, since loader processes are given it where they cannot fork",
    _datasets,
)
def data_travels(kit: Kit, subject: str) -> None:
    source = _source(kit, subject)
    copy = pickle.loads(pickle.dumps(source))
    kit.passed("data.counted", subject)
    x, _ = kit.batch(source, COUNT)
    y, _ = kit.batch(copy, COUNT)
    if not torch.equal(x, y):
        raise Mismatch("a pickled copy gives other samples")


@check(
    "data.broken",
    "gan_datasets",
    "missing, empty, tiny, truncated and meaningless files are refused with a GanError that names the path, or skipped and listed",
    _with_files,
)
def data_broken(kit: Kit, subject: str) -> None:
    record = kit.record(subject)
    model = kit.model(subject)
    good: Path | None = None
    with contextlib.suppress(NotApplicable, Blocked):  # then without a truncated one
        good = kit.path_for(subject)
    for what, path in _broken(record, kit.folder("broken"), good):
        try:
            source = build(record, model(path=path), silent)
            count = len(source)
            if count:
                kit.batch(source, 2)
        except GanError as error:
            if path.name not in str(error) and str(path) not in str(error):
                raise Mismatch(f"given {what}, its error does not name the path: {error}") from error
            continue
        except (Exception, SystemExit) as error:
            raise Mismatch(f"given {what}, it raised {describe(error)} instead of a GanError in words") from error
        if not count:
            raise Mismatch(f"given {what}, it opened with no samples; raise DataError and say what was looked for")
        if what.startswith(("an empty", "one byte", "nothing")):
            raise Mismatch(f"given {what}, it opened with {count} samples")
        if what.startswith("a folder with broken") and not source.report.skipped:
            raise Mismatch(f"given {what}, it opened with {count} samples and lists nothing as skipped")


def _broken(record: Dataset, folder: Path, good: Path | None) -> Iterator[tuple[str, Path]]:
    """Words and a path for each way in which data can be bad."""
    noise = random.Random(1).randbytes(512)
    for suffix in record.suffixes:
        yield f"nothing at x{suffix}", folder / f"missing{suffix}"
        for what, content in (("an empty file", b""), ("one byte", b"\x00"), ("random bytes", noise)):
            path = folder / f"{what.replace(' ', '-')}{suffix}"
            path.write_bytes(content)
            yield f"{what} called {path.name}", path
        path = folder / f"folder{suffix}"
        path.mkdir()
        yield f"an empty folder called {path.name}", path
    if good is not None and good.is_file():
        path = folder / f"truncated{good.suffix}"
        path.write_bytes(_half(good))
        yield "the first half of a good file", path
    if record.directories:
        yield "nothing at a folder's path", folder / "missing"
        (folder / "empty").mkdir()
        yield "an empty folder", folder / "empty"
        files = _some_files(good) if good is not None and good.is_dir() else []
        suffixes = sorted({f.suffix for f in files} - {""})[:3]
        bad = folder / "bad"
        bad.mkdir()
        for number, suffix in enumerate([*suffixes, ".xyz"]):
            (bad / f"empty-{number}{suffix}").touch()
            (bad / f"random-{number}{suffix}").write_bytes(noise)
        yield "a folder of nothing but broken files", bad
        if files and good is not None:
            mixed = folder / "mixed"
            for file in files:
                (mixed / file.relative_to(good)).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, mixed / file.relative_to(good))
            for number, suffix in enumerate(suffixes):
                (mixed / f"zz-empty-{number}{suffix}").touch()
                whole = next(f for f in files if f.suffix == suffix)
                (mixed / f"zz-half-{number}{suffix}").write_bytes(_half(whole))
            yield "a folder with broken files among good ones", mixed


def _some_files(folder: Path) -> list[Path]:
    """A few files of a folder, none of them large: what is the user's may be of any size."""
    small = (p for p in sorted(folder.rglob("*")) if p.is_file() and p.stat().st_size <= LARGEST)
    return list(itertools.islice(small, 20))


def _half(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(min(LARGEST, file.stat().st_size // 2))
