"""What people write on a command line, as addresses: seeds, numbers of samples, files, mixtures of classes."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from gancore.data.spec import SampleSpec
from gancore.errors import UsageError
from gancore.latent.address import FARTHEST, MOST_SEED, Address, Around, Between
from gancore.latent.on_demand import OnDemand
from gancore.sampling.drawing import check_class

_TERM = re.compile(r"\s*(?:(?P<weight>[0-9]*\.?[0-9]+)\s*\*)?\s*(?P<name>.+?)\s*")


def mixture(spec: SampleSpec, text: str) -> dict[str, float]:
    """Weights of classes by name: of `kick` that class alone, of `0.5*kick+0.5*snare` both; numbers are made to add up to 1.

    Raises:
        UsageError: there are no classes, or not these, or a weight is none.
    """
    if text in spec.classes or text.isdecimal() or not re.search(r"[*+]", text):
        return {spec.classes[check_class(spec, text)]: 1.0}
    weights: dict[str, float] = {}
    for term in text.split("+"):
        found = _TERM.fullmatch(term)
        if found is None:
            raise UsageError(f"'{text}' is no mixture of classes; write it as 0.5*NAME+0.5*NAME")
        name = spec.classes[check_class(spec, found["name"])]
        weights[name] = weights.get(name, 0.0) + float(found["weight"] or 1.0)
    total = math.fsum(weights.values())
    if total <= 0.0:
        raise UsageError(f"the weights of '{text}' add up to 0; at least one must be more")
    return {name: weight / total for name, weight in weights.items()}


def edits(texts: Sequence[str]) -> dict[str, float]:
    """How far to go along which direction, of texts `brightness=+1.5`.

    Raises:
        UsageError: one is not of this form, or no finite number, or names a direction twice.
    """
    found: dict[str, float] = {}
    for text in texts:
        name, _, amount = (part.strip() for part in text.partition("="))
        try:
            value = float(amount)
        except ValueError:
            value = math.nan
        if not name or not math.isfinite(value):
            raise UsageError(f"'{text}' is no edit; write NAME=AMOUNT, such as brightness=+1.5")
        if abs(value) > FARTHEST:
            raise UsageError(
                f"'{text}' goes too far; edits are from -{FARTHEST:g} to {FARTHEST:g}, and 1 is a change that shows"
            )
        if name in found:
            raise UsageError(f"'{name}' is edited twice; name each direction once")
        found[name] = value
    return found


def layers(text: str) -> tuple[int, int]:
    """First and last of `0-3`, or of `2` alone.

    Raises:
        UsageError: it is neither.
    """
    found = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", text.strip())
    if found is None or int(found[1]) > int(found[2] or found[1]):
        raise UsageError(f"'{text}' are no layers; write them as 0-3, or 2 for one, counted from 0")
    return int(found[1]), int(found[2] or found[1])


def seeded(text: str) -> Address | None:
    """The first sample of a seed, `7`, or another one, `7:3`, counted from 0; None where the text is no number."""
    found = re.fullmatch(r"(\d+)(?::(\d+))?", text.strip())
    if found is None:
        return None
    seed, position = int(found[1]), int(found[2] or 0)
    if max(seed, position) > MOST_SEED:
        raise UsageError(f"'{text}' is too large for a seed; take one below 2^63")
    return Address(seed=seed, position=position)


def neighbours(address: Address, count: int, spread: float, seed: int) -> Sequence[Address]:
    """`count` addresses around one."""
    settled = address
    if address.around is not None:
        bare = {name: type(address).model_fields[name].default for name in ("truncation", "edits")}
        settled = Address(between=Between(one=address.changed(**bare), other=address.changed(**bare), at=0.0)).changed(
            truncation=address.truncation, edits=address.edits
        )
    if not spread:
        return [settled] * count
    return OnDemand(count, lambda n: settled.changed(around=Around(spread=spread, seed=seed, position=n)))


def revised(
    address: Address,
    *,
    classes: Mapping[str, float] | None = None,
    truncation: float | None = None,
    edits: Mapping[str, float] | None = None,
) -> Address:
    """The same with other classes, another truncation, and edits in addition to those that it has."""
    changes: dict[str, object] = {}
    if classes is not None:
        changes["classes"] = classes
    if truncation is not None:
        changes["truncation"] = truncation
    if edits:
        changes["edits"] = {**address.edits, **edits}
    return address.changed(**changes) if changes else address
