"""How good a generator is: what metrics are given, what they say, and what is kept of it."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Callable, Hashable, Mapping, MutableMapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from gancore.evaluation.exhibits import Exhibit
    from gancore.evaluation.neighbours import Nearest
    from gancore.sampling.generator import Generator

Part = Literal["held-out part", "other data", "training set"]
"""Where real samples are from."""
T = TypeVar("T")
PNG = b"\x89PNG\r\n\x1a\n"
"""How a PNG file begins."""


# --- what metrics see and say -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Samples:
    """Hard samples `x` `[count, *shape]` on the CPU, and their classes `condition` `[count]` int64, or None without labels.

    Of data between whose domains samples are translated, `content` `[count]` int64 is what each shows, where that is known.
    """

    x: Tensor
    condition: Tensor | None = None
    content: Tensor | None = None

    def __len__(self) -> int:
        return len(self.x)

    def part(self, rows: Tensor | slice) -> Samples:
        """Those at `rows`: indices, a mask `[count]` or a slice."""
        return Samples(self.x[rows], *(None if one is None else one[rows] for one in (self.condition, self.content)))


class FeatureSets(Protocol):
    """Features of one kind, of each set of samples computed when it is first asked for."""

    def of(self, samples: Samples) -> Tensor:
        """Those of `samples`, a set of a `Material` as it stands there or one of the metric's own: float32 `[n, size]`."""
        ...

    def called(self, figure: str) -> str:
        """The name of one of the engine's figures of these features: `frechet-lite0` for `frechet`, or a name of its own."""
        ...

    near: float | None
    """Distances below this are those of near copies, where the features say so ..."""
    same: float
    """... and up to this those of copies; negative where only equal samples are copies."""

    def keys(self, samples: Samples, limit: int) -> list[bytes]:
        """Of each of the first `limit` samples what only those have that count as equal to it."""
        ...

    def nearest(self, samples: Samples, limit: int, leave_out: Tensor | None = None) -> Tensor:
        """Distance float64 `[n]` of each of the first `limit` samples to the nearest training sample, as these features define it.

        `leave_out` int64 `[n]` numbers one training sample that is not looked at, -1 for none.
        """
        ...

    def neighbours(self, samples: Samples, row: int, count: int, closest: float) -> Nearest:
        """The `count` nearest training samples of that of `samples` at `row`, as far as there are so many: `[1, count]` each.

        `closest` is its distance to the nearest, as `nearest` gives it.
        """
        ...

    def authenticity(self, samples: Samples, limit: int) -> float | None:
        """That of the first `limit` samples (see `gancore.evaluation.neighbours.authenticity`); None where distance is the plugin's."""
        ...


LogLikelihood = Callable[[Samples], "Tensor"]
"""The natural logarithm of a generator's probability of each of some samples: float32 `[count]`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Material:
    """What a metric looks at: generated samples, real ones to hold them against, and those that the generator learnt from.

    Where there are classes, generated sample i has the class of real sample i % len(real), and where a part is given, it was made
    around that of the same one; otherwise their orders have nothing to do with each other. Where samples are translated from domain to
    domain, classes are domains, and generated sample i was made of sample i of `given`, which is of another one. Samples of `others`
    are in the order of `generated`, made of the same latents. Real samples come in random order.

    `given` is what generated samples were made around, as many: whole samples, of which the generator sees what the spec says; None
    where nothing is given. `held_out` says whether none of `real` was trained on; where it is false, the first of `train` are `real`,
    or are equal to some of them. `others` are samples of other generators that the run keeps, such as the one that it began with, as
    many as `generated`, by the name to show.
    `features` are vectors of the samples, by the name of each kind; metrics share them, so they are computed once.
    `generator` is what made `generated`, for metrics that steer it; None while it is trained, and for samples in files.
    `log_likelihood` is that of the generator, `others_log_likelihood` those of the others, as far as they can tell.
    """

    generated: Samples
    real: Samples
    train: Samples
    held_out: bool = False
    generator: Generator | None = None
    log_likelihood: LogLikelihood | None = None
    given: Samples | None = None
    others: Mapping[str, Samples] = field(default_factory=dict)
    others_log_likelihood: Mapping[str, LogLikelihood] = field(default_factory=dict)
    features: Mapping[str, FeatureSets] = field(default_factory=dict)
    remembered: MutableMapping[Hashable, Any] = field(default_factory=dict, repr=False)
    """What `once` has of these real samples, for whatever else is held against them."""

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` gives, called once for a `key` as long as `real` and `train` are these: for what depends on nothing else."""
        if key not in self.remembered:
            self.remembered[key] = make()
        found: T = self.remembered[key]
        return found


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One line of a table of results.

    `value` is that of the generated samples and `real` that of real ones, where the figure is defined for one set of samples.
    `overlap` is the share, 0 to 1, in which the distributions of the figure over both sets of samples agree. `floor` is what
    two sets of real samples have between them, where the figure compares sets. `others` are the values of the other
    generators in `Material.others`, by their names.
    """

    value: float
    real: float | None = None
    overlap: float | None = None
    floor: float | None = None
    others: Mapping[str, float] = field(default_factory=dict)

    def parts(self) -> dict[str, Any]:
        """Its numbers by name, those of the others under theirs; None for what it has not."""
        return {n: getattr(self, n) for n in ("value", "real", "overlap", "floor")} | dict(self.others)


@dataclass(frozen=True, slots=True)
class Measured:
    """Figures with pictures of them: PNG files, as bytes, by a name that can stand in a file's; and sentences for their reader.

    One without figures says that there is nothing to say of these samples, such as of classes where there are none.
    """

    figures: Mapping[str, Figure | float]
    pictures: Mapping[str, bytes] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def called(metric: str, name: str) -> str:
    """What a figure is called: `metric/name`, or its name alone where that begins with that of the metric."""
    return name if name.startswith(metric) else f"{metric}/{name}"


def faults(answer: Any) -> list[str]:
    """What is wrong with the answer of a metric, in words; empty for one that keeps the contract."""
    figures = answer
    if isinstance(answer, Measured):
        figures = answer.figures
        for name, picture in answer.pictures.items():
            if not (isinstance(picture, bytes) and picture.startswith(PNG) and re.fullmatch(r"[\w-]+", str(name))):
                return [f"its picture {name!r} is no PNG as bytes, or has a name that cannot be a file's"]
    if not isinstance(figures, Mapping) or not (figures or isinstance(answer, Measured)):
        return [f"it gave {figures!r:.200}, not figures by name"]
    found = []
    for name, figure in figures.items():
        parts = figure.parts() if isinstance(figure, Figure) else {"value": figure}
        for part, number in parts.items():
            where = f"'{name}'" if part == "value" else f"{part} of '{name}'"
            if number is None and part != "value":
                continue
            if not isinstance(name, str) or not isinstance(number, int | float):
                found.append(f"{where} is {number!r:.200}, not a number under a name")
            elif not abs(number) <= sys.float_info.max:
                found.append(f"{where} is {number if isinstance(number, float) else 'too large a number'}")
            elif part == "overlap" and not 0.0 <= number <= 1.0:
                found.append(f"{where} is {number:g}, not in [0, 1]")
    return found


# --- what an evaluation is --------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationProtocol:
    """What figures depend on beside the generator. Those of two evaluations can be compared where this is the same."""

    generated: int
    """Samples that were generated."""
    real: int
    """Real samples that they were held against ..."""
    reference: Part
    """... drawn from this ..."""
    reference_source: str
    """... which is read from here ..."""
    reference_size: int
    """... and holds so many samples."""
    compared: int
    """Samples in each of the sets that are compared: fewer where real ones are halved for a floor."""
    train: int
    """Training samples that metrics were shown ..."""
    train_source: str
    train_size: int
    """... of so many."""
    held_out: float
    """The run's own `held_out`."""
    seed: int
    """Decides latents, and which real samples are drawn."""
    ema_half_life: float
    """Of the moving average of the generator, in samples seen; 0: its raw weights."""
    sampling: Mapping[str, Any] | None
    """How samples are drawn, where there is something to choose."""
    candidates: Mapping[str, Any]
    """How many each was chosen among, and how sharply."""
    device: str
    metrics: Mapping[str, Mapping[str, Any]]
    """Options of each metric ..."""
    features: Mapping[str, Mapping[str, Any]]
    """... and of each kind of features, with their fingerprints."""
    versions: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a metric gave nothing, or not what it should: `cause` in a sentence, and `trace` where it raised."""

    cause: str
    trace: str = ""
    missing_package: bool = False
    """Whether it only lacks a package that can be installed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """The figures of one generator, and how they came about.

    `figures` are by metric and name; `failures` by metric, of those that raised or gave something that is no finite number.
    `notes` are sentences that a reader of the figures should know. `others` name the other generators that figures are of too.
    `summary` says the figures in sentences. `step` is None where samples are not of a run; `run` is then where they are.
    `drawn` are PNG files, as bytes, by name, `exhibits` samples to look at; once kept, `path` is the file in the run's folder, and
    `pictures` are those beside it that show both.
    """

    run: str
    step: int | None
    plugin: str
    figures: Mapping[str, Mapping[str, Figure]]
    failures: Mapping[str, Failure]
    notes: tuple[str, ...]
    protocol: EvaluationProtocol
    others: tuple[str, ...] = ()
    path: Path | None = None
    pictures: tuple[Path, ...] = ()
    summary: tuple[str, ...] = ()
    drawn: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    exhibits: tuple[Exhibit, ...] = field(default=(), repr=False)

    def rows(self) -> list[dict[str, str | float | None]]:
        """A row for each figure, with `figure`, `generated`, each of the others, `real`, `overlap` and `floor`.

        Figures are named by `called`.
        """
        return [
            {
                "figure": called(metric, name),
                "generated": figure.value,
                **{other: figure.others.get(other) for other in self.others},
                "real": figure.real,
                "overlap": figure.overlap,
                "floor": figure.floor,
            }
            for metric, figures in self.figures.items()
            for name, figure in figures.items()
        ]

    def dump(self) -> dict[str, Any]:
        """Plain values, for JSON, which has no NaN or infinity: they become None. A part that a figure has not is left out."""
        return {
            "run": self.run,
            "step": self.step,
            "plugin": self.plugin,
            "summary": list(self.summary),
            "figures": {
                metric: {name: _plain(figure) for name, figure in figures.items()}
                for metric, figures in self.figures.items()
            },
            "failures": {metric: failure.cause for metric, failure in self.failures.items()},
            "notes": list(self.notes),
            "others": list(self.others),
            "pictures": [path.name for path in self.pictures],
            "protocol": asdict(self.protocol),
        }

    def to_json(self) -> str:
        """`dump` as text: what the file in the run's folder holds."""
        return json.dumps(self.dump(), indent=2, ensure_ascii=False) + "\n"


def _plain(figure: Figure) -> dict[str, Any]:
    def finite(value: float) -> float | None:
        return value if math.isfinite(value) else None

    own = {n: getattr(figure, n) for n in ("value", "real", "overlap", "floor")}
    found: dict[str, Any] = {n: finite(v) for n, v in own.items() if v is not None}
    return found | ({"others": {n: finite(v) for n, v in figure.others.items()}} if figure.others else {})
