"""The captions that text generators are compared on, read as they are: line for line, word for word."""

from __future__ import annotations

import pytest
from support.fetching import fetch
from support.shared import SHARED, marks

from gan_text.data.lines import Options, open_lines

CAPTIONS = SHARED / "texygen" / "image_coco.txt"

pytestmark = marks(CAPTIONS)


@pytest.mark.parametrize("kind", ["characters", "words", "bpe"])
def test_captions_come_back_exactly(kind):
    lines = [line.rstrip() for line in CAPTIONS.read_bytes().decode().split("\n") if line.strip()]
    source = open_lines(Options(path=CAPTIONS, tokens=kind, length=300), lambda *_: None)
    assert source.spec.decode(fetch(source)[0]) == lines
    assert source.report.skipped == ()
    copies = len(lines) - len(set(lines))
    assert f"{copies} texts equal to an earlier one" in source.report.notes
