"""From a run's newest good checkpoint back to a training in progress.

All of a checkpoint is read and checked before anything changes, so that the one before it can take its place.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor, nn
from torch.optim import Optimizer

from gancore import checkpoint, distributed
from gancore.checkpoint import Checkpoint
from gancore.configuration.run_config import RunConfig
from gancore.configuration.settings import Chosen, Settings
from gancore.data.fingerprint import Fingerprint
from gancore.data.spec import SampleSpec
from gancore.engine.loop import TrainState
from gancore.engine.optimizers import read_state
from gancore.errors import ChangedError, CheckpointError, MisfitError, UsageError
from gancore.events import HealthAlert
from gancore.filling import check_fits
from gancore.finite import not_finite
from gancore.optimizer_file import remembered
from gancore.run import RunFolder

# --- what state.json holds --------------------------------------------------------------------------------------------

_Count = Annotated[int, Field(ge=0, lt=2**53)]


class _Saved(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class SavedHealth(_Saved):
    """Of a `HealthMonitor`."""

    bad_in_a_row: _Count
    bad_total: _Count
    norms: list[float]
    counts: dict[str, _Count]
    active: list[str]


class SavedAlert(_Saved):
    """A `HealthAlert` that no line of figures has told yet."""

    kind: Literal["non-finite", "saturated", "collapse", "recovered", "evaluation"]
    step: _Count
    message: str
    advice: str = ""


class SavedData(_Saved):
    """What decides which samples come next: a `Fingerprint` of all data, and settings."""

    samples: _Count
    content: str
    files: str
    held_out: float
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    batch_size: _Count
    balance: bool

    @classmethod
    def of(cls, whole: Fingerprint, config: RunConfig) -> SavedData:
        """That of a run."""
        kept = {name: getattr(config, name) for name in ("held_out", "seed", "batch_size", "balance")}
        return cls(**asdict(whole), **kept)

    @property
    def fingerprint(self) -> Fingerprint:
        """Of the data."""
        return Fingerprint(samples=self.samples, content=self.content, files=self.files)


class SavedBest(_Saved):
    """The best evaluation so far: its figure, that of real samples, how it was computed, and how many have come since."""

    metric: str
    how: dict[str, Any]
    value: float
    real: float | None
    step: _Count
    since: _Count


class SavedState(_Saved):
    """All of `state.json`. Means are sums with weights; a sum that is not finite is text. `unwritten` is a line of figures that
    found no room on the disk."""

    step: _Count
    spec: dict[str, Any]
    data: SavedData
    health: SavedHealth
    means: dict[str, tuple[float | Literal["nan", "inf", "-inf"], Annotated[float, Field(gt=0.0)]]]
    strengths: dict[str, tuple[Annotated[float, Field(ge=0.0, le=1.0)], float, Annotated[float, Field(ge=0.0)]]]
    """Of adaptive augmentations, by name, as `Strengths` has them."""
    alerts: list[SavedAlert]
    optimizers: dict[str, _Count]
    """How many values each player's optimizer remembers: none before its first step, and after it has been begun anew."""
    trained_with: dict[str, str]
    """Each player's optimizer, as `plugin:name`."""
    seconds: Annotated[float, Field(ge=0.0, lt=1e15)]
    unwritten: dict[str, Any] | None = None
    best: SavedBest | None = None


def read_saved(found: Checkpoint) -> SavedState:
    """The state of a checkpoint.

    Raises:
        CheckpointError: a key is missing or too many, or a value is of another type.
    """
    state = dict(found.state)
    for name in ("means", "strengths"):
        if isinstance(pairs := state.get(name), Mapping):
            state[name] = {k: tuple(v) if isinstance(v, list) else v for k, v in pairs.items()}
    try:
        return SavedState.model_validate(state)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part)[:40] for part in first["loc"][:5])
        words = {"missing": "is missing", "extra_forbidden": "is not known"}.get(first["type"], first["msg"].lower())
        raise CheckpointError(
            f"checkpoint '{found.path}': {checkpoint.STATE} makes no sense ({where}: {words})"
        ) from error


def look_through(found: Checkpoint) -> int:
    """The step of a checkpoint of which everything can be read, whatever it is to fill.

    Raises:
        CheckpointError: something cannot, or is not finite.
    """
    saved = read_saved(found)
    for name in found.networks:
        tensors = found.tensors(name)
        # What is kept without being trained may hold "no value yet" in words of its own, and no network is here to ask.
        if name in {*found.players, "ema"} and (bad := not_finite(tensors, {})):
            raise CheckpointError(f"checkpoint '{found.path}': {name} has numbers that are not finite, in {bad[0]}")
    for name in found.players:
        _check_remembered(found, saved, name, found.optimizer(name))
    return found.step


def finished(folder: RunFolder, step: int) -> UsageError:
    """There is nothing left to train."""
    return UsageError(
        f"'{folder.path}' has been trained for {step:,} steps; to train it further, add --steps {step * 2}"
    )


# --- from a checkpoint to values, and from those to a training --------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Restored:
    """What a session takes up beside its `TrainState`: alerts that no line of figures has told yet, the time spent, and the best
    evaluation of the same data."""

    alerts: tuple[HealthAlert, ...]
    seconds: float
    best: SavedBest | None = None
    begun: tuple[str, ...] = ()
    """What was taken from another run, in words, by a run that begins."""


@dataclass(frozen=True, slots=True)
class _Contents:
    """All of a checkpoint, checked."""

    step: int
    saved: SavedState
    networks: Mapping[str, Mapping[str, Tensor]]
    average: Mapping[str, Tensor]
    optimizers: Mapping[str, Mapping[str, Any]]
    changes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Expected:
    """What a checkpoint is to fill, as it was built, and what it should be of."""

    networks: Mapping[str, nn.Module]
    state: TrainState
    spec: SampleSpec
    settings: Settings
    data: SavedData
    changed_data: bool = False
    """Whether other data will do, as far as the networks take them."""


def restore(folder: RunFolder, expected: Expected) -> Restored:
    """Fill the networks and the state from the newest checkpoint in `folder` that can be used.

    Raises:
        CheckpointError: none can be used, or the data or the networks are others.
        UsageError: its step is the last already.
    """
    contents = _agreed(folder, lambda found: _read(found, expected, folder))
    if contents.step >= expected.settings.run.steps:
        raise finished(folder, contents.step)
    if contents.changes and distributed.is_main():
        warnings.warn(f"continuing with changed data, as requested: {'; '.join(contents.changes)}", stacklevel=2)
    state = expected.state
    for name, module in expected.networks.items():
        module.load_state_dict(dict(contents.networks[name]))
    state.ema.module.load_state_dict(dict(contents.average))
    for name, player in state.players.items():
        player.optimizer.load_state_dict(dict(contents.optimizers[name]))
    saved = contents.saved
    state.step = contents.step
    state.health.restore(saved.health.model_dump())
    state.means.restore(saved.means)
    state.strengths.restore(saved.strengths)
    if distributed.is_main():
        folder.forget_after(contents.step)
        checkpoint.forget_best_after(folder.checkpoints, contents.step)
        if saved.unwritten:
            folder.append_metrics(saved.unwritten)
    alerts = tuple(HealthAlert(**alert.model_dump()) for alert in saved.alerts)
    return Restored(alerts, saved.seconds, None if contents.changes else saved.best)


def _agreed(folder: RunFolder, use: Callable[[Checkpoint], _Contents]) -> _Contents:
    """The newest that can be used. Rank 0 chooses it for all: what another disk or moment shows could be another one."""
    choice: int | str = 0
    contents: _Contents | None = None
    failure: CheckpointError | None = None
    if distributed.is_main():
        try:
            newest, problems = checkpoint.newest_usable(folder.checkpoints, use)
        except CheckpointError as error:
            failure, choice = error, str(error)
        else:
            contents, choice = newest, newest.step
            for problem in problems:
                warnings.warn(f"{problem}; going back to step {choice:,}", stacklevel=2)
    choice = distributed.broadcast_value(choice)
    if isinstance(choice, str):
        raise failure or CheckpointError(choice)
    return contents or use(checkpoint.at(folder.checkpoints, choice))


def _read(found: Checkpoint, expected: Expected, folder: RunFolder) -> _Contents:
    """All of a checkpoint, checked against what it is to fill; nothing is changed."""
    saved = read_saved(found)
    changes = _changes(found, saved, expected, folder)
    state = expected.state
    check_names(found, expected.networks, state.players)
    tensors = {name: found.tensors(name) for name in expected.networks}
    average = found.tensors("ema")
    for name, module in expected.networks.items():
        check_fits(module, tensors[name], name, found.path)
    check_fits(state.ema.module, average, "moving average", found.path)
    optimizers = expected.settings.optimizers
    read = {n: read_optimizer(found, saved, n, p.optimizer, optimizers[n]) for n, p in state.players.items()}
    return _Contents(found.step, saved, tensors, average, read, tuple(changes))


def read_optimizer(
    found: Checkpoint, saved: SavedState, player: str, optimizer: Optimizer, chosen: Chosen
) -> dict[str, Any]:
    """What `optimizer` may load of a checkpoint.

    Raises:
        CheckpointError: it makes no sense; MisfitError where it is of another kind of optimizer.
    """
    state = found.optimizer(player)
    try:
        read = read_state(chosen, optimizer, state, found.step, player, saved.trained_with.get(player, ""))
    except CheckpointError as error:
        raise type(error)(f"checkpoint '{found.path}': {error}") from error
    _check_remembered(found, saved, player, read)
    return read


def _check_remembered(found: Checkpoint, saved: SavedState, player: str, state: Mapping[str, Any]) -> None:
    """CheckpointError where an optimizer's state has lost moments, with which it would silently begin anew, or gained some."""
    now, then = remembered(state), saved.optimizers.get(player, 0)
    if now != then:
        raise CheckpointError(
            f"checkpoint '{found.path}': the optimizer of the {player} remembers {now:,} values of its parameters, and had {then:,} "
            "when it was saved"
        )


def check_names(found: Checkpoint, networks: Iterable[str], players: Iterable[str]) -> None:
    """MisfitError where a checkpoint is of other networks than those, by name, or of other players."""
    for what, own, now in (
        ("networks", set(found.networks), {*networks, "ema"}),
        ("players", set(found.players), set(players)),
    ):
        if own != now:
            raise MisfitError(
                f"checkpoint '{found.path}' is of the {what} {', '.join(sorted(own)) or 'none'}, and this configuration has "
                f"{', '.join(sorted(now))}; put back what was changed in config.toml"
            )


def _changes(found: Checkpoint, saved: SavedState, expected: Expected, folder: RunFolder) -> list[str]:
    """What has been changed since, in words, that may be: other data where these are asked for.

    Raises:
        ChangedError: anything else.
    """
    then, now = saved.data, expected.data
    for name, why in (
        ("seed", "it determines every random number of the run"),
        ("balance", "it determines which samples come next"),
        ("batch_size", "it determines, with the step, which samples come next; to save memory, raise micro_batches"),
    ):
        before, after = getattr(then, name), getattr(now, name)
        if before != after:
            raise ChangedError(
                f"'{found.path}' was trained with {name}={before}, and {folder.config} now says {after}: restore it, because {why}; "
                "or train a new run"
            )
    unlike = _spec_changes(found, saved, expected.spec)
    changes = [f"{k} differs" for k in unlike if k in expected.spec.measured]
    changes += then.fingerprint.differences(now.fingerprint)
    if then.held_out != now.held_out:
        changes.append(f"held_out was {then.held_out:g}, now is {now.held_out:g}")
    never = [words for k, words in unlike.items() if k not in expected.spec.measured]
    if never:
        raise ChangedError(
            f"the data have changed since '{found.path}' was saved: {'; '.join([*never, *changes])}; the networks were built for the "
            "original data, so restore them"
        )
    if changes and not expected.changed_data:
        place = f" (held_out in {folder.config})" if then.held_out != now.held_out else ""
        raise ChangedError(
            f"the data have changed since '{found.path}' was saved: {'; '.join(changes)}; restore the original data{place}, or "
            f"continue with the data as they are now: gan resume {folder.path} --changed-data"
        )
    return changes


def _spec_changes(found: Checkpoint, saved: SavedState, now: SampleSpec) -> dict[str, str]:
    """By name, and in words, what a saved spec has otherwise than that of the data now; empty where nothing.

    Raises:
        MisfitError: it is no spec of this kind.
    """
    try:  # what has been added to specs since is added to it
        before = type(now).model_validate(saved.spec).model_dump(mode="json")
    except Exception as error:  # a plugin's own checks may raise anything
        raise MisfitError(
            f"checkpoint '{found.path}': its sample spec is not one of the data of this configuration ({type(now).__name__}); put "
            "back what was changed in config.toml"
        ) from error
    after = now.model_dump(mode="json")
    return {
        k: f"{k} was {before.get(k)!s:.200}, now is {after.get(k)!s:.200}"
        for k in before | after
        if before.get(k) != after.get(k)
    }
