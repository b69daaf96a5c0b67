"""What networks must be and do: looked at before a training begins, and by the kit, in the same words."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from gancore import distributed
from gancore.blame import written
from gancore.components import DataSource, GameRule
from gancore.configuration.settings import Settings
from gancore.data.sampler import spread
from gancore.data.spec import SampleSpec
from gancore.engine.buffers import Buffers
from gancore.errors import BreachError, DataError, PluginError
from gancore.games.breach import form, of_fakes, of_logits
from gancore.games.calling import call_generator, draw_latent, heads
from gancore.powers import DrawsLatent
from gancore.random import Draws, derive

MOST = 64
"""Samples on which a game is tried before its training, at most; else as many as a phase will see at once."""
LARGE = 2**24
"""Parameters from which on it is tried on fewer, for the trial is on the CPU: with GPT-2 (88 million parameters, 32 tokens of 5,000)
64 texts take 9 s of one core, 8 take 3 s."""


def of_networks(networks: Mapping[str, nn.Module], players: Sequence[str]) -> tuple[str, str] | None:
    """The network, by name, that cannot take part in a game with `players`, and why; None where all can."""
    for name, network in networks.items():
        if any(is_lazy(p) for p in network.parameters()):
            return name, f"the {name} has layers that do not know their sizes yet; run a batch through it in the target"
        if name in (*players, "generator") and not any(p.requires_grad for p in network.parameters()):
            return name, f"the {name} has no trainable parameter; keep layers in nn.ModuleList, not in a list"
    shape = getattr(networks["generator"], "latent_shape", None)
    shaped = isinstance(shape, tuple) and shape and all(isinstance(n, int) and n > 0 for n in shape)
    drawn_nothing = shape == (0,) and getattr(networks["generator"], "takes_given", False) is True
    if not (shaped or drawn_nothing) and not isinstance(networks["generator"], DrawsLatent):
        words = "give a tuple of positive numbers, or a method draw_latent(draws)"
        return "generator", f"generator.latent_shape is {shape!r}; {words}"
    return None


def of_samples(
    networks: Mapping[str, nn.Module],
    spec: SampleSpec,
    z: Tensor,
    real: Tensor,
    classes: Tensor | None,
    *,
    values: bool = False,
) -> tuple[str, str] | None:
    """The network, by name, that makes or says of as many samples as `real` has what does not fit `spec`, and how.

    `real` are relaxed samples `[count, ...]`, of `classes` `[count]` int64 or None; `z` are latents for as many. With `values`,
    what is made must be finite, and such as can be made final; without, finite in evaluation or in training.
    """
    count, given = len(real), spec.given_part(real)
    generator, judge = networks["generator"], networks.get("discriminator")
    if wrong := _uncallable(generator, "generator(z, condition" + (")" if given is None else ", given)")):
        return "generator", wrong
    fake = call_generator(generator, z, classes, given)
    if fault := of_fakes(fake, count, spec.shape):
        return "generator", fault
    if not fake.is_floating_point():
        return "generator", f"the generator's samples are {form(fake)}; relaxed samples are floating-point numbers"
    if not _finite(fake) and (values or not _finite(_in_training(generator, z, classes, given))):
        return "generator", f"of {count} samples that the generator made, {_odd(fake)} are not finite (NaN or infinity)"
    hard = spec.harden(fake.detach()) if values else None
    if hard is not None and (hard.dtype is not getattr(torch, spec.dtype) or len(hard) != count):
        return "generator", f"spec.harden made {form(hard)} of the generator's samples, the spec says {spec.dtype}"
    if judge is None:
        return None
    if wrong := _uncallable(judge, "discriminator(x, condition)"):
        return "discriminator", wrong
    for what, x in (("real samples", real), ("generated samples", fake.to(real.dtype))):
        output = judge(x, classes)
        if fault := of_logits(output, count, what):
            return "discriminator", fault
        if values and not all(map(_finite, heads(output))):
            return "discriminator", f"the discriminator's logits of {what} are not all finite"
    return None


def _in_training(generator: nn.Module, *inputs: Any) -> Tensor:
    modes = [(part, part.training) for part in generator.modules()]
    generator.train()
    fake = call_generator(generator, *inputs)
    for part, training in modes:
        part.training = training
    return fake


def _finite(x: Tensor) -> bool:
    return bool(torch.isfinite(x).all())


def _odd(x: Tensor) -> int:
    """How many of the samples `x` have a value that is not finite."""
    return int((~torch.isfinite(x)).flatten(1).any(dim=1).sum())


def in_words(settings: Settings, breach: BreachError) -> PluginError:
    """`breach` with whose it was: plugin, component and the line where its code begins.

    A network is the game's where it is made in the game's own module, else the architecture's.
    """
    several = {"penalty": settings.penalties, "augmentation": settings.augmentations}.get(breach.kind, {})
    kind, found = breach.kind, settings.game.found
    if kind == "architecture" and type(breach.thing).__module__ == found.record.target.partition(":")[0]:
        kind = "game"
    elif kind != "game":
        chosen = [one for name, one in several.items() if name.rpartition(":")[2] == breach.name.rpartition(":")[2]]
        found = (chosen or [getattr(settings, kind)])[0].found
    by = getattr(breach.thing, breach.method, None) if breach.method else breach.thing
    return PluginError(f"{kind} '{found.qualified}': {breach}{written(by)}")


def of_batch(batch: tuple[Tensor, Tensor | None], count: int, spec: SampleSpec, *, values: bool = False) -> str:
    """What is wrong with `count` samples that a data set has fetched, and their classes; empty where they fit `spec`.

    With `values`, these must be finite and within the spec's range, too.
    """
    hard, classes = batch
    if not isinstance(hard, Tensor) or not hard.dim():
        return f"fetch returned {form(hard)} for {count} indices"
    if len(hard) != count:
        return f"fetch returned {len(hard)} samples for {count} indices"
    if hard.dtype is not getattr(torch, spec.dtype, None):
        return f"samples are {form(hard)}, the spec says {spec.dtype}"
    if values:
        (low, high), (least, most) = spec.value_range, (float(hard.min()), float(hard.max()))
        if not bool(torch.isfinite(hard).all()):
            return "samples have values that are not finite"
        if least < low or most > high:
            return f"samples reach from {least:g} to {most:g}, the spec says {low:g} to {high:g}"
    if (classes is None) != (not spec.classes):
        said = f"its spec has {spec.class_count} classes"
        return f"{said}, and fetch returned {'none' if classes is None else 'some'}"
    if classes is not None and (
        not isinstance(classes, Tensor)
        or classes.dtype is not torch.int64
        or classes.shape != (count,)
        or not bool(((classes >= 0) & (classes < spec.class_count)).all())
    ):
        numbers = isinstance(classes, Tensor) and classes.numel()
        reach = f" from {classes.min()} to {classes.max()}" if numbers else ""
        return f"fetch returned classes {form(classes)}{reach}; they are int64 [{count}] of 0 to {spec.class_count - 1}"
    return ""


def try_game(settings: Settings, game: GameRule, train: DataSource) -> None:
    """Have a new game's networks make and judge as many samples as a phase will get, and leave them and all random numbers as they
    were.

    Raises:
        PluginError: what they give does not meet the contract of networks, or the samples not that of data sets.
        DataError: no sample is finite.
    """
    if not len(train):
        return  # which the loader says
    run, spec = settings.run, train.spec
    count = min(MOST, max(1, run.batch_size // (distributed.world_size() * run.micro_batches)))
    if sum(p.numel() for network in game.networks.values() for p in network.parameters()) > LARGE:
        while count % 16 == 0:  # down to 8 from 64, as networks may take samples in twos, fours or eights
            count //= 2
    draws = Draws(derive(run.seed, "trial"), torch.arange(count))
    batch = train.fetch(torch.arange(count).clamp(max=len(train) - 1), draws)
    if wrong := of_batch(batch, count, spec):
        raise PluginError(f"data set '{settings.data.found.qualified}': {wrong}")
    real = spec.relax(batch[0])
    if not isinstance(real, Tensor) or real.shape != (count, *spec.shape):
        words = f"spec.relax made {form(real)} of {form(batch[0])}, the spec says {[count, *spec.shape]}"
        raise PluginError(f"data set '{settings.data.found.qualified}': {words}{written(spec.relax)}")
    if _odd(real) == count:
        rows = spread(len(train), MOST)  # before all of them are condemned
        if _odd(spec.relax(train.fetch(rows, Draws(0, rows))[0])) == len(rows):
            raise DataError(
                f"data set '{settings.data.found.qualified}': none of the {len(rows)} samples that were looked at is finite once it "
                "is relaxed (NaN or infinity); look for values that are missing in the files, or options that make them so"
            )
    precision = torch.bfloat16 if run.precision == "bf16" else None
    with _undisturbed(game.networks), torch.autocast("cpu", precision, enabled=precision is not None):
        z = draw_latent(game.networks["generator"], draws)
        fault = of_samples(game.networks, spec, z, real, batch[1])
    if fault is not None:
        raise in_words(settings, BreachError("architecture", game.networks[fault[0]], fault[1]))


@contextmanager
def _undisturbed(networks: Mapping[str, nn.Module]) -> Iterator[None]:
    """Networks in evaluation, without graphs; afterwards they and torch's random numbers are as they were before."""
    parts = [(part, part.training) for network in networks.values() for part in network.modules()]
    buffers = Buffers(networks.values())
    kept = [buffer.clone() for buffer in buffers.now()]
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        try:
            for network in networks.values():
                network.eval()
            yield
        finally:
            for part, training in parts:
                part.training = training
            for buffer, before in zip(buffers.now(), kept, strict=True):
                buffer.data = before  # whatever shape it has now


def _uncallable(network: nn.Module, call: str) -> str:
    """Why `network` cannot be called as `call` says; empty where it can, as far as its signature tells."""
    name, _, arguments = call.rstrip(")").partition("(")
    try:
        signature = inspect.signature(network.forward)
    except (TypeError, ValueError):
        return ""
    try:
        signature.bind(*arguments.split(", "))
    except TypeError:
        return f"the {name}'s forward takes {signature}, and is called as {call}"
    return ""
