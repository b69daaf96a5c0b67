"""Each text as a file of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import Field
from torch import Tensor

from gan_text.spec import TextSpec
from gan_text.writers.common import classes_of, save, texts_of
from gancore.options import Options
from gancore.sampling.names import sample_name


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
        shown = labels if self.options.classes and classes_of(labels, self.spec, len(texts)) is not None else None
        return [
            save(folder / sample_name(stem, number, ".txt", shown, self.spec.classes), f"{text}\n")
            for number, text in enumerate(texts)
        ]
