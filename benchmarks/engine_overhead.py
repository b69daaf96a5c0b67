"""What the engine costs beside a bare loop, and what it gains over the loop that PyTorch's DCGAN example teaches.

    python benchmarks/engine_overhead.py --rounds 15 --steps 10

Three trainings of the same networks, loss (non-saturating) and optimizer (Adam), on the same data in memory, take turns
within one process; what is quoted is the median over rounds of the ratio within a round, so that a machine whose speed drifts
does not decide.

plain   two discriminator passes with a backward each, nothing frozen, contiguous tensors (the PyTorch example's steps)
tuned   by hand, with every trick that the engine uses: one joint pass, frozen rivals, one fake batch, channels_last,
        fused Adam, a moving average
engine  `gancore.engine.loop.train_steps`, with all that it watches

    OMP_NUM_THREADS=1 python benchmarks/engine_overhead.py --cases "" --penalties 1x32x32@32,3x64x64@32

What penalties cost: the discriminator's steps of the engine with R1 and R2 (exact, by finite differences, and these on a quarter of the
batch), over its steps without; and which share of the rate of a large matrix product each convolution of both networks reaches.
With one thread, seconds are of the processor, so that other programs do not count.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import json
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_image.data.pixels import PixelSource
from gan_image.spec import ImageSpec
from gancore.components import GameRule
from gancore.configuration.configure import configure
from gancore.configuration.settings import Settings
from gancore.data.batch import Batch
from gancore.data.loader import Loader
from gancore.data.report import ScanReport
from gancore.devices import pick_memory_format
from gancore.engine.build import build_game
from gancore.engine.ema import MovingAverage
from gancore.engine.health import HealthMonitor
from gancore.engine.loop import TrainState, train_steps, update
from gancore.engine.optimizers import build_players
from gancore.games.player import Player
from gancore.nets.layout import in_layout
from gancore.plugins import Registry
from gancore.random import Draws

LR, BETAS = 2e-4, (0.5, 0.999)


PENALTIES: dict[str, Any] = {
    "none": "none",
    "exact": {"r1": {"weight": 0.5}, "r2": {"weight": 0.5}},
    "finite": {name: {"weight": 0.5, "method": "finite"} for name in ("r1", "r2")},
    "quarter": {name: {"weight": 0.5, "method": "finite", "share": 0.25} for name in ("r1", "r2")},
}


def configured(width: int, batch: int, memory_format: str, **more: Any) -> Settings:
    optimizer = {"lr": LR, "beta1": BETAS[0], "beta2": BETAS[1]}
    layer = {
        "preset": "none",
        "data": "digits",
        "architecture": {"name": "dcgan", "width": width},
        "loss": "non-saturating",
        "batch_size": batch,
        "steps": 10**9,
        "memory_format": memory_format,
        "listeners": [],
        "optimizers": {"generator": optimizer, "discriminator": optimizer},
        **more,
    }
    return configure(Registry(), plugin="image", layers=[layer])


def networks(settings: Settings, spec: ImageSpec) -> tuple[nn.Module, nn.Module]:
    built = build_game(settings, spec).networks
    return built["generator"].train(), built["discriminator"].train()


def plain(settings: Settings, spec: ImageSpec, images: Tensor) -> Iterator[None]:
    """The steps of PyTorch's DCGAN example."""
    generator, discriminator = networks(settings, spec)
    adam_d = torch.optim.Adam(discriminator.parameters(), LR, BETAS)
    adam_g = torch.optim.Adam(generator.parameters(), LR, BETAS)
    batch = settings.run.batch_size
    loss = nn.BCEWithLogitsLoss()
    ones, zeros = torch.ones(batch), torch.zeros(batch)
    while True:
        real = images[torch.randint(len(images), (batch,))].float() / 127.5 - 1.0
        discriminator.zero_grad()
        loss(discriminator(real, None), ones).backward()
        fake = generator(torch.randn(batch, *generator.latent_shape), None)
        loss(discriminator(fake.detach(), None), zeros).backward()
        adam_d.step()
        generator.zero_grad()
        loss(discriminator(fake, None), ones).backward()
        adam_g.step()
        yield


def tuned(settings: Settings, spec: ImageSpec, images: Tensor) -> Iterator[None]:
    """The same game, written by hand with every trick."""
    layout = pick_memory_format(settings.run.memory_format, spec)
    generator, discriminator = networks(settings, spec)
    generator.to(memory_format=layout)
    discriminator.to(memory_format=layout)
    average = copy.deepcopy(generator)
    adam_d = torch.optim.Adam(discriminator.parameters(), LR, BETAS, fused=True)
    adam_g = torch.optim.Adam(generator.parameters(), LR, BETAS, fused=True)
    batch = settings.run.batch_size
    averaged = [*average.parameters(), *(b for b in average.buffers() if b.is_floating_point())]
    latest = [*generator.parameters(), *(b for b in generator.buffers() if b.is_floating_point())]
    while True:
        real = in_layout(images[torch.randint(len(images), (batch,))].float() / 127.5 - 1.0, layout)
        fake = generator(torch.randn(batch, *generator.latent_shape), None)
        adam_d.zero_grad(set_to_none=True)
        logits = discriminator(torch.cat([real, fake.detach()]), None)
        (F.softplus(-logits[:batch]).mean() + F.softplus(logits[batch:]).mean()).backward()
        adam_d.step()
        discriminator.requires_grad_(False)
        adam_g.zero_grad(set_to_none=True)
        F.softplus(-discriminator(fake, None)).mean().backward()
        discriminator.requires_grad_(True)
        adam_g.step()
        with torch.no_grad():
            torch._foreach_lerp_(averaged, [t.detach() for t in latest], 0.01)
        yield


def playing(settings: Settings, spec: ImageSpec) -> tuple[torch.memory_format, GameRule, dict[str, Player]]:
    """The engine's game in the layout of a run, with its players."""
    layout = pick_memory_format(settings.run.memory_format, spec)
    game = build_game(settings, spec)
    for module in game.networks.values():
        module.train().to(memory_format=layout)  # type: ignore[call-overload]
    return layout, game, build_players(game.networks, settings.optimizers)


def engine(settings: Settings, spec: ImageSpec, images: Tensor) -> Iterator[None]:
    """The engine itself, as a run uses it."""
    layout, game, players = playing(settings, spec)
    average = MovingAverage(game.networks["generator"], settings.run.ema)
    state = TrainState(players, average, HealthMonitor(settings.run.health))
    source = PixelSource(images.numpy(), spec, ScanReport("random", len(images), len(images)))
    loader = Loader(source, batch_size=settings.run.batch_size, seed=0, stop=settings.run.steps)
    device = torch.device("cpu")
    for done in train_steps(settings.run, state, game.phases(players), loader, spec, device, layout):
        state.health.step_was(not done.culprit, state.step)
        yield


def discriminator_steps(settings: Settings, spec: ImageSpec, images: Tensor) -> Iterator[None]:
    """Steps of the engine's discriminator alone, on fakes that are not generated anew."""
    layout, game, players = playing(settings, spec)
    due = [phase for phase in game.phases(players) if phase.player is players["discriminator"]]
    positions = torch.arange(settings.run.batch_size)
    x = in_layout(images[positions].float() / 127.5 - 1.0, layout)
    batch, draws = Batch(hard=x, condition=None, positions=positions, step=1), Draws(0, positions)
    while True:
        update(players["discriminator"], due, [batch], [draws])
        players["discriminator"].optimizer.step()
        yield


def sgemm_rate(size: int = 2048) -> float:
    """Multiply-adds a second of a product of two square matrices, the best of five."""
    a, b = torch.randn(2, size, size)
    return size**3 / min(seconds(lambda: a @ b) for _ in range(5))


def seconds(call: Callable[[], object]) -> float:
    begun = clock()
    call()
    return clock() - begun


def conv_shares(settings: Settings, spec: ImageSpec, layout: torch.memory_format) -> dict[str, list[float]]:
    """Of each convolution: the share of `sgemm_rate` that its forward and its backward pass reach, on one batch."""
    rate = sgemm_rate()
    found = {"sgemm_gflops": [round(2 * rate / 1e9, 1)]}
    for name, network in build_game(settings, spec).networks.items():
        network.to(memory_format=layout)  # type: ignore[call-overload]
        latent: Any = getattr(network, "latent_shape", None)
        begun = torch.randn(settings.run.batch_size, *(latent or spec.shape))
        for layer, x in convolutions(network, begun if latent else in_layout(begun, layout)):
            y = layer(x)
            # Each weight meets each place of the smaller map once for each sample.
            work = layer.weight.numel() * len(x) * min(x[0, 0].numel(), y[0, 0].numel())
            forward, both = passes(layer, x, torch.randn_like(y))
            label = f"{name} {x.shape[1]}x{x.shape[2]}x{x.shape[3]} to {y.shape[1]}x{y.shape[2]}x{y.shape[3]}"
            found[label] = [round(work / forward / rate, 2), round(2 * work / (both - forward) / rate, 2)]
    return found


def convolutions(network: nn.Module, x: Tensor) -> list[tuple[nn.Conv2d | nn.ConvTranspose2d, Tensor]]:
    """The convolutions that `network(x, None)` goes through, each with its input."""
    seen: list[tuple[nn.Conv2d | nn.ConvTranspose2d, Tensor]] = []
    hooks = [
        layer.register_forward_hook(lambda layer, inputs, _: seen.append((layer, inputs[0].detach().requires_grad_())))
        for layer in network.modules()
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
    ]
    network(x, None)
    for hook in hooks:
        hook.remove()
    return seen


def passes(layer: nn.Module, x: Tensor, gradient: Tensor) -> tuple[float, float]:
    """Seconds of a forward pass, and of one with the backward pass behind it, the best of five."""
    forward = min(seconds(lambda: layer(x)) for _ in range(5))
    return forward, min(seconds(lambda: layer(x).backward(gradient)) for _ in range(5))


def clock() -> float:
    """Seconds: of the processor with one thread, else by the clock on the wall."""
    return time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()


def ratio(over: list[float], under: list[float]) -> tuple[float, list[float]]:
    """The median of the ratios within a round, and their range."""
    ratios = [a / b for a, b in zip(over, under, strict=True)]
    return round(statistics.median(ratios), 4), [round(min(ratios), 3), round(max(ratios), 3)]


def measure(loops: dict[str, Iterator[None]], rounds: int, steps: int) -> dict[str, list[float]]:
    """Seconds per step of each loop in each round; the order within a round alternates."""
    times: dict[str, list[float]] = {name: [] for name in loops}
    for number in range(rounds + 1):
        order = list(loops) if number % 2 else list(loops)[::-1]
        for name in order:
            begun = clock()
            for _ in itertools.islice(loops[name], steps):
                pass
            if number:  # the first round warms up
                times[name].append((clock() - begun) / steps)
    return times


def case_of(text: str) -> tuple[ImageSpec, Tensor, int]:
    """The spec, pictures and the width of `CxHxW@width`."""
    shape, _, width = text.partition("@")
    channels, height, across = map(int, shape.split("x"))
    images = torch.randint(0, 256, (2048, channels, height, across), dtype=torch.uint8)
    return ImageSpec(shape=(channels, height, across)), images, int(width)


def penalties(case: str, batch: int, rounds: int, steps: int) -> dict[str, object]:
    """What R1 and R2 cost, and the shares of convolutions."""
    spec, images, width = case_of(case)
    chosen = {n: configured(width, batch, "auto", penalties=p, loss="rpgan") for n, p in PENALTIES.items()}
    times = measure({n: discriminator_steps(s, spec, images) for n, s in chosen.items()}, rounds, steps)
    result: dict[str, object] = {"penalties": case, "batch": batch, "threads": torch.get_num_threads()}
    result |= {f"{n}_ms": round(1000 * statistics.median(s), 2) for n, s in times.items()}
    for name in [*PENALTIES][1:]:
        result[f"{name}_over_none"], result[f"{name}_over_none_range"] = ratio(times[name], times["none"])
    layout = pick_memory_format("auto", spec)
    return result | {"share_of_sgemm_forward_and_backward": conv_shares(chosen["none"], spec, layout)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=10, help="steps of each loop per round")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--cases", default="1x28x28@32,3x32x32@64,3x64x64@32", help="CxHxW@width, comma-separated")
    parser.add_argument("--penalties", default="", help="cases in which to measure what penalties cost")
    args = parser.parse_args()
    contenders: dict[str, Callable[[Settings, ImageSpec, Tensor], Iterator[None]]] = {
        "plain": plain,
        "tuned": tuned,
        "engine": engine,
    }
    for case in filter(None, args.penalties.split(",")):
        print(json.dumps(penalties(case, args.batch, args.rounds, args.steps)), flush=True)
    for case in filter(None, args.cases.split(",")):
        spec, images, width = case_of(case)
        settings = configured(width, args.batch, "auto")
        loops = {name: make(settings, spec, images) for name, make in contenders.items()}
        times = measure(loops, args.rounds, args.steps)
        result: dict[str, object] = {"case": case, "batch": args.batch, "threads": torch.get_num_threads()}
        result |= {f"{n}_ms": round(1000 * statistics.median(s), 2) for n, s in times.items()}
        for name, other in (("engine", "tuned"), ("plain", "engine")):
            result[f"{name}_over_{other}"], result[f"{name}_over_{other}_range"] = ratio(times[name], times[other])
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
