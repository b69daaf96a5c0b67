"""How soon pictures get good: a preset against the recipes of papers, on the same data, one thread, for equal CPU seconds.

    python benchmarks/time_to_quality.py --data mnist.npz --size 32 --seconds 480 --seeds 0 1 2 3 4 --out curves.jsonl
    python benchmarks/time_to_quality.py --data few/ --against others/ --size 64 --seconds 1800 --recipes small --out few.jsonl
    python benchmarks/time_to_quality.py --draw curves.png --out curves.jsonl

Each recipe trains without labels on nine tenths of the pictures. At fractions of its time as many samples as are held out, but at
most `--count`, are compared with these: MIND, recall and coverage of `--features`, beside the floor (one half of the held-out
ones against the other). With `--against` all of the pictures are trained on and as many others compared with; then also
authenticity, beside that of the others. CPU time of the process is counted, in training alone, so that other work on the
machine and the comparing itself do not matter. A row of JSON is appended for each point.

The textbook recipes are plain PyTorch, with the optimizers, losses and penalties of their papers on DCGAN's networks:

dcgan    non-saturating loss, batch norm in both, Adam 0.0002 (0.5, 0.999), batches of 128 (Radford et al. 2016)
wgan-gp  gradient penalty of 10, five critic steps, Adam 0.0001 (0, 0.9), batches of 64 (Gulrajani et al. 2017)
sngan    hinge loss, spectral normalisation, five steps of D, Adam 0.0002 (0, 0.9), batches of 64 (Miyato et al. 2018)
r3gan    relativistic loss, R1 and R2 in every step, the cosine schedules of CIFAR-10, average, batches of 64 (Huang et al. 2024)

Anything else that `--recipes` names is a preset of gan_image, with options after a colon: `small:loss=hinge,steps=4000`.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import json
import math
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

import gancore
from gan_image.features import lite
from gan_image.spec import ImageSpec
from gan_image.writers import sheet
from gancore.api import plan
from gancore.components import DataSource
from gancore.configuration.layers import parse_assignments
from gancore.data.held_out import both_parts
from gancore.devices import pick_device
from gancore.engine.parts import build_parts
from gancore.evaluation.curves import Curve, draw
from gancore.evaluation.distances import mind
from gancore.evaluation.neighbours import authenticity, manifolds
from gancore.random import Draws
from gancore.sampling.loading import load

FRACTIONS = (1 / 16, 1 / 8, 3 / 16, 1 / 4, 3 / 8, 1 / 2, 3 / 4, 1.0)
"""Of the time, at which samples are looked at."""
LATENT = 128


@dataclass
class Data:
    """Hard pictures uint8 `[n, channels, height, width]`: trained on, and held out."""

    train: Tensor
    held_out: Tensor
    settings: dict[str, Any]


def networks(shape: tuple[int, ...], width: int, *, norm_d: bool, spectral: bool) -> tuple[nn.Module, nn.Module]:
    """DCGAN's generator, with batch norm, and discriminator for pictures whose sides are a power of two."""
    channels, side, _ = shape
    doublings = int(math.log2(side)) - 2
    widths = [min(512, width * 2**number) for number in range(doublings)][::-1]
    up: list[nn.Module] = [nn.ConvTranspose2d(LATENT, widths[0], 4, 1, 0), nn.BatchNorm2d(widths[0]), nn.ReLU()]
    for before, wide in itertools.pairwise(widths):
        up += [nn.ConvTranspose2d(before, wide, 4, 2, 1), nn.BatchNorm2d(wide), nn.ReLU()]
    up += [nn.ConvTranspose2d(widths[-1], channels, 4, 2, 1), nn.Tanh()]
    down: list[nn.Module] = []
    for number, (before, wide) in enumerate(zip([channels, *widths[::-1]], widths[::-1], strict=False)):
        down.append(nn.Conv2d(before, wide, 4, 2, 1))
        down += [nn.BatchNorm2d(wide)] if norm_d and number else []
        down.append(nn.LeakyReLU(0.2))
    down += [nn.Conv2d(widths[0], 1, 4, 1, 0), nn.Flatten(0)]
    both = nn.Sequential(*up), nn.Sequential(*down)
    for module in (m for network in both for m in network.modules()):
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, std=0.02)
            nn.init.zeros_(module.bias)  # type: ignore[arg-type]
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, mean=1.0, std=0.02)
    if spectral:
        for module in both[1].modules():
            if isinstance(module, nn.Conv2d):
                spectral_norm(module)
    return both


@dataclass
class Recipe:
    """How a textbook trains: everything that its paper says but the networks' size."""

    batch: int
    lr: float
    betas: tuple[float, float]
    d_loss: Callable[[Tensor, Tensor], Tensor]
    g_loss: Callable[[Tensor, Tensor | None], Tensor]
    critics: int = 1
    norm_d: bool = False
    spectral: bool = False
    gradient_penalty: float = 0.0
    relativistic: bool = False


RECIPES = {
    "dcgan": Recipe(
        128,
        2e-4,
        (0.5, 0.999),
        lambda real, fake: F.softplus(-real).mean() + F.softplus(fake).mean(),
        lambda fake, _: F.softplus(-fake).mean(),
        norm_d=True,
    ),
    "wgan-gp": Recipe(
        64,
        1e-4,
        (0.0, 0.9),
        lambda real, fake: fake.mean() - real.mean(),
        lambda fake, _: -fake.mean(),
        critics=5,
        gradient_penalty=10.0,
    ),
    "sngan": Recipe(
        64,
        2e-4,
        (0.0, 0.9),
        lambda real, fake: F.relu(1 - real).mean() + F.relu(1 + fake).mean(),
        lambda fake, _: -fake.mean(),
        critics=5,
        spectral=True,
    ),
    "r3gan": Recipe(
        64,
        2e-4,
        (0.0, 0.9),
        lambda real, fake: F.softplus(fake - real).mean(),
        lambda fake, real: F.softplus(real - fake).mean(),
        relativistic=True,
    ),
}


def textbook(recipe: Recipe, images: Tensor, width: int, seed: int) -> Iterator[Callable[[float], nn.Module]]:
    """Train by `recipe`, a yield per step of the generator, of a function that is told how much of the time has gone by."""
    torch.manual_seed(seed)
    generator, critic = networks(tuple(images.shape[1:]), width, norm_d=recipe.norm_d, spectral=recipe.spectral)
    optimizers = [
        torch.optim.Adam(network.parameters(), recipe.lr, recipe.betas, fused=True) for network in (generator, critic)
    ]
    average, seen, gamma = copy.deepcopy(generator), 0, 0.05

    def latest(share: float) -> nn.Module:
        nonlocal gamma
        if not recipe.relativistic:
            return generator
        # Huang et al. 2024, CIFAR-10: all by a cosine from the first to the last value.
        left = 0.5 + 0.5 * math.cos(math.pi * min(1.0, share))
        gamma = 0.005 + 0.045 * left
        for optimizer in optimizers:
            optimizer.param_groups[0]["lr"] = 5e-5 + 1.5e-4 * left
            optimizer.param_groups[0]["betas"] = (0.0, 0.99 - 0.09 * left)
        return average

    def batch() -> Tensor:
        return images[torch.randint(len(images), (recipe.batch,))].float() / 127.5 - 1.0

    while True:
        for _ in range(recipe.critics):
            real = batch().requires_grad_(recipe.relativistic)
            with torch.no_grad():
                fake = generator(torch.randn(recipe.batch, LATENT, 1, 1))
            fake.requires_grad_(recipe.relativistic)
            of_real, of_fake = critic(real), critic(fake)
            loss = recipe.d_loss(of_real, of_fake)
            if recipe.relativistic:
                for logits, x in ((of_real, real), (of_fake, fake)):
                    (slope,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
                    loss = loss + 0.5 * gamma * slope.square().sum(dim=(1, 2, 3)).mean()
            if recipe.gradient_penalty:
                share = torch.rand(recipe.batch, 1, 1, 1)
                between = (share * real + (1 - share) * fake).requires_grad_()
                (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
                loss = loss + recipe.gradient_penalty * (slope.flatten(1).norm(dim=1) - 1).square().mean()
            optimizers[1].zero_grad()
            loss.backward()
            optimizers[1].step()
        critic.requires_grad_(False)
        fake = generator(torch.randn(recipe.batch, LATENT, 1, 1))
        with torch.no_grad():
            of_real = critic(batch()) if recipe.relativistic else None
        optimizers[0].zero_grad()
        recipe.g_loss(critic(fake), of_real).backward()
        critic.requires_grad_(True)
        optimizers[0].step()
        if recipe.relativistic:
            seen += recipe.batch
            kept = 0.5 ** (recipe.batch / min(0.05 * seen, 5e6))
            with torch.no_grad():
                torch._foreach_lerp_(list(average.parameters()), list(generator.parameters()), 1 - kept)
                for mean, new in zip(average.buffers(), generator.buffers(), strict=True):
                    mean.lerp_(new, 1 - kept) if mean.is_floating_point() else mean.copy_(new)
        yield latest


@torch.no_grad()
def drawn(generator: nn.Module, count: int) -> Tensor:
    """`count` hard pictures, in evaluation mode, of the same latents each time."""
    generator.eval()
    draws = torch.Generator().manual_seed(7)
    parts = [
        generator(torch.randn(len(part), LATENT, 1, 1, generator=draws)) for part in torch.arange(count).split(250)
    ]
    generator.train()
    return ((torch.cat(parts) + 1.0) * 127.5).round().clamp(0, 255).to(torch.uint8)


Points = Iterator[tuple[float, Tensor]]
"""CPU seconds of training, and the samples after them."""


def train_textbook(name: str, data: Data, seconds: float, seed: int, width: int) -> Points:
    """The points of a textbook's training."""
    used, left = 0.0, list(FRACTIONS)
    steps = textbook(RECIPES[name], data.train, width, seed)
    while left:
        begun = time.process_time()
        generator = next(steps)(used / seconds)
        used += time.process_time() - begun
        if used >= left[0] * seconds:
            left.pop(0)
            yield used, drawn(generator, len(data.held_out))


class Timer:
    """Notes the CPU time at which each checkpoint was complete."""

    def __init__(self) -> None:
        self.begun, self.at = 0.0, dict[int, float]()

    @gancore.hookimpl
    def gan_run_started(self, event: object) -> None:
        self.begun = time.process_time()

    @gancore.hookimpl
    def gan_checkpoint_saved(self, event: Any) -> None:
        self.at[event.step] = time.process_time() - self.begun


def train(name: str, data: Data, seconds: float, seed: int, width: int) -> Points:
    """The points of the training that `name` stands for: of a textbook, with networks of `width`, or of a preset."""
    return (
        train_textbook(name, data, seconds, seed, width) if name in RECIPES else train_preset(name, data, seconds, seed)
    )


def train_preset(name: str, data: Data, seconds: float, seed: int) -> Points:
    """The points of a preset's training, as a user runs it, for as many steps as take `seconds`."""
    preset, _, more = name.partition(":")
    more = parse_assignments(more.split(",") if more else [], path_option="--data")
    options = data.settings | {"every.sample": 0, "every.evaluate": 0, "every.health": 0, "keep": 100} | dict(more)

    def trained(folder: str, steps: int, every: int) -> tuple[Timer, Path]:
        timer = Timer()
        made = gancore.train(
            plugin="image",
            preset=preset,
            seed=seed,
            steps=steps,
            out=Path(folder) / f"{steps}",
            options=options | {"every.checkpoint": every},
            listeners=[timer],
        )
        return timer, made.folder

    with tempfile.TemporaryDirectory() as folder:
        tried, _ = trained(folder, 96, 24)
        step = (tried.at[96] - tried.at[24]) / 72
        steps = 16 * max(1, round(seconds / step / 16))
        timer, path = trained(folder, steps, steps // 16)
        for fraction in FRACTIONS:
            at = round(fraction * steps)
            yield timer.at[at], load(path, step=at, device="cpu").sample(len(data.held_out), seed=7)


def everything(source: DataSource) -> Tensor:
    """All hard pictures of `source`."""
    places = torch.arange(len(source))
    return source.fetch(places, Draws(0, places))[0]


def read(path: str | None, size: int | None, against: str | None = None) -> Data:
    """The pictures at `path`, or the demo's, nine tenths of which are trained on; all where others to compare `against` are given."""
    options: dict[str, Any] = {"data.labels": False, "held_out": 0.0 if against else 0.1}
    if size:
        options["data.size"] = size
    if path:
        options["data.path"] = path

    def source(settings: dict[str, Any]) -> DataSource:
        planned = plan(plugin="image", preset="small", options=settings)
        return build_parts(planned, pick_device("cpu"), lambda *_: None).whole

    if against:
        train, held_out = source(options), source(options | {"data.path": against})
    else:
        train, rest = both_parts(source(options), 0.1)
        assert rest is not None
        held_out = rest
    return Data(everything(train), everything(held_out), options)


def note(row: dict[str, Any], path: Path) -> None:
    """Append `row` to the JSON lines at `path`, and print it."""
    with path.open("a") as file:
        print(json.dumps(row), file=file)
    print(json.dumps(row), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="what `gan run --plugin image --data` reads")
    parser.add_argument(
        "--against", help="pictures to compare with that are not trained on, instead of a tenth of --data"
    )
    parser.add_argument("--size", type=int, help="sides of the pictures, a power of two")
    parser.add_argument("--seconds", type=float, default=480.0, help="of CPU time, for each training")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--recipes", nargs="+", default=["small", *RECIPES])
    parser.add_argument("--width", type=int, default=32, help="of the textbooks' networks")
    parser.add_argument("--count", type=int, default=2000, help="most held-out pictures, and samples, to compare")
    parser.add_argument("--features", choices=["lite0", "lite2"], default="lite0")
    parser.add_argument("--pixels", type=int, default=64, help="that pictures are brought to for the features")
    parser.add_argument("--out", type=Path, default=Path("time_to_quality.jsonl"))
    parser.add_argument("--sheets", type=Path, help="folder for 64 samples of each training's end, as PNG")
    parser.add_argument("--draw", type=Path, help="draw what --out holds to this PNG file; nothing is trained")
    args = parser.parse_args()
    if args.draw:
        args.draw.write_bytes(chart(args.out))
        return
    torch.set_num_threads(1)
    data = read(args.data, args.size, args.against)
    some = torch.randperm(len(data.held_out), generator=torch.Generator().manual_seed(1))[: args.count]
    data.held_out = data.held_out[some]
    extractor = getattr(lite, args.features)(lite.Options(size=args.pixels), ImageSpec(shape=data.train.shape[1:]))
    extractor.eval()

    @torch.no_grad()
    def features(x: Tensor) -> Tensor:
        return torch.cat([extractor(part) for part in x.split(32)])

    real = features(data.held_out)
    halves = real[torch.randperm(len(real), generator=torch.Generator().manual_seed(0))].chunk(2)
    floor = mind(*halves)
    trained = features(data.train) if args.against else None
    copies = {} if trained is None else {"authenticity_real": round(authenticity(real, trained), 4)}
    for seed in args.seeds:
        for name in args.recipes:
            for seconds, samples in train(name, data, args.seconds, seed, args.width):
                made = features(samples)
                found = manifolds(made, real)
                row = {
                    "recipe": name,
                    "seed": seed,
                    "seconds": round(seconds, 1),
                    "mind": round(mind(made, real), 2),
                    "floor": round(floor, 2),
                    "recall": round(found.recall, 4),
                    "coverage": round(found.coverage, 4),
                    "n": len(real),
                } | copies
                if trained is not None:
                    row["authenticity"] = round(authenticity(made, trained), 4)
                note(row, args.out)
            if args.sheets:
                args.sheets.mkdir(parents=True, exist_ok=True)
                pictures = [picture.numpy() for picture in samples[:64].permute(0, 2, 3, 1)]
                sheet(pictures, 8).save(args.sheets / f"{re.sub('[^a-z0-9]+', '-', name)}-{seed}.png")


def medians(path: Path) -> dict[str, dict[int, dict[str, float]]]:
    """By recipe and point the median over seeds of each figure."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    by: dict[str, dict[int, list[dict[str, float]]]] = {}
    count: dict[tuple[str, int], int] = {}
    for row in rows:
        number = count[row["recipe"], row["seed"]] = count.get((row["recipe"], row["seed"]), -1) + 1
        by.setdefault(row["recipe"], {}).setdefault(number, []).append(row)
    return {
        recipe: {
            number: {
                key: statistics.median(row[key] for row in some)
                for key in ("seconds", "mind", "recall", "coverage", "floor")
            }
            for number, some in points.items()
        }
        for recipe, points in by.items()
    }


def chart(path: Path) -> bytes:
    """Medians over seeds against seconds."""
    found = medians(path)
    first, *others = found
    curves = []
    for key in ("mind", "recall", "coverage"):
        scale = math.log10 if key == "mind" else float
        lines = {
            recipe: {round(point["seconds"]): scale(point[key]) for point in points.values()}
            for recipe, points in found.items()
        }
        floor = dict.fromkeys(lines[first], math.log10(found[first][0]["floor"])) if key == "mind" else {}
        name = "log10 of MIND" if key == "mind" else key
        curves.append(Curve(name, lines[first], floor, "floor", {other: lines[other] for other in others}, first))
    return draw(curves, over="seconds of CPU time")


if __name__ == "__main__":
    main()
