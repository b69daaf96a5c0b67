"""Checks of writers: files where they belong, that the modality's own reader reads back."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gancore.components import Dataset, DataSource, Writer
from gancore.data.report import silent
from gancore.data.spec import SampleSpec
from gancore.errors import UsageError
from gancore.games.calling import call_generator
from gancore.powers import CarriesText, WritesCaptions
from gancore.random import Draws
from gancore.targets import build, resolve
from gancore.testing.check import Blocked, Mismatch, NotApplicable, check, describe
from gancore.testing.kit import BATCH, Kit, Scene, latents, reads, tried_on
from gancore.testing.places import target

STEM = "sample"
SHOWS = ("each", "sheet", "walk")
"""Roles of writers of samples."""
TEXTS = ("first", json.dumps({"words": ["naïve 猫 🐈 \n"] * 3000}, ensure_ascii=False), "")
"""What files are given to carry, one after another."""


def _samples(kit: Kit, subject: str) -> tuple[SampleSpec, Tensor, Tensor, list[int] | None]:
    """Spec, hard samples real and generated that a writer is for, and their labels; made once."""
    stage = kit.stage_for(subject)
    spec, real, fake, labels = kit.once("samples to write", stage.name, make=lambda: _made(kit, stage))
    return spec, real.clone(), fake.clone(), labels


def _made(kit: Kit, stage: Scene) -> tuple[SampleSpec, Tensor, Tensor, list[int] | None]:
    settings, spec, game = kit.ready(stage)
    if stage.name in kit.scenes():
        kit.passed("networks.shapes", stage.name)
    real, labels = kit.batch(kit.source(settings))
    with torch.no_grad():
        generator = game.networks["generator"].eval()
        given = spec.given_part(spec.relax(real))
        fake = spec.harden(call_generator(generator, latents(generator), labels, given))
    return spec, real, fake, None if labels is None else labels.tolist()


def _write(
    kit: Kit, subject: str, spec: SampleSpec, samples: Tensor, labels: list[int] | None
) -> tuple[Path, list[Path]]:
    # A folder in a folder: what is written beside it shows.
    folder = kit.folder(subject.partition(" ")[2]) / "here"
    folder.mkdir()
    before = set(Path.cwd().iterdir())
    with tried_on(kit.stage_for(subject)):
        files = kit.built(subject, spec).write(samples, folder, STEM, labels)
    strays = [*sorted(set(Path.cwd().iterdir()) - before), *(p for p in folder.parent.iterdir() if p != folder)]
    if strays:
        raise Mismatch(f"it wrote '{strays[0]}' outside of the folder that it was given")
    return folder, files


def _writers(kit: Kit, *roles: str) -> list[str]:
    return [f"writer {name}" for name, record in kit.records(Writer).items() if record.role in roles]


@check(
    "writer.writes",
    "gan_writers",
    "write() puts files into the folder it is given, named after the stem, and returns all of them; a file a sample for `each`",
    lambda kit: _writers(kit, *SHOWS),
)
def writer_writes(kit: Kit, subject: str) -> None:
    role = kit.record(subject).role
    spec, real, fake, labels = _samples(kit, subject)
    tries: list[tuple[str, Tensor, list[int] | None]] = [
        ("real", real, labels),
        ("generated", fake, labels),
        ("one", fake[:1], None),
    ]
    for what, samples, classes in tries:
        folder, files = _write(kit, subject, spec, samples, None if classes is None else classes[: len(samples)])
        _in_place(folder, files, what)
        if role == "each" and len(files) != len(samples):
            raise Mismatch(f"for {len(samples)} samples it wrote {len(files)} files; role `each` is a file a sample")
        if role != "each" and len({f.suffix for f in files}) != len(files):
            raise Mismatch(
                f"for {len(samples)} samples it wrote {len(files)} files; role `{role}` is one file with all of them"
            )
    before = fake.clone()
    _write(kit, subject, spec, fake, labels)
    writer = kit.built(subject, spec)
    if isinstance(writer, WritesCaptions):
        folder, captions = kit.folder("captioned"), [f"naïve 猫 {n}" for n in range(len(fake))]
        _in_place(folder, writer.captioned(fake, folder, STEM, captions, 2, "What they are"), "captioned")
    if not torch.equal(before, fake):
        raise Mismatch("it changes the samples that it is given")


@check(
    "writer.odd",
    "gan_writers",
    "it also writes samples that nobody would expect: silent, constant, at the ends of their range, and noise, alone and together",
    lambda kit: _writers(kit, *SHOWS),
)
def writer_odd(kit: Kit, subject: str) -> None:
    kit.passed("writer.writes", subject)
    spec, real, _, labels = _samples(kit, subject)
    relaxed = spec.relax(real[:1])
    low, high = relaxed.min(), relaxed.max()
    noise = torch.rand(relaxed.shape, generator=torch.Generator().manual_seed(1))
    odd = {
        "a sample of zeros": torch.zeros_like(relaxed),
        "a sample that is the lowest value throughout": torch.full_like(relaxed, float(low)),
        "a sample that is the highest value throughout": torch.full_like(relaxed, float(high)),
        "a sample of noise": low + (high - low) * noise,
    }
    hard = {what: spec.harden(x) for what, x in odd.items()}
    hard["odd samples beside a real one"] = torch.cat([real[:1], *hard.values()])
    for what, samples in hard.items():
        classes = None if labels is None else labels[:1] * len(samples)
        try:
            folder, files = _write(kit, subject, spec, samples, classes)
        except (Mismatch, Blocked, NotApplicable):
            raise
        except (Exception, SystemExit) as error:
            raise Mismatch(f"given {what}, it raised {describe(error)}") from error
        _in_place(folder, files, what)


def _in_place(folder: Path, files: Any, what: str) -> None:
    if not isinstance(files, list) or not files:
        raise Mismatch(f"given {what} samples it returned {files!r}; return the list of files written")
    there = {p for p in folder.rglob("*") if p.is_file()}
    for file in files:
        if not isinstance(file, Path) or not file.is_file() or not file.stat().st_size:
            raise Mismatch(f"it returned {file!r}, which is missing or empty")
        if not file.is_relative_to(folder):
            raise Mismatch(f"it wrote '{file}' outside of the folder '{folder}' that it was given")
        if not file.name.startswith(STEM):
            raise Mismatch(f"it wrote '{file.name}'; names begin with the stem, here '{STEM}'")
    extra = there - set(files)
    if extra:
        raise Mismatch(f"it wrote '{min(extra).name}' and did not return it")


@check(
    "writer.reads-back",
    "gan_writers",
    "the plugin's own data set reads back what the writer wrote, as many samples of the same form and nearly the same values",
    lambda kit: _writers(kit, "each", "sheet"),
)
def writer_reads_back(kit: Kit, subject: str) -> None:
    spec, real, _, _ = _samples(kit, subject)
    if kit.stage().plugin != kit.name:
        raise NotApplicable("the plugin brings no data of its own")
    kit.passed("writer.writes", subject)
    folder, files = _write(kit, subject, spec, real, None)
    places = [folder] if kit.record(subject).role == "each" else files
    kinds = {name: resolve(record.spec) for name, record in kit.records(Dataset).items()}
    alike = {name for name, kind in kinds.items() if issubclass(type(spec), kind) or issubclass(kind, type(spec))}
    readers = [(name, p) for name in sorted(alike) for p in places if reads(kit.record(f"dataset {name}"), p)]
    if not readers:
        raise NotApplicable(f"no data set of the plugin takes {', '.join(sorted({f.suffix for f in files}))} files")
    right: list[str] = []
    wrong: dict[str, Exception] = {}
    for name, place in readers:
        try:
            _compare(kit, subject, name, place, files, spec, real)
            right.append(name)
        except (Mismatch, Blocked, NotApplicable) as error:
            wrong[name] = error
    for name, fault in sorted(wrong.items(), key=lambda item: not isinstance(item[1], Mismatch)):
        if not right:
            raise fault
        # One that does not open it is for other files, or has a fault that checks of its own tell.
        if isinstance(fault, Mismatch) and not isinstance(fault, _Refused):
            at = target(kit.record(f"dataset {name}"))
            fault.found += f"; data set '{right[0]}' reads what was written, so look at '{name}' first{at}"
            raise fault


class _Refused(Mismatch):
    """A data set does not open what was written."""


def _compare(kit: Kit, subject: str, name: str, place: Path, files: list[Path], spec: SampleSpec, real: Tensor) -> None:
    """Hold what the data set `name` reads at `place` against `real`, which were written there. Raises as a check does."""
    try:
        source = _read(kit, name, place)
    except _Refused as refused:
        if place.is_dir() and _reads_another(kit, name, subject, spec, real):
            raise NotApplicable(f"data set '{name}' reads a folder of what another writer makes") from None
        if isinstance(refused.__cause__, UsageError) and _has_choices(kit, name):
            raise NotApplicable(f"data set '{name}' asks for options: {refused.__cause__}") from None
        raise
    with contextlib.suppress(NotApplicable):
        kit.passed("data.relaxes", f"dataset {name}")
    if len(source) != BATCH:
        raise Mismatch(f"of {BATCH} samples written, data set '{name}' reads {len(source)}")
    if source.spec.shape != spec.shape:
        source = _fitted(kit, name, place, source, spec) or source
    again, _ = source.fetch(torch.arange(len(source)), Draws(1, torch.arange(len(source))))
    if source.spec.shape == spec.shape:
        error = min(_error(spec.relax(real), reader.relax(again)) for reader in (spec, source.spec))
        told = f"what data set '{name}' reads differs from what was written by {error:.0%} of the samples' spread"
    else:
        error = math.inf
        told = f"samples {list(spec.shape)} come back from data set '{name}' as {list(source.spec.shape)}"
    if error > 0.1 and source.spec.model_copy(update={"classes": spec.classes}) != spec:
        # A spec made from the data, such as a range or a vocabulary, is another one for so few samples. Then what was
        # read is written again, by a writer for its own spec: the files must be the same.
        _, copies = _write(kit, subject, source.spec, again, None)
        if [f.read_bytes() for f in files] == [f.read_bytes() for f in copies]:
            return
    if error == math.inf and _has_choices(kit, name):
        raise NotApplicable(f"{told}: its options decide the form, and which ones the kit cannot know")
    if error > 0.1:
        raise Mismatch(told)


def _error(written: Tensor, read: Tensor) -> float:
    """Mean distance as a share of the mean distance from the mean."""
    return float((written - read).abs().mean() / (written - written.mean()).abs().mean().clamp_min(1e-6))


def _read(kit: Kit, name: str, place: Path, changes: Mapping[str, Any] | None = None) -> DataSource:
    record = kit.record(f"dataset {name}")
    model = kit.model(f"dataset {name}")
    try:
        return build(record, model(path=place, **(changes or {})), silent)
    except Exception as error:
        raise _Refused(f"data set '{name}' does not read it: {describe(error)}") from error


def _reads_another(kit: Kit, name: str, subject: str, spec: SampleSpec, real: Tensor) -> bool:
    """Whether the data set `name` reads a folder written by another writer than `subject`: pictures of sounds are no sounds."""
    for other in _writers(kit, "each"):
        if other != subject and kit.stage_for(other) == kit.stage_for(subject):
            with contextlib.suppress(Mismatch):
                _read(kit, name, _write(kit, other, spec, real, None)[0])
                return True
    return False


def _has_choices(kit: Kit, name: str) -> bool:
    """Whether a data set has options beside the path."""
    model = kit.model(f"dataset {name}")
    return model is not None and set(model.model_fields) != {"path"}


def _fitted(kit: Kit, name: str, place: Path, read: DataSource, spec: SampleSpec) -> DataSource | None:
    """The data set again, with options whose default is the size that was read set to the size that was written, if that fits."""
    pairs = [(f, w) for f, w in zip(read.spec.shape, spec.shape, strict=False) if f != w]
    changes: dict[str, Any] = {}
    for option, field in kit.model(f"dataset {name}").model_fields.items():
        sizes = [w for f, w in pairs if f == field.default]
        if sizes and not field.is_required():
            changes[option] = sizes[0] if len(set(sizes)) == 1 else sizes
    try:
        source = _read(kit, name, place, changes)
    except Mismatch:
        return None
    return source if len(source) == len(read) and source.spec.shape == spec.shape else None


@check(
    "writer.progress",
    "gan_writers",
    "a writer of role `progress` makes files out of the sheets of a run",
    lambda kit: _writers(kit, "progress"),
)
def writer_progress(kit: Kit, subject: str) -> None:
    spec, real, fake, labels = _samples(kit, subject)
    for name, record in kit.records(Writer).items():
        if record.role != "sheet" or kit.stage_for(f"writer {name}") != kit.stage_for(subject):
            continue
        sheets = []
        for samples in (real, fake):
            kit.passed("writer.writes", f"writer {name}")
            _, files = _write(kit, f"writer {name}", spec, samples, labels)
            sheets += files[:1]
        folder = kit.folder("progress")
        _in_place(folder, kit.built(subject, spec).write(sheets, folder, STEM), "two sheets instead of")
        return
    raise NotApplicable("the plugin has no writer of role `sheet` whose sheets it could use")


@check(
    "writer.carries",
    "gan_writers",
    "a writer that has attach() gives back by text_of() what was attached last; data sets read the same; damaged files raise nothing",
    lambda kit: _writers(kit, *SHOWS),
)
def writer_carries(kit: Kit, subject: str) -> None:
    spec, _, fake, labels = _samples(kit, subject)
    writer = kit.built(subject, spec)
    if not isinstance(writer, CarriesText):
        raise NotApplicable("its files carry no texts: it has no attach() and text_of()")
    kit.passed("writer.writes", subject)
    folder, files = _write(kit, subject, spec, fake, labels)
    before = _as_read(kit, folder, files)
    for file in files:
        if (found := writer.text_of(file)) is not None:
            raise Mismatch(
                f"text_of() of '{file.name}', to which nothing was attached, is {found[:40]!r} instead of None"
            )
        for text in TEXTS:
            writer.attach(file, text)
            if (found := writer.text_of(file)) != text:
                told = "None" if found is None else f"{found[:40]!r}, of {len(found):,} letters"
                raise Mismatch(f"text_of() is {told}, after {text[:40]!r}, of {len(text):,} letters, was attached")
    _in_place(folder, files, "with a text attached,")
    for name, samples in before.items():
        after = _as_read(kit, folder, files).get(name)
        if after is None or not torch.equal(samples, after):
            raise Mismatch(f"data set '{name}' reads other samples once a text is attached")
    for file in files:
        whole = file.read_bytes()
        for content in (b"", whole[: len(whole) // 2], bytes(range(256)) * 16):
            file.write_bytes(content)
            try:
                writer.text_of(file)
            except Exception as error:
                told = (
                    f"of the first {len(content):,} bytes of" if whole.startswith(content) else "of noise in place of"
                )
                raise Mismatch(f"{told} a file text_of() raised {describe(error)}; return None") from error


def _as_read(kit: Kit, folder: Path, files: list[Path]) -> dict[str, Tensor]:
    """What the plugin's data sets read of `files`, those that do."""
    found = {}
    for name, record in kit.records(Dataset).items():
        place = next((p for p in (folder, *files[:1]) if reads(record, p)), None)
        if place is not None:
            with contextlib.suppress(Mismatch):
                source = _read(kit, name, place)
                found[name] = source.fetch(torch.arange(len(source)), Draws(1, torch.arange(len(source))))[0]
    return found
