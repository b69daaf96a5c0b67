"""What metrics are given."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from gancore.evaluation.records import FeatureSets, Material, Samples


def material(
    generated: Tensor,
    real: Tensor | None = None,
    train: Tensor | None = None,
    *,
    labels: tuple[Tensor | None, Tensor | None, Tensor | None] = (None, None, None),
    held_out: bool = True,
    features: Mapping[str, FeatureSets] | None = None,
) -> Material:
    """Real samples are the generated ones, and those trained on the real ones, unless they are given; `labels` in this order."""
    real = generated if real is None else real
    train = real if train is None else train
    sets = (Samples(x, condition) for x, condition in zip((generated, real, train), labels, strict=True))
    named = dict(zip(("generated", "real", "train"), sets, strict=True))
    return Material(**named, held_out=held_out, features=features or {})
