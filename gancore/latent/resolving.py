"""From addresses to codes, a batch of them at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from gancore.data.spec import SampleSpec
from gancore.errors import UnknownNameError, UsageError
from gancore.latent.address import Address, Around, Code
from gancore.latent.curves import Directions, fits, step_along
from gancore.latent.space import Codes, Space, moved

T = TypeVar("T")


def weights_of(spec: SampleSpec, address: Address) -> Tensor | None:
    """The weights `[classes]` that `address` gives, or those of its turn; None where others decide or there are no classes.

    Raises:
        UsageError: it names a class that there is not.
    """
    if address.classes is not None:
        if not spec.classes:
            raise UsageError("this generator was trained without labels; it has no classes to choose from")
        weights = torch.zeros(spec.class_count)
        for name, weight in address.classes.items():
            if name not in spec.classes:
                raise UnknownNameError("class", name, spec.classes)
            weights[spec.classes.index(name)] = weight
        return weights
    if address.seed is None or not spec.classes:
        return None
    return torch.nn.functional.one_hot(torch.tensor(address.position % spec.class_count), spec.class_count).float()


def codes_of(space: Space, addresses: Sequence[Address], directions: Directions) -> Codes:
    """The codes of `addresses`, at least one.

    Each row is computed where it stands in a batch of as many, so that an address has the same bits at the same place of
    any batch of that size, whatever is around it.

    Raises:
        UsageError: something is named that there is not, or a code is of another generator.
    """
    begun = _begun(space, addresses, directions)
    w = begun.w
    if any(address.around for address in addresses):
        w = _around(space, begun, [address.around for address in addresses])
    psi = torch.tensor([address.truncation for address in addresses], device=space.device).view(-1, 1, 1)
    if bool((psi != 1.0).any()):
        w = torch.where(psi == 1.0, w, torch.lerp(space.mean(begun.classes), w, psi))
    if any(address.edits for address in addresses):
        start, steps = moved(begun, w), torch.zeros_like(w)
        for name in sorted({name for address in addresses for name in address.edits}):
            if not directions:
                raise UsageError(
                    f"no directions have been found yet, so nothing can be edited by '{name}'; find them with `gan directions RUN`"
                )
            if name not in directions:
                raise UnknownNameError("direction", name, tuple(directions))
            if not fits(directions[name], space.layers, space.size, space.spec.class_count):
                raise UsageError(
                    f"direction '{name}' is one of another generator; find those of this one: gan directions RUN --replace"
                )
            amounts = torch.tensor([address.edits.get(name, 0.0) for address in addresses], device=space.device)
            steps += step_along(directions[name], start, space.mean(begun.classes), amounts)
        w = w + steps
    return moved(begun, w)


def _begun(space: Space, addresses: Sequence[Address], directions: Directions) -> Codes:
    """What they begin with. Of each kind that occurs the whole batch is computed, with others of the kind in place of the rest."""
    kinds: list[tuple[Callable[[Address], object], Callable[[list[Address]], Codes]]] = [
        (lambda a: a.seed is not None, lambda rows: _drawn(space, rows)),
        (lambda a: a.code, lambda rows: _given(space, rows)),
        (lambda a: a.between, lambda rows: _between(space, rows, directions)),
        (lambda a: a.mix, lambda rows: _mixed(space, rows, directions)),
    ]
    found: Codes | None = None
    for is_one, compute in kinds:
        mine = [bool(is_one(address)) for address in addresses]
        if not any(mine):
            continue
        other = addresses[mine.index(True)]
        made = compute([address if own else other for address, own in zip(addresses, mine, strict=True)])
        found = made if found is None else _chosen(torch.tensor(mine, device=space.device), made, found)
    assert found is not None
    return found


def _chosen(mask: Tensor, ours: Codes, theirs: Codes) -> Codes:
    rows = mask.view(-1, 1)
    classes = (
        None if ours.classes is None or theirs.classes is None else torch.where(rows, ours.classes, theirs.classes)
    )
    return Codes(torch.where(rows[:, None], ours.w, theirs.w), torch.where(rows, ours.noise, theirs.noise), classes)


def _own(space: Space, addresses: Sequence[Address], otherwise: Tensor | None) -> Tensor | None:
    """Weights of classes `[n, classes]`: those that each address gives, else those of the same row of `otherwise`."""
    if not space.spec.classes:
        for address in addresses:
            weights_of(space.spec, address)  # to refuse classes
        return None
    rows = [weights_of(space.spec, address) for address in addresses]
    first = torch.nn.functional.one_hot(torch.tensor(0), space.spec.class_count).float()
    return torch.stack(
        [
            own.to(space.device) if own is not None else (first.to(space.device) if otherwise is None else otherwise[i])
            for i, own in enumerate(rows)
        ]
    )


def _drawn(space: Space, rows: list[Address]) -> Codes:
    positions = torch.tensor([address.position for address in rows])
    return space.drawn([address.seed or 0 for address in rows], positions, _own(space, rows, None))


def _given(space: Space, rows: list[Address]) -> Codes:
    first = space.drawn([0], torch.zeros(1, dtype=torch.int64), _own(space, rows[:1], None))
    codes = [code for address in rows if (code := address.code) is not None]
    pairs = [_fitting(code, first) for code in codes]
    w, noise = (torch.stack(parts).to(space.device) for parts in zip(*pairs, strict=True))
    return Codes(w, noise, _own(space, rows, None))


def _fitting(code: Code, like: Codes) -> tuple[Tensor, Tensor]:
    w, noise = code.tensors()
    if w.shape != like.w.shape[1:] or noise.shape != like.noise.shape[1:]:
        raise UsageError(
            f"the code of this recipe has {w.shape[0]} layers of {w.shape[1]} numbers, this generator's {like.w.shape[1]} of "
            f"{like.w.shape[2]}; use the run that it was made with"
        )
    return w, noise


def _pairs(space: Space, pairs: Sequence[tuple[Address, Address]], directions: Directions) -> tuple[Codes, Codes]:
    one, other = (codes_of(space, [pair[side] for pair in pairs], directions) for side in (0, 1))
    return one, other


def _between(space: Space, rows: list[Address], directions: Directions) -> Codes:
    ways = [address.between for address in rows if address.between is not None]
    one, other = _pairs(space, [(way.one, way.other) for way in ways], directions)
    at = torch.tensor([way.at for way in ways], dtype=torch.float64, device=space.device)
    w = line(one.w, other.w, at) if space.straight else arc(one.w, other.w, at)
    mixed: Tensor | None = None
    if one.classes is not None and other.classes is not None:
        mixed = line(one.classes, other.classes, at)
        # Weights that are all but those of one class are its own, so that the ends of a way are what they are by themselves.
        mixed = torch.where(mixed.max(dim=1, keepdim=True).values > 1.0 - 1e-6, mixed.round(), mixed)
    return Codes(w, one.noise, _own(space, rows, mixed))


def _mixed(space: Space, rows: list[Address], directions: Directions) -> Codes:
    ways = [address.mix for address in rows if address.mix is not None]
    for way in ways:
        if way.last >= space.layers:
            words = "so there is nothing to mix" if space.layers == 1 else f"numbered 0 to {space.layers - 1}"
            raise UsageError(
                f"layers {way.first}-{way.last} cannot be mixed: the codes of this generator have {space.layers} "
                f"layer{'s' if space.layers > 1 else ''}, {words}"
            )
    one, other = _pairs(space, [(way.one, way.other) for way in ways], directions)
    numbers = torch.arange(space.layers)
    theirs = torch.stack([(numbers >= way.first) & (numbers <= way.last) for way in ways]).to(space.device)
    return Codes(torch.where(theirs[..., None], other.w, one.w), one.noise, _own(space, rows, one.classes))


def _around(space: Space, codes: Codes, steps: Sequence[Around | None]) -> Tensor:
    """A quarter of a turn about the mean leads from a sample to a random one; between them samples are as likely as both."""
    some = [Around(spread=0.0) if step is None else step for step in steps]
    random = space.drawn([step.seed for step in some], torch.tensor([step.position for step in some]), codes.classes).w
    spread = torch.tensor([step.spread for step in some], dtype=torch.float64, device=space.device).view(-1, 1, 1)
    if space.prior.kind == "uniform" and not space.maps:
        neighbours = torch.lerp(codes.w.double(), random.double(), spread)
    else:
        mean, angle = space.mean(codes.classes).double(), spread * (math.pi / 2)
        neighbours = mean + angle.cos() * (codes.w - mean) + angle.sin() * (random - mean)
    return torch.where(spread == 0.0, codes.w, neighbours.float())


def line(one: Tensor, other: Tensor, at: Tensor) -> Tensor:
    """Places `at` `[n]` float64 in [0, 1] on the straight lines between rows of `one` and `other`, `[n, ...]`, the ends exactly."""
    share = at.view(-1, *[1] * (one.dim() - 1))
    made = ((1.0 - share) * one.double() + share * other.double()).to(one.dtype)
    return torch.where(share == 0.0, one, torch.where(share == 1.0, other, made))


def arc(one: Tensor, other: Tensor, at: Tensor) -> Tensor:
    """As `line`, but along the arc between both directions, their lengths changing evenly (Shoemake 1985; White 2016)."""
    share = at.view(-1, *[1] * (one.dim() - 1))
    lengths = [torch.linalg.vector_norm(x.double(), dim=-1, keepdim=True).clamp_min(1e-12) for x in (one, other)]
    ends = [x.double() / length for x, length in zip((one, other), lengths, strict=True)]
    angle = (ends[0] * ends[1]).sum(dim=-1, keepdim=True).clamp(-1.0, 1.0).arccos()
    sine = angle.sin()
    # Nearly the same direction has no arc, and opposite ones have too many.
    flat = sine < 1e-6
    safe = torch.where(flat, torch.ones_like(sine), sine)
    first = torch.where(flat, 1.0 - share, ((1.0 - share) * angle).sin() / safe)
    second = torch.where(flat, share, (share * angle).sin() / safe)
    length = (1.0 - share) * lengths[0] + share * lengths[1]
    made = (length * (first * ends[0] + second * ends[1])).to(one.dtype)
    return torch.where(share == 0.0, one, torch.where(share == 1.0, other, made))
