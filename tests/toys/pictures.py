"""The plugin `toy`: pictures of 4x4 points, whole or with the upper rows given, and tiny networks, with faults on demand."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from gancore import hookimpl
from gancore.components import (
    Architecture,
    Augment,
    Augmentation,
    Dataset,
    Features,
    Game,
    GameContext,
    PluginInfo,
    Writer,
)
from gancore.data.batch import Batch
from gancore.data.report import ScanReport
from gancore.data.spec import Given, SampleSpec
from gancore.errors import UsageError
from gancore.games.gan import GanGame, GanOptions
from gancore.games.player import Phase, Player
from gancore.nets.norm import BatchNorm
from gancore.options import ArchitectureOptions, Options
from gancore.plugins import Registry
from gancore.random import Draws

LATENT = 3
CLASSES = ("even", "odd", "zero")

FAULTS: dict[str, set[int]] = {}
"""What goes wrong in which steps of a run with batches of 8: `data` (a sample is NaN), `generator` (its gradient is infinite),
`crash` (an exception from the generator). The latter two count calls, of which there is one a step with reused fakes."""


class ToySpec(SampleSpec):
    """Pictures `[1, 4, 4]` in [-1, 1]; `note` is something that a change of the data changes."""

    shape: tuple[int, ...] = Field((1, 4, 4), description="Shape.")
    dtype: str = Field("float32", description="Type.")
    value_range: tuple[float, float] = Field((-1.0, 1.0), description="Range.")
    note: str = Field("", description="Anything.")


class HalfSpec(ToySpec):
    """The same, with the two upper rows given."""

    @property
    def given_shape(self) -> tuple[int, ...]:
        return (1, 2, 4)

    def given_part(self, relaxed: Tensor) -> Tensor:
        return relaxed[:, :, :2]


class LineReader:
    """Files with a picture a line."""

    def __init__(self, spec: HalfSpec) -> None:
        self.spec = spec

    def read(self, path: Path) -> Given:
        try:
            rows = [[float(v) for v in line.split()] for line in path.read_text().splitlines()]
        except OSError:
            raise UsageError(f"'{path}' does not exist") from None
        return Given(torch.tensor(rows).reshape(-1, 1, 4, 4), spec=self.spec.model_copy(update={"note": "from a file"}))

    def join(self, samples: Tensor, given: Given) -> tuple[SampleSpec, Tensor] | None:
        if not (count := len(samples) // len(given)):
            return None
        whole = samples[: count * len(given)].reshape(count, 1, 4 * len(given), 4)
        return SampleSpec(shape=tuple(whole.shape[1:]), dtype="float32", value_range=(-1.0, 1.0)), whole


# --- data -------------------------------------------------------------------------------------------------------------


class DataOptions(Options):
    """Options of the toy data."""

    labels: bool = Field(False, description="With three classes.")
    note: str = Field("", description="Goes into the spec.")
    centre: float = Field(0.0, ge=-1.0, le=1.0, description="Mean of the values.")
    spread: float = Field(0.4, ge=0.0, le=1.0, description="Standard deviation of the values.")
    length: int = Field(100, ge=1, description="How many.")


class ToyData:
    """Normal values about a centre, the centre moved by class."""

    in_memory = True

    def __init__(self, options: DataOptions) -> None:
        self.spec = ToySpec(classes=CLASSES if options.labels else (), note=options.note)
        self.report = ScanReport(source="toy", found=options.length, used=options.length)
        draws = Draws(7, torch.arange(options.length))
        self.labels = torch.arange(options.length) % 3
        moved = options.centre + (0.3 * (self.labels - 1.0)[:, None, None, None] if options.labels else 0.0)
        self.x = (draws.normal("x", 1, 4, 4) * options.spread + moved).clamp(-1, 1)

    def __len__(self) -> int:
        return len(self.x)

    def fetch(self, indices: Tensor, draws: Draws) -> tuple[Tensor, Tensor | None]:
        x = self.x[indices] + 0.01 * draws.normal("jitter", 1, 4, 4)
        if FAULTS.get("data", set()) & set((draws.positions // 8).tolist()):
            x[-1] = torch.nan
        return x, self.labels[indices] if self.spec.classes else None


def open_data(options: DataOptions, progress: Any) -> ToyData:
    return ToyData(options)


def open_halves(options: DataOptions, progress: Any) -> ToyData:
    data = ToyData(options)
    data.spec = HalfSpec(**data.spec.model_dump())
    return data


# --- networks ---------------------------------------------------------------------------------------------------------


class NetOptions(ArchitectureOptions):
    """Options of the toy networks."""

    width: int = Field(8, ge=1, description="Width.")
    norm: Literal["none", "batch", "plain"] = Field(
        "none", description="The generator's normalisation, the engine's or torch's."
    )
    discriminator_norm: Literal["none", "batch", "plain"] = Field("none", description="The discriminator's.")
    heads: int = Field(1, ge=1, description="Heads of the discriminator.")
    missing: str = Field("", description="A network to leave out.")


class _BadGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad * torch.inf


def _norm(kind: str, width: int) -> list[nn.Module]:
    return {"none": [], "batch": [BatchNorm(width)], "plain": [nn.BatchNorm1d(width)]}[kind]


class ToyGenerator(nn.Module):
    """`z` `[batch, 3]` to `[batch, 1, 4, 4]`, in whatever precision its weights have."""

    def __init__(self, options: NetOptions, spec: SampleSpec) -> None:
        super().__init__()
        self.latent_shape = (LATENT,)
        self.classes = nn.Embedding(len(spec.classes), LATENT) if spec.classes else None
        wide = options.width
        # No bias before a normalisation: its gradient would be rounding errors, which Adam makes as large as any other.
        first = nn.Linear(LATENT, wide, bias=options.norm == "none")
        self.layers = nn.Sequential(
            first, *_norm(options.norm, wide), nn.LeakyReLU(0.2), nn.Linear(wide, 16), nn.Tanh()
        )
        self.calls = 0

    def draw_latent(self, draws: Draws) -> Tensor:
        return draws.normal("z", LATENT).to(next(self.parameters()))

    def forward(self, z: Tensor, condition: Tensor | None) -> Tensor:
        if self.classes is not None:
            z = z + self.classes(condition)
        if self.training:
            self.calls += 1
        if self.training and self.calls - 1 in FAULTS.get("crash", ()):
            raise RuntimeError("the toy generator broke down")
        x = self.layers(z).view(-1, 1, 4, 4)
        return _BadGradient.apply(x) if self.training and self.calls - 1 in FAULTS.get("generator", ()) else x


class ToyDiscriminator(nn.Module):
    """Pictures to logits `[batch]`, or to a list of them where there are several heads."""

    def __init__(self, options: NetOptions, spec: SampleSpec) -> None:
        super().__init__()
        wide = options.width
        self.layers = nn.Sequential(
            nn.Linear(16, wide),
            *_norm(options.discriminator_norm, wide),
            nn.Softplus(),
            nn.Linear(wide, wide),
            nn.Tanh(),
        )
        self.heads = nn.Linear(wide, options.heads)
        self.classes = nn.Embedding(len(spec.classes), wide) if spec.classes else None
        self.seen: list[torch.dtype] = []
        """Types in which the first layer was computed."""

    def features(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        return self.layers(x.flatten(1))

    def forward(self, x: Tensor, condition: Tensor | None) -> Tensor | list[Tensor]:
        self.seen.append(self.layers[0](x[:1].flatten(1)).dtype)
        h = self.features(x, condition)
        logits = self.heads(h)
        if self.classes is not None:
            logits = logits + (self.classes(condition) * h).sum(1, keepdim=True)
        return logits.squeeze(1) if logits.shape[1] == 1 else list(logits.unbind(1))


def build_pair(options: NetOptions, spec: SampleSpec) -> dict[str, nn.Module]:
    networks = {"generator": ToyGenerator(options, spec), "discriminator": ToyDiscriminator(options, spec)}
    networks.pop(options.missing, None)
    return networks


class HalfGenerator(ToyGenerator):
    """Makes the lower rows of the latent and the upper ones."""

    takes_given = True

    def __init__(self, options: NetOptions, spec: SampleSpec) -> None:
        super().__init__(options, spec)
        self.see = nn.Linear(8, LATENT)

    def forward(self, z: Tensor, condition: Tensor | None, given: Tensor) -> Tensor:  # type: ignore[override]
        made = super().forward(z + self.see(given.flatten(1)), condition)
        return torch.cat([given, made[:, :, 2:]], dim=2)


def build_half(options: NetOptions, spec: SampleSpec) -> dict[str, nn.Module]:
    return build_pair(options, spec) | {"generator": HalfGenerator(options, spec)}


def build_three(options: NetOptions, spec: SampleSpec) -> dict[str, nn.Module]:
    return build_pair(options, spec) | {"encoder": nn.Linear(16, LATENT)}


# --- games ------------------------------------------------------------------------------------------------------------

RAN: list[tuple[int, str]] = []
"""Phases of the game `trio` as they ran: step and name."""


class _TrioPhase(Phase):
    def __init__(self, name: str, player: Player, networks: Mapping[str, nn.Module], **when: Any) -> None:
        super().__init__(name, player, **when)
        self.networks = networks

    def run(self, batch: Batch, draws: Draws) -> Mapping[str, Tensor]:
        RAN.append((batch.step, self.name))
        generator, encoder = self.networks["generator"], self.networks["encoder"]
        z = generator.draw_latent(draws)
        fake = generator(z, batch.condition)
        match self.name:
            case "encoder/latent" | "encoder/late":
                loss = (encoder(fake.flatten(1)) - z).square().mean()
            case "generator/warm-up":
                loss = (fake - batch.x).square().mean()
            case "discriminator/main":
                d = self.networks["discriminator"]
                loss = (d(batch.x, None) - 1).square().mean() + d(fake.detach(), None).square().mean()
            case _:
                loss = (self.networks["discriminator"](fake, None) - 1).square().mean()
        (loss * batch.weight).backward()
        return {self.name: loss.detach()}


class Trio:
    """An encoder of latents beside the usual two; the generator is warmed up by imitation."""

    def __init__(self, context: GameContext) -> None:
        self.networks = context.networks

    def phases(self, players: Mapping[str, Player]) -> Sequence[Phase]:
        def phase(name: str, **when: Any) -> Phase:
            return _TrioPhase(name, players[name.split("/")[0]], self.networks, **when)

        return [
            phase("generator/warm-up", stop=2),
            phase("discriminator/main", start=2),
            phase("generator/main", start=2, every=2),
            phase("encoder/latent"),
            phase("encoder/late", start=3, every=3, stop=7),
        ]


class Wrapped(nn.Module):
    """A generator that a game has wrapped, and that passes on two arguments only."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.latent_shape = (LATENT,)

    def forward(self, z: Tensor, condition: Tensor | None) -> Tensor:
        made: Tensor = self.inner(z, condition)
        return made


class WrappingGame(GanGame):
    def __init__(self, context: GameContext) -> None:
        super().__init__(GanOptions(), context)
        self.networks = {**self.networks, "generator": Wrapped(self.networks["generator"])}


# --- an augmentation --------------------------------------------------------------------------------------------------


class GrowOptions(Options):
    """Options of the augmentation `grow`."""

    strength: float = Field(0.5, ge=0.0, le=1.0, description="Of the growth.")


class Grow:
    """Samples get larger by the strength."""

    def __init__(self, options: GrowOptions, spec: SampleSpec) -> None:
        self.strength = options.strength

    def __call__(self, x: Tensor, draws: Draws) -> Tensor:
        return x * (1.0 + self.strength)


def wobble(spec: SampleSpec) -> Augment:
    """Each sample brighter or darker, and stretched or squeezed."""
    sides = [1] * len(spec.shape)

    def augment(x: Tensor, draws: Draws) -> Tensor:
        return x * (0.5 + draws.uniform("scale", *sides).to(x)) + (draws.uniform("shift", *sides).to(x) - 0.5)

    return augment


# --- writers ----------------------------------------------------------------------------------------------------------


class Text:
    """A row of values for each sample, in one file or in one each, after a comment of what the spec and the labels are."""

    def __init__(self, spec: SampleSpec, each: bool) -> None:
        self.spec, self.each = spec, each

    def write(self, samples: Tensor, folder: Path, stem: str, labels: Sequence[int] | None = None) -> list[Path]:
        head = f"# {list(self.spec.shape)} {getattr(self.spec, 'note', '')} {labels}"
        groups = [(f"{stem}-{i}", samples[i : i + 1]) for i in range(len(samples))] if self.each else [(stem, samples)]
        written = []
        for name, x in groups:
            path = folder / f"{name}.txt"
            path.write_text("\n".join([head, *(" ".join(map(repr, row)) for row in x.flatten(1).tolist())]))
            written.append(path)
        return written


def sheet_writer(spec: SampleSpec) -> Text:
    return Text(spec, each=False)


def each_writer(spec: SampleSpec) -> Text:
    return Text(spec, each=True)


# --- features ---------------------------------------------------------------------------------------------------------


class Points:
    """The points themselves, as they are."""

    fingerprint = "points 1"

    def __init__(self, spec: SampleSpec) -> None: ...

    def __call__(self, x: Tensor) -> Tensor:
        return x.flatten(1)


# --- the plugin -------------------------------------------------------------------------------------------------------


@hookimpl
def gan_plugin_info() -> PluginInfo:
    return PluginInfo(summary="Toys for tests", api_version=1)


@hookimpl
def gan_datasets() -> Iterator[Dataset]:
    for name, target, spec, given in (
        ("toy", "open_data", "ToySpec", ""),
        ("upper", "open_halves", "HalfSpec", f"{__name__}:LineReader"),
        ("unread", "open_halves", "HalfSpec", ""),
    ):
        yield Dataset(
            name=name, summary="Toy data", target=f"{__name__}:{target}", options=f"{__name__}:DataOptions",
            spec=f"{__name__}:{spec}", given=given,
        )  # fmt: skip


@hookimpl
def gan_architectures() -> Iterator[Architecture]:
    for name in ("pair", "three", "half"):
        yield Architecture(
            name=name, summary="Toy networks", target=f"{__name__}:build_{name}", options=f"{__name__}:NetOptions"
        )


@hookimpl
def gan_augmentations() -> Iterator[Augmentation]:
    target, spec = f"{__name__}:wobble", f"{__name__}:ToySpec"
    yield Augmentation(name="wobble", summary="Brightness and contrast", target=target, spec=spec)
    yield Augmentation(name="grow", summary="Larger", target=f"{__name__}:Grow", options=f"{__name__}:GrowOptions")


@hookimpl
def gan_games() -> Iterator[Game]:
    players = ("generator", "discriminator", "encoder")
    yield Game(name="trio", summary="Three players", target=f"{__name__}:Trio", players=players)
    yield Game(name="wrapping", summary="Two arguments", target=f"{__name__}:WrappingGame", players=players[:2])


@hookimpl
def gan_features() -> Iterator[Features]:
    yield Features(name="points", summary="The points", target=f"{__name__}:Points", default=False)


@hookimpl
def gan_writers() -> Iterator[Writer]:
    yield Writer(name="text", summary="One file", target=f"{__name__}:sheet_writer", role="sheet")
    yield Writer(name="texts", summary="A file each", target=f"{__name__}:each_writer", role="each")


def new_registry(**more: ModuleType) -> Registry:
    """The engine's own components, the toys and `more` plugins by name."""
    registry = Registry(entries=[])
    for name, module in {"toy": sys.modules[__name__], **more}.items():
        registry.register(module, name)
    return registry


SMALL: dict[str, Any] = {
    "data": "toy", "architecture": "pair", "batch_size": 8, "samples": 4, "listeners": [], "workers": 0,
    "device": "cpu", "every.log": 4, "every.checkpoint": 3, "every.sample": 5, "every.health": 6,
}  # fmt: skip
"""A run of the toy plugin, as small as it gets."""

HALVES: dict[str, Any] = {**SMALL, "data": "upper", "architecture": "half"}
"""A run whose generator is given the upper rows."""
