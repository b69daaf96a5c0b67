"""How good a generator is: what metrics are given, what they say, and what is kept of it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

Part = Literal["held-out part", "other data", "training set"]
"""Where real samples are from."""


# --- what metrics see and say -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Samples:
    """Hard samples `x` `[count, *shape]` on the CPU, and their classes `condition` `[count]` int64, or None without labels."""

    x: Tensor
    condition: Tensor | None = None

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True, kw_only=True, slots=True)
class Material:
    """What a metric looks at: generated samples, real ones to hold them against, and those that the generator learnt from.

    `held_out` says whether none of `real` was trained on; where it is false, `real` are drawn from `train`.
    """

    generated: Samples
    real: Samples
    train: Samples
    held_out: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One line of a table of results.

    `value` is that of the generated samples and `real` that of real ones, where the figure is defined for one set of samples.
    `overlap` is the share, 0 to 1, in which the distributions of the figure over both sets of samples agree. `floor` is what
    two sets of real samples have between them, where the figure compares sets.
    """

    value: float
    real: float | None = None
    overlap: float | None = None
    floor: float | None = None


def faults(figures: Any) -> list[str]:
    """What is wrong with the answer of a metric, in words; empty for one that keeps the contract."""
    if not isinstance(figures, Mapping) or not figures:
        return [f"it gave {figures!r:.200}, not figures by name"]
    found = []
    for name, figure in figures.items():
        parts = asdict(figure) if isinstance(figure, Figure) else {"value": figure}
        for part, number in parts.items():
            where = f"'{name}'" if part == "value" else f"{part} of '{name}'"
            if number is None and part != "value":
                continue
            if not isinstance(name, str) or not isinstance(number, int | float):
                found.append(f"{where} is {number!r:.200}, not a number under a name")
            elif not math.isfinite(number):
                found.append(f"{where} is {number}")
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
    device: str
    metrics: Mapping[str, Mapping[str, Any]]
    """Options of each metric."""
    versions: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a metric gave nothing, or not what it should: `cause` in a sentence, and `trace` where it raised."""

    cause: str
    trace: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """The figures of one generator, and how they came about.

    `figures` are by metric and name; `failures` by metric, of those that raised or gave something that is no finite number.
    `notes` are sentences that a reader of the figures should know. `path` is the file in the run's folder.
    """

    run: str
    step: int
    plugin: str
    figures: Mapping[str, Mapping[str, Figure]]
    failures: Mapping[str, Failure]
    notes: tuple[str, ...]
    protocol: EvaluationProtocol
    path: Path | None = None

    def rows(self) -> list[dict[str, str | float | None]]:
        """A row for each figure, with `figure` (`metric/name`), `generated`, `real`, `overlap` and `floor`."""
        return [
            {
                "figure": name if name == metric else f"{metric}/{name}",
                "generated": figure.value,
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
            "figures": {
                metric: {
                    name: {k: v if math.isfinite(v) else None for k, v in asdict(f).items() if v is not None}
                    for name, f in figures.items()
                }
                for metric, figures in self.figures.items()
            },
            "failures": {metric: failure.cause for metric, failure in self.failures.items()},
            "notes": list(self.notes),
            "protocol": asdict(self.protocol),
        }

    def to_json(self) -> str:
        """`dump` as text: what the file in the run's folder holds."""
        return json.dumps(self.dump(), indent=2, ensure_ascii=False) + "\n"
