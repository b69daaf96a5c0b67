"""`report.html`: one page that shows a run and trusts none of its words."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from gancore.report import chart, write_report
from gancore.run import RunFolder

CONFIG = {"plugin": "toy", "seed": 7, "batch_size": 8}
EVIL = "<script>alert('x')</script> & \"quotes\""
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    made = RunFolder.create(tmp_path / "run <b>", "toy")
    made.write_config(CONFIG, "")
    return made


def points(svg: str) -> list[list[tuple[float, float]]]:
    root = ElementTree.fromstring(svg)
    lines = [line.attrib["points"].split() for line in root.iter("polyline")]
    return [[(float(x), float(y)) for x, y in (p.split(",") for p in line)] for line in lines]


class Page(HTMLParser):
    """Tags and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, Any]]] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data


def report(folder: RunFolder, reason: str = "reached step 4") -> Page:
    return Page(write_report(folder, CONFIG, reason).read_text(encoding="utf-8"))


# --- charts -----------------------------------------------------------------------------------------------------------


def test_line_spans_the_chart_from_lowest_to_highest() -> None:
    line = points(chart({"a": [(0, 1.0), (5, 2.0), (10, 3.0)]}, width=720, height=220))[0]
    (x0, y0), (x1, y1), (x2, y2) = line
    assert x0 < x1 < x2
    assert x1 - x0 == pytest.approx(x2 - x1)
    assert y0 > y1 > y2  # upwards on a screen
    assert y0 - y1 == pytest.approx(y1 - y2)
    assert 0 <= y2 < y0 <= 220
    assert 0 <= x0 < x2 <= 720


def test_lines_share_their_axes() -> None:
    low, high = points(chart({"low": [(0, 0.0), (1, 0.0)], "high": [(0, 4.0), (1, 4.0)]}))
    assert low[0][1] == low[1][1] > high[0][1] == high[1][1]


@pytest.mark.parametrize("line", [[(0, 2.0), (9, 2.0)], [(3, 1.0), (3, 2.0)], [(0, 0.0), (1, 0.0)]])
def test_flat_line_is_drawn_with_finite_coordinates(line: list[tuple[float, float]]) -> None:
    assert all(math.isfinite(v) for point in points(chart({"a": line}))[0] for v in point)


@pytest.mark.parametrize("line", [[], [(1, 1.0)]])
def test_less_than_two_points_make_no_chart(line: list[tuple[float, float]]) -> None:
    assert chart({"a": line}) == ""


def test_name_of_a_line_is_escaped() -> None:
    root = ElementTree.fromstring(chart({EVIL: [(0, 0.0), (1, 1.0)]}))
    assert EVIL in [t.text for t in root.iter("text")]


# --- the page ---------------------------------------------------------------------------------------------------------


def test_report_of_a_run_without_figures_is_a_page(folder: RunFolder) -> None:
    page = report(folder)
    assert "No problems were found." in page.words
    assert "Reached step 4. Time spent training: 0.0 minutes." in page.words
    assert not any(tag == "svg" for tag, _ in page.tags)


def test_report_draws_a_chart_of_every_group_that_has_figures(folder: RunFolder) -> None:
    for step in (1, 2, 3):
        folder.append_metrics(
            {"step": step, "seconds": 60.0 * step, "discriminator/loss": 1.0 / step, "generator/loss": step}
        )
    page = report(folder)
    assert sum(tag == "svg" for tag, _ in page.tags) == 1
    assert sum(tag == "polyline" for tag, _ in page.tags) == 2
    assert "Losses" in page.words
    assert "Logits" not in page.words
    assert "Time spent training: 3.0 minutes." in page.words
    assert re.search(r"discriminator/loss\s*0\.3333", page.words)


def test_figures_that_are_not_finite_are_left_out_of_the_charts(folder: RunFolder) -> None:
    for step, loss in enumerate([1.0, math.nan, math.inf, 2.0]):
        folder.append_metrics({"step": step, "discriminator/loss": loss})
    lines = [attributes["points"] for tag, attributes in report(folder).tags if tag == "polyline"]
    assert len(lines) == 1
    assert len(lines[0].split()) == 2
    assert "nan" not in lines[0]


def test_report_tells_every_alert(folder: RunFolder) -> None:
    folder.append_metrics({"step": 1, "alerts": ["step 1: first"]})
    folder.append_metrics({"step": 2, "alerts": ["step 2: second", f"step 2: {EVIL}"]})
    page = report(folder)
    assert sum(attributes.get("class") == "alert" for _, attributes in page.tags) == 3
    assert "step 2: second" in page.words
    assert "No problems were found" not in page.words


def test_no_word_of_the_run_becomes_markup(folder: RunFolder) -> None:
    folder.write_config({"note": EVIL}, EVIL)
    folder.append_metrics({"step": 1, EVIL: 1.0, "alerts": [EVIL]})
    folder.samples.mkdir()
    (folder.samples / "step-00000001 '><b>.png").touch()
    page = report(folder, EVIL)
    assert not {"script", "b"} & {tag for tag, _ in page.tags}
    assert page.words.count("<script>") >= 4
    assert "run <b>" in page.words


def test_nothing_in_the_report_is_for_a_terminal_to_obey(folder: RunFolder) -> None:
    folder.append_metrics({"step": 1, "a\x1b[31m": 1.0, "alerts": ["class '\x1b[2J\udce9\u202e'"]})
    page = write_report(folder, CONFIG, "end\x07").read_text(encoding="utf-8")
    assert page.isprintable() or not {c for c in page if not c.isprintable()} - {"\n"}
    assert "class &#x27;\\x1b[2J\\xe9\\u202e&#x27;" in page


def test_figure_of_more_digits_than_a_float_has_is_damage(folder: RunFolder) -> None:
    folder.metrics.write_text('{"step": 1, "a": 1' + "0" * 400 + '}\n{"step": 2, "a": 2}\n')
    assert [row["step"] for row in folder.read_metrics()] == [2]
    report(folder)


def test_report_shows_the_newest_sheets_the_progress_and_real_samples(folder: RunFolder) -> None:
    real = folder.samples / "real"
    real.mkdir(parents=True)
    for name in ("step-00000001.png", "step-00000002.png", "step-00000002.wav", "step-00000002.txt", "progress.gif"):
        (folder.samples / name).touch()
    (real / "real.png").touch()
    page = report(folder)
    shown = [(tag, a.get("src") or a.get("href")) for tag, a in page.tags if tag in {"img", "audio", "a"}]
    assert shown == [
        ("img", "samples/step-00000002.png"),
        ("audio", "samples/step-00000002.wav"),
        ("a", "samples/step-00000002.txt"),
        ("img", "samples/progress.gif"),
        ("img", "samples/real/real.png"),
    ]


def test_report_shows_the_beginning_of_a_sheet_of_texts(folder: RunFolder) -> None:
    folder.samples.mkdir()
    (folder.samples / "step-00000001.txt").write_text(f"a cat\n{EVIL}\n" + "a dog\n" * 2000)
    page = report(folder)
    assert f"a cat\n{EVIL}\na dog\n" in page.words
    assert page.words.count("a dog\n") < 1500
    assert "a dog\n..." in page.words


def test_marks_of_a_line_are_no_figures_of_the_report(folder: RunFolder) -> None:
    folder.append_metrics({"step": 1, "interim": True})
    assert "interim" not in report(folder).words


def test_report_needs_no_network(folder: RunFolder) -> None:
    text = write_report(folder, CONFIG, "done").read_text(encoding="utf-8")
    assert "http" not in text.replace("http://www.w3.org", "")
    assert {tag for tag, _ in Page(text).tags}.isdisjoint({"script", "link", "iframe"})


def test_figures_on_the_way_are_drawn_beside_those_of_real_samples(folder: RunFolder) -> None:
    for step in (2, 4, 6):
        row = {"step": step, "seconds": 1.0}
        folder.append_metrics(row | ({} if step == 6 else {"evaluate/mind-f": step / 8, "evaluate-real/mind-f": 0.125}))
    (folder.checkpoints / "best" / "step-00000002").mkdir(parents=True)
    page = report(folder)
    assert "The best checkpoint is that of step 2." in page.words
    assert "step 4real samplesmind-f0.50.125" in page.words
    ours, real = (tag["points"].split() for name, tag in page.tags if name == "polyline")
    assert len(ours) == len(real) == 2
