"""Whether a classifier hears in generated sounds the classes that were asked for, and the variety of real ones."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from gan_audio.metrics.classifier import Heard, Training, clusters, hear, obtain
from gan_audio.metrics.levels import Bands, pooled, shuffled
from gan_audio.spec import AudioSpec
from gancore.evaluation.distributions import frechet_against_halves
from gancore.evaluation.records import Figure, Material, Samples
from gancore.options import Options as BaseOptions

_LISTED = 20
"""With more classes than these, none has a line of its own."""
_KEPT_BACK = 5
"""One in so many training clips is kept from the classifier where no clips were held out."""


class Options(BaseOptions):
    """Options of the metric `classes`."""

    steps: int = Field(1500, ge=1, le=100_000, description="Steps in which the classifier is trained, at most.")
    width: int = Field(16, ge=1, le=512, description="Channels of the classifier's first layer.")
    clusters: int = Field(
        10, ge=2, le=1000, description="Sounds without labels: how many clusters of them take the place of classes."
    )
    cache: bool = Field(
        True, description="Keep the classifier for the next evaluation, in $GAN_CACHE_DIR or the user's cache folder."
    )


def build(options: Options, spec: AudioSpec) -> Classes:
    """The metric; see `Classes`."""
    return Classes(options, spec)


class Classes:
    """A classifier is trained on the training clips, and hears generated clips and real ones that it has not learnt.

    Those are the held-out clips, or, without such, a fifth of the training clips that it is not shown.

    - `classifier-accuracy`: share of these real clips that it recognises; what the rest is worth hangs on it.
    - `accuracy`: share of clips that are heard as their class; `worst-class`: in the class where it is the lowest.
    - `accuracy/c`: the same for each class `c`, where there are at most 20.
    - `inception-score`: Salimans et al. 2016, "Improved techniques for training GANs", from 1 to the number of classes.
    - `frechet-distance`: Heusel et al. 2017, "GANs trained by a two time-scale update rule", on the last layer but one.
      Sets of equal size are compared, half as many clips as there are real ones; the floor is real half against real half.

    Without labels the classes are clusters of the training clips; there is then no figure of a class that was asked for.
    """

    def __init__(self, options: Options, spec: AudioSpec) -> None:
        self.options = options
        self.spec = spec
        self.bands = Bands.of(spec.sample_rate)

    def __call__(self, material: Material) -> dict[str, Figure]:
        """The figures by their names."""
        labelled = self.spec.class_count > 1 and material.train.condition is not None
        learnt, unseen = _parts(material, labelled)
        levels, unseen_levels, ours = (self.bands.levels(one.x) for one in (learnt, unseen, material.generated))
        if labelled and learnt.condition is not None and unseen.condition is not None:
            count, labels, truth = self.spec.class_count, learnt.condition, unseen.condition
        else:
            count = self.options.clusters
            labels, truth = clusters(pooled(levels, 16, 16).flatten(1), pooled(unseen_levels, 16, 16).flatten(1), count)
        training = Training(steps=self.options.steps, width=self.options.width)
        classifier = obtain(learnt.x, labels, levels, count, self.bands, training, keep=self.options.cache)
        generated, real = hear(classifier, ours), hear(classifier, unseen_levels)
        recognised = real.classes == truth
        found = {"classifier-accuracy": Figure(value=_mean(recognised))}
        if labelled and material.generated.condition is not None:
            asked = material.generated.condition
            found |= self._accuracies(generated.classes == asked, asked, recognised, truth)
        found["inception-score"] = Figure(
            value=inception_score(generated.probabilities), real=inception_score(real.probabilities)
        )
        value, floor = against_halves(generated, real)
        found["frechet-distance"] = Figure(value=value, floor=floor)
        return found

    def _accuracies(self, ours: Tensor, asked: Tensor, theirs: Tensor, truth: Tensor) -> dict[str, Figure]:
        """Figures of clips `[n]` that are heard as what was asked for, beside real ones that are heard as what they are."""
        generated, real = (
            {int(c): _mean(hit[of == c]) for c in of.unique()} for hit, of in ((ours, asked), (theirs, truth))
        )
        found = {
            "accuracy": Figure(value=_mean(ours), real=_mean(theirs)),
            "worst-class": Figure(value=min(generated.values(), default=0.0), real=min(real.values(), default=0.0)),
        }
        if self.spec.class_count <= _LISTED:
            for number, name in enumerate(self.spec.classes):
                if number in generated:
                    found[f"accuracy/{name}"] = Figure(value=generated[number], real=real.get(number))
        return found


def inception_score(probabilities: Tensor) -> float:
    """`exp(mean over x of KL(p(y|x) || p(y)))` of probabilities `[n, classes]`; in [1, classes]."""
    p = probabilities.double()
    divergence = torch.special.xlogy(p, p) - torch.special.xlogy(p, p.mean(dim=0))
    return float(divergence.sum(dim=1).mean().clamp(min=0.0).exp())


def against_halves(generated: Heard, real: Heard) -> tuple[float, float]:
    """Fréchet distance of generated clips to both halves of the real ones, in the mean, and that of the halves to each other.

    All sets have the same size, since the distance is the larger the fewer clips there are.
    """
    ours, theirs = (one.features[shuffled(len(one.features))].double().numpy() for one in (generated, real))
    return frechet_against_halves(ours, theirs)


def _parts(material: Material, labelled: bool) -> tuple[Samples, Samples]:
    """Clips to train the classifier on, and real ones that it is not shown."""
    train, real = material.train, material.real
    if material.held_out and (real.condition is not None or not labelled):
        return train, real
    order = shuffled(len(train))
    kept = max(1, len(train) // _KEPT_BACK)
    rest = order[kept:] if len(train) > 1 else order
    return train.part(rest), train.part(order[:kept])


def _mean(hits: Tensor) -> float:
    return float(hits.double().mean()) if len(hits) else 0.0
