"""Everything a plugin may contribute. A plugin author opens this page first, and `gancore.components` beside it.

A plugin is a module found through the entry-point group `gancore`; it defines the hooks that it needs and nothing else:

    from gancore import hookimpl
    from gancore.components import Loss, PluginInfo

Noun hooks yield records and are called when the plugin is first used: they must be cheap and import nothing heavy, which
is why records name their targets as strings. Lifecycle hooks are called on rank 0, never inside a step; one that raises
is reported once, by name, and the run goes on.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from gancore.components import (
        Architecture,
        Attribute,
        Augmentation,
        Dataset,
        Features,
        Game,
        Loss,
        Metric,
        Optimizer,
        Penalty,
        PluginInfo,
        Preset,
        Schedule,
        Writer,
    )
    from gancore.events import CheckpointSaved, Progress, RunFinished, RunStarted, Tick

hookspec = pluggy.HookspecMarker("gancore")


@hookspec
def gan_plugin_info() -> PluginInfo:  # type: ignore[empty-body]
    """Who the plugin is and for which version of this contract it was written. Every plugin has it.

    When: once, when the plugin is loaded, before anything else of it is used. Where: every rank.

    Example:
        @hookimpl
        def gan_plugin_info():
            return PluginInfo(summary="Folk dances", api_version=1, demo_preset="demo", data_preset="small")
    """


@hookspec
def gan_datasets() -> Iterable[Dataset]:  # type: ignore[empty-body]
    """Sources of samples.

    When: once, when the plugin is first used. Where: every rank.

    Example:
        @hookimpl
        def gan_datasets():
            target, options, spec = "gan_rows.data:open_csv", "gan_rows.data:Options", "gancore.data.spec:SampleSpec"
            yield Dataset(name="csv", summary="A CSV file", target=target, options=options, spec=spec, suffixes=(".csv",))
    """


@hookspec
def gan_architectures() -> Iterable[Architecture]:  # type: ignore[empty-body]
    """Pairs of networks.

    When: once, when the plugin is first used. Where: every rank.

    Example:
        @hookimpl
        def gan_architectures():
            yield Architecture(
                name="mlp", summary="Two small perceptrons", target="gan_rows.nets:build", options="gan_rows.nets:Options"
            )
    """


@hookspec
def gan_losses() -> Iterable[Loss]:  # type: ignore[empty-body]
    """Adversarial losses on logits.

    When: once, when the plugin is first used. Where: every rank.

    Example:
        @hookimpl
        def gan_losses():
            yield Loss(name="hellinger", summary="Squared Hellinger distance", target="gan_rows.losses:Hellinger")
    """


@hookspec
def gan_penalties() -> Iterable[Penalty]:  # type: ignore[empty-body]
    """Regularisers of the discriminator.

    When: once, when the plugin is first used. Where: every rank.

    Example:
        @hookimpl
        def gan_penalties():
            yield Penalty(
                name="slope", summary="Mean slope", target="gan_rows.losses:Slope", options="gan_rows.losses:SlopeOptions"
            )
    """


@hookspec
def gan_augmentations() -> Iterable[Augmentation]:  # type: ignore[empty-body]
    """Differentiable changes of what the discriminator sees.

    When: once, when the plugin is first used. Where: every rank.

    Example:
        @hookimpl
        def gan_augmentations():
            yield Augmentation(name="jitter", summary="Shift rows", target="gan_rows.augment:Jitter")
    """


@hookspec
def gan_games() -> Iterable[Game]:  # type: ignore[empty-body]
    """Rules that turn networks and losses into phases.

    When: once, when the plugin is first used. Where: every rank.

    Example:
        @hookimpl
        def gan_games():
            players = ("left", "right", "generator")
            yield Game(name="jury", summary="Two judges, one generator", target="gan_rows.games:Jury", players=players)
    """


@hookspec
def gan_optimizers() -> Iterable[Optimizer]:  # type: ignore[empty-body]
    """What moves the weights of a player, given their gradients.

    When: once, when the plugin is first used. Where: every rank.

    Example:
        @hookimpl
        def gan_optimizers():
            target, options = "gan_rows.optimizers:lion", "gan_rows.optimizers:LionOptions"
            yield Optimizer(name="lion", summary="Signs of momentum (Chen et al. 2023)", target=target, options=options)
    """


@hookspec
def gan_schedules() -> Iterable[Schedule]:  # type: ignore[empty-body]
    """How settings such as a learning rate move while a run is trained.

    When: once, when the plugin is first used. Where: every rank.

    Example:
        @hookimpl
        def gan_schedules():
            target, options = "gan_rows.schedules:Staircase", "gan_rows.schedules:StaircaseOptions"
            yield Schedule(name="staircase", summary="In equal jumps", target=target, options=options)
    """


@hookspec
def gan_metrics() -> Iterable[Metric]:  # type: ignore[empty-body]
    """Figures of merit of generated samples.

    When: once, when the plugin is first used. Where: every rank.

    Example:
        @hookimpl
        def gan_metrics():
            yield Metric(name="mean-gap", summary="Distance of the means", target="gan_rows.metrics:mean_gap")
    """


@hookspec
def gan_features() -> Iterable[Features]:  # type: ignore[empty-body]
    """Vectors that stand for samples, by which the engine's own metrics compare them.

    When: once, when the plugin is first used. Where: every rank.

    Example:
        @hookimpl
        def gan_features():
            yield Features(name="columns", summary="The columns themselves", target="gan_rows.features:Columns")
    """


@hookspec
def gan_attributes() -> Iterable[Attribute]:  # type: ignore[empty-body]
    """Numbers that samples have, by which a trained generator is steered: brighter, louder, more notes.

    When: once, when the plugin is first used. Where: every rank.

    Example:
        @hookimpl
        def gan_attributes():
            words = {"less": "calmer", "more": "wilder"}
            yield Attribute(name="spread", summary="Deviation of a row", target="gan_rows.attributes:spread", **words)
    """


@hookspec
def gan_writers() -> Iterable[Writer]:  # type: ignore[empty-body]
    """Ways to put samples on disk.

    When: once, when the plugin is first used. Where: every rank.

    Example:
        @hookimpl
        def gan_writers():
            yield Writer(name="csv", summary="One CSV file", target="gan_rows.writers:Csv", role="sheet")
    """


@hookspec
def gan_presets() -> Iterable[Preset]:  # type: ignore[empty-body]
    """Complete configurations that are known to work.

    When: once, when the plugin is first used. Where: every rank.

    Example:
        @hookimpl
        def gan_presets():
            parts = {"data": {"name": "sines"}, "architecture": {"name": "mlp"}}
            yield Preset(name="demo", summary="A minute on two cores", config={**parts, "steps": 500})
    """


@hookspec
def gan_run_started(event: RunStarted) -> None:
    """A run begins, or goes on after `gan resume`.

    When: after everything is built and before the first step. Where: rank 0.

    Example:
        @hookimpl
        def gan_run_started(event):
            print(event.folder, event.config["steps"])
    """


@hookspec
def gan_tick(event: Tick) -> None:
    """Figures of the steps since the last tick.

    When: every `every.log` steps. Where: rank 0.

    Example:
        @hookimpl
        def gan_tick(event):
            print(event.step, event.scalars["discriminator/loss"])
    """


@hookspec
def gan_progress(event: Progress) -> None:
    """How far the run is between two ticks, for somebody who watches. What is to be kept belongs into `gan_tick`.

    When: between steps, every `every.log_seconds` without a tick, and once it is known how long the run takes. Where: rank 0.

    Example:
        @hookimpl
        def gan_progress(event):
            print(event.step, event.seconds_left)
    """


@hookspec
def gan_should_stop(event: Tick) -> str | None:
    """Return a reason, in words, to end the run here; None to let it go on.

    When: right after each `gan_tick`. Where: rank 0; the answer holds for all.

    Example:
        @hookimpl
        def gan_should_stop(event):
            return "an hour is over" if event.seconds > 3600 else None
    """


@hookspec
def gan_checkpoint_saved(event: CheckpointSaved) -> None:
    """A checkpoint is complete on disk.

    When: after each save, when its manifest has been written. Where: rank 0.

    Example:
        @hookimpl
        def gan_checkpoint_saved(event):
            print(event.step, event.path)
    """


@hookspec
def gan_run_finished(event: RunFinished) -> None:
    """A run has ended: by reaching its last step, by being interrupted, or by an error.

    When: after the last checkpoint and samples. Where: rank 0.

    Example:
        @hookimpl
        def gan_run_finished(event):
            print(event.outcome, event.step)
    """
