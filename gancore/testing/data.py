"""Checks of data sets: what they promise about themselves, their samples, and files that are broken."""

from __future__ import annotations

import contextlib
import pickle
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gancore.components import Dataset, DataSource
from gancore.data.report import ScanReport
from gancore.errors import GanError
from gancore.plugins import build, options_model, resolve
from gancore.random import Draws, derive
from gancore.testing.check import Mismatch, NotApplicable, check, describe
from gancore.testing.kit import Kit, seed_all, silent

COUNT = 8


def _datasets(kit: Kit) -> list[str]:
    return kit.subjects(Dataset)


def _with_files(kit: Kit) -> list[str]:
    return [f"dataset {n}" for n, r in kit.records(Dataset).items() if r.suffixes or r.directories]


def _source(kit: Kit, subject: str) -> DataSource:
    return kit.need("data.opens", lambda: kit.dataset(subject))


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
    declared = kit.need("component.resolves", lambda: resolve(kit.record(subject).spec))
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


@check(
    "data.samples",
    "gan_datasets",
    "fetch gives samples [batch, ...] of the spec's type and range, and labels [batch] int64 exactly where it has classes",
    _datasets,
)
def data_samples(kit: Kit, subject: str) -> None:
    source = _source(kit, subject)
    x, labels = kit.batch(source, COUNT)
    spec = source.spec
    if not isinstance(x, Tensor) or len(x) != COUNT:
        raise Mismatch(f"asked for {COUNT} samples, it gave {_form(x)}")
    if x.dtype is not getattr(torch, spec.dtype, None):
        raise Mismatch(f"samples are {x.dtype}, the spec says {spec.dtype}")
    if x.is_floating_point() and not bool(torch.isfinite(x).all()):
        raise Mismatch("samples have values that are not finite")
    low, high = spec.value_range
    if float(x.min()) < low or float(x.max()) > high:
        raise Mismatch(
            f"samples reach from {float(x.min()):g} to {float(x.max()):g}, the spec says {low:g} to {high:g}"
        )
    if (labels is not None) != bool(spec.classes):
        told = "labels" if labels is not None else "no labels"
        raise Mismatch(f"it gives {told}, and its spec has {spec.class_count} classes")
    if labels is not None:
        if not isinstance(labels, Tensor) or labels.dtype is not torch.int64 or labels.shape != (COUNT,):
            raise Mismatch(f"labels are {_form(labels)}, not int64 [{COUNT}]")
        if int(labels.min()) < 0 or int(labels.max()) >= spec.class_count:
            raise Mismatch(
                f"labels reach from {int(labels.min())} to {int(labels.max())}, there are {spec.class_count} classes"
            )


@check(
    "data.relaxes",
    "gan_datasets",
    "spec.relax gives float32 [batch, *spec.shape] without gradient, and spec.harden leads back to the hard sample",
    _datasets,
)
def data_relaxes(kit: Kit, subject: str) -> None:
    source = _source(kit, subject)
    spec = source.spec
    x, _ = kit.need("data.samples", lambda: kit.batch(source, COUNT))
    relaxed = spec.relax(x)
    if relaxed.dtype is not torch.float32 or relaxed.shape != (COUNT, *spec.shape):
        raise Mismatch(f"relaxed samples are {_form(relaxed)}, the spec says float32 {[COUNT, *spec.shape]}")
    if not bool(torch.isfinite(relaxed).all()):
        raise Mismatch("relaxed samples have values that are not finite")
    hard = spec.harden(relaxed)
    if hard.dtype is not x.dtype or hard.shape != x.shape:
        raise Mismatch(f"harden(relax(x)) is {_form(hard)}, x is {_form(x)}")
    # Numbers may lose their last digits in between, but only once: the second time nothing more may change.
    first, second = (hard, x) if not x.is_floating_point() else (spec.harden(spec.relax(hard)), hard)
    scale = max(1e-6, float(second.double().abs().max()))
    error = float((first.double() - second.double()).abs().max()) / scale
    if error > (0.0 if not x.is_floating_point() else 1e-4):
        raise Mismatch(f"harden(relax(x)) differs from x by {error:.2g} of its largest value")


@check(
    "data.counted",
    "gan_datasets",
    "the n-th sample is always the same: every random choice comes from `draws`, one sample's from its own position",
    _datasets,
)
def data_counted(kit: Kit, subject: str) -> None:
    source = _source(kit, subject)
    positions = torch.arange(COUNT)
    indices = torch.linspace(0, len(source) - 1, COUNT).long()
    seed = derive(7, "kit")

    def fetch(rows: Tensor, noise: int) -> tuple[Tensor, Tensor | None]:
        seed_all(noise)
        return source.fetch(indices[rows], Draws(seed, positions[rows]))

    every = torch.arange(COUNT)
    whole, labels = kit.need("data.samples", lambda: fetch(every, 1))
    again, labels_again = fetch(every, 2)
    same_labels = labels is None or labels_again is None or torch.equal(labels, labels_again)
    if not torch.equal(whole, again) or not same_labels:
        raise Mismatch(
            "fetched twice with the same `draws`, samples differ: torch, numpy or random is drawn from instead"
        )
    alone, _ = fetch(torch.tensor([COUNT - 1]), 1)
    if not torch.equal(whole[-1:], alone):
        raise Mismatch("a sample fetched alone differs from the same sample in a batch")
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
    x, _ = kit.need("data.samples", lambda: kit.batch(source, COUNT))
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
    model = kit.need("component.resolves", lambda: options_model(record))
    good: Path | None = None
    with contextlib.suppress(NotApplicable):  # then without a truncated one
        good = kit.path_for(subject)
    for what, path in _broken(record, kit.folder("broken"), good):
        try:
            source = build(record, model(path=path), silent) if model else build(record, silent)
            count = len(source)
            if count:
                kit.batch(source, 2)
        except GanError as error:
            if path.name not in str(error) and str(path) not in str(error):
                raise Mismatch(f"given {what}, its error does not name the path: {error}") from error
            continue
        except Exception as error:
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
        content = good.read_bytes()
        path = folder / f"truncated{good.suffix}"
        path.write_bytes(content[: len(content) // 2])
        yield "the first half of a good file", path
    if record.directories:
        yield "nothing at a folder's path", folder / "missing"
        (folder / "empty").mkdir()
        yield "an empty folder", folder / "empty"
        suffixes = sorted({p.suffix for p in good.rglob("*")} - {""})[:3] if good is not None and good.is_dir() else []
        bad = folder / "bad"
        bad.mkdir()
        for number, suffix in enumerate([*suffixes, ".xyz"]):
            (bad / f"empty-{number}{suffix}").touch()
            (bad / f"random-{number}{suffix}").write_bytes(noise)
        yield "a folder of nothing but broken files", bad
        if good is not None and good.is_dir():
            mixed = folder / "mixed"
            shutil.copytree(good, mixed)
            for number, suffix in enumerate(suffixes):
                (mixed / f"zz-empty-{number}{suffix}").touch()
                whole = next(p for p in sorted(good.rglob(f"*{suffix}")))
                (mixed / f"zz-half-{number}{suffix}").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
            yield "a folder with broken files among good ones", mixed


def _form(x: Any) -> str:
    return f"{str(x.dtype).removeprefix('torch.')} {list(x.shape)}" if isinstance(x, Tensor) else type(x).__name__
