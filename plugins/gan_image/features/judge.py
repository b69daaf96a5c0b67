"""The features `judge`: a small classifier of the training images, whose labels say what matters in them."""

from __future__ import annotations

import math

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from gan_image.features.preparing import device_of
from gan_image.spec import ImageSpec
from gancore.components import ProgressReport
from gancore.data.report import silent
from gancore.errors import UsageError
from gancore.evaluation.records import Samples
from gancore.nets.kept import digest, filled
from gancore.options import Options as BaseOptions
from gancore.random import derive

FEATURES = 128
_VERSION = 1
"""Of all that a judge depends on beside images, labels and options; another makes all kept ones unknown."""
_SIDE = 64
"""Larger images are averaged to so many rows and columns."""
_BATCH = 64
_RATE, _DECAY = 3e-3, 0.01


class Options(BaseOptions):
    """Options of the features `judge`."""

    passes: int = Field(10, ge=1, le=1000, description="How often the classifier sees each training image ...")
    seen: int = Field(
        150_000,
        ge=1,
        le=100_000_000,
        description="... until it has seen so many in all; this bounds the time that it takes.",
    )
    seed: int = Field(0, ge=0, le=2**63 - 1, description="Decides first weights, order and augmentation.")


class Judge(nn.Module):
    """The last layer but one of a network that has learnt to tell the classes of the training images apart: 128 numbers.

    Where images are unlike ImageNet's photographs, it sees what they differ in, and nothing that the labels do not depend on. It
    knows the training images: features of others, held out or generated, are a little less clear.
    """

    def __init__(self, options: Options, spec: ImageSpec) -> None:
        super().__init__()
        if spec.class_count < 2:
            raise UsageError(
                "they learn to tell classes apart, and these images have none; sort them into a folder for each class, "
                "or leave judge out"
            )
        self.options = options
        self.fingerprint = ""
        self.progress: ProgressReport = silent
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(options.seed, "judge"))
            self.network = _Network(spec)

    def fit(self, train: Samples) -> None:
        """Learn the labels of `train`, or take the weights that were kept when the same were learnt before."""
        labels = train.condition
        if labels is None or len(labels.unique()) < 2:
            raise UsageError(
                "features 'judge' learn to tell classes apart, and the training images are of one class or none"
            )
        said = [_VERSION, torch.__version__, self.options.model_dump(mode="json")]
        filled(self.network, "judges", digest(said, train.x, labels), lambda: self._learn(train.x, labels))
        self.network.eval().requires_grad_(False)
        self.fingerprint = f"judge {digest(_VERSION, *self.network.state_dict().values())}"

    def forward(self, x: Tensor) -> Tensor:
        """Features float32 `[n, 128]` of images uint8 `[n, channels, height, width]`."""
        return self.network.features(_small(x.to(device_of(self))))

    @torch.enable_grad()
    def _learn(self, x: Tensor, labels: Tensor) -> None:
        """AdamW with one cycle of the learning rate, on images that are moved about; global random numbers stay as they are."""
        network, device, options = self.network, device_of(self), self.options
        count = len(x)
        size = min(_BATCH, max(8, count // 16))
        steps = max(1, min(options.passes * count, options.seen) // size)
        part = _small(x[:: max(1, count // 2000)])
        network.mean.copy_(part.mean(dim=(0, 2, 3))[:, None, None])
        network.deviation.copy_(part.std(dim=(0, 2, 3)).clamp(min=1.0)[:, None, None])
        draws = torch.Generator().manual_seed(derive(options.seed, "judge", "order"))
        orders = [torch.randperm(count, generator=draws) for _ in range(math.ceil(steps * size / count))]
        order = torch.cat(orders)
        optimizer = torch.optim.AdamW(network.requires_grad_(True).parameters(), lr=_RATE, weight_decay=_DECAY)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=steps + 1)
        network.train()
        for step in range(steps):
            rows = order[step * size : (step + 1) * size]
            images = _moved(_small(x[rows]), draws).to(device)
            loss = functional.cross_entropy(network(images), labels[rows].to(device), label_smoothing=0.1)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            self.progress("training the judge", step + 1, steps)


class _Network(nn.Module):
    """Three convolutions with strides, means and maxima over all places, and two layers."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, spec: ImageSpec) -> None:
        super().__init__()
        channels, rows, columns = spec.shape
        # Of larger images the first stride is larger, so that the rest takes as long.
        first = 4 if min(rows, columns) > _SIDE // 2 else 2
        layers: list[nn.Module] = []
        for before, after, kernel, stride in ((channels, 24, first + 1, first), (24, 48, 3, 2), (48, 96, 3, 2)):
            conv = nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=False)
            layers += [conv, nn.BatchNorm2d(after), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.hidden = nn.Linear(192, FEATURES)
        self.out = nn.Linear(FEATURES, spec.class_count)
        self.register_buffer("mean", torch.zeros(channels, 1, 1))
        self.register_buffer("deviation", torch.ones(channels, 1, 1))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def features(self, x: Tensor) -> Tensor:
        x = self.body(((x - self.mean) / self.deviation).contiguous(memory_format=torch.channels_last))
        return functional.relu(self.hidden(torch.cat([x.mean(dim=(2, 3)), x.amax(dim=(2, 3))], dim=1)))

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.features(x))


def _small(x: Tensor) -> Tensor:
    """Images uint8 as float32 in 0..255, averaged to at most 64 rows and columns."""
    height, width = x.shape[2:]
    return functional.adaptive_avg_pool2d(x.float(), (min(_SIDE, height), min(_SIDE, width)))


def _moved(x: Tensor, draws: torch.Generator) -> Tensor:
    """Each by up to an eighth of its height and width; the border is repeated."""
    for axis in (2, 3):
        size = x.shape[axis]
        shift = torch.randint(-(size // 8), size // 8 + 1, (len(x), 1), generator=draws)
        places = (torch.arange(size) + shift).clamp_(0, size - 1)
        shape = [len(x), 1, 1, 1]
        shape[axis] = size
        x = x.gather(axis, places.view(shape).expand_as(x))
    return x
