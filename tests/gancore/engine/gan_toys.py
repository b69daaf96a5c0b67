"""A toy plugin of 4x4 pictures and tiny networks: small enough for hundreds of steps, with faults on demand."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from gancore import hookimpl
from gancore.components import Architecture, Augment, Augmentation, Dataset, Game, GameContext, PluginInfo, Writer
from gancore.data.batch import Batch
from gancore.data.report import ScanReport
from gancore.data.spec import SampleSpec
from gancore.engine.loop import update
from gancore.games.gan import GanGame, GanOptions
from gancore.games.player import Phase, Player
from gancore.nets.norm import BatchNorm
from gancore.options import ArchitectureOptions, Options
from gancore.plugins import Registry, resolve
from gancore.random import Draws, derive

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


def build_three(options: NetOptions, spec: SampleSpec) -> dict[str, nn.Module]:
    return build_pair(options, spec) | {"encoder": nn.Linear(16, LATENT)}


# --- a game of three players ------------------------------------------------------------------------------------------

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


# --- an augmentation --------------------------------------------------------------------------------------------------


def wobble(spec: SampleSpec) -> Augment:
    """Each sample brighter or darker, and stretched or squeezed."""
    sides = [1] * len(spec.shape)

    def augment(x: Tensor, draws: Draws) -> Tensor:
        return x * (0.5 + draws.uniform("scale", *sides).to(x)) + (draws.uniform("shift", *sides).to(x) - 0.5)

    return augment


# --- writers ----------------------------------------------------------------------------------------------------------


class Text:
    """Values as text: one file of all, or a file for each."""

    def __init__(self, spec: SampleSpec, each: bool) -> None:
        self.each = each

    def write(self, samples: Tensor, folder: Path, stem: str, labels: Sequence[int] | None = None) -> list[Path]:
        groups = [(f"{stem}-{i}", samples[i : i + 1]) for i in range(len(samples))] if self.each else [(stem, samples)]
        written = []
        for name, x in groups:
            path = folder / f"{name}.txt"
            path.write_text("\n".join(" ".join(map(repr, row)) for row in x.flatten(1).tolist()))
            written.append(path)
        return written


def sheet_writer(spec: SampleSpec) -> Text:
    return Text(spec, each=False)


def each_writer(spec: SampleSpec) -> Text:
    return Text(spec, each=True)


# --- the plugin -------------------------------------------------------------------------------------------------------


@hookimpl
def gan_plugin_info() -> PluginInfo:
    return PluginInfo(summary="Toys for tests", api_version=1)


@hookimpl
def gan_datasets() -> Iterator[Dataset]:
    yield Dataset(
        name="toy", summary="Toy data", target="gan_toys:open_data", options="gan_toys:DataOptions",
        spec="gan_toys:ToySpec",
    )  # fmt: skip


@hookimpl
def gan_architectures() -> Iterator[Architecture]:
    for name, target in (("pair", "gan_toys:build_pair"), ("three", "gan_toys:build_three")):
        yield Architecture(name=name, summary="Toy networks", target=target, options="gan_toys:NetOptions")


@hookimpl
def gan_augmentations() -> Iterator[Augmentation]:
    yield Augmentation(
        name="wobble", summary="Brightness and contrast", target="gan_toys:wobble", spec="gan_toys:ToySpec"
    )


@hookimpl
def gan_games() -> Iterator[Game]:
    yield Game(
        name="trio", summary="Three players", target="gan_toys:Trio", players=("generator", "discriminator", "encoder")
    )


@hookimpl
def gan_writers() -> Iterator[Writer]:
    yield Writer(name="text", summary="One file", target="gan_toys:sheet_writer", role="sheet")
    yield Writer(name="texts", summary="A file each", target="gan_toys:each_writer", role="each")


def new_registry() -> Registry:
    """The engine's own components and the toys."""
    registry = Registry(entries=[])
    registry.register(sys.modules["gan_toys"], "toy")
    return registry


SMALL: dict[str, Any] = {
    "data": "toy", "architecture": "pair", "batch_size": 8, "samples": 4, "listeners": [], "workers": 0,
    "device": "cpu", "every.log": 4, "every.checkpoint": 3, "every.sample": 5, "every.health": 6,
}  # fmt: skip
"""A run of the toy plugin, as small as it gets."""


# --- one step's gradients ---------------------------------------------------------------------------------------------


def components(kind: str, chosen: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, Any, Any]]:
    """The engine's components by name with options: name, object, options."""
    registry = Registry(entries=[])
    built = []
    for name, values in chosen.items():
        record = registry.load("gancore").records[kind][name]
        options = resolve(record.options)(**values) if record.options else None
        target = resolve(record.target)
        built.append((name, target(options, ToySpec()) if record.options else target(ToySpec()), options))
    return built


def double_networks(
    *, labels: bool = False, heads: int = 1, norm: str = "none", discriminator_norm: str = "none"
) -> dict[str, nn.Module]:
    """A pair of networks in float64, always the same."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        options = NetOptions(heads=heads, norm=norm, discriminator_norm=discriminator_norm)
        networks = build_pair(options, ToySpec(classes=CLASSES if labels else ()))
        for module in networks.values():
            module.double()
            for p in module.parameters():  # well away from zero, so that no gradient is tiny
                nn.init.normal_(p, std=0.7)
    return networks


def double_batch(size: int, labels: bool = False, step: int = 0) -> Batch:
    """A batch in float64, always the same."""
    positions = torch.arange(step * size, (step + 1) * size)
    x = Draws(99, positions).normal("x", 1, 4, 4).double().clamp(-1, 1)
    return Batch(hard=x, condition=positions % 3 if labels else None, positions=positions, step=step)


def phase_draws(batch: Batch) -> Draws:
    """What the loop gives the phases of a run with seed 0."""
    return Draws(derive(0, "phases"), batch.positions)


def game_gradients(
    networks: Mapping[str, nn.Module],
    batch: Batch,
    *,
    loss: str = "non-saturating",
    penalties: Mapping[str, Mapping[str, Any]] | None = None,
    augment: bool = False,
    micro_batches: int = 1,
    reuse_fakes: bool = True,
) -> tuple[dict[str, dict[str, Tensor]], dict[str, Tensor]]:
    """One step of the standard game without the optimizers: gradients by player and name, and mean scalars of this rank."""
    ((_, built_loss, _),) = components("loss", {loss: {}})
    context = GameContext(
        networks=networks,
        spec=ToySpec(),
        loss=built_loss,
        penalties={n: (r, o) for n, r, o in components("penalty", penalties or {})},
        augment=wobble(ToySpec()) if augment else lambda x, draws: x,
        micro_batches=micro_batches,
    )
    players = {n: Player(n, m, torch.optim.SGD(m.parameters(), lr=0.1)) for n, m in networks.items()}
    for player in players.values():
        player.set_rivals(players)
    phases = GanGame(GanOptions(reuse_fakes=reuse_fakes), context).phases(players)
    parts = list(batch.split(micro_batches))
    draws = [phase_draws(part) for part in parts]
    gradients: dict[str, dict[str, Tensor]] = {}
    scalars: dict[str, Tensor] = {}
    for name in ("discriminator", "generator"):
        due = [p for p in phases if p.player is players[name]]
        _, found = update(players[name], due, parts, draws)
        gradients[name] = {n: p.grad.clone() for n, p in networks[name].named_parameters() if p.grad is not None}
        for values, weight in found:
            for key, value in values.items():
                scalars[key] = scalars.get(key, torch.zeros(())) + value * weight
    return gradients, scalars
