"""Options that suit the device: defaults for a processor in place of those for a GPU, where the difference is hours or days."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel

from gancore.options import cpu_default

M = TypeVar("M", bound=BaseModel)


def suit(options: M, device: str, path: str) -> tuple[M, tuple[str, ...]]:
    """`options` with the defaults for `device`, as in a configuration, where nobody has set them, and a sentence on each.

    Settings that are complete name every value, so a run that is repeated elsewhere is the same.
    """
    model = type(options)
    wanted = {n: v for n in model.model_fields if (v := cpu_default(model, n)) is not None}
    wanted = {n: v for n, v in wanted.items() if n not in options.model_fields_set}
    if not wanted or device_type(device) != "cpu":
        return options, ()
    notes = tuple(
        f"{path}.{name}={value} was chosen because this run uses no GPU: {getattr(options, name)}, the default on a GPU, would take "
        f"many times as long; set {path}.{name} to override it"
        for name, value in wanted.items()
    )
    return options.model_copy(update=wanted), notes


def device_type(device: str) -> str:
    """`cpu`, `cuda` or `mps`: what the option `device` means on this machine."""
    if device != "auto":
        return device.partition(":")[0]
    from gancore.devices import pick_device  # torch is imported only where the answer matters

    return pick_device(device).type
