"""What is given in many files is read, used and written lot by lot, and what comes of it is what would come of all at once."""

from __future__ import annotations

import gc
import json
import weakref
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from toys import pictures as toys
from toys import runs

from gancore.data.spec import Given
from gancore.errors import DataError, PluginError, UsageError
from gancore.latent.address import Address
from gancore.latent.recipe import SIDECAR, GivenFile
from gancore.latent.saving import save
from gancore.latent.steering import Steering, seeds
from gancore.latent.streaming import Stream, save_in_turn
from gancore.random import Draws
from gancore.sampling.drawing import CHUNK
from gancore.sampling.generator import Generator

SOURCE = GivenFile(path="given", sha256="0" * 64)


def pictures(count: int) -> Tensor:
    return Draws(1, torch.arange(count)).uniform("x", 1, 4, 4) * 2 - 1


class Folder:
    """A reader of `count` pictures, in bits of several; it counts those that somebody still holds when it is asked for more."""

    def __init__(self, count: int, bit: int = 1, classes: bool = False, names: bool = True, broken: int = -1) -> None:
        self.all, self.bit, self.broken = pictures(count), bit, broken
        self.classes = torch.arange(count) * 2 % 3 if classes else None
        self.names = tuple(f"picture-{n}" for n in range(count)) if names else ()
        self.alive = self.most = self.passes = 0

    def read(self, path: Path) -> Given:
        return Given(self.all, self.classes, names=self.names)

    def join(self, samples: Tensor, given: Given) -> None:
        return None

    def stream(self, path: Path, progress: Any) -> Iterator[Given]:
        return self._each(progress)

    def _each(self, progress: Any) -> Iterator[Given]:
        self.passes += 1
        for start in range(0, len(self.all), self.bit):
            if start == self.broken:
                raise DataError("the disk is gone")
            stop = min(start + self.bit, len(self.all))
            x = self.all[start:stop].clone()
            self.alive += len(x)
            weakref.finalize(x, self._gone, len(x))
            self.most = max(self.most, self.alive)
            classes = None if self.classes is None else self.classes[start:stop]
            progress("reading", stop, len(self.all))
            bit = Given(x, classes, names=self.names[start:stop])
            del x
            yield bit
            del bit

    def _gone(self, count: int) -> None:
        self.alive -= count


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    begin = partial(runs.begin, steps=2, **toys.HALVES)
    return begin(tmp_path_factory.mktemp("given") / "run", data={"name": "upper", "labels": True}).folder


@pytest.fixture
def generator(trained: Path) -> Generator:
    return runs.load(trained)


@pytest.fixture
def written(generator: Generator, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Tensor, Tensor]]:
    """Samples and labels of each lot that is written to files of its own."""
    lots: list[tuple[Tensor, Tensor]] = []
    own = generator.save

    def keep(samples: Tensor, path: Any, labels: Any = None, **more: Any) -> list[Path]:
        if not str(path).endswith(".any"):
            lots.append((samples, labels))
        return own(samples, path, labels, **more)

    monkeypatch.setattr(generator, "save", keep)
    return lots


def in_turn(
    generator: Generator, reader: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, number: int | None = None
) -> tuple[list[Path], list[Path], int, int]:
    monkeypatch.setattr(generator, "_reader", lambda: reader)
    read = generator.given_in_turn("given", lambda words, done, total: None)
    assert read is not None
    stream = Stream(generator, read, number)

    def address(position: int) -> Address:
        known = stream.class_of(position)
        label = stream.turn(position) % 3 if known is None else known
        return Address(seed=4, position=position, classes={generator.spec.classes[label]: 1.0})

    return save_in_turn(generator, {}, stream, address, folder, SOURCE)


@pytest.mark.parametrize(
    ("count", "bit", "classes", "number"),
    [
        (150, 1, False, None),
        (150, 7, True, None),
        (CHUNK, 3, False, None),
        (2 * CHUNK, 100, True, None),
        (50, 1, False, 170),
        (50, 9, True, 128),
        (70, 80, True, 140),
        (150, 1, True, 5),
    ],
)
def test_samples_labels_names_and_recipes_are_those_of_all_at_once(
    generator, written, monkeypatch, tmp_path, count, bit, classes, number
) -> None:
    reader = Folder(count, bit, classes)
    files, sheets, made, shown = in_turn(generator, reader, tmp_path / "turn", monkeypatch, number)
    lots = list(written)

    given = generator.read_given("given")
    wanted = number or count
    labels = generator.labels(wanted, None, given)
    addresses = [
        one.model_copy(update={"classes": {generator.spec.classes[label]: 1.0}})
        for one, label in zip(seeds(wanted, 4), labels.tolist(), strict=True)
    ]
    steering = Steering(generator, {}, given)
    samples = steering.sample(addresses)
    once, once_sheets = save(generator, samples, steering.recipes(addresses, SOURCE), tmp_path / "once", given)

    assert made == shown == wanted
    assert torch.equal(torch.cat([x for x, _ in lots]), samples)
    assert torch.equal(torch.cat([y for _, y in lots]), labels)
    assert [file.name for file in files] == [file.name for file in once]
    assert {p.name for p in (tmp_path / "turn").iterdir()} == {p.name for p in (tmp_path / "once").iterdir()}
    assert (tmp_path / "turn" / SIDECAR).read_bytes() == (tmp_path / "once" / SIDECAR).read_bytes()
    assert [sheet.read_bytes() for sheet in sheets] == [sheet.read_bytes() for sheet in once_sheets]


def test_few_samples_are_in_memory_at_a_time_and_few_in_a_lot(generator, written, monkeypatch, tmp_path) -> None:
    reader = Folder(10 * CHUNK + 5)
    gc.disable()  # nothing may wait for it
    try:
        in_turn(generator, reader, tmp_path / "turn", monkeypatch)
    finally:
        gc.enable()
    assert [len(x) for x, _ in written] == [CHUNK] * 10 + [5]
    assert reader.most <= CHUNK + 1
    assert len(json.loads((tmp_path / "turn" / SIDECAR).read_text())) == 10 * CHUNK + 5


def test_only_as_many_are_read_as_are_asked_for(generator, monkeypatch, tmp_path) -> None:
    reader = Folder(20, broken=8)
    assert in_turn(generator, reader, tmp_path / "turn", monkeypatch, 8)[2] == 8
    with pytest.raises(DataError, match="the disk is gone"):
        in_turn(generator, reader, tmp_path / "other", monkeypatch, 9)


def test_sheet_shows_the_first_of_many(generator, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr("gancore.latent.streaming.SHOWN", CHUNK + 6)
    _, [sheet], made, shown = in_turn(generator, Folder(3 * CHUNK), tmp_path / "turn", monkeypatch)
    assert (made, shown) == (3 * CHUNK, CHUNK + 6)
    assert len(sheet.read_text().removeprefix("# ").splitlines()) == 1 + CHUNK + 6


def test_copies_are_refused_where_nothing_is_drawn(generator, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(generator.module, "latent_shape", (0,))
    with pytest.raises(UsageError, match="always the same, and 3 are given; ask for no more"):
        in_turn(generator, Folder(3), tmp_path / "turn", monkeypatch, 4)


@pytest.mark.parametrize(
    ("reader", "words"),
    [
        (Folder(3, names=False), "its stream gives 1 samples at once with 0 names"),
        (Folder(0), "its stream gives nothing, and raises no error"),
    ],
)
def test_a_stream_at_fault_is_told_with_its_data_set(generator, monkeypatch, tmp_path, reader, words) -> None:
    with pytest.raises(PluginError, match=rf"data set '.*upper': its reader .*could not read 'given': .*{words}"):
        in_turn(generator, reader, tmp_path / "turn", monkeypatch)


def test_a_reader_without_the_power_reads_at_once(generator) -> None:
    assert generator.given_in_turn("given", lambda words, done, total: None) is None
