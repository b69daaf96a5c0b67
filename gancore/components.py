"""The records that a plugin's hooks return, and the Protocols that the things they point to must meet.

A record is cheap: names and strings. Its `target` and `options` are `"package.module:attribute"` and are imported only when
the component is used, so that listing what is installed costs nothing. Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from pydantic import BaseModel
    from torch import Tensor, nn

    from gancore.data.batch import Batch
    from gancore.data.report import ScanReport
    from gancore.data.spec import Given, SampleSpec
    from gancore.games.player import Phase, Player
    from gancore.random import Draws

API_VERSION = 1
"""The version of the contract on this page. A plugin names the one it was written for in its `PluginInfo`."""


# --- records: what hooks return -------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class DataFacts:
    """What can be told of data before they are read, and the machine that is to train on them: what a preset's rule goes by.

    `shape` is that of a relaxed sample, empty where it is not known; `classes` is 0 without labels; `device` is `cpu`, `cuda` or
    `mps`, which the engine fills in.
    """

    count: int
    shape: tuple[int, ...] = ()
    classes: int = 0
    device: str = "cpu"


@dataclass(frozen=True, kw_only=True, slots=True)
class Prior:
    """How a generator's latents are drawn, and which of their numbers can be moved by degrees: by edits, walks and truncation.

    `kind`: `normal`, or `uniform` in any range, of each number by itself; `sphere`, directions of any one length; `none` where nothing
    can be moved, because a latent is random bits, say; `instead` then names what samples can be steered by, in words.
    `smooth` is how many of the first numbers of a latent can be moved, all where it is None; the others are noise that stays as it is.
    """

    kind: Literal["normal", "uniform", "sphere", "none"] = "normal"
    smooth: int | None = None
    instead: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class PluginInfo:
    """Who a plugin is, from `gan_plugin_info`.

    `demo_preset` is what `gan run --plugin NAME` trains when no data are given; `data_preset` is used with `--data`, where no
    preset has a rule (`Preset.suits`) that fits them.
    A plugin that only adds components to others leaves both empty. `evaluated` is how many samples `gan evaluate` generates at
    most, unless told otherwise.
    """

    summary: str
    api_version: int
    demo_preset: str = ""
    data_preset: str = ""
    evaluated: int = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Component:
    """Something usable by name.

    `options` names a pydantic model; `target` is called with the validated options first, or without them where a component
    has no model. Where kinds below say `(options, ...)`, this is meant. What may depend on the samples is given their spec.

    `spec` names the class of specs that it is made for, `"gan_text.spec:TextSpec"`: the engine refuses it for other data before
    any are read. Without, it is offered whatever comes, and its target raises a `UsageError` for a spec that it cannot work on.
    """

    kind: ClassVar[str] = "component"
    returns: ClassVar[tuple[str, ...]] = ()
    """Attributes of what a target of this kind returns, as its Protocol below has them; `__call__` where it is called."""

    name: str
    summary: str
    target: str
    options: str = ""
    spec: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Dataset(Component):
    """A source of samples. Target: `(options, progress) -> DataSource`.

    `spec` names the `SampleSpec` class of its samples, by which a trained run is read back without the data.
    Where generators have a conditioning input (`spec.given_shape`), `given` names what reads it from files: `(spec) -> GivenReader`.
    `suffixes` and `directories` say which `--data PATH` it takes (`(".npz", ".npy")`); its options then need a field `path`.
    Where classes can be left away, an option `labels` does it: `false` or `none` are without, and its default is with what there is.
    `glance` names what tells of such data without reading them, by listing files say, for presets with rules: `(options) -> DataFacts`.
    """

    kind: ClassVar[str] = "dataset"
    returns: ClassVar[tuple[str, ...]] = ("spec", "report", "in_memory", "fetch", "__len__")

    spec: str
    given: str = ""
    suffixes: tuple[str, ...] = ()
    directories: bool = False
    glance: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Architecture(Component):
    """The networks. Target: `(options, spec) -> Mapping[str, nn.Module]`, usually `generator` and `discriminator`.

    The options model derives from `gancore.options.ArchitectureOptions`.
    """

    kind: ClassVar[str] = "architecture"


@dataclass(frozen=True, kw_only=True, slots=True)
class Loss(Component):
    """An adversarial loss on logits. Target: `(options, spec) -> AdversarialLoss`."""

    kind: ClassVar[str] = "loss"
    returns: ClassVar[tuple[str, ...]] = ("discriminator", "generator", "needs_real", "couples_batch")


@dataclass(frozen=True, kw_only=True, slots=True)
class Penalty(Component):
    """A regulariser of the discriminator. Target: `(options, spec) -> Regulariser`.

    The options model derives from `gancore.options.PenaltyOptions`, which brings `weight` and `every`.
    """

    kind: ClassVar[str] = "penalty"
    returns: ClassVar[tuple[str, ...]] = ("penalty", "constrain")


@dataclass(frozen=True, kw_only=True, slots=True)
class Augmentation(Component):
    """A differentiable change of what the discriminator sees, real and fake alike. Target: `(options, spec) -> Augment`."""

    kind: ClassVar[str] = "augmentation"
    returns: ClassVar[tuple[str, ...]] = ("__call__",)


@dataclass(frozen=True, kw_only=True, slots=True)
class Game(Component):
    """The rule that turns networks, losses and penalties into phases. Target: `(options, GameContext) -> GameRule`.

    `players` names the networks that it trains, in the order of their updates. One that `translates` makes samples of one class of
    data of those of another: classes are then domains, see `gancore.powers.HasDomains`.
    """

    kind: ClassVar[str] = "game"
    returns: ClassVar[tuple[str, ...]] = ("networks", "phases")

    players: tuple[str, ...]
    translates: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Optimizer(Component):
    """What moves a player's weights. Target: `(options, parameters) -> torch.optim.Optimizer`.

    The options model derives from `gancore.options.OptimizerOptions`, which brings `lr` and `clip`; `parameters` is the list of those
    that are trained. The engine sets `lr` in every group before each step, and shortens gradients itself.

    All that it remembers stands in its `state` of parameters, as tensors and numbers that are finite, from the first step on; of its
    groups a checkpoint keeps nothing, for these hold options.
    """

    kind: ClassVar[str] = "optimizer"
    returns: ClassVar[tuple[str, ...]] = ("step", "zero_grad", "param_groups", "state_dict", "load_state_dict")


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule(Component):
    """How a setting moves while a run is trained. Target: `(options) -> Curve`.

    The options model derives from `gancore.options.ScheduleOptions`, which brings from what value to what, and when.
    """

    kind: ClassVar[str] = "schedule"
    returns: ClassVar[tuple[str, ...]] = ("__call__",)


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric(Component):
    """Figures of merit of generated samples. Target: `(options, spec) -> Callable[[Material], Mapping[str, Figure | float]]`.

    `Material` and `Figure` are those of `gancore.evaluation`. Every value is finite and a Python number, every `overlap` in
    [0, 1]; nothing is drawn from torch's global random numbers, and the samples are left as they are: others get the same.
    `gan evaluate` calls all metrics of a run's plugin that are `default`; others where they are asked for.
    """

    kind: ClassVar[str] = "metric"
    returns: ClassVar[tuple[str, ...]] = ("__call__",)

    default: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Features(Component):
    """Vectors that stand for samples, by which the engine compares sets of them. Target: `(options, spec) -> FeatureExtractor`.

    `gan evaluate` uses all of a run's plugin that are `default`; others where they are asked for. The name says what they are,
    for it stands in each figure: `frechet-lite0` is the Fréchet distance of features `lite0`.
    """

    kind: ClassVar[str] = "features"
    returns: ClassVar[tuple[str, ...]] = ("fingerprint", "__call__")

    default: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Attribute(Component):
    """A number that every sample has, such as its brightness, by which generators are steered. Target: `(options, spec) -> Measure`.

    `less` and `more` say what a sample becomes as the number falls and rises, `darker` and `brighter`; `unit` is that of the
    number, empty for a share or a score. All attributes of a run's plugin are used. A target that raises a `UsageError` is left
    out, for samples that have no such number: no hue, where pictures are grey.
    """

    kind: ClassVar[str] = "attribute"
    returns: ClassVar[tuple[str, ...]] = ("__call__",)

    less: str
    more: str
    unit: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Writer(Component):
    """Puts samples on disk. Target: `(options, spec) -> SampleWriter` (or `ProgressWriter` for the role `progress`).

    Roles: `each`, a file for every sample; `sheet`, one file that shows many, also written during training; `walk`, one file in
    which samples follow one another as frames of a film do, or as phrases; `progress`, one file made of all the sheets of a run,
    in order of steps, when it ends.
    """

    kind: ClassVar[str] = "writer"
    returns: ClassVar[tuple[str, ...]] = ("write",)

    role: Literal["each", "sheet", "walk", "progress"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Preset:
    """A named, complete configuration that is known to work: nested keys as in `config.toml`.

    `suits` is a rule that tells how well it suits somebody's data, 0 or less for not at all; where no preset is named, the best one
    is used. It is called with what a glance at the data tells; `gancore.presets.when` makes such rules.
    """

    kind: ClassVar[str] = "preset"

    name: str
    summary: str
    config: Mapping[str, Any] = field(default_factory=dict)
    suits: Callable[[DataFacts], float] | None = None


KINDS: tuple[type[Component] | type[Preset], ...] = (
    Dataset,
    Architecture,
    Loss,
    Penalty,
    Augmentation,
    Game,
    Optimizer,
    Schedule,
    Metric,
    Features,
    Attribute,
    Writer,
    Preset,
)


# --- protocols: what targets return ---------------------------------------------------------------------------------

ProgressReport = Callable[[str, int, int], None]
"""Called as `progress(words, done, total)` while data are read; `total` is 0 where it is not known."""


@runtime_checkable
class DataSource(Protocol):
    """A data set, indexed. It holds samples in their compact hard form (uint8, token ids, bits).

    It may have the powers `Grouped` and `Labelled` of `gancore.powers`; one with classes best has the latter.
    """

    spec: SampleSpec
    report: ScanReport
    in_memory: bool
    """False where `fetch` decodes files: the loader then uses worker processes."""

    def __len__(self) -> int: ...

    def fetch(self, indices: Tensor, draws: Draws) -> tuple[Tensor, Tensor | None]:
        """Hard samples `[batch, ...]` and class indices `[batch]` int64 (or None) at `indices` `[batch]` int64.

        Their shape need not be that of relaxed samples, `spec.shape`: `spec.relax` leads from one to the other.

        Every random choice (a flip, a crop) comes from `draws`, so that the n-th sample of a run is always the same.
        """
        ...


@runtime_checkable
class GivenReader(Protocol):
    """Reads conditioning inputs from files, for `gan sample --given FILE`: what `Dataset.given` names, called with a run's spec.

    It may have the power `StreamsGiven` of `gancore.powers`, with which folders of any number of files are no matter of memory.
    """

    def read(self, path: Path) -> Given:
        """What the file at `path` gives.

        Raises:
            UsageError: there is no such file, or it does not fit the spec.
            DataError: the file is damaged.
        """
        ...

    def join(self, samples: Tensor, given: Given) -> tuple[SampleSpec, Tensor] | None:
        """Hard samples `[n, ...]` made for `given`, put together to whole ones `[n // len(given), ...]`, and the spec of those.

        Sample i was made for `given` i % len(given), so len(given) samples in a row are one whole. A last one that is not
        complete is left out; None where there is no whole one, or where the parts of a file are none of a whole.
        """
        ...


@runtime_checkable
class GeneratorNet(Protocol):
    """Called `generator(z, condition)`: `z` is `[batch, *latent_shape]`, `condition` `[batch]` int64 or None.

    Returns relaxed samples `[batch, *spec.shape]`. It may have powers of `gancore.powers`: `DrawsLatent` where its latents are
    not standard normal, `TakesGiven` where a part of each sample is its conditioning input (it is then called
    `generator(z, condition, given)`), `SamplesItself`, `TellsLikelihood` and `Exports`.
    """

    latent_shape: tuple[int, ...]

    def __call__(self, z: Tensor, condition: Tensor | None) -> Tensor: ...


class DiscriminatorNet(Protocol):
    """Called `discriminator(x, condition)` on relaxed samples; returns logits `[batch]`, or a sequence of them, one per head.

    A head may judge places in samples, such as patches of a picture: its logits are then `[batch, places...]`, of as many dimensions
    as it likes. The loss is the mean over all of them; where a sample's logit is wanted, by penalties or to choose between candidates,
    it is their mean.

    It may have the powers `MixesBatch`, needed where samples of a batch affect each other, and `HasFeatures` of `gancore.powers`.
    """

    def __call__(self, x: Tensor, condition: Tensor | None) -> Tensor | Sequence[Tensor]: ...


class AdversarialLoss(Protocol):
    """Both sides of the game, on logits `[batch]` of real and fake samples; each returns a scalar to be minimised.

    Where the discriminator judges places in samples, it gets the logits of all places of all samples, `[batch * places]`.
    """

    needs_real: bool
    """True where the generator's side also looks at real logits (relativistic losses)."""
    couples_batch: bool
    """True where one sample's loss depends on others' logits: the engine then gathers the whole batch over micro-batches and ranks."""

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor: ...

    def generator(self, fake: Tensor, real: Tensor | None) -> Tensor: ...


Critic = Callable[["Tensor"], "Tensor"]
"""What a penalty differentiates: relaxed samples `[batch, ...]` to logits `[batch]`, conditioned and augmented as in training."""


class Regulariser(Protocol):
    """A term of the discriminator's objective, or a constraint on its weights. Weighted by the engine."""

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, draws: Draws) -> Tensor | None:
        """The unweighted term, a scalar averaged over the batch; None where there is only a constraint."""
        ...

    def constrain(self, module: nn.Module) -> None:
        """Change the discriminator's weights in place after each of its steps (weight clipping); most do nothing."""
        ...


Curve = Callable[[float, float, float], float]
"""Called `curve(first, last, progress)` with `progress` in [0, 1]: the value there, `first` at 0, `last` at 1, between them on the way.

It depends on its arguments alone, so that a resumed run goes on as an uninterrupted one would.
"""


Augment = Callable[["Tensor", "Draws"], "Tensor"]
"""Relaxed samples to relaxed samples of the same shape, differentiable, its randomness from `draws`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GameContext:
    """What a game is made of."""

    networks: Mapping[str, nn.Module]
    spec: SampleSpec
    loss: AdversarialLoss
    penalties: Mapping[str, tuple[Regulariser, BaseModel]]
    """By name: the regulariser and its options (`weight`, `every`)."""
    augment: Augment
    autocast: torch.dtype | None = None
    """bfloat16 where the run asks for it; penalties stay in float32 all the same."""
    micro_batches: int = 1
    """How many parts the engine cuts each batch into; with more than one, graphs are not kept between phases."""
    steps: int = 0
    """Length of the run."""
    train: DataSource | None = None
    """What is trained on, for a game that counts something of it; None where a generator is only loaded."""
    held_out: DataSource | None = None
    """The part of the data that is not trained on, for a game that watches itself; None where nothing is held out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OtherGenerator:
    """A generator that a game keeps beside the one it trains, for `gan evaluate` to show: one of its networks, and how to sample."""

    network: str
    sampling: Mapping[str, Any] = field(default_factory=dict)


class GameRule(Protocol):
    """A game, built. `networks` holds every network that it trains or samples from, by player.

    It may have the powers `KeepsOthers` and `Judges` of `gancore.powers`.
    """

    networks: Mapping[str, nn.Module]

    def phases(self, players: Mapping[str, Player]) -> Sequence[Phase]:
        """The phases in order. Neighbours of one player that are due in the same step share one optimizer step."""
        ...


class FeatureExtractor(Protocol):
    """Hard samples to vectors. It may have some of the powers of features in `gancore.powers`.

    One that is an `nn.Module` is moved to the device of the evaluation, in evaluation mode; samples come on the CPU.
    """

    fingerprint: str
    """Names what the features depend on beside the samples: weights and preprocessing. While it is the same, kept features serve."""

    def __call__(self, x: Tensor) -> Tensor:
        """Features float32 `[n, size]` of hard samples `[n, ...]`, each by itself: of one sample the same in any batch."""
        ...


Measure = Callable[["Tensor"], "Tensor"]
"""Hard samples `[n, ...]` on the CPU to one number each, float32 `[n]`: of one sample the same in any batch.

It is finite, or NaN for a sample that has none: silence has no pitch. Nothing is drawn from torch's global random numbers, and the
samples are left as they are. What several attributes have in common is best `gancore.evaluation.attributes.remembered`.
"""


class SampleWriter(Protocol):
    """Writes hard samples. It may have the powers `WritesCaptions` and `CarriesText` of `gancore.powers`."""

    def write(self, samples: Tensor, folder: Path, stem: str, labels: Sequence[int] | None = None) -> list[Path]:
        """Write `samples` `[n, ...]` into `folder` under names that begin with `stem`; returns what was written."""
        ...


class ProgressWriter(Protocol):
    """Makes one file out of the sheets of a run."""

    def write(self, sheets: Sequence[Path], folder: Path, stem: str) -> list[Path]: ...


class BatchSource(Protocol):
    """What the loop draws from: the batch of a step, always the same for the same step."""

    def batch(self, step: int) -> Batch: ...
