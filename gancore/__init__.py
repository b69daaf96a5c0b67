"""gancore: one engine for any adversarial game; plugins bring the modality.

    import gancore
    run = gancore.train(plugin="image", steps=2000)
    generator = gancore.load(run.folder)
    generator.save(generator.sample(16, seed=7), "digits.png")

Importing this package imports neither torch nor any plugin: names below are resolved on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from gancore.api import Run, plan, resume, train
    from gancore.evaluation.evaluator import evaluate
    from gancore.evaluation.records import Evaluation
    from gancore.reporting import make_report
    from gancore.sampling.generator import Generator
    from gancore.sampling.loading import load

__version__ = "0.1.0"

hookimpl = pluggy.HookimplMarker("gancore")
"""Marks a function of a plugin as the implementation of the hook that has its name."""

_LAZY = {
    **dict.fromkeys(("Run", "plan", "resume", "train"), "gancore.api"),
    "Generator": "gancore.sampling.generator",
    "load": "gancore.sampling.loading",
    "Evaluation": "gancore.evaluation.records",
    "evaluate": "gancore.evaluation.evaluator",
    "make_report": "gancore.reporting",
}

__all__ = [
    "Evaluation",
    "Generator",
    "Run",
    "evaluate",
    "hookimpl",
    "load",
    "make_report",
    "plan",
    "resume",
    "train",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'gancore' has no attribute {name!r}")
