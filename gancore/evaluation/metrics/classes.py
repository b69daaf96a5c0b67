"""The metric `class-accuracy`: whether samples are of the class that was asked for, by classifiers on features."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from gancore.data.spec import SampleSpec
from gancore.evaluation.classifier import LinearClassifier
from gancore.evaluation.matched import ClassOptions
from gancore.evaluation.records import FeatureSets, Figure, Material, Measured


class Options(ClassOptions):
    """Options of the metric `class-accuracy`."""

    limit: int = Field(5000, ge=4, le=1_000_000, description="Samples that each classifier learns from, at most.")
    strength: float = Field(
        0.1, gt=0.0, le=1e6, description="Inverse weight of the penalty on the squared weights of the classifiers."
    )


class ClassAccuracy:
    """Classifiers that are linear in features `f` (multinomial logistic regression), where there are classes.

    - `class-accuracy-f`: one that has learnt real samples sorts generated ones: share that it takes for the class that was asked
      for. The real row is that of real samples which it has not learnt.
    - `class-accuracy-f/worst-class`: in the class where it is the lowest; `class-accuracy-f/c`: in class `c`, where there are few.
    - `classifier-f`: the other way round, one that has learnt generated samples sorts real ones (CAS, Ravuri and Vinyals 2019,
      there with a network trained from pixels): it is low where generated samples are wrong, and where they lack variety. The
      real row is that of a classifier that has learnt as many real samples.
    """

    def __init__(self, options: Options, spec: SampleSpec) -> None:
        self.options = options
        self.spec = spec

    def __call__(self, material: Material) -> Measured:
        """The figures by their names; none without classes."""
        found: dict[str, Figure] = {}
        for kind, features in material.features.items():
            found |= self._figures(material, kind, features)
        return Measured(found)

    def _figures(self, material: Material, kind: str, features: FeatureSets) -> dict[str, Figure]:
        asked, train_classes, real_classes = (
            one.condition for one in (material.generated, material.train, material.real)
        )
        if asked is None or train_classes is None or real_classes is None:
            return {}
        generated, real, train = (features.of(one) for one in (material.generated, material.real, material.train))
        train_classes = train_classes[: len(train)]
        if not material.held_out:
            # The real samples are the first of the training set; those after them, or half of them, are learnt.
            begin = len(real) if len(train) >= 2 * len(real) else len(real) // 2
            train, train_classes = train[begin:], train_classes[begin:]
            real, real_classes = real[:begin], real_classes[:begin]
        limit = self.options.limit
        train, train_classes = train[:limit], train_classes[:limit]
        if len(train_classes.unique()) < 2 or len(asked.unique()) < 2 or not len(real):
            return {}
        on_real = LinearClassifier(train, train_classes, self.options.strength)
        right, right_real = on_real(generated) == asked, on_real(real) == real_classes
        others = {
            n: _mean(on_real(features.of(one)) == one.condition)
            for n, one in material.others.items()
            if one.condition is not None
        }
        name = f"class-accuracy-{kind}"
        found = {name: Figure(value=_mean(right), real=_mean(right_real), others=others)}
        ours, theirs = (
            {int(c): _mean(hit[of == c]) for c in of.unique()}
            for hit, of in ((right, asked), (right_real, real_classes))
        )
        found[f"{name}/worst-class"] = Figure(value=min(ours.values()), real=min(theirs.values()))
        if len(ours) <= self.options.listed:
            for number, value in ours.items():
                found[f"{name}/{self.spec.classes[number]}"] = Figure(value=value, real=theirs.get(number))
        count = min(len(train), len(generated))
        if len(train_classes[:count].unique()) >= 2 and len(asked[:count].unique()) >= 2:
            on_generated = LinearClassifier(generated[:count], asked[:count], self.options.strength)
            on_as_many = LinearClassifier(train[:count], train_classes[:count], self.options.strength)
            found[f"classifier-{kind}"] = Figure(
                value=_mean(on_generated(real) == real_classes), real=_mean(on_as_many(real) == real_classes)
            )
        return found


def _mean(chosen: Tensor) -> float:
    return float(chosen.double().mean()) if len(chosen) else 0.0
