"""Attributes of samples: a number of each, such as its brightness, by which a trained generator is steered."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar

import torch
from torch import Tensor

from gancore.blame import describe
from gancore.components import Attribute, Measure
from gancore.configuration.configure import choose_attributes
from gancore.configuration.settings import Chosen, Settings
from gancore.data.spec import SampleSpec
from gancore.errors import MissingPackageError, PluginError, UsageError
from gancore.plugins import Registry

_BYTES = 1 << 24
"""Size of a batch that is measured at once, at most, but of at least one sample ..."""
_BATCH = 256
"""... and of at most so many."""
Read = TypeVar("Read")


@dataclass(frozen=True, slots=True)
class Attributes:
    """Attributes that are ready to be measured, by their qualified names, `image:brightness`."""

    records: Mapping[str, Attribute]
    measures: Mapping[str, Measure]
    left_out: Mapping[str, str]
    """Why others cannot be measured of these samples, by their qualified names."""

    def joined(self, others: Attributes) -> Attributes:
        """These and `others`."""
        return Attributes(
            {**self.records, **others.records},
            {**self.measures, **others.measures},
            {**self.left_out, **others.left_out},
        )

    def measure(self, x: Tensor) -> dict[str, Tensor]:
        """Each attribute of hard samples `x` `[n, ...]` on the CPU: float32 `[n]`, NaN for samples that have none.

        Raises:
            PluginError: an attribute raised something, or gave something else.
        """
        size = max(1, min(_BATCH, _BYTES // max(1, x[:1].numel() * x.element_size())))
        found: dict[str, list[Tensor]] = {name: [torch.empty(0)] for name in self.measures}
        for rows in x.split(size) if len(x) else ():  # all of some samples, so that attributes can share what they read
            for name, measure in self.measures.items():
                try:
                    with torch.no_grad():
                        values = measure(rows)
                except (Exception, SystemExit) as error:
                    raise PluginError(f"attribute '{name}' raised {describe(error)}") from error
                if wrong := fault(values, len(rows)):
                    raise PluginError(f"attribute '{name}' {wrong}")
                found[name].append(values.detach())
        return {name: torch.cat(parts) for name, parts in found.items()}


def attributes_of(
    registry: Registry, settings: Settings, spec: SampleSpec, layers: Sequence[Mapping[str, Any]] = ()
) -> Attributes:
    """The attributes of a run's samples: see `gancore.configuration.configure.choose_attributes`.

    Raises:
        ConfigError: what `layers` ask for cannot be.
        PluginError: an attribute is broken.
    """
    return build_attributes(choose_attributes(registry, settings.run.plugin, settings.data, layers), spec)


def build_attributes(chosen: Mapping[str, Chosen], spec: SampleSpec) -> Attributes:
    """Those of `chosen` that can be measured of samples of `spec`.

    Others say so by a `UsageError`, or that a package is missing, and are left out.

    Raises:
        PluginError: an attribute raised something else.
    """
    records: dict[str, Attribute] = {}
    measures: dict[str, Measure] = {}
    left_out: dict[str, str] = {}
    for one in chosen.values():
        name = one.found.qualified
        try:
            measures[name] = one.build(spec)
            records[name] = one.found.record
        except (UsageError, MissingPackageError) as error:
            left_out[name] = str(error)
        except PluginError:
            raise  # it is named there
        except (Exception, SystemExit) as error:
            raise PluginError(f"attribute '{name}' raised {describe(error)}") from error
    return Attributes(records, measures, left_out)


def fault(values: object, count: int) -> str:
    """What is wrong with what an attribute gave for `count` samples, after its name; empty where it keeps the contract."""
    if not isinstance(values, Tensor) or values.dtype != torch.float32 or values.shape != (count,):
        what = f"{values.dtype} {list(values.shape)}" if isinstance(values, Tensor) else type(values).__name__
        return f"gave {what} for {count} samples, not torch.float32 [{count}]"
    return "gave infinite values" if bool(values.isinf().any()) else ""


def remembered(read: Callable[..., Read]) -> Callable[..., Read]:
    """Make `read(samples, *options)` remember its last answer and give it again, so that several attributes share one reading.

    The answer is not to be changed. Options are compared by their values.
    """
    last: tuple[Tensor, tuple[Hashable, ...], torch.dtype, Read] | None = None

    @wraps(read)
    def once(samples: Tensor, *options: Hashable) -> Read:
        nonlocal last
        known = last
        if known is None or known[1:3] != (options, samples.dtype) or not torch.equal(known[0], samples):
            known = last = (samples.clone(), options, samples.dtype, read(samples, *options))
        return known[3]

    return once
