"""What `--dry-run` refuses: everything that a run would refuse before its first step, as far as it shows without reading the data.

Data that a plugin makes itself are made, and the networks with them. Of files and folders, which may be large, only the name is
looked at: what only their samples tell, such as whether there are enough to hold some out, is left to the run.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gancore.configuration.settings import Settings
from gancore.data.held_out import both_parts
from gancore.data.report import silent
from gancore.devices import pick_device
from gancore.engine.build import build_game, check_writers
from gancore.engine.contract import try_game
from gancore.errors import UsageError
from gancore.evaluation.live import check_evaluation
from gancore.plugins import Registry
from gancore.run import check_free, check_place


def check_run(settings: Settings, registry: Registry, out: str | Path | None = None) -> None:
    """Refuse a run of `settings` in the folder `out` that would be refused before its first step.

    Raises:
        GanError: it would; the message is that of the run.
    """
    if out is not None:
        check_free(Path(out), hint=f", or go on with it: gan resume {out}")
    check_place(Path(out or "runs"))
    pick_device(settings.run.device)
    load_listeners(registry, settings.run.listeners)
    check_evaluation(settings, registry)
    path = settings.data_path
    if path is not None:
        if not path.exists():
            raise UsageError(f"data '{path}': there is no such file or folder")
        return
    train, held_out = both_parts(settings.open_data(silent), settings.run.held_out)
    check_writers(settings, train.spec)
    try_game(settings, build_game(settings, train.spec, train, held_out), train)


def load_listeners(registry: Registry, names: Sequence[str]) -> list[str]:
    """Load the plugins that listen to a run; the names of those that are disabled and will hear nothing.

    Raises:
        UsageError: one has no lifecycle hook.
    """
    for name in names:
        if name in registry.disabled:
            continue
        registry.load(name)
        if not registry.hears(name):
            raise UsageError(
                f"listeners: plugin '{name}' has no lifecycle hook, so it would hear nothing; leave it out"
            )
    return [name for name in names if name in registry.disabled]
