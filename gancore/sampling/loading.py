"""From a run's folder to its generator: the newest checkpoint of which everything can be used, or that of a step."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from torch import Tensor, nn

from gancore import checkpoint
from gancore.checkpoint import BEST, Checkpoint
from gancore.components import GameRule, OtherGenerator
from gancore.configuration.configure import configure
from gancore.configuration.layers import nest
from gancore.configuration.settings import Settings
from gancore.data.spec import SampleSpec
from gancore.devices import pick_device, pick_memory_format
from gancore.engine.build import build_game, judge_of
from gancore.engine.optimizers import build_optimizer
from gancore.engine.restore import SavedData, check_names, read_optimizer, read_saved
from gancore.errors import CheckpointError, ConfigError, GanError, MisfitError, Mistake, UsageError
from gancore.filling import check_fits
from gancore.options import check_whole
from gancore.plugins import Registry
from gancore.powers import Judges, KeepsOthers
from gancore.run import RunFolder
from gancore.sampling.candidates import Chooser
from gancore.sampling.generator import Generator
from gancore.targets import resolve
from gancore.text import brief, check_path

Step = int | Literal["best"] | None
"""Which checkpoint: that of a step, that of the best evaluation, or the newest."""
SAMPLING = "sampling"
"""The section of options of a trained run that belongs to its generator's own way of drawing samples."""
DRAWING = (SAMPLING, "candidates")
"""All sections that say how samples are drawn from a trained run."""


@dataclass(frozen=True, slots=True)
class Saved:
    """A checkpoint, all of it checked: the game with its networks as they are built, and the tensors for them by name.

    `weights` is the SHA-256 of the file with those of the averaged generator.
    """

    found: Checkpoint
    settings: Settings
    weights: str
    data: SavedData
    spec: SampleSpec
    game: GameRule
    tensors: Mapping[str, Mapping[str, Tensor]]

    @property
    def step(self) -> int:
        return self.found.step

    def restored(self, network: str, name: str) -> nn.Module:
        """The network of the game of that name, on the CPU, filled with the tensors of `name`: its own, or `ema`."""
        module = self.game.networks[network]
        module.load_state_dict(dict(self.tensors[name]))
        # The layout of the run, for another rounds otherwise.
        layout = pick_memory_format(self.settings.run.memory_format, self.spec)
        return module.to(memory_format=layout)  # type: ignore[call-overload]


def _open(found: Checkpoint, settings: Settings, model: type[SampleSpec]) -> Saved:
    """What can be generated with. All is looked at, though not all is needed: a checkpoint is good or it is not.

    Raises:
        CheckpointError: it cannot be used.
    """
    state = read_saved(found)
    try:
        spec = model.model_validate(state.spec)
    except Exception as error:  # a plugin's own checks may raise anything
        raise MisfitError(
            f"checkpoint '{found.path}' is of other samples than those of data set '{settings.data.name}' in config.toml"
        ) from error
    try:
        # Whether samples can be chosen depends on the settings alone, and is told as such below.
        game = build_game(settings.updated(candidates={"count": 1}), spec)
    except UsageError as error:
        raise MisfitError(
            f"checkpoint '{found.path}': no networks can be made for its sample spec ({error})"
        ) from error
    except GanError:
        raise
    except Exception as error:
        raise CheckpointError(
            f"checkpoint '{found.path}': no networks can be made for its sample spec ({type(error).__name__}: {error})"
        ) from error
    players = {name: chosen for name, chosen in settings.optimizers.items() if name in game.networks}
    check_names(found, game.networks, players)
    tensors = {name: found.tensors(name) for name in (*game.networks, "ema")}
    for name, own in tensors.items():
        what, network = ("moving average", "generator") if name == "ema" else (name, name)
        check_fits(game.networks[network], own, what, found.path)
    for name, chosen in players.items():
        # Nothing here needs them to be of the kind that the configuration names.
        with contextlib.suppress(MisfitError):
            read_optimizer(found, state, name, build_optimizer(chosen, game.networks[name].parameters()), chosen)
    return Saved(found, settings, found.digest("ema"), state.data, spec, game, tensors)


def open_run(
    run: str | Path, *, registry: Registry | None = None, step: Step = None, layer: Mapping[str, Any] | None = None
) -> Saved:
    """The checkpoint of the run in folder `run` that can be used: the newest, or that of `step`. `layer` is laid over its settings.

    Raises:
        RunFolderError: it is no run.
        CheckpointError: nothing usable was saved, or nothing at `step`.
    """
    check_path(run, "the run's folder")
    folder = RunFolder.open(Path(run))
    if not isinstance(step, str) and step is not None:
        check_whole(step, "the step", 0)
    elif step not in (None, BEST):
        raise UsageError(f"the step must be a whole number or '{BEST}', not {brief(step)}")
    settings = configure(registry or Registry(), layers=[folder.read_config(), layer or {}])
    model: type[SampleSpec] = resolve(settings.data.found.record.spec)
    if isinstance(step, int):
        return _open(checkpoint.at(folder.checkpoints, step), settings, model)
    place = folder.checkpoints if step is None else folder.checkpoints / BEST
    if step is not None and not checkpoint.any_in(place):
        raise CheckpointError(
            f"'{run}' keeps no best checkpoint, because no figures were computed while it was trained (every.evaluate=N), or "
            f"because '{place}' was removed"
        )
    saved, problems = checkpoint.newest_usable(place, lambda found: _open(found, settings, model))
    for problem in problems:
        warnings.warn(f"{problem}; taking step {saved.step:,}", stacklevel=2)
    return saved


def load(
    run: str | Path,
    *,
    device: str = "auto",
    registry: Registry | None = None,
    step: Step = None,
    options: Mapping[str, Any] | None = None,
) -> Generator:
    """The generator of the run in folder `run`, from its newest checkpoint that verifies, or from that of `step`.

    `step="best"` takes that of the best evaluation, of a run that computed figures while it was trained.

    `options` are other options of its writers and of how samples are drawn, `{"writers.grid.columns": 8,
    "sampling.temperature": 0.8, "candidates.count": 4}`; nothing else of a trained run can be changed.

    Raises:
        RunFolderError: it is no run.
        ConfigError: a mistake in `options`.
        CheckpointError: nothing usable was saved, or nothing at `step`.
        UsageError: there is no discriminator that could choose between candidates.
    """
    layer = nest(options or {})
    words = (
        "cannot be changed any more; there are the options of writers, such as writers.NAME.option=value, and of how samples are "
        "drawn, such as sampling.temperature=0.8 candidates.count=4"
    )
    if mistakes := [Mistake(key, words) for key in layer if key not in ("writers", *DRAWING)]:
        raise ConfigError(mistakes)
    sampling = layer.pop(SAMPLING, None)
    if sampling is not None and not isinstance(sampling, Mapping):
        raise ConfigError([Mistake(SAMPLING, f"must be options, such as sampling.temperature=0.8, not {sampling!r}")])
    saved = open_run(run, registry=registry, step=step, layer=layer)
    settings = saved.settings
    game, spec = saved.game, saved.spec
    where = pick_device(device)

    def restored(network: str, name: str) -> nn.Module:
        return saved.restored(network, name).to(where)

    kept: Mapping[str, OtherGenerator] = game.others if isinstance(game, KeepsOthers) else {}
    modules = {name: restored(name, name) for name in {other.network for other in kept.values()}}
    others = {
        name: Generator(
            modules[other.network], spec, settings, saved.step, sampling={**(sampling or {}), **other.sampling}
        )
        for name, other in kept.items()
    }
    chooses = judge_of(game, settings) is not None
    judge, chooser = None, None
    if isinstance(game, Judges) and game.judge is not None:
        judge = restored(game.judge, game.judge)
        if chooses:
            chooser = Chooser(judge, spec, settings.run.candidates, weights=saved.found.digest(game.judge))
    return Generator(
        restored("generator", "ema"),
        spec,
        settings,
        saved.step,
        others=others,
        sampling=sampling,
        chooser=chooser,
        judge=judge,
        data=saved.data,
        run=Path(run),
        weights=saved.weights,
    )
