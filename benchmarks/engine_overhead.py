"""What the engine costs beside a bare loop, and what it gains over the loop that PyTorch's DCGAN example teaches.

    python benchmarks/engine_overhead.py --rounds 15 --steps 10

Three trainings of the same networks, loss (non-saturating) and optimizer (Adam), on the same data in memory, take turns
within one process; what is quoted is the median over rounds of the ratio within a round, so that a machine whose speed drifts
does not decide.

plain   two discriminator passes with a backward each, nothing frozen, contiguous tensors (the PyTorch example's steps)
tuned   by hand, with every trick that the engine uses: one joint pass, frozen rivals, one fake batch, channels_last,
        fused Adam, a moving average
engine  `gancore.engine.loop.train_steps`, with all that it watches
"""

from __future__ import annotations

import argparse
import copy
import itertools
import json
import statistics
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_image.data.pixels import PixelSource
from gan_image.spec import ImageSpec
from gancore.configuration.configure import configure
from gancore.configuration.settings import Settings
from gancore.data.loader import Loader
from gancore.data.report import ScanReport
from gancore.devices import pick_memory_format
from gancore.engine.build import build_game
from gancore.engine.ema import MovingAverage
from gancore.engine.health import HealthMonitor
from gancore.engine.loop import TrainState, train_steps
from gancore.engine.optimizers import build_optimizer
from gancore.games.player import Player
from gancore.nets.layout import in_layout
from gancore.plugins import Registry

LR, BETAS = 2e-4, (0.5, 0.999)


def configured(width: int, batch: int, memory_format: str) -> Settings:
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


def engine(settings: Settings, spec: ImageSpec, images: Tensor) -> Iterator[None]:
    """The engine itself, as a run uses it."""
    layout = pick_memory_format(settings.run.memory_format, spec)
    game = build_game(settings, spec)
    for module in game.networks.values():
        module.train().to(memory_format=layout)  # type: ignore[call-overload]
    players = {
        name: Player(name, module, build_optimizer(settings.run.optimizers[name], module.parameters()))
        for name, module in game.networks.items()
    }
    for player in players.values():
        player.set_rivals(players)
    average = MovingAverage(game.networks["generator"], settings.run.ema)
    state = TrainState(players, average, HealthMonitor(settings.run.health))
    source = PixelSource(images.numpy(), spec, ScanReport("random", len(images), len(images)))
    loader = Loader(source, batch_size=settings.run.batch_size, seed=0, stop=settings.run.steps)
    device = torch.device("cpu")
    for done in train_steps(settings.run, state, game.phases(players), loader, spec, device, layout):
        state.health.step_was(not done.culprit, state.step)
        yield


def measure(loops: dict[str, Iterator[None]], rounds: int, steps: int) -> dict[str, list[float]]:
    """Seconds per step of each loop in each round; the order within a round alternates."""
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    for number in range(rounds + 1):
        order = list(loops) if number % 2 else list(loops)[::-1]
        for name in order:
            begun = time.perf_counter()
            for _ in itertools.islice(loops[name], steps):
                pass
            if number:  # the first round warms up
                seconds[name].append((time.perf_counter() - begun) / steps)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=10, help="steps of each loop per round")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--cases", default="1x28x28@32,3x32x32@64,3x64x64@32", help="CxHxW@width, comma-separated")
    args = parser.parse_args()
    contenders: dict[str, Callable[[Settings, ImageSpec, Tensor], Iterator[None]]] = {
        "plain": plain,
        "tuned": tuned,
        "engine": engine,
    }
    for case in args.cases.split(","):
        shape_text, _, width = case.partition("@")
        channels, height, across = map(int, shape_text.split("x"))
        spec = ImageSpec(shape=(channels, height, across))
        images = torch.randint(0, 256, (2048, channels, height, across), dtype=torch.uint8)
        settings = configured(int(width), args.batch, "auto")
        loops = {name: make(settings, spec, images) for name, make in contenders.items()}
        seconds = measure(loops, args.rounds, args.steps)
        result: dict[str, object] = {"case": case, "batch": args.batch, "threads": torch.get_num_threads()}
        result |= {f"{n}_ms": round(1000 * statistics.median(s), 2) for n, s in seconds.items()}
        for name, other in (("engine", "tuned"), ("plain", "engine")):
            ratios = [a / b for a, b in zip(seconds[name], seconds[other], strict=True)]
            result[f"{name}_over_{other}"] = round(statistics.median(ratios), 4)
            result[f"{name}_over_{other}_range"] = [round(min(ratios), 3), round(max(ratios), 3)]
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
