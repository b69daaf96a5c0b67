"""Each text as a file of its own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field
from torch import Tensor

from gan_text.spec import TextSpec
from gan_text.writers.common import classes_of, save, texts_of
from gancore.options import Options


class TxtOptions(Options):
    """Options of the writer of single texts."""

    classes: bool = Field(True, description="Put the name of the class into the file's name, where there are classes.")


class TxtWriter:
    """A UTF-8 file a text: `<stem>-00012.txt`, or `<stem>-00012-sport.txt` with classes. A line break stands at its end.

    The data set `lines` reads a folder of them back: with unit=file, or as it is where no text has a line break in it.
    """

    def __init__(self, options: TxtOptions, spec: TextSpec) -> None:
        self.options = options
        self.spec = spec

    def write(self, samples: Tensor, folder: Path, stem: str, labels: Sequence[int] | None = None) -> list[Path]:
        """Write `samples` int32 `[n, length]`, n at least 1, numbered from 0."""
        texts = texts_of(samples, self.spec)
        names = classes_of(labels, self.spec, len(texts)) if self.options.classes else None
        ends = [""] * len(texts) if names is None else [f"-{_plain(name)}" for name in names]
        return [
            save(folder / f"{stem}-{number:05d}{end}.txt", f"{text}\n")
            for number, (text, end) in enumerate(zip(texts, ends, strict=True))
        ]


def _plain(name: str) -> str:
    """A class name as part of a file name: anything but letters, digits, `_` and `-` becomes `_`; at most 40 characters."""
    return re.sub(r"[^\w-]", "_", name)[:40]
