"""Data sets of texts out of files, and what is in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gan_text.data.lines import Options, open_lines
from gan_text.data.source import TokenSource
from support.fetching import fetch


def open_(path: Path, **options: Any) -> TokenSource:
    return open_lines(Options(path=path, **options), lambda *_: None)


def texts_of(source: TokenSource) -> list[str]:
    return source.spec.decode(fetch(source)[0])


def skipped_of(source: TokenSource) -> list[tuple[str, str]]:
    return [(one.path, one.reason) for one in source.report.skipped]
