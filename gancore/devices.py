"""Options that suit the device: defaults for a processor in place of those for a GPU, where the difference is hours or days."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel

M = TypeVar("M", bound=BaseModel)

ON_CPU = "on_cpu"


def on_cpu(value: int) -> dict[str, Any]:
    """For `json_schema_extra` of a field: its default where a run trains on a processor."""
    return {ON_CPU: value}


def cpu_default(model: type[BaseModel], field: str) -> int | None:
    """The default of a field on a processor; None where it is the same everywhere."""
    extra = model.model_fields[field].json_schema_extra
    value = extra.get(ON_CPU) if isinstance(extra, dict) else None
    return value if isinstance(value, int) else None


def suit(options: M, device: str, path: str) -> tuple[M, tuple[str, ...]]:
    """`options` with the defaults for `device`, as in a configuration, where nobody has set them, and a sentence on each.

    Settings that are complete name every value, so a run that is repeated elsewhere is the same.
    """
    model = type(options)
    wanted = {n: v for n in model.model_fields if (v := cpu_default(model, n)) is not None}
    wanted = {n: v for n, v in wanted.items() if n not in options.model_fields_set}
    if not wanted or not _is_cpu(device):
        return options, ()
    notes = tuple(
        f"{path}.{name}={value} was chosen because this run uses no GPU: {getattr(options, name)}, the default on a GPU, would take "
        f"many times as long; set {path}.{name} to override it"
        for name, value in wanted.items()
    )
    return options.model_copy(update=wanted), notes


def _is_cpu(device: str) -> bool:
    if device != "auto":
        return device == "cpu"
    from gancore.engine.build import pick_device  # torch is imported only where the answer matters

    return pick_device(device).type == "cpu"
