"""The features `judge`: a classifier of sounds, trained on the clips at hand, and kept on disk for the next evaluation.

Published classifiers know other sounds than those of the user, so one is trained here: within a minute on a few thousand clips.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from gan_audio.metrics.levels import Bands, pooled, shuffled
from gan_audio.spec import AudioSpec
from gancore.components import ProgressReport
from gancore.data.report import silent
from gancore.evaluation.records import Samples
from gancore.nets.kept import digest, filled
from gancore.options import Options as BaseOptions
from gancore.random import derive

VERSION = 2
"""Of what a kept classifier depends on beside its training; another makes all kept ones unknown."""
FEATURES = 128
_PASSES = 20
"""Each clip is heard at most so often."""
_RATE, _DECAY = 3e-3, 0.01
_SHIFT, _GAIN, _MASK = 0.1, 0.1, 1.0 / 6.0
"""Augmentation: largest shift as a share of the clip, largest gain (6 dB of 60), widest mask as a share of bands or frames."""


class Options(BaseOptions):
    """Options of the features `judge`."""

    steps: int = Field(1500, ge=1, le=100_000, description="Steps in which the classifier is trained, at most.")
    width: int = Field(16, ge=1, le=512, description="Channels of the classifier's first layer.")
    clusters: int = Field(
        10, ge=2, le=1000, description="Sounds without labels: how many clusters of them take the place of classes."
    )


class Judge:
    """The last layer but one of a classifier, 128 numbers, trained on the later half of the training clips.

    The first ones are left to the metrics, which compare them with real and generated clips as clips that it has not learnt.
    Without labels the classes are clusters of these clips.
    """

    def __init__(self, options: Options, spec: AudioSpec) -> None:
        self.options = options
        self.spec = spec
        self.bands = Bands.of(spec.sample_rate)
        self.fingerprint = ""
        self.progress: ProgressReport = silent
        self._classifier: Classifier | None = None

    def fit(self, train: Samples) -> None:
        """Train the classifier, or read the one that was trained on the same clips before."""
        learnt = train.part(slice(len(train) // 2, None))
        levels = self.bands.levels(learnt.x)
        if self.spec.class_count > 1 and learnt.condition is not None:
            count, labels = self.spec.class_count, learnt.condition
        else:
            count = self.options.clusters
            labels = clusters(pooled(levels, 16, 16).flatten(1), count)
        training = Training(steps=self.options.steps, width=self.options.width)
        self._classifier = obtain(learnt.x, labels, levels, count, self.bands, training, self.progress)
        weights = self._classifier.state_dict().values()
        self.fingerprint = f"judge {digest([VERSION, asdict(self.bands)], *weights)}"

    def __call__(self, x: Tensor) -> Tensor:
        """Features float32 `[n, 128]`, none below 0, of waveforms `[n, 1, length]`."""
        assert self._classifier is not None
        return self._classifier.features(self.bands.levels(x))


@dataclass(frozen=True, slots=True)
class Training:
    """How a classifier is trained: at most `steps` steps, channels from `width` up, and the seed of all that is drawn."""

    steps: int = 1500
    width: int = 16
    seed: int = 0


class Classifier(nn.Module):
    """Four convolutions with a stride of 2, the largest value over time, and two layers: levels `[n, mels, frames]` to classes.

    Frequencies keep their places, for which sound it is depends on them; times do not.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, mels: int, classes: int, width: int) -> None:
        super().__init__()
        widths = (width, 2 * width, 4 * width, 6 * width)
        layers: list[nn.Module] = []
        before = 1
        for number, channels in enumerate(widths):
            kernel = 3 if number else 5
            conv = nn.Conv2d(before, channels, kernel, stride=2, padding=kernel // 2, bias=False)
            layers += [conv, nn.BatchNorm2d(channels), nn.ReLU()]
            before = channels
            mels = math.ceil(mels / 2)
        self.body = nn.Sequential(*layers)
        self.hidden = nn.Linear(before * mels, FEATURES)
        self.out = nn.Linear(FEATURES, classes)
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("deviation", torch.ones(()))
        # Twice as fast on processors.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def features(self, levels: Tensor) -> Tensor:
        """The last layer but one: levels `[n, mels, frames]` to `[n, 128]`, none below 0."""
        planes = ((levels - self.mean) / self.deviation)[:, None].contiguous(memory_format=torch.channels_last)
        return functional.relu(self.hidden(self.body(planes).amax(dim=3).flatten(1)))

    def forward(self, levels: Tensor) -> Tensor:
        """Logits `[n, classes]`."""
        return self.out(self.features(levels))


def obtain(
    waves: Tensor,
    labels: Tensor,
    levels: Tensor,
    classes: int,
    bands: Bands,
    training: Training,
    progress: ProgressReport = silent,
) -> Classifier:
    """The classifier of these clips: waveforms `[n, 1, length]`, their classes `[n]` and their `levels`, `[n, mels, frames]`.

    It is read from the cache where the same clips were learnt before, and put there otherwise.
    """
    model = _fresh(bands.mels, classes, training)

    def learn() -> None:
        model.load_state_dict(train(levels, labels, classes, training, progress).state_dict())

    said = [VERSION, torch.__version__, classes, asdict(bands), asdict(training)]
    filled(model, "judges", digest(said, waves, labels), learn)
    return model.eval()


@torch.enable_grad()
def train(
    levels: Tensor, labels: Tensor, classes: int, training: Training, progress: ProgressReport = silent
) -> Classifier:
    """Learn `labels` int64 `[n]` of `levels` `[n, mels, frames]`; the same ones give the same classifier on one machine.

    AdamW with one cycle of the learning rate, on clips that were shifted, made louder or softer, and masked (Park et al. 2019,
    "SpecAugment"). Torch's global random numbers stay where they are.
    """
    count = len(levels)
    size = min(64, max(8, count // 16))
    steps = min(training.steps, max(1, math.ceil(_PASSES * count / size)))
    model = _fresh(levels.shape[1], classes, training)
    part = levels[:: max(1, count // 2000)]
    model.mean.copy_(part.mean())
    model.deviation.copy_(part.std().clamp(min=1e-3) if part.numel() > 1 else torch.ones(()))
    draws = torch.Generator().manual_seed(derive(training.seed, "augmentation"))
    passes = math.ceil(steps * size / count)
    order = torch.cat([shuffled(count, derive(training.seed, "pass", number)) for number in range(passes)])
    optimizer = torch.optim.AdamW(model.parameters(), lr=_RATE, weight_decay=_DECAY)
    model.train()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = _RATE * _cycle((step + 1) / steps)
        rows = order[step * size : (step + 1) * size]
        loss = functional.cross_entropy(model(augmented(levels[rows], draws)), labels[rows])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        progress("training the judge", step + 1, steps)
    return model.eval()


def _fresh(mels: int, classes: int, training: Training) -> Classifier:
    """One that has learnt nothing yet."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(training.seed, "classifier"))
        return Classifier(mels, classes, training.width)


def augmented(levels: Tensor, draws: torch.Generator) -> Tensor:
    """`levels` `[n, mels, frames]` shifted in time, louder or softer, with two masks of silence along each axis."""
    count, mels, frames = levels.shape
    reach = int(_SHIFT * frames)
    shift = torch.randint(-reach, reach + 1, (count, 1), generator=draws)
    source = torch.arange(frames) - shift
    inside = (source >= 0) & (source < frames)
    moved = levels.gather(2, source.clamp(0, frames - 1)[:, None].expand(-1, mels, -1)) * inside[:, None]
    gain = (torch.rand(count, 1, 1, generator=draws) * 2.0 - 1.0) * _GAIN
    # Silence stays silent.
    moved = (moved + gain).clamp(0.0, 1.0) * (moved > 0)
    for length, view in ((mels, (-1, mels, 1)), (frames, (-1, 1, frames))):
        for _ in range(2):
            begin = torch.rand(count, 1, generator=draws) * length
            end = begin + torch.rand(count, 1, generator=draws) * max(1.0, _MASK * length)
            place = torch.arange(length)
            moved = moved.masked_fill(((place >= begin) & (place < end)).view(view), 0.0)
    return moved


def _cycle(done: float) -> float:
    """The learning rate of a share `done` of all steps: up along a cosine for a quarter, then down to almost nothing."""
    if done < 0.25:
        return 0.04 + 0.96 * 0.5 * (1.0 - math.cos(math.pi * done / 0.25))
    return max(1e-4, 0.5 * (1.0 + math.cos(math.pi * (done - 0.25) / 0.75)))


# --- clusters, where there are no labels ------------------------------------------------------------------------------


def clusters(vectors: Tensor, count: int) -> Tensor:
    """Which of `count` clusters of `vectors` `[n, size]` each of them is in: int64 `[n]`.

    K-means, as in Caron et al. 2018, "Deep clustering for unsupervised learning of visual features".
    """
    from sklearn.cluster import KMeans  # slow to import

    different = len(np.unique(vectors.numpy(), axis=0))
    means = KMeans(min(count, different), n_init=3, random_state=0).fit(vectors.numpy())
    return torch.from_numpy(means.labels_).long()
