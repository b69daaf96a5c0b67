"""How samples are drawn: latents counted from a seed, chunk by chunk, with a class and what is given for each."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from gancore.data.spec import SampleSpec
from gancore.errors import NonFiniteError, PluginError, UnknownNameError, UsageError
from gancore.finite import is_finite
from gancore.games.calling import call_generator, draw_latent
from gancore.options import Options
from gancore.powers import SamplesItself
from gancore.random import Draws
from gancore.sampling.candidates import Chooser
from gancore.text import LONGEST, brief

CHUNK = 64
"""Samples generated at once: a constant, so that memory stays bounded."""
NOTHING_GIVEN = "this generator makes whole samples and is given nothing; leave --given (from Python, given=) out, and take gan sample"


def give_something(spec: SampleSpec) -> str:
    """What to say where nothing is given to a generator that needs something."""
    if spec.domains:
        return (
            f"this generator translates samples between {', '.join(spec.domains)}, and makes none of nothing; take gan translate, or "
            "where there is --given, pass --given FILE (from Python, given=...) and the domain"
        )
    return (
        "this generator needs a conditioning input, a part of each sample; pass --given FILE (from Python, given=...)"
    )


GivenParts = Callable[[Tensor], Tensor]
"""Numbers of samples `[n]` int64 to what the generator is given of them: `[n, *given_shape]`, on the device of the numbers."""


def parts_of(spec: SampleSpec, hard: Tensor) -> GivenParts:
    """What is given of hard samples `[m, *hard shape]`, taken in turn: of sample i % m for the i-th."""

    def parts(numbers: Tensor) -> Tensor:
        given = spec.given_part(spec.relax(hard[numbers.cpu() % len(hard)].to(numbers.device)))
        assert given is not None
        return given

    return parts


def settled(spec: SampleSpec, hard: Tensor) -> Tensor:
    """Hard samples `[m, *hard shape]` from files, with what these leave open (a note that goes on from before) as in any sample.

    Where `harden` finds only something near, as for spectrograms, they are left as they are, for networks would see something else.
    """
    return spec.harden(spec.relax(hard)) if spec.exact else hard


@torch.no_grad()
def generate(
    generator: nn.Module,
    spec: SampleSpec,
    count: int,
    seed: int,
    condition: Tensor | None,
    given: GivenParts | None = None,
    positions: Tensor | None = None,
) -> Tensor:
    """`count` relaxed samples `[count, *shape]` on the generator's device; `positions` as in `draw`.

    The i-th depends on `seed`, i, its class and what is given of it only. Raises UsageError where something is given and
    `spec` wants nothing, or the other way round.
    """

    def one(z: Tensor, classes: Tensor | None, part: Tensor | None) -> Tensor:
        made = call_generator(generator, z, classes, part).float()
        if made.shape[1:] != spec.shape:
            found, wanted = tuple(made.shape[1:]), spec.shape
            raise PluginError(
                f"the generator makes samples of shape {found}, the data have {wanted}; choose another architecture"
            )
        return made

    parts = _chunks(generator, spec, count, seed, condition, given, one, positions)
    return torch.cat(parts) if parts else torch.empty(0, *spec.shape, device=next(generator.parameters()).device)


@torch.no_grad()
def draw(
    generator: nn.Module,
    spec: SampleSpec,
    count: int,
    seed: int,
    condition: Tensor | None,
    given: GivenParts | None = None,
    sampling: Options | None = None,
    chooser: Chooser | None = None,
    positions: Tensor | None = None,
) -> Tensor:
    """`count` hard samples on the CPU, as `generate` and `spec.harden` make them, or as the generator's own `sample` does.

    `sampling` are options of the latter; its own without. `chooser` takes the place of each by one of several candidates.
    `positions` `[count]` int64 are the numbers of the samples, counted from 0 without.

    Raises:
        NonFiniteError: what the generator makes has numbers that are not finite.
    """
    if chooser is not None and count:
        return chooser(
            lambda other: draw(generator, spec, count, other, condition, given, sampling, positions=positions),
            seed,
            condition,
            positions,
        )
    if not isinstance(generator, SamplesItself) or not count:
        made = generate(generator, spec, count, seed, condition, given, positions)
        check_finite(made)
        return spec.harden(made).cpu()

    def one(z: Tensor, classes: Tensor | None, part: Tensor | None) -> Tensor:
        given = () if part is None else (part,)
        return generator.sample(z, classes, sampling, *given).cpu()

    hard = torch.cat(_chunks(generator, spec, count, seed, condition, given, one, positions))
    check_finite(hard)
    return hard


def check_finite(samples: Tensor) -> None:
    """Raise `NonFiniteError` where `samples`, relaxed or hard, hold numbers that are not finite."""
    if not is_finite(samples):
        raise NonFiniteError(
            "the generator makes samples that are not finite, though its weights are: it has diverged, or its checkpoint was "
            "changed; take an earlier one (--step N)"
        )


def _chunks(
    generator: nn.Module,
    spec: SampleSpec,
    count: int,
    seed: int,
    condition: Tensor | None,
    given: GivenParts | None,
    make: Callable[[Tensor, Tensor | None, Tensor | None], Tensor],
    positions: Tensor | None,
) -> list[Tensor]:
    """What `make` makes of the latents of all samples, with their classes and what is given of them, chunk by chunk."""
    if spec.given_shape is not None and given is None:
        raise UsageError(give_something(spec))
    if spec.given_shape is None and given is not None:
        raise UsageError(NOTHING_GIVEN)
    device = next(generator.parameters()).device
    every = torch.arange(count) if positions is None else positions
    parts = []
    for start in range(0, count, CHUNK):
        places = every[start : start + CHUNK].to(device)
        classes = None if condition is None else condition[start : start + CHUNK].to(device)
        z = draw_latent(generator, Draws(seed, places))
        parts.append(make(z, classes, None if given is None else given(places)))
    return parts


def cycle_classes(spec: SampleSpec, count: int) -> Tensor | None:
    """Classes in turn, 0, 1, 2 ..., `[count]` int64; None without labels."""
    return torch.arange(count) % spec.class_count if spec.class_count else None


def check_class(spec: SampleSpec, wanted: str | int) -> int:
    """The index of a class given by index or by name; text that is both is a name, a number always an index.

    Raises:
        UsageError: there are no classes, or none of that name.
    """
    if not spec.classes:
        raise UsageError("this generator was trained without labels; it has no classes to choose from")
    text = str(wanted)
    if isinstance(wanted, str) and text in spec.classes:
        return spec.classes.index(text)
    if text.isdecimal() and len(text) < 20 and int(text) < len(spec.classes):
        return int(text)
    raise UnknownNameError("class", text if len(text) <= LONGEST else brief(text), spec.classes)
