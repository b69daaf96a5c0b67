"""A look at data before a run trains on them: whether there is enough, whether it varies, whether each class has its share.

Training on too little data looks fine to the end: losses are calm and samples are sharp, because they are memorised data.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import torch
from torch import Tensor

from gancore.components import DataSource
from gancore.data.files import scan
from gancore.data.held_out import labels_of
from gancore.data.runs import run_around
from gancore.data.sampler import spread
from gancore.errors import GanError
from gancore.random import Draws

FEW = 100
"""Fewer samples than this are memorised, whatever the loss."""
FEW_OF_CLASS = 10
"""A class with fewer samples than this is seldom seen in training."""
PROBED, PROBED_IN_MEMORY = 32, 4096
"""At most this many samples are examined, spread evenly: decoding a photo takes a tenth of a second ..."""
VALUES = 2**26
"""... and at most this many values in total."""
PAIRED = 0.9
"""From this part of the smallest domain on, files of the same names look like pairs."""
NAMED = 3
CHUNK = 256


def look_at(source: DataSource, batch_size: int, path: Path | None = None) -> tuple[str, ...]:
    """What is wrong with training on `source` in batches of `batch_size`, in sentences that say what to do; mostly nothing.

    `path` is where the data lie. Data in memory are looked at whole unless they are many, others by a few samples.
    """
    return (*_own(path), *_few(len(source), batch_size), *_alike(source), *_classes(source), *_paired(source, path))


def _own(path: Path | None) -> Iterator[str]:
    run = None if path is None else run_around(path)
    if run is not None:
        yield (
            f"the data '{path}' lie inside the run '{run}', so training uses samples that this run generated; unless that is "
            "intended, choose other data with --data"
        )


def _few(count: int, batch_size: int) -> Iterator[str]:
    if count >= max(FEW, batch_size):
        return
    there = "there is only 1 sample" if count == 1 else f"there are only {count:,} samples"
    less = f", fewer than the batch size of {batch_size:,}" if count < batch_size else ""
    if count < FEW:
        advice = (
            ". So few will be memorised, and generated samples will be copies of them. Use at least a few hundred samples, "
            "preferably thousands; augmentation helps a little where it is available for such data"
        )
    else:
        advice = ", so each batch contains some of them twice. Add data or lower batch_size"
    yield f"{there} to train on{less}{advice}"


def _alike(source: DataSource) -> Iterator[str]:
    try:
        seen = _probe(source)
    except Exception:  # whatever is wrong with a sample, training tells it with the step that needs it
        return
    count, different = len(seen), len(set(seen))
    if count > 1 and 2 * different <= count:
        which = f"{count:,} samples" if count == len(source) else f"{count:,} samples examined"
        found = f"all {which} are identical" if different == 1 else f"only {different:,} of the {which} are distinct"
        yield (
            f"{found}, and a generator cannot learn more than that. Look for duplicate files, for files that were all decoded to "
            "the same content, or for data options that discard too much of each sample"
        )


def _probe(source: DataSource) -> list[bytes]:
    """Samples, spread evenly, as bytes of which equal ones are equal."""
    size = max(1, torch.Size(source.spec.shape).numel())
    most = PROBED_IN_MEMORY if source.in_memory else PROBED
    count = min(len(source), most, max(2, VALUES // size))
    rows = spread(len(source), count)
    found: list[bytes] = []
    for part in rows.split(CHUNK):
        # One position for all: the random flip or crop is then the same for each, and equal samples stay equal.
        x, _ = source.fetch(part, Draws(0, torch.zeros_like(part)))
        found += [row.contiguous().numpy().tobytes() for row in x]
    return found


def _classes(source: DataSource) -> Iterator[str]:
    names, labels = source.spec.classes, labels_of(source)
    if not names or labels is None or not len(labels) or int(labels.min()) < 0 or not _as_stated(source, labels):
        return
    counts = torch.bincount(labels, minlength=len(names)).tolist()
    met = [name for name, count in zip(names, counts, strict=False) if count]
    if len(met) == 1:
        yield (
            f"all samples belong to the class '{met[0]}', so the labels carry no information. Train without labels, or add "
            "samples of other classes"
        )
        return
    few = sorted((count, name) for name, count in zip(names, counts, strict=False) if count < FEW_OF_CLASS)
    if few and len(source) >= FEW:  # with few samples in all, that has been said
        told = ", ".join(f"'{name}' ({count})" for count, name in few[:NAMED])
        more = f" and {len(few) - NAMED:,} more" if len(few) > NAMED else ""
        them = "a class has" if len(few) == 1 else f"{len(few):,} classes have"
        yield (
            f"{them} fewer than {FEW_OF_CLASS} samples to train on: {told}{more}. Generated samples of such a class will be "
            "copies or look like another class. Add samples, or leave the class out"
        )


def _paired(source: DataSource, path: Path | None) -> Iterator[str]:
    """Whether files of domains are called the same, as those of pairs are."""
    names = source.spec.domains
    if path is None or not names:
        return
    files: dict[str, set[PurePosixPath]] = {name: set() for name in names}
    try:
        entries = scan(path).entries
    except GanError:
        return
    for entry in entries:
        file = PurePosixPath(entry.name)
        for place, folder in enumerate(file.parts[:-1]):
            if folder in files:
                files[folder].add(PurePosixPath(*file.parts[place + 1 :]).with_suffix(""))
                break
    fewest = min(files.values(), key=len)
    alike = fewest.intersection(*files.values())
    if len(alike) > 1 and len(alike) >= PAIRED * len(fewest):
        yield (
            f"{len(alike):,} files have the same names in all of the domains {', '.join(names)}. If those of one name belong together, "
            "take data of pairs instead, where the plugin has such (a preset or data set 'pairs'), which tell much more; if not, all "
            "is well"
        )


def _as_stated(source: DataSource, labels: Tensor) -> bool:
    """Whether samples have the classes that are stated for them: where they are changed on their way, so may be their classes."""
    rows = spread(len(source), 8)
    try:
        met = source.fetch(rows, Draws(0, rows))[1]
    except Exception:  # as above
        return False
    return met is not None and torch.equal(met, labels[rows])
