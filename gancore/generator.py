"""A trained generator as a value: load it from a run, draw samples, write them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from gancore import checkpoint
from gancore.data.spec import SampleSpec
from gancore.engine.build import build_game, pick_device
from gancore.engine.sheets import check_class, cycle_classes, generate, write
from gancore.errors import RunFolderError, UsageError
from gancore.plugins import Registry, resolve
from gancore.random import derive
from gancore.run import RunFolder
from gancore.settings import Settings, configure, read_file


class Generator:
    """The averaged generator of a run, in evaluation mode.

    `spec` says what a sample is; `step` how long it was trained; `settings` how.
    """

    def __init__(self, module: nn.Module, spec: SampleSpec, settings: Settings, step: int) -> None:
        self.module = module.eval().requires_grad_(False)
        self.spec = spec
        self.settings = settings
        self.step = step

    def sample(
        self, n: int = 1, *, seed: int = 0, condition: int | str | Sequence[int | str] | Tensor | None = None
    ) -> Tensor:
        """`n` hard samples `[n, *shape]` on the CPU, such as uint8 images `[n, channels, height, width]`.

        `condition` is one class for all (index or name), or one per sample; without it classes take turns. Sample i
        depends on `seed`, i and its class alone.

        Raises:
            UsageError: a class that does not exist, or not as many as samples.
        """
        if n < 1:
            raise UsageError(f"the number of samples must be at least 1, not {n}")
        labels = self.labels(n, condition)
        relaxed = generate(self.module, self.spec, n, derive(seed, "sample"), labels)
        return self.spec.harden(relaxed).cpu()

    def labels(self, n: int, condition: int | str | Sequence[int | str] | Tensor | None = None) -> Tensor | None:
        """The classes `[n]` int64 that `sample(n, condition=condition)` uses; None for a generator without labels."""
        if condition is None:
            return cycle_classes(self.spec, n)
        if isinstance(condition, Tensor):
            condition = condition.tolist() if condition.dim() else int(condition)
        wanted = [condition] * n if isinstance(condition, (int, str)) else list(condition)
        if len(wanted) != n:
            raise UsageError(f"condition names {len(wanted)} classes for {n} samples")
        return torch.tensor([check_class(self.spec, w) for w in wanted])

    def save(
        self,
        samples: Tensor,
        path: str | Path,
        labels: Sequence[int] | Tensor | None = None,
        *,
        overwrite: bool = False,
    ) -> list[Path]:
        """Write hard samples with the run's own writers; the files written.

        A `path` with a suffix (`out.png`) becomes one sheet of all samples; one without, a folder with a file a sample.

        Raises:
            UsageError: the plugin has no writer for this.
            RunFolderError: the file, or a folder with something in it, exists and `overwrite` is false.
        """
        target = Path(path)
        if not overwrite and target.exists() and not (target.is_dir() and not any(target.iterdir())):
            raise RunFolderError(f"'{target}' exists already; choose another path, or say overwrite=True")
        classes = None if labels is None else torch.as_tensor(labels)
        role = "sheet" if target.suffix else "each"
        folder = target.parent if target.suffix else target
        written = write(
            self.settings, self.spec, samples, classes, folder, target.stem if target.suffix else "sample", role
        )
        if not written:
            raise UsageError(f"plugin '{self.settings.run.plugin}' has no writer of role '{role}'")
        return written


def load(
    run: str | Path, *, device: str = "auto", registry: Registry | None = None, step: int | None = None
) -> Generator:
    """The generator of the run in folder `run`, from its newest checkpoint that verifies, or from that of `step`.

    Raises:
        RunFolderError: it is no run.
        CheckpointError: nothing usable was saved, or nothing at `step`.
    """
    folder = RunFolder.open(Path(run))
    settings = configure(registry or Registry(), layers=[read_file(folder.config)])
    if step is None:
        found, problems = checkpoint.newest(folder.checkpoints)
        for problem in problems:
            warnings.warn(f"{problem}; taking step {found.step:,}", stacklevel=2)
    else:
        found = checkpoint.at(folder.checkpoints, step)
    spec: SampleSpec = resolve(settings.data.found.record.spec).model_validate(found.state["spec"])
    module = build_game(settings, spec).networks["generator"]
    checkpoint.load_module(module, found.tensors("ema"), "generator")
    return Generator(module.to(pick_device(device)), spec, settings, found.step)
