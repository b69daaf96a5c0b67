"""Toy pictures of which the upper rows are given, and networks that make the others: the plugin `rest`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import gan_toys as toys
import torch
from torch import Tensor, nn

from gancore import hookimpl
from gancore.components import Architecture, Dataset, Game, GameContext, PluginInfo, Writer
from gancore.data.spec import Given, SampleSpec
from gancore.errors import UsageError
from gancore.games.gan import GanGame, GanOptions
from gancore.plugins import Registry

GIVEN_SHAPE = (1, 2, 4)
"""The two upper rows."""


class RestSpec(toys.ToySpec):
    """Pictures `[1, 4, 4]` whose upper half is given."""

    @property
    def given_shape(self) -> tuple[int, ...]:
        return GIVEN_SHAPE

    def given_part(self, relaxed: Tensor) -> Tensor:
        return relaxed[:, :, :2]


class LineReader:
    """Files with a picture a line."""

    def __init__(self, spec: RestSpec) -> None:
        self.spec = spec

    def read(self, path: Path) -> Given:
        try:
            rows = [[float(v) for v in line.split()] for line in path.read_text().splitlines()]
        except OSError:
            raise UsageError(f"'{path}' does not exist") from None
        return Given(torch.tensor(rows).reshape(-1, 1, 4, 4), spec=self.spec.model_copy(update={"note": "from a file"}))

    def join(self, samples: Tensor, given: Given) -> tuple[SampleSpec, Tensor] | None:
        count = len(samples) // len(given)
        whole = samples[: count * len(given)].reshape(count, 1, 4 * len(given), 4)
        return (
            (SampleSpec(shape=tuple(whole.shape[1:]), dtype="float32", value_range=(-1.0, 1.0)), whole)
            if count
            else None
        )


def open_data(options: toys.DataOptions, progress: Any) -> toys.ToyData:
    data = toys.ToyData(options)
    data.spec = RestSpec(**data.spec.model_dump())
    return data


class RestGenerator(toys.ToyGenerator):
    """Makes the lower rows from the latent and the upper ones."""

    takes_given = True

    def __init__(self, options: toys.NetOptions, spec: SampleSpec) -> None:
        super().__init__(options, spec)
        self.see = nn.Linear(8, toys.LATENT)

    def forward(self, z: Tensor, condition: Tensor | None, given: Tensor) -> Tensor:  # type: ignore[override]
        made = super().forward(z + self.see(given.flatten(1)), condition)
        return torch.cat([given, made[:, :, 2:]], dim=2)


def build_rest(options: toys.NetOptions, spec: SampleSpec) -> dict[str, nn.Module]:
    return toys.build_pair(options, spec) | {"generator": RestGenerator(options, spec)}


class Wrapped(nn.Module):
    """A generator that a game has wrapped, and that passes on two arguments only."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.latent_shape = (toys.LATENT,)

    def forward(self, z: Tensor, condition: Tensor | None) -> Tensor:
        made: Tensor = self.inner(z, condition)
        return made


class WrappingGame(GanGame):
    def __init__(self, context: GameContext) -> None:
        super().__init__(GanOptions(), context)
        self.networks = {**self.networks, "generator": Wrapped(self.networks["generator"])}


class SpecLines:
    """Pictures as lines of text, after the shape that the spec says, and its note."""

    def __init__(self, spec: SampleSpec, role: str) -> None:
        self.spec, self.role = spec, role

    def write(self, samples: Tensor, folder: Path, stem: str, labels: Sequence[int] | None = None) -> list[Path]:
        head = f"{list(self.spec.shape)} {getattr(self.spec, 'note', '')} {labels}"
        lots = list(samples.split(1)) if self.role == "each" else [samples]
        files = [folder / (f"{stem}-{n}.txt" if self.role == "each" else f"{stem}.txt") for n in range(len(lots))]
        for file, lot in zip(files, lots, strict=True):
            lines = [" ".join(map(repr, row)) for row in lot.flatten(1).tolist()]
            file.write_text("\n".join([head, *lines]))
        return files


def sheet_writer(spec: SampleSpec) -> SpecLines:
    return SpecLines(spec, "sheet")


def each_writer(spec: SampleSpec) -> SpecLines:
    return SpecLines(spec, "each")


@hookimpl
def gan_plugin_info() -> PluginInfo:
    return PluginInfo(summary="Halves of toys", api_version=1)


@hookimpl
def gan_datasets() -> Iterator[Dataset]:
    for name, target, spec, given in (
        ("upper", "given_toys:open_data", "given_toys:RestSpec", "given_toys:LineReader"),
        ("unread", "given_toys:open_data", "given_toys:RestSpec", ""),
        ("whole", "gan_toys:open_data", "gan_toys:ToySpec", ""),
    ):
        yield Dataset(name=name, summary="Toys", target=target, options="gan_toys:DataOptions", spec=spec, given=given)


@hookimpl
def gan_architectures() -> Iterator[Architecture]:
    for name, target in (("rest", "given_toys:build_rest"), ("pair", "gan_toys:build_pair")):
        yield Architecture(name=name, summary="Toys", target=target, options="gan_toys:NetOptions")


@hookimpl
def gan_games() -> Iterator[Game]:
    players = ("discriminator", "generator")
    yield Game(name="wrapping", summary="Two arguments", target="given_toys:WrappingGame", players=players)


@hookimpl
def gan_writers() -> Iterator[Writer]:
    yield Writer(name="lines", summary="One file", target="given_toys:sheet_writer", role="sheet")
    yield Writer(name="files", summary="A file each", target="given_toys:each_writer", role="each")


def new_registry() -> Registry:
    """The engine's own components and this plugin."""
    registry = Registry(entries=[])
    registry.register(sys.modules["given_toys"], "rest")
    return registry


SMALL: dict[str, Any] = {**toys.SMALL, "data": "upper", "architecture": {"name": "rest"}}
"""A run of this plugin, as small as it gets."""
