"""Features of the samples of an evaluation: computed once each, and those of real samples kept on disk for the next."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from gancore.components import FeatureExtractor, ProgressReport
from gancore.data.report import silent
from gancore.errors import PluginError
from gancore.evaluation.neighbours import Nearest, authenticity, nearest, radii
from gancore.evaluation.records import Samples
from gancore.nets.kept import KeptTensors, digest
from gancore.powers import FitsTraining, MeasuresDistance, NamesFigures, TellsProgress

_BATCH = 32
"""Samples that are given to an extractor at once: more leave the caches of processors, and take longer."""
_BYTES = 1 << 24
"""Of which a batch has at most so many, but at least one sample."""

_CANDIDATES = 200
"""Training samples among which neighbours by a distance of the extractor's own are looked for."""
_APART = 0.02
"""By how much such a distance may differ when it is taken the other way round."""


class Computed:
    """The features of one extractor; see `gancore.evaluation.records.FeatureSets`.

    Args:
        name: That of the features, in figures and messages.
        extractor: What computes them.
        train: Training samples, which the extractor is fitted to where it wants to be, and that copies are looked for among.
            Features of a longer tensor that begins in the same memory are those of these alone.
        keep: Sets whose features are kept on disk, under a digest of the samples and the extractor's fingerprint.
        device: Where an extractor that is a module works.
        progress: Called while features are computed.
    """

    def __init__(
        self,
        name: str,
        extractor: FeatureExtractor,
        *,
        train: Samples,
        keep: Sequence[Samples] = (),
        device: torch.device | str = "cpu",
        progress: ProgressReport = silent,
    ) -> None:
        self.name = name
        self.extractor = extractor
        self.failed = False
        """Whether the extractor has raised something: that is no fault of the metric that asked for features."""
        self.asked = False
        """Whether something was asked for of real samples, so that these have been computed; a metric's own sets do not count."""
        self.near: float | None = None
        self.same = -1.0
        if isinstance(extractor, MeasuresDistance):
            self.near, self.same = extractor.near, extractor.same
        self._train = train
        self._kept = {id(samples.x) for samples in keep}
        self._progress = progress
        # By identity: the tensors are held, so that no other gets their number.
        self._known: dict[int, tuple[Tensor, Tensor]] = {}
        self._fitted = False
        self._reach: Tensor | None = None
        if isinstance(extractor, nn.Module):
            extractor.eval().requires_grad_(False).to(device)

    def of(self, samples: Samples) -> Tensor:
        """Features float32 `[n, size]` of `samples`.

        Raises:
            PluginError: the extractor gave something else.
        """
        self.asked = self.asked or samples.x is self._train.x or id(samples.x) in self._kept
        if samples.x is not self._train.x and samples.x.data_ptr() == self._train.x.data_ptr():
            return self.of(self._train)[: len(samples)]  # the first of the training set, or all of it
        self._fit()
        if (known := self._known.get(id(samples.x))) is None:
            with self._watched():
                found = self._stored(samples.x) if id(samples.x) in self._kept else self._compute(samples.x)
            known = (samples.x, found)
            self._known[id(samples.x)] = known
        return known[1]

    def forget(self, sets: Sequence[Samples]) -> None:
        """Let go of the features of `sets`, which will not be asked for again."""
        for samples in sets:
            self._known.pop(id(samples.x), None)

    def _fit(self) -> None:
        """Before the first features, and not before: what no metric asks for costs nothing."""
        if isinstance(self.extractor, FitsTraining) and not self._fitted:
            self._progress(f"fitting features {self.name}", 0, 0)
            if isinstance(self.extractor, TellsProgress):
                self.extractor.progress = self._progress
            with self._watched():
                self.extractor.fit(self._train)
        self._fitted = True

    @contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except (Exception, SystemExit):
            self.failed = True
            raise

    def called(self, figure: str) -> str:
        """The name of one of the engine's figures of these features: `frechet-lite0` for `frechet`, or a name of its own."""
        own = self.extractor.figure_names if isinstance(self.extractor, NamesFigures) else {}
        return own.get(figure, f"{figure}-{self.name}")

    def keys(self, samples: Samples, limit: int) -> list[bytes]:
        """Of each of the first `limit` samples what only those have that count as equal to it."""
        x = samples.x[:limit]
        if isinstance(self.extractor, MeasuresDistance):
            with self._watched():
                return self.extractor.keys(x)
        return digests(x)

    def nearest(self, samples: Samples, limit: int, leave_out: Tensor | None = None) -> Tensor:
        """Distance float64 `[n]` of each of the first `limit` samples to the nearest training sample, `leave_out` `[n]` aside."""
        self.asked = True
        if isinstance(self.extractor, MeasuresDistance):
            self._fit()
            with self._watched():
                return self.extractor.nearest(samples.x[:limit], self._train.x, leave_out)
        return nearest(self.of(samples)[:limit], self.of(self._train), leave_out=leave_out).distances[:, 0]

    def neighbours(self, samples: Samples, row: int, count: int, closest: float) -> Nearest:
        """The `count` nearest training samples of that of `samples` at `row`, of which there are as many: `[1, count]` each.

        By a distance of the extractor's own, they are looked for among those whose features are nearest, and among all where the
        nearest, which lies at `closest`, is not one of these.
        """
        x, train = samples.x[row : row + 1], self._train.x
        found = nearest(self.of(samples)[row : row + 1], self.of(self._train), min(_CANDIDATES, len(train)))
        if isinstance(self.extractor, MeasuresDistance):
            there = found.places[0]
            own = self.extractor.nearest(train[there], x, None)
            if len(there) < len(train) and float(own.min()) > closest + _APART:
                there, own = torch.arange(len(train)), self.extractor.nearest(train, x, None)
            order = own.argsort(stable=True)
            found = Nearest(own[order][None], there[order][None])
        return Nearest(found.distances[:, :count], found.places[:, :count])

    def authenticity(self, samples: Samples, limit: int) -> float | None:
        """That of the first `limit` samples; None where the extractor has a distance of its own, or for too few training samples."""
        if isinstance(self.extractor, MeasuresDistance) or len(self._train) < 2:
            return None
        if self._reach is None:
            self._reach = radii(self.of(self._train), 1)
        return authenticity(self.of(samples)[:limit], self.of(self._train), self._reach)

    def _stored(self, x: Tensor) -> Tensor:
        kept = KeptTensors("features", digest(self.extractor.fingerprint, x))
        if (known := kept.read().get("features")) is not None:
            return known
        found = self._compute(x)
        kept.save({"features": found})
        return found

    def _compute(self, x: Tensor) -> Tensor:
        size = max(1, min(_BATCH, _BYTES // max(1, x[:1].numel() * x.element_size()))) if len(x) else 1
        parts: list[Tensor] = []
        with torch.no_grad():
            for rows in x.split(size):
                found = self.extractor(rows)
                if wrong := fault(found, len(rows)):
                    raise PluginError(f"features '{self.name}' {wrong}")
                parts.append(found.detach().float().cpu())
                self._progress(f"computing features {self.name}", sum(map(len, parts)), len(x))
        return torch.cat(parts)


def fault(features: object, count: int) -> str:
    """What is wrong with the answer of an extractor for `count` samples, after its name; empty for one that keeps the contract."""
    if not isinstance(features, Tensor) or features.dim() != 2 or len(features) != count or not features.shape[1]:
        what = list(features.shape) if isinstance(features, Tensor) else type(features).__name__
        return f"gave {what} for {count} samples, not [{count}, size]"
    return "" if bool(torch.isfinite(features.float()).all()) else "gave values that are not finite"


def digests(x: Tensor) -> list[bytes]:
    """Of each of the samples `x` `[n, ...]` what only those of the same bytes have."""
    rows = np.ascontiguousarray(x.flatten(1).numpy())
    return [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in rows]


def places(keys: Sequence[bytes], train: Sequence[bytes]) -> Tensor:
    """For each of `keys` the number of the first of `train` that is the same, -1 without one: int64 `[n]`."""
    known: dict[bytes, int] = {}
    for at, key in enumerate(train):
        known.setdefault(key, at)
    return torch.tensor([known.get(key, -1) for key in keys], dtype=torch.int64)
