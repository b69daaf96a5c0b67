"""What the writers share: how samples are checked and decoded, and what class a text is of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from gan_text.spec import TextSpec
from gancore.errors import UsageError
from gancore.storage import replacing


def texts_of(samples: Tensor, spec: TextSpec) -> list[str]:
    """The texts of hard samples `[n, length]` int32, n at least 1; UsageError where they are anything else."""
    if samples.dtype != torch.int32 or tuple(samples.shape[1:]) != (spec.length,) or not len(samples):
        raise UsageError(
            f"texts to write must be int32 of shape [n, {spec.length}] with n at least 1, "
            f"not {samples.dtype} of shape {list(samples.shape)}"
        )
    hard = samples.detach().cpu()
    if int(hard.min()) < 0 or int(hard.max()) >= spec.vocabulary:
        raise UsageError(
            f"texts to write hold tokens from {int(hard.min())} to {int(hard.max())}; the vocabulary has 0 to "
            f"{spec.vocabulary - 1}"
        )
    return spec.decode(hard)


def classes_of(labels: Sequence[int] | None, spec: TextSpec, count: int) -> list[str] | None:
    """The name of the class of each of `count` texts; None where they have none. UsageError for other labels."""
    if labels is None or not spec.classes:
        return None
    if len(labels) != count or not all(0 <= label < spec.class_count for label in labels):
        raise UsageError(
            f"{count} texts to write need a label each, from 0 to {spec.class_count - 1}; there are {len(labels)}: "
            f"{', '.join(map(str, list(labels)[:10]))}"
        )
    return [spec.classes[label] for label in labels]


def save(path: Path, text: str) -> Path:
    """Put `text` at `path` as UTF-8, whole or not at all; line breaks stay as they are on every system."""
    content = text.encode()
    return replacing(path, lambda unfinished: unfinished.write_bytes(content))
