"""All texts in one file, a line each: to be read by people, or by other programs."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field
from torch import Tensor

from gan_text.spec import TextSpec
from gan_text.writers.common import classes_of, save, texts_of
from gancore.options import Options


class LinesOptions(Options):
    """Options of the writer of lines."""

    format: Literal["txt", "jsonl"] = Field(
        "txt",
        description="txt: the texts alone, a line break inside of one shown as \\n; jsonl: a JSON object a line, with the"
        " fields text and, where there are classes, label, which keeps every text as it is.",
    )
    classes: bool = Field(False, description="Put the name of the class and a tab before each text, in the format txt.")


class LinesWriter:
    """All texts in `<stem>.txt`, or in `<stem>.jsonl`: UTF-8, a line each, in their order.

    The data set `lines` reads both back: JSON lines as they are (with column=text, and label_column=label for classes), plain
    lines where no text has a line break in it or begins with its class.
    """

    def __init__(self, options: LinesOptions, spec: TextSpec) -> None:
        self.options = options
        self.spec = spec

    def write(self, samples: Tensor, folder: Path, stem: str, labels: Sequence[int] | None = None) -> list[Path]:
        """Write `samples` int32 `[n, length]`, n at least 1."""
        texts = texts_of(samples, self.spec)
        classes = classes_of(labels, self.spec, len(texts))
        lines = self._json(texts, classes) if self.options.format == "jsonl" else self._plain(texts, classes)
        content = "".join(f"{line}\n" for line in lines)
        return [save(folder / f"{stem}.{self.options.format}", content)]

    def captioned(
        self, samples: Tensor, folder: Path, stem: str, captions: Sequence[str], columns: int, title: str
    ) -> list[Path]:
        """Write `samples` `[n, length]` into `<stem>.txt`, a line each behind its caption, in groups of `columns` under the title."""
        width = max(map(len, captions))
        lines = zip(captions, _in_lines(texts_of(samples, self.spec)), strict=True)
        shown = [f"{caption:{width}}  {line}".rstrip() for caption, line in lines]
        groups = ["\n".join(shown[start : start + columns]) for start in range(0, len(shown), columns)]
        return [save(folder / f"{stem}.txt", "\n\n".join([textwrap.fill(title, 100), *groups]) + "\n")]

    def _plain(self, texts: Sequence[str], classes: Sequence[str] | None) -> list[str]:
        lines = _in_lines(texts)
        if not self.options.classes or classes is None:
            return lines
        return [f"{name}\t{line}" for name, line in zip(classes, lines, strict=True)]

    def _json(self, texts: Sequence[str], classes: Sequence[str] | None) -> list[str]:
        fields = [{"text": text} for text in texts]
        if classes is not None:
            fields = [{**one, "label": name} for one, name in zip(fields, classes, strict=True)]
        return [json.dumps(one, ensure_ascii=False) for one in fields]


def _in_lines(texts: Sequence[str]) -> list[str]:
    return [text.replace("\r\n", "\n").replace("\n", "\\n").replace("\r", "\\n") for text in texts]
