"""What tells a data set from another: how many samples it has, and a digest of what they hold.

It depends on nothing but the samples, so a folder may be copied or moved, and needs nothing of a data set but `fetch`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

from gancore.components import DataSource
from gancore.data.held_out import domains_of
from gancore.data.sampler import spread
from gancore.random import Draws, derive

MOST_BYTES = 256 * 1024 * 1024
"""Samples in memory are all looked at up to this size, in some tenths of a second; of more, as many, evenly spread."""
CHUNK_BYTES = 4 * 1024 * 1024
DECODED = 16
"""Samples that are looked at where each has to be decoded, evenly spread."""
BEYOND = 1 << 40
"""Positions that no run reaches: what a source draws here belongs to no step."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fingerprint:
    """Of a whole data set, whatever part of it is held out: the number of samples, a digest of what they and their classes hold,
    and one of the names and sizes of their files, where the source decodes these and states it."""

    samples: int
    content: str
    files: str = ""

    def differences(self, now: Fingerprint) -> list[str]:
        """In words, what `now` has otherwise; empty where nothing."""
        if self.samples != now.samples:
            return [f"{self.samples:,} samples then, {now.samples:,} now"]
        if self.content != now.content:
            return ["the content of the samples differs"]
        if self.files and now.files and self.files != now.files:
            return ["the names or sizes of the files differ"]
        return []


def fingerprint(source: DataSource) -> Fingerprint:
    """That of `source`: the same in every process and for every number of workers.

    Raises:
        DataError: samples cannot be read.
    """
    count = len(source)
    if not count:
        return Fingerprint(samples=0, content="")
    first, labels = _fetch(source, torch.zeros(1, dtype=torch.int64))
    each = max(1, _size(first) + (0 if labels is None else _size(labels)))
    rows = spread(count, max(1, MOST_BYTES // each) if source.in_memory else DECODED)
    digest = hashlib.blake2b(digest_size=16)
    for some in rows.split(max(1, CHUNK_BYTES // each)):
        x, labels = _fetch(source, some)
        for part in (x,) if labels is None else (x, labels):
            digest.update(f"{part.dtype} {list(part.shape[1:])}".encode())
            digest.update(part.contiguous().flatten().view(torch.uint8).numpy().data)
    if (domains := domains_of(source)) is not None:
        digest.update(domains.numpy().data)
    return Fingerprint(samples=count, content=digest.hexdigest(), files="" if source.in_memory else source.report.files)


def _fetch(source: DataSource, rows: Tensor) -> tuple[Tensor, Tensor | None]:
    return source.fetch(rows, Draws(derive(0, "fingerprint"), rows + BEYOND))


def _size(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
