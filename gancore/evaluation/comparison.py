"""Metrics and features of one evaluation, ready to hold any number of generated sets against real samples."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gancore.blame import describe
from gancore.components import ProgressReport
from gancore.configuration.configure import choose_metrics
from gancore.configuration.layers import FEATURES, METRICS, nest, section_of
from gancore.configuration.run_config import NONE
from gancore.configuration.settings import Chosen
from gancore.data.report import silent
from gancore.data.spec import SampleSpec
from gancore.devices import pick_device
from gancore.errors import UsageError
from gancore.evaluation.exhibits import Exhibit, exhibits
from gancore.evaluation.features import Computed
from gancore.evaluation.matched import size_of_sets
from gancore.evaluation.measuring import TRAINED_ON, build_features, build_metrics, failed, measure, without
from gancore.evaluation.records import Evaluation, EvaluationProtocol, Failure, LogLikelihood, Material, Samples
from gancore.evaluation.reference import Reference
from gancore.evaluation.sets import generate, given_for, log_likelihood
from gancore.evaluation.summary import Basis, summary
from gancore.plugins import Registry
from gancore.run import versions
from gancore.sampling.generator import Generator


@dataclass(frozen=True, slots=True)
class Choice:
    """What to compare with: `metrics` and `features` of `plugin` and others, and whether the metrics were `named` one by one."""

    plugin: str
    metrics: Mapping[str, Chosen]
    features: Mapping[str, Chosen]
    named: bool
    versions: Mapping[str, str | None]
    """Of the packages that take part."""
    instead: frozenset[str] = frozenset()
    """Features that stand in for those that took part in training: nobody has asked for them."""
    notes: tuple[str, ...] = ()
    """For a reader of the figures."""


def choose(
    registry: Registry,
    plugin: str,
    data: Chosen,
    *,
    metrics: Sequence[str] | None = None,
    options: Mapping[str, Any] | None = None,
    training_features: Mapping[str, Sequence[str]] | None = None,
) -> Choice:
    """The metrics called `metrics`, all of `plugin` without, with the `options` of metrics and features.

    `training_features` are left out for others, as `ArchitectureOptions.training_features` has them, unless `options` name them.

    Raises:
        UsageError: nothing is left, or something cannot be understood.
    """
    layers: list[Mapping[str, Any]] = [nest(options or {})]
    if metrics is not None:
        if isinstance(other := layers[0].get(METRICS), str | list | tuple):
            asked = " ".join(f"--metric {name}" for name in metrics)
            raise UsageError(f"{asked} and {METRICS}={other} contradict each other; leave one of them out")
        layers.insert(0, {METRICS: list(metrics)})
    trained = training_features or {}
    instead = {name for others in trained.values() for name in others}
    named = section_of(layers[-1].get(FEATURES))
    layers.insert(0, {FEATURES: {**dict.fromkeys(trained, NONE), **{n: {} for o in trained.values() for n in o}}})
    chosen, features = choose_metrics(registry, plugin, data, layers)
    if not chosen:
        why = "no metric was left" if metrics is not None or options else f"plugin '{plugin}' has no metrics"
        raise UsageError(
            f"{why}, so there is nothing to compute; name one of another plugin with --metric PLUGIN:NAME, or look at the "
            "sheets in a run's folder samples"
        )
    used = {plugin, *(one.found.plugin for one in [*chosen.values(), *features.values()])}
    theirs = {p.distribution: p.version for p in registry.installed() if p.name in used and p.distribution}
    return Choice(
        plugin,
        chosen,
        features,
        metrics is not None,
        versions() | theirs,
        frozenset(instead & set(features) - set(named)),
        tuple(_of_training(name, others, features) for name, others in trained.items()),
    )


def _of_training(name: str, others: Sequence[str], features: Mapping[str, Chosen]) -> str:
    words = f"the generator was trained by features {name}, and figures of them say little of it"
    if name in features:
        return f"{name}: {words}; look at those of {' and '.join(others)}"
    return f"left out: {words}; features={name} computes them all the same"


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """Samples that a generator made, and how; see `Material` and `EvaluationProtocol`. `notes` are for a reader of the figures."""

    generated: Samples
    run: str
    step: int | None = None
    generator: Generator | None = None
    given: Samples | None = None
    others: Mapping[str, Samples] = field(default_factory=dict)
    log_likelihood: LogLikelihood | None = None
    others_log_likelihood: Mapping[str, LogLikelihood] = field(default_factory=dict)
    ema_half_life: float = 0.0
    sampling: Mapping[str, Any] | None = None
    candidates: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def made_by(
    generator: Generator, reference: Reference, *, run: str, seed: int, progress: ProgressReport = silent
) -> Made:
    """As many samples as `reference` asks for, of the classes of its real ones, of the generator and of the others that it keeps."""
    asked, candidates = generator.settings.run, generator.settings.run.candidates
    sets = {}
    for name, one in {"": generator, **generator.others}.items():
        progress(f"generating samples of {name}" if name else "generating samples", 0, reference.count)
        sets[name] = generate(one, reference.real, reference.train, reference.count, seed)
    words = f"generated: each was chosen among {candidates.count} samples by the discriminator; no other column is"
    return Made(
        generated=sets.pop(""),
        given=given_for(generator.spec, reference.real, reference.train, reference.count),
        run=run,
        step=generator.step,
        generator=generator,
        others=sets,
        log_likelihood=log_likelihood(generator),
        others_log_likelihood={n: own for n, g in generator.others.items() if (own := log_likelihood(g)) is not None},
        ema_half_life=asked.ema.half_life,
        sampling=None if generator.sampling is None else generator.sampling.model_dump(mode="json"),
        candidates=candidates.model_dump(mode="json"),
        notes=(words,) if candidates.count > 1 else (),
    )


class Comparison:
    """What `choice` names, built for samples of `spec`.

    Features and floors of a reference are computed once, however many sets are held against it.

    Args:
        choice: Metrics and features.
        spec: What a sample is.
        seed: Decides what metrics draw.
        device: Where features are computed: `cpu`, `cuda`, `mps` or `auto`.
        progress: Called before each metric, and while features are computed.

    Raises:
        UsageError: a metric of another plugin refuses such samples.
    """

    def __init__(
        self,
        choice: Choice,
        spec: SampleSpec,
        *,
        seed: int = 0,
        device: str = "auto",
        progress: ProgressReport = silent,
    ) -> None:
        self.choice = choice
        self.spec = spec
        self.seed = seed
        self.device = pick_device(device)
        self.progress = progress
        self._metrics, self._unbuilt = build_metrics(choice.metrics, spec, choice.plugin, seed)
        self._reference: Reference | None = None
        self._features: dict[str, Computed] = {}
        self._remembered: dict[Hashable, Any] = {}
        self._without: dict[str, Failure] = {}

    def compare(self, made: Made, reference: Reference, *, keep: bool = False, show: bool = False) -> Evaluation:
        """The figures of `made` beside `reference`, and with `show` samples to look at.

        Features of `made` are let go of afterwards; with `keep` they are kept on disk.
        """
        features = self._features_of(reference, [made.generated] if keep else [])
        for one in features.values():
            one.failed = one.asked = False  # it may have failed for want of memory
        material = Material(
            generated=made.generated,
            real=reference.real,
            train=reference.train,
            held_out=reference.unseen,
            given=made.given,
            generator=made.generator,
            log_likelihood=made.log_likelihood,
            others=made.others,
            others_log_likelihood=made.others_log_likelihood,
            features=features,
            remembered=self._remembered,
        )
        measured = measure(self._metrics, material, self.seed, self.progress)
        shown, trouble = self._shown(material, reference) if show else ((), ())
        for one in features.values():
            one.forget([made.generated, *([] if made.given is None else [made.given]), *made.others.values()])
        failures = {**self._unbuilt, **self._without, **measured.failures}
        failures = {n: failures[n] for n in (*self.choice.features, *self.choice.metrics) if n in failures}
        notes = [*self.choice.notes, *reference.notes, *made.notes, *measured.notes, *trouble]
        # Whoever asks for one by name is told that there is none.
        asked = [n for n in failures if self.choice.named and n not in self.choice.instead]
        for name in [n for n, failure in failures.items() if failure.missing_package and n not in asked]:
            notes.append(f"left out: {failures.pop(name).cause}")
        basis = _basis(made, reference)
        return Evaluation(
            run=made.run,
            step=made.step,
            plugin=self.choice.plugin,
            figures=measured.figures,
            failures=failures,
            notes=tuple(notes),
            others=tuple(made.others),
            summary=tuple(summary(measured.figures, basis)),
            drawn=measured.pictures,
            exhibits=shown,
            protocol=EvaluationProtocol(
                generated=len(made.generated),
                real=len(reference.real),
                reference=reference.part,
                reference_source=reference.source,
                reference_size=reference.size,
                compared=basis.compared,
                train=len(reference.train),
                train_source=reference.train_source,
                train_size=reference.train_size,
                held_out=reference.held_out,
                seed=self.seed,
                ema_half_life=made.ema_half_life,
                sampling=made.sampling,
                candidates=made.candidates,
                device=str(self.device),
                metrics={name: one.dump() for name, one in self.choice.metrics.items()},
                features={
                    name: {**self.choice.features[name].dump(), "fingerprint": one.extractor.fingerprint}
                    for name, one in features.items()
                },
                versions=self.choice.versions,
            ),
        )

    def _shown(self, material: Material, reference: Reference) -> tuple[tuple[Exhibit, ...], tuple[str, ...]]:
        """Samples to look at, or why there are none: features are other people's code, and metrics have told of it in full.

        None are chosen by features that no metric has asked for.
        """
        idle = [name for name, one in self._features.items() if not one.asked]
        try:
            return tuple(exhibits(without(material, [*failed(material), *idle]), self.spec, reference.place)), ()
        except (Exception, SystemExit) as error:
            return (), (f"left out: samples to look at, for their features failed with {describe(error)}",)

    def _features_of(self, reference: Reference, keep: Sequence[Samples]) -> dict[str, Computed]:
        if self._reference is not reference:
            self._features, self._without = build_features(
                self.choice.features,
                self.spec,
                train=reference.train if reference.labels is None else Samples(reference.train.x, reference.labels),
                keep=[reference.real, *keep],
                device=self.device,
                seed=self.seed,
                progress=self.progress,
            )
            self._reference, self._remembered = reference, {}
        return self._features


def _basis(made: Made, reference: Reference) -> Basis:
    """What sentences about these sets rest on."""
    real, seen = len(reference.real), min(len(reference.train), TRAINED_ON)
    compared, spare = size_of_sets(len(made.generated), real, seen - (0 if reference.unseen else real))
    classes = made.generated.condition
    return Basis(
        compared=compared,
        halved=real if not spare and compared == real // 2 else 0,
        looked_through=seen,
        trained_on=reference.train_size,
        place=reference.place,
        chance=0.0 if classes is None else float(classes.bincount().max()) / max(1, len(classes)),
    )
