"""Which settings a schedule can move, and from what value to what it does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from gancore.configuration.mistakes import explain
from gancore.configuration.run_config import OPTIMIZERS, SCHEDULES, RunConfig
from gancore.configuration.settings import Chosen
from gancore.errors import Mistake, nearest
from gancore.options import ScheduleOptions

OPTIMIZER = ("lr", "beta1", "beta2", "momentum", "weight_decay")
"""What moves of an optimizer that has such options ..."""
TOP_K = "top_k"
"""... and of a game."""


def movable(
    run: RunConfig,
    optimizers: Mapping[str, Chosen],
    penalties: Mapping[str, Chosen],
    augmentations: Mapping[str, Chosen],
    game: Chosen | None,
) -> dict[str, tuple[BaseModel, str]]:
    """Settings that a schedule can move, by their dotted names: the options that each stands in, and its name there."""
    found: dict[str, tuple[BaseModel, str]] = {
        f"{OPTIMIZERS}.{player}.{name}": (chosen.options, name)
        for player, chosen in optimizers.items()
        for name in OPTIMIZER
        if chosen.options is not None and name in type(chosen.options).model_fields
    }
    found["ema.half_life"] = (run.ema, "half_life")
    if game is not None and game.options is not None and TOP_K in type(game.options).model_fields:
        found[f"game.{TOP_K}"] = (game.options, TOP_K)
    for section, chosen, name in (("penalties", penalties, "weight"), ("augmentations", augmentations, "strength")):
        for key, one in chosen.items():
            if one.options is not None and name in type(one.options).model_fields:
                found[f"{section}.{key}.{name}"] = (one.options, name)
    return found


def not_movable(path: str, known: Mapping[str, Any]) -> Mistake:
    """What to say of a schedule for something else than a `known` setting."""
    section, _, rest = path.partition(".")
    name = rest.partition(".")[0]
    if (
        name
        and section in ("penalties", "augmentations")
        and not any(k.startswith(f"{section}.{name}.") for k in known)
    ):
        return Mistake(f"{SCHEDULES}.{path}", f"this run has no {section}.{name} with a setting that could be moved")
    same = [name for name in known if name.rpartition(".")[2] == path.rpartition(".")[2]]
    hint = (nearest(path, known) or same or [""])[0]
    at = f"{SCHEDULES}.{path}".rstrip(".")
    return Mistake(at, f"no setting that a schedule can move; there are {', '.join(known)}", hint)


def ends(options: ScheduleOptions, value: float) -> tuple[float, float]:
    """From what to what a setting moves whose own value is `value`."""
    first = value if options.first is None else options.first
    return first, options.factor * value if options.last is None else options.last


def out_of_bounds(path: str, options: ScheduleOptions, holder: BaseModel, name: str) -> Iterator[Mistake]:
    """What is wrong with the values between which `options` move the setting `name` of `holder`; nothing where they fit."""
    model, own = type(holder), getattr(holder, name)
    at, (first, last) = f"{SCHEDULES}.{path}", ends(options, own)
    for end, value in (("first", first), ("factor" if options.last is None else "last", last)):
        if value == 0 and name == "lr":
            continue  # where a run ends; as a learning rate of its own it would be none
        try:
            model.model_validate(holder.model_dump() | {name: value})
        except ValidationError as error:
            found = [m for m in explain(error, model, "") if m.path == name]
            yield from (Mistake(f"{at}.{end}", f"{path} {m.message}") for m in found[:1])
    if first == last and not options.warmup:
        yield Mistake(
            at, f"moves nothing: {path} is {first:g} from beginning to end; give first, last, factor or warmup"
        )
