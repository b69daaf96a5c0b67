"""Settings that move while a run is trained: functions of the step alone, so that nothing of them has to be saved."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from torch import optim

from gancore.components import Augment, Curve
from gancore.configuration.schedules import ends, movable
from gancore.configuration.settings import Settings
from gancore.engine.ema import MovingAverage
from gancore.errors import PluginError, UsageError
from gancore.games.player import Phase, Player
from gancore.options import ScheduleOptions
from gancore.powers import HasStrength, Weighted


@dataclass(frozen=True, slots=True)
class Course:
    """The way of one setting: from `first` to `last` between the steps `begin` and `end`, on `curve`."""

    curve: Curve
    first: float
    last: float
    begin: float
    end: float
    warmup: int = 0

    @classmethod
    def of(cls, curve: Curve, options: ScheduleOptions, value: float, steps: int, batch_size: int) -> Course:
        """That of a setting whose own value is `value`, in a run of `steps`; a longer run follows a course of its own length."""
        begin = options.begin * steps
        end = begin + options.samples / batch_size if options.samples else options.end * steps
        return cls(curve, *ends(options, value), begin, end, options.warmup)

    def at(self, step: int) -> float:
        """The value in `step`, from 0.

        Raises:
            PluginError: the curve leaves the range between its ends.
        """
        progress = min(1.0, max(0.0, (step - self.begin) / max(1.0, self.end - self.begin)))
        value = self.curve(self.first, self.last, progress)
        low, high = sorted((self.first, self.last))
        if not low - 1e-6 * abs(low) <= value <= high + 1e-6 * abs(high):
            raise PluginError(
                f"the schedule {type(self.curve).__name__} gave {value!r:.40} on the way from {self.first:g} to {self.last:g}, "
                "which is not between them"
            )
        rise = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        return rise * min(max(value, low), high)


@dataclass(frozen=True, slots=True)
class Schedules:
    """All courses of a run by the names of their settings, and what puts a value where it is used."""

    courses: Mapping[str, Course] = field(default_factory=dict)
    setters: Mapping[str, Callable[[float], None]] = field(default_factory=dict)

    @property
    def end(self) -> float:
        """The step in which the last of them has arrived; 0 without any."""
        return max((max(course.end, float(course.warmup)) for course in self.courses.values()), default=0.0)

    def apply(self, step: int) -> None:
        """Let every setting have its value of `step`; but learning rates, which phases may change, are asked for by `at`."""
        for path, put in self.setters.items():
            put(self.courses[path].at(step))

    def figures(self, step: int) -> dict[str, float]:
        """All values of `step`, by the names of figures."""
        return {f"schedule/{path}": course.at(step) for path, course in self.courses.items()}

    def at(self, path: str, own: float, step: int) -> float:
        """The value of one setting in `step`, `own` where no schedule moves it."""
        return self.courses[path].at(step) if path in self.courses else own


def build_schedules(
    settings: Settings,
    players: Mapping[str, Player],
    ema: MovingAverage,
    phases: Sequence[Phase],
    augmentations: Mapping[str, Augment],
) -> Schedules:
    """The schedules that `settings` name, for what a training is made of.

    Raises:
        UsageError: the game uses no such weight, or the augmentation has no strength that could be set.
    """
    run = settings.run
    known = movable(run, settings.optimizers, settings.penalties, settings.augmentations, settings.game)
    courses: dict[str, Course] = {}
    setters: dict[str, Callable[[float], None]] = {}
    for path, chosen in settings.schedules.items():
        holder, name = known[path]
        assert isinstance(chosen.options, ScheduleOptions)
        courses[path] = Course.of(chosen.build(), chosen.options, getattr(holder, name), run.steps, run.batch_size)
        section, _, rest = path.partition(".")
        owner = rest.rpartition(".")[0]
        if section == "ema":
            setters[path] = _attribute(ema, "half_life")
        elif section == "game":
            for phase in phases:
                if hasattr(phase, name):
                    setters[path] = _attribute(phase, name)
        elif section == "optimizers":
            if name != "lr":
                setters[path] = option_setter(players[owner].optimizer, name)
        elif section == "penalties":
            short = owner.rpartition(":")[2]
            weighted = [p for p in phases if isinstance(p, Weighted) and p.name.partition("/")[2] == short]
            if not weighted:
                raise UsageError(
                    f"schedules.{path}: game '{settings.game.found.qualified}' has no phase '{short}' with a weight that could be "
                    f"moved; leave the schedule out (schedules.{path}=none)"
                )
            setters[path] = _attribute(weighted[0], "weight")
        else:
            augment = augmentations[owner]
            if not isinstance(augment, HasStrength):
                raise UsageError(
                    f"schedules.{path}: augmentation '{owner}' has no attribute `strength` that could be moved; leave the schedule out "
                    f"(schedules.{path}=none)"
                )
            setters[path] = _attribute(augment, "strength")
    return Schedules(courses, setters)


def _attribute(thing: object, name: str) -> Callable[[float], None]:
    return lambda value: setattr(thing, name, value)


def _torchs(name: str, group: Mapping[str, object]) -> str:
    """What a group of parameters calls an option.

    Raises:
        PluginError: it has no such.
    """
    for known in (name, {"beta1": "momentum", "beta2": "alpha"}.get(name, name)):
        if known in group and not (name == "beta1" and "alpha" in group):  # rmsprop is built without momentum
            return known
    raise PluginError(f"the optimizer has no {name} that a schedule could move: its groups hold {', '.join(group)}")


def option_setter(optimizer: optim.Optimizer, name: str) -> Callable[[float], None]:
    """Sets an option of an optimizer, under the name that torch has for it; PluginError where its groups have no such."""

    def put(value: float) -> None:
        for group in optimizer.param_groups:
            if name in ("beta1", "beta2") and "betas" in group:
                first, second = group["betas"]
                group["betas"] = (value, second) if name == "beta1" else (first, value)
            else:
                group[_torchs(name, group)] = value

    return put
