"""Checks of the optional powers of `gancore.powers`, and of names and signatures that come near a member of the contract and miss."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from pydantic import BaseModel
from torch import Tensor

from gancore.components import (
    AdversarialLoss,
    Augmentation,
    Component,
    Dataset,
    DataSource,
    GameRule,
    GeneratorNet,
    GivenReader,
    Loss,
    OtherGenerator,
    Penalty,
    ProgressWriter,
    Regulariser,
    SampleWriter,
    Writer,
)
from gancore.powers import POWERS
from gancore.targets import resolve
from gancore.testing.check import Mismatch, NotApplicable, check
from gancore.testing.kit import Kit, scenes
from gancore.testing.names import misspelt
from gancore.testing.places import defined, is_own

CONTRACTS: Mapping[str, tuple[type, ...]] = {
    "generator": (GeneratorNet,),
    "dataset": (DataSource,),
    "reader": (GivenReader,),
    "game": (GameRule,),
    "loss": (AdversarialLoss,),
    "penalty": (Regulariser,),
    "writer": (SampleWriter,),
    "progress": (ProgressWriter,),
}
_NOTHING = object()


def members(protocol: type) -> dict[str, inspect.Signature | None]:
    """The names that a Protocol asks for: methods with their signatures, values with None."""
    methods = {n: inspect.signature(f) for n, f in vars(protocol).items() if inspect.isfunction(f) and n[0] != "_"}
    return methods | dict.fromkeys(inspect.get_annotations(protocol))


def _parts(kit: Kit, subject: str) -> Iterator[tuple[str, str, object]]:
    """Role, words for it, and object of everything of a subject that the author wrote."""
    found: list[tuple[str, str, object]]
    kind = subject.partition(" ")[0]
    if kind == Dataset.kind:
        kit.passed("data.opens", subject)
        source, reader = kit.dataset(subject), kit.record(subject).given
        found = [(kind, "the data set", source)]
        if reader:
            found.append(("reader", "the reader of what is given", resolve(reader)(source.spec)))
    elif subject in kit.scenes():
        _, _, game = kit.ready(kit.scenes()[subject])
        found = [(n, f"the {n}", m) for n, m in game.networks.items() if n in POWERS] + [("game", "the game", game)]
    elif kind == Writer.kind:
        _, spec, _ = kit.ready(kit.stage_for(subject))
        progress = kit.record(subject).role == "progress"
        found = [("progress" if progress else kind, "the writer", kit.built(subject, spec))]
    else:
        found = [(kind, f"the {kind}", kit.tried(subject))]
    mine = [part for part in found if any(is_own(c) for c in type(part[2]).__mro__)]
    if not mine:
        raise NotApplicable("its classes are not the plugin's own")
    yield from mine


def _subjects(kit: Kit) -> list[str]:
    kinds: tuple[type[Component], ...] = (Dataset, Loss, Penalty, Augmentation, Writer)
    return [*kit.subjects(*kinds), *scenes(kit)]


@check(
    "powers.spelled",
    "gan_architectures",
    "what looks like a power or another member of the contract is one: the name is right, and nothing that belongs to it is missing",
    _subjects,
)
def powers_spelled(kit: Kit, subject: str) -> None:
    for role, words, part in _parts(kit, subject):
        for protocol in (*POWERS.get(role, ()), *CONTRACTS.get(role, ())):
            wanted = members(protocol)
            missing = [n for n in wanted if inspect.getattr_static(part, n, _NOTHING) is _NOTHING]
            if hidden := [n for n in missing if hasattr(part, n)]:
                raise Mismatch(
                    f"{words} has {hidden[0]} among its submodules or buffers, where isinstance does not find {protocol.__name__}; "
                    f"make it a method or a plain attribute, or call it something else{defined(type(part))}"
                )
            if protocol is GeneratorNet:  # networks.build tells of this one
                continue
            for name in missing:
                if near := misspelt(part, name, wanted[name] is None):
                    raise Mismatch(
                        f"{words} has {near}, which nobody looks for; {_say(protocol, name)}{defined(type(part))}"
                    )
            if protocol in POWERS.get(role, ()) and 0 < len(missing) < len(wanted):
                there = " and ".join(n for n in wanted if n not in missing)
                raise Mismatch(
                    f"{words} has {there} and no {' and '.join(missing)}, and {protocol.__name__} is both{defined(type(part))}"
                )


def _say(protocol: type, name: str) -> str:
    return f"call it {name} (gancore.{protocol.__module__.rpartition('.')[2]}.{protocol.__name__})"


@check(
    "powers.signature",
    "gan_architectures",
    "powers and other members of the contract take the arguments that the engine gives, and hold values of the right kind",
    _subjects,
)
def powers_signature(kit: Kit, subject: str) -> None:
    kit.passed("powers.spelled", subject)
    for role, words, part in _parts(kit, subject):
        for protocol in (*POWERS.get(role, ()), *CONTRACTS.get(role, ())):
            if not all(hasattr(part, n) for n in members(protocol)):
                continue
            for name, signature in members(protocol).items():
                own = getattr(part, name)
                if signature is None:
                    if name in _VALUES and not _VALUES[name][0](own, part):
                        raise Mismatch(
                            f"{words}'s {name} is {_brief(own)}, not {_VALUES[name][1]}{defined(type(part))}"
                        )
                    continue
                given = [p for p in signature.parameters if p != "self"]
                if name in ("sample", "synthesise") and getattr(part, "takes_given", False):
                    given.append("given")
                if trouble := _cannot_take(own, len(given)):
                    raise Mismatch(
                        f"{words} is called {name}({', '.join(given)}), and {trouble} by its signature{defined(type(part))}"
                    )


def _cannot_take(method: Any, count: int) -> str:
    """Why a method cannot be called with `count` arguments by position; empty where it can."""
    if not callable(method):
        return f"{_brief(method)} cannot be called"
    try:
        inspect.signature(method).bind(*range(count))
    except TypeError as error:
        return f"that is refused ({error})"
    except ValueError:  # one without a signature
        return ""
    return ""


def _brief(value: object) -> str:
    if isinstance(value, Tensor):
        return f"a tensor {list(value.shape)} of {value.dtype}"
    return "a method" if inspect.ismethod(value) else f"{value!r:.80}"


def _is_labels(value: Any, source: Any) -> bool:
    whole = isinstance(value, Tensor) and value.dtype is torch.int64 and value.shape == (len(source),)
    return value is None or whole


def _are_others(value: Any, game: Any) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(o, OtherGenerator) and o.network in game.networks for o in value.values()
    )


_VALUES: Mapping[str, tuple[Callable[[Any, Any], bool], str]] = {
    "strength": (lambda value, part: isinstance(value, float) and 0.0 <= value <= 1.0, "a number from 0 to 1"),
    "threshold": (lambda value, part: isinstance(value, float), "a number"),
    "takes_given": (lambda value, part: isinstance(value, bool), "True or False"),
    "mixes_batch": (lambda value, part: isinstance(value, bool), "True or False"),
    "sampling": (lambda value, part: isinstance(value, BaseModel), "an option model"),
    "side": (lambda value, part: value in ("real", "fake"), "'real' or 'fake'"),
    "labels": (_is_labels, "None or int64 [len]"),
    "others": (_are_others, "a mapping to OtherGenerator, each of one of the game's networks"),
    "judge": (lambda value, game: value is None or value in game.networks, "None or the name of one of its networks"),
}
"""What values of powers must be, for the part that has them; `groups` and `domains` are looked at by data.opens."""
