"""The typed configuration of a run: what can be set, within which bounds, and what each setting means.

How a configuration comes about (defaults < preset < file < key=value) is in `gancore.configuration.settings`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from gancore.options import Options, RefusedValueError

NONE = "none"
"""The value that takes a component, or a whole section of them, out."""
REST = "*"
"""In a section of several, stands for all that are not named there: `penalties=r1` is `{"*": "none", "r1": {}}`."""
Components = Mapping[str, Mapping[str, Any] | Literal["none"]]
"""Options of components by their names, `none` for one that is taken out."""


class Every(Options):
    """How often things happen, in steps or seconds; 0 means never, where that is allowed."""

    log: int = Field(50, ge=1, description="Write figures to metrics.jsonl and tell listeners.")
    sample: int = Field(500, ge=0, description="Write a sheet of samples; 0: only at the end.")
    checkpoint: int = Field(500, ge=0, description="Save a checkpoint; 0: only at the end.")
    health: int = Field(200, ge=0, description="Look for mode collapse; 0: never.")
    evaluate: int = Field(
        0,
        ge=0,
        description="Compute figures of the moving average, as `evaluate` says, and keep the best checkpoint by them. 0: never.",
    )
    log_seconds: float = Field(
        10.0,
        ge=0.0,
        le=1e6,
        description="Display the current figures when this many seconds have passed without any; they are not written to"
        " metrics.jsonl. 0: never.",
    )
    sample_seconds: float = Field(
        60.0,
        ge=0.0,
        le=1e6,
        description="Write a sheet when this many seconds have passed without one; the interval doubles with each such sheet;"
        " 0: never.",
    )


class Ema(Options):
    """The moving average of the generator's weights that samples are drawn from."""

    half_life: float = Field(
        5000.0, ge=0.0, description="Half-life of the average, in samples seen; 0: samples come from the raw weights."
    )
    warmup: float = Field(
        0.05,
        ge=0.0,
        le=1.0,
        description="The half-life is at most this share of the samples seen so far; 0: no warm-up.",
    )


class Health(Options):
    """When to warn, and when to give up."""

    max_bad_steps: int = Field(
        5, ge=1, le=1000, description="Stop after this many steps in a row with a non-finite gradient."
    )
    collapse: float = Field(
        0.15,
        ge=0.0,
        lt=1.0,
        description="Warn when generated samples spread less than this share of real ones; 0: never.",
    )
    vanishing: float = Field(
        0.01,
        ge=0.0,
        lt=1.0,
        description="Warn when the generator's gradient falls below this share of its usual norm; 0: never.",
    )


class Evaluate(Options):
    """What is computed every `every.evaluate` steps, of samples of the moving average, always from the same latents."""

    metrics: Components = Field(
        default_factory=dict,
        description="Metrics, by name, with their options: `evaluate.metrics=mind,frechet`, `evaluate.metrics.mind.directions=200`."
        " `mind` and `neighbours` where none is named.",
    )
    features: Components = Field(
        default_factory=dict,
        description="Features that the metrics compare, likewise; the first of the plugin's default ones where none is named.",
    )
    samples: int = Field(
        1000,
        ge=2,
        le=100_000,
        description="Samples to generate, where there are not fewer real ones: those that are held out, or else of the training set.",
    )

    @field_validator("metrics", "features")
    @classmethod
    def _without_rest(cls, value: Mapping[str, Any]) -> Mapping[str, Any]:
        """Without what stands for all others: named ones stand alone anyway."""
        if [*value] == [REST]:
            raise RefusedValueError("names none; to compute nothing, every.evaluate=0")
        return {name: options for name, options in value.items() if name != REST}


class Best(Options):
    """Which evaluation is the best; its checkpoint is kept in `checkpoints/best`."""

    metric: str = Field(
        "",
        description="The figure that decides, such as `mind-lite0` or `neighbours/coverage-pixels`; the first one that is computed if"
        " not given.",
    )
    higher: bool | None = Field(
        None,
        description="Whether a higher value is better. When not given, what is nearer to the figure of real samples is better, or"
        " lower where there is none.",
    )


class Stop(Options):
    """When to end before the last step."""

    patience: int = Field(
        0, ge=0, description="Stop after so many evaluations in a row without a better figure than the best; 0: never."
    )


class Start(Options):
    """The networks that a run begins with: another run's, where they fit."""

    run: str = Field(
        "",
        max_length=4096,
        description="Folder of a run of the same plugin and architecture to begin with, generator, average and discriminator; the same"
        " as `--from`. Layers that do not fit are initialised anew. Empty: random weights.",
    )
    step: Annotated[int, Field(ge=0)] | Literal["newest", "best"] = Field(
        "newest",
        description="Which of its checkpoints: the newest, the best by the figures of its training, or that of a step.",
    )


class Freeze(Options):
    """Layers that are not trained, counted from the input of their network; only modules with parameters of their own count."""

    discriminator: int = Field(
        0,
        ge=0,
        le=10_000,
        description="Leave so many layers of the discriminator, those nearest to the data, as the run begins with them (FreezeD, Mo et"
        " al. 2020).",
    )
    generator: int = Field(
        0, ge=0, le=10_000, description="Leave so many layers of the generator, those nearest to the latent, likewise."
    )


class Candidates(Options):
    """How many samples the discriminator chooses among for each that is drawn from the trained run."""

    count: int = Field(
        1,
        ge=1,
        le=1000,
        description="Make so many for each sample, and draw one of them by the discriminator's logits; 1: no choice.",
    )
    sharpness: float = Field(
        1.0,
        ge=0.0,
        le=1000.0,
        description="One is drawn with probability in proportion to exp(sharpness * logit); 0: all are alike.",
    )


class RunConfig(Options):
    """Everything about a run that is not a component's own option."""

    plugin: str = Field(description="Name of the installed plugin that brings the modality.", min_length=1)
    preset: str = Field("none", description="Preset that was the base; `none`: the defaults alone.")
    complete: bool = Field(
        False,
        description="Whether all settings are given, so that nothing is taken from the preset, which is only named; true in the"
        " config.toml of a run.",
    )
    seed: int = Field(0, ge=0, lt=2**63, description="Decides every random number of the run.")
    steps: int = Field(2000, ge=1, description="Steps to train: each draws one batch of real samples.")
    held_out: float = Field(
        0.0, ge=0.0, le=0.5, description="Share of the data that is kept from training, for `gan evaluate`."
    )
    balance: bool = Field(
        False,
        description="Draw each class equally often, however many samples it has. The data need classes.",
    )
    batch_size: int = Field(64, ge=1, le=65536, description="Samples per step, over all processes together.")
    micro_batches: int = Field(
        1,
        ge=1,
        le=4096,
        description="Cut each batch into this many parts to save memory; gradients add up to the same"
        " unless a network normalises over the batch.",
    )
    precision: Literal["fp32", "bf16"] = Field(
        "fp32",
        description="bf16 runs the networks under autocast; weights and penalties stay fp32. A processor that has no instructions for"
        " it takes many times as long.",
    )
    device: str = Field(
        "auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$", description="auto takes cuda, then mps, then cpu."
    )
    memory_format: Literal["auto", "contiguous", "channels_last"] = Field(
        "auto",
        description="Layout of image-like tensors; auto takes channels_last where samples have three dimensions.",
    )
    workers: int = Field(
        -1, ge=-1, le=256, description="Loader processes; -1: none for data in memory, else one per core, at most 4."
    )
    samples: int = Field(64, ge=1, le=1024, description="Samples on the sheets that are written during training.")
    keep: int = Field(2, ge=2, le=10000, description="Checkpoints to keep.")
    every: Every = Field(default_factory=lambda: Every(), description="How often things happen, in steps or seconds.")
    ema: Ema = Field(default_factory=lambda: Ema(), description="Moving average of the generator.")
    evaluate: Evaluate = Field(
        default_factory=lambda: Evaluate(), description="What is computed every `every.evaluate` steps."
    )
    best: Best = Field(default_factory=lambda: Best(), description="Which evaluation is the best.")
    stop: Stop = Field(default_factory=lambda: Stop(), description="When to end before the last step.")
    candidates: Candidates = Field(
        default_factory=lambda: Candidates(),
        description="Samples of the trained run, chosen by the discriminator; the sheets during training are not.",
    )
    health: Health = Field(default_factory=lambda: Health(), description="When to warn, and when to give up.")
    start: Start = Field(default_factory=lambda: Start(), description="Networks of another run to begin with.")
    freeze: Freeze = Field(default_factory=lambda: Freeze(), description="Layers that are not trained.")
    listeners: tuple[str, ...] = Field(
        ("tensorboard",), description="Installed plugins whose lifecycle hooks are called during the run; or none."
    )


SECTIONS = {
    "data": "The data set: `name` and its options.",
    "architecture": "The networks: `name` and its options.",
    "game": "The rule of the game: `name` and its options.",
    "loss": "The adversarial loss: `name` and its options.",
}
"""Sections that choose one component."""

MAPS = {
    "penalties": "Regularisers of the discriminator, a section each: `penalties.r1.weight=10`; `penalties=none` for none.",
    "augmentations": "What is done to real and fake samples before the discriminator, a section each, in order.",
    "writers": "How samples are written, a section each; the plugin's own unless set to none.",
}
"""Sections that hold any number of components, by name."""

OPTIMIZERS = "optimizers"
BY_PLAYER = {
    OPTIMIZERS: "What moves each player's weights, a section each: `optimizers.generator.name=sgd optimizers.generator.lr=0.01`.",
}
"""Sections that hold a component for each player, by its name."""
USUAL_OPTIMIZER = "adam"
"""The one of a player for whom none is named."""

SCHEDULES = "schedules"
BY_SETTING = {
    SCHEDULES: "How settings move while a run is trained, by their names: `schedules.optimizers.generator.lr=cosine`.",
}
"""Sections that hold a component for other settings, by the dotted names of these."""

DEFAULT_CHOICES: dict[str, Any] = {"game": {"name": "gan"}, "loss": {"name": "non-saturating"}}
