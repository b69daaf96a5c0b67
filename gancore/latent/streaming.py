"""Samples that are made for the files of a folder, few of which are in memory at a time: read, made and written lot by lot.

Lots are as large as the batches in which samples are generated, so that what comes of it is, bit for bit, what would come of all
files read at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from gancore.data.spec import Given
from gancore.errors import PluginError
from gancore.latent.address import Address
from gancore.latent.curves import Directions
from gancore.latent.on_demand import OnDemand
from gancore.latent.recipe import GivenFile, Recipe
from gancore.latent.saving import labels_of, save_sheets, write_sidecar
from gancore.latent.steering import Steering
from gancore.sampling.drawing import CHUNK
from gancore.sampling.generator import Generator
from gancore.sampling.names import Names

SHOWN = 1024
"""Of more samples than these the first are shown on the sheet ..."""
SHOWN_BYTES = 64 * 2**20
"""... and fewer, but a lot at least, where those and what they were made of take more than so many bytes."""


class Stream:
    """What is given for samples 0, 1, 2 ...: what `read` gives, and where `number` samples are wanted and it ends, the same again.

    Raises UsageError where it would begin again for samples that are copies.
    """

    def __init__(self, generator: Generator, read: Callable[[], Iterator[Given]], number: int | None = None) -> None:
        self._generator, self._read, self._number = generator, read, number
        self._length: int | None = None
        self._classes: list[int] = []

    def turn(self, position: int) -> int:
        """How often all had been given before the sample at `position`."""
        return 0 if self._length is None else position // self._length

    def class_of(self, position: int) -> int | None:
        """The class that its file says of the sample at `position`, which has been given; None where it says none."""
        if not self._classes:
            return None
        return self._classes[position if self._length is None else position % self._length]

    def lots(self) -> Iterator[tuple[int, Given]]:
        """The position of the first sample of each lot, and what is given for the lot: `CHUNK` samples, fewer at the end."""
        start, held, count = 0, deque[Given](), 0
        while True:
            for bit in self._read():
                if self._length is None and bit.condition is not None:
                    self._classes += bit.condition.tolist()
                held.append(bit)
                count += len(bit)
                del bit
                while count >= (size := self._size(start)):
                    yield start, _taken(held, size)
                    start, count = start + size, count - size
                    if start == self._number:
                        return
            if self._length is None:
                self._length = start + count
            if self._number is None:
                break
            self._generator.check_number(self._number, range(self._length))
        if count:
            yield start, _taken(held, count)

    def _size(self, start: int) -> int:
        return CHUNK if self._number is None else min(CHUNK, self._number - start)


def _taken(held: deque[Given], size: int) -> Given:
    """The first `size` samples of `held`, taken from there, in memory of their own."""
    bits: list[Given] = []
    while size:
        bit = held.popleft()
        if len(bit) > size:
            held.appendleft(_rows(bit, slice(size, None)))
            bit = _rows(bit, slice(size))
        bits.append(bit)
        size -= len(bit)
    classes = [bit.condition for bit in bits if bit.condition is not None]
    names = tuple(name for bit in bits for name in bit.names)
    return Given(torch.cat([bit.x for bit in bits]), torch.cat(classes) if classes else None, names=names)


def _rows(given: Given, rows: slice) -> Given:
    return Given(given.x[rows], None if given.condition is None else given.condition[rows], names=given.names[rows])


def save_in_turn(
    generator: Generator,
    directions: Directions,
    stream: Stream,
    address: Callable[[int], Address],
    folder: Path,
    source: GivenFile,
    told: Callable[[int], None] = lambda count: None,
) -> tuple[list[Path], list[Path], int, int]:
    """Make samples for all of `stream` and write them into `folder`, which is new, as `gancore.latent.saving.save` does.

    `address` gives that of the sample at a position, which `stream` has reached; `source` is what recipes say of the files; `told`
    is called with the number of samples that are written. The sheet shows the first of many.

    Returns:
        The files, the sheets, how many samples there are, and how many the sheets show.
    """
    roles = {chosen.found.record.role for chosen in generator.settings.writers.values()}
    folder.mkdir(parents=True, exist_ok=True)
    names, shown = Names(), _Shown()
    columns: list[list[Path]] = []  # of each file that a sample has, those of all samples
    count = 0
    for start, given in stream.lots():
        known = generator.read_given(given)
        steering = Steering(generator, directions, known, first=start)
        addresses = [address(start + number) for number in range(len(known))]
        samples = steering.sample(addresses)
        recipes = steering.recipes(addresses, source)
        if "each" in roles:
            files = _write(generator, samples, recipes, known, folder, names)
            columns = columns or [[] for _ in range(len(files) // len(known))]
            for number, column in enumerate(columns):
                column += files[number * len(known) : (number + 1) * len(known)]
        if "sheet" in roles:
            shown.add(known, samples)
        count += len(known)
        del given, known, steering, samples
        told(count)
    everything = Steering(generator, directions).recipes(OnDemand(count, address), source)
    sheets: list[Path] = []
    if "sheet" in roles:
        x, samples, own = shown.all()
        sheets = save_sheets(generator, samples, everything[: len(x)], folder, Given(x, names=own))
    files = [file for column in columns for file in column]
    write_sidecar(folder, [file.name for file in files], everything)
    return files, sheets, count, len(shown)


class _Shown:
    """What the sheet shows."""

    def __init__(self) -> None:
        self._given: list[Tensor] = []
        self._samples: list[Tensor] = []
        self._names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self._names)

    def add(self, given: Given, samples: Tensor) -> None:
        size = 2 * max(1, samples[0].numel() * samples.element_size())
        left = max(CHUNK, min(SHOWN, SHOWN_BYTES // size)) - len(self._names)
        if left > 0:
            self._given.append(given.x[:left])
            self._samples.append(samples[:left])
            self._names += given.names[:left]

    def all(self) -> tuple[Tensor, Tensor, tuple[str, ...]]:
        return torch.cat(self._given), torch.cat(self._samples), self._names


def _write(
    generator: Generator, samples: Tensor, recipes: Sequence[Recipe], given: Given, folder: Path, names: Names
) -> list[Path]:
    """Files of a lot, under the names of what they were made of: those of a first writer, then those of the next."""
    labels = labels_of(generator.spec, [recipe.address for recipe in recipes])
    texts = [recipe.text() for recipe in recipes]
    with TemporaryDirectory(dir=folder, prefix=".lot-") as draft:
        # Their own names would be those of the last lot's files.
        files = generator.save(samples, draft, labels, given=replace(given, names=()), texts=texts)
        if len(files) % len(samples):
            raise PluginError(
                f"the writers of this run made {len(files)} files of {len(samples)} samples; where samples are made in turn, each must"
                " have as many as any other"
            )
        places = [folder / names.new(given.names[n % len(samples)], file.suffix) for n, file in enumerate(files)]
        return [file.rename(place) for file, place in zip(files, places, strict=True)]
