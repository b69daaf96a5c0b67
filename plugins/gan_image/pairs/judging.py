"""How near made images are to those that go with the same sources, and features of what was made."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from gan_image.features import lite, pixels
from gan_image.pairs.spec import PairSpec
from gancore.evaluation.neighbours import squared_distances
from gancore.evaluation.records import Material, Samples

_ROWS = 256
_MOST = 4000
"""Training pairs that are looked at."""


class MadeLite(nn.Module):
    """Features of EfficientNet-Lite0 of the targets of pairs; see `gan_image.features.lite.Lite`."""

    def __init__(self, options: lite.Options, spec: PairSpec) -> None:
        super().__init__()
        self.spec = spec
        self.extractor = lite.lite0(options, spec.target)
        self.fingerprint = f"target {self.extractor.fingerprint}"

    def forward(self, x: Tensor) -> Tensor:
        """Features float32 `[n, 1280]` of pairs uint8 `[n, channels, height, width]`."""
        found: Tensor = self.extractor(self.spec.target_part(x))
        return found


class MadePixels:
    """Principal components of the targets of pairs; see `gan_image.features.pixels.Pixels`."""

    def __init__(self, options: pixels.Options, spec: PairSpec) -> None:
        self.spec = spec
        self.extractor = pixels.Pixels(options, spec.target)
        self.fingerprint = ""

    def fit(self, train: Samples) -> None:
        """Find the components of the targets of `train`."""
        self.extractor.fit(Samples(self.spec.target_part(train.x), train.condition))
        self.fingerprint = f"target {self.extractor.fingerprint}"

    def __call__(self, x: Tensor) -> Tensor:
        """Features float32 `[n, components]` of pairs uint8 `[n, channels, height, width]`."""
        return self.extractor(self.spec.target_part(x))


class Nearness:
    """How far what was made is from the real target of its source, beside what would be without a generator.

    Distances d of two images are the mean absolute difference of their values, as a share of their range (`l1`), and for features
    `f` the Euclidean distance (`f`). Of each there are

    - `d`: the mean over sources of the distance from what was made to the real target;
    - `d-constant`: the same of one image for all sources, the one that is best for training data: their median for `l1`, their mean
      for features;
    - `d-nearest`: of the target of the training pair whose source is nearest, by squared differences of values;
    - `d-copy`: of the source itself, where it has the channels of a target.
    """

    def __init__(self, spec: PairSpec) -> None:
        self.spec = spec

    def __call__(self, material: Material) -> Mapping[str, float]:
        """The figures by their names."""
        spec, train = self.spec, material.train.x[:_MOST]
        count = len(material.generated.x)
        # Sample i was made around real i, and from the beginning again where there are more.
        real = material.real.x[torch.arange(count) % len(material.real.x)]
        median = train.float().median(dim=0).values.round().to(torch.uint8).expand_as(real)
        others = {
            "": material.generated.x,
            "-constant": torch.cat([spec.given_part(real), spec.target_part(median)], dim=1),
            "-nearest": train[self._nearest(real, train)],
        }
        if spec.given_shape == spec.target.shape:
            others["-copy"] = torch.cat([spec.given_part(real)] * 2, dim=1)
        figures = {f"l1{name}": self._l1(x, real) for name, x in others.items()}
        for kind, features in material.features.items():
            wanted = features.of(Samples(real))
            for name, x in others.items():
                if name == "-constant":
                    found = features.of(Samples(train)).mean(dim=0)
                else:
                    found = features.of(Samples(x))
                figures[f"{kind}{name}"] = float((found - wanted).double().norm(dim=1).mean())
        return figures

    def _l1(self, one: Tensor, other: Tensor) -> float:
        parts = [self.spec.target_part(x).float() for x in (one, other)]
        return float((parts[0] - parts[1]).abs().mean() / 255.0)

    def _nearest(self, real: Tensor, train: Tensor) -> Tensor:
        """The number of the training pair whose source is nearest to that of each of `real`, int64 `[n]`."""
        known = self.spec.given_part(train).flatten(1).float()
        rows = self.spec.given_part(real).flatten(1).float().split(_ROWS)
        return torch.cat([squared_distances(part, known).argmin(dim=1) for part in rows])
