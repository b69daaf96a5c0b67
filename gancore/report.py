"""`report.html`: one page on a run, to be opened in a browser or sent to somebody; it needs no network and no program."""

from __future__ import annotations

import html
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gancore.run import RunFolder, replace_text
from gancore.text import decoded
from gancore.text import shown as spelt_out

COLOURS = ("#2a6f97", "#c1440e", "#5a8f29", "#7b4ea3", "#b8860b", "#5c6770")
_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
h1{font-size:1.5rem} h2{font-size:1.15rem;margin-top:2rem} img{max-width:100%;image-rendering:pixelated}
table{border-collapse:collapse} td,th{padding:.15rem .8rem .15rem 0;text-align:left;vertical-align:top}
td.n{text-align:right;font-variant-numeric:tabular-nums} code,pre{font-size:.9rem;background:#f4f4f2}
pre{padding:.8rem;overflow:auto} .alert{border-left:4px solid #c1440e;padding-left:.8rem}
"""
_CHARTS = {
    "Losses": ("discriminator/loss", "generator/loss"),
    "Logits": ("discriminator/real", "discriminator/fake"),
    "Gradient norms": ("discriminator/grad_norm", "generator/grad_norm"),
    "Spread of generated over real samples": ("health/spread",),
}
_MEDIA = {
    **dict.fromkeys((".png", ".gif", ".jpg", ".webp"), '<img src="{0}" alt="{0}">'),
    **dict.fromkeys((".wav", ".flac", ".mp3", ".ogg"), '<audio controls src="{0}"></audio>'),
}
MOST_TEXT = 8192
"""Of a sheet of texts, as many bytes are shown in the page; the rest is behind its link."""


def chart(series: Mapping[str, Sequence[tuple[float, float]]], width: int = 720, height: int = 220) -> str:
    """An SVG line chart of `(step, value)` points by name."""
    points = [p for line in series.values() for p in line]
    if len(points) < 2:
        return ""
    low, high = min(y for _, y in points), max(y for _, y in points)
    first, last = min(x for x, _ in points), max(x for x, _ in points)
    high = high if high > low else low + 1.0
    last = last if last > first else first + 1.0

    def place(x: float, y: float) -> str:
        across = 60 + (x - first) / (last - first) * (width - 70)
        return f"{across:.1f},{height - 24 - (y - low) / (high - low) * (height - 40):.1f}"

    parts = [f'<svg viewBox="0 0 {width} {height}" role="img" style="width:100%">']
    for y in (low, high):
        parts.append(f'<text x="0" y="{place(first, y).split(",")[1]}" font-size="12" dy="4">{y:.3g}</text>')
    for x in (first, last):
        anchor = "start" if x == first else "end"
        across = place(x, low).split(",")[0]
        parts.append(f'<text x="{across}" y="{height - 6}" font-size="12" text-anchor="{anchor}">{x:,.0f}</text>')
    for number, (name, line) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(place(x, y) for x, y in line)
        parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="1.5" points="{path}"/>')
        label = html.escape(name)
        parts.append(f'<text x="{70 + 220 * number}" y="12" font-size="12" fill="{colour}">{label}</text>')
    return "".join([*parts, "</svg>"])


def _drawable(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _points(rows: Sequence[Mapping[str, Any]], name: str) -> list[tuple[float, float]]:
    return [(row["step"], row[name]) for row in rows if _drawable(row.get(name))]


def _evaluations(folder: RunFolder, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What was computed on the way, beside what real samples have, and which checkpoint is the best."""
    names = dict.fromkeys(name for row in rows for name in row if name.startswith("evaluate/"))
    lines, drawn = [], []
    for name in names:
        ours, real = _points(rows, name), _points(rows, name.replace("evaluate/", "evaluate-real/", 1))
        cells = "".join(f'<td class="n">{line[-1][1]:,.4g}</td>' if line else "<td></td>" for line in (ours, real))
        title = html.escape(name.removeprefix("evaluate/"))
        lines.append(f"<tr><td>{title}</td>{cells}</tr>")
        drawn.append(chart({name: ours, "real samples": real} if real else {name: ours}))
    if not lines:
        return []
    head = f"<tr><th></th><th>step {max(row['step'] for row in rows if names.keys() & row):,}</th><th>real samples</th></tr>"
    best = sorted(path.name.removeprefix("step-") for path in folder.checkpoints.glob("best/step-*"))
    told = [f"<p>The best checkpoint is that of step {int(best[-1]):,}.</p>"] if best and best[-1].isdecimal() else []
    return ["<h2>Samples beside real ones</h2>", *told, f"<table>{head}{''.join(lines)}</table>", *drawn]


def write_report(folder: RunFolder, config: Mapping[str, Any], reason: str) -> Path:
    """Write the report of the run in `folder`; returns its path."""
    rows = list(folder.read_metrics())
    last = rows[-1] if rows else {}
    title = f"{config['plugin']} run {folder.path.absolute().name}"
    body = [f"<h1>{html.escape(title)}</h1>"]
    seconds = float(last.get("seconds", 0.0))
    body.append(
        f"<p>{html.escape(reason[:1].upper() + reason[1:])}. Time spent training: {seconds / 60:.1f} minutes. "
        f"Seed {html.escape(str(config.get('seed', 0)))}, batch size {html.escape(str(config.get('batch_size', '?')))}.</p>"
    )
    data = folder.read_data_report()
    body += [f"<p>Data: {html.escape(data.summary())}.</p>"] if data else []
    body += [f"<p>It {html.escape(line)}.</p>" for line in folder.read_start()]
    body += _pictures(folder)
    alerts = [a for row in rows for a in row.get("alerts", [])]
    body.append("<h2>Health</h2>")
    alerts = [*(f"Data: {doubt}" for doubt in (data.warnings if data else ())), *alerts]
    body += [f'<p class="alert">{html.escape(a)}</p>' for a in alerts] or ["<p>No problems were found.</p>"]
    body += _evaluations(folder, rows)
    for heading, names in _CHARTS.items():
        series = {n: _points(rows, n) for n in names}
        drawn = chart({n: s for n, s in series.items() if len(s) > 1})
        if drawn:
            body.append(f"<h2>{heading}</h2>{drawn}")
    figures = "".join(
        f'<tr><td>{html.escape(k)}</td><td class="n">{v:,.4g}</td></tr>'
        for k, v in last.items()
        if isinstance(v, (int, float)) and not isinstance(v, bool)
    )
    body.append(f"<h2>Last figures</h2><table>{figures}</table>")
    text = html.escape(decoded(folder.config.read_bytes()))
    body.append(f"<h2>Configuration</h2><pre>{text}</pre>")
    page = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
    path = folder.path / "report.html"
    # Whatever a run was given may be read in a terminal too.
    replace_text(path, spelt_out(f"{page}<style>{_STYLE}</style>{''.join(body)}</html>\n"))
    return path


def _pictures(folder: RunFolder) -> list[str]:
    """The newest sheet of every kind, the progress, and real samples to compare with."""
    sheets = sorted(folder.samples.glob("step-*"))
    newest = [p for p in sheets if p.stem == sheets[-1].stem] if sheets else []
    groups = {
        "Samples": newest,
        "Progress": sorted(folder.samples.glob("progress*")),
        "Real samples": sorted((folder.samples / "real").glob("real*")),
    }
    parts = []
    for heading, paths in groups.items():
        shown = [
            _MEDIA[p.suffix].format(html.escape(p.relative_to(folder.path).as_posix()))
            for p in paths
            if p.suffix in _MEDIA
        ]
        shown += [
            f'<p><a href="{html.escape(p.relative_to(folder.path).as_posix())}">{html.escape(p.name)}</a></p>'
            for p in paths
            if p.suffix not in _MEDIA and p.is_file() and os.access(p, os.R_OK)
        ]
        if shown:
            parts.append(f"<h2>{heading}</h2>{''.join(shown)}")
            parts += [_text(p) for p in paths if p.suffix == ".txt" and p.is_file() and os.access(p, os.R_OK)]
    return parts


def _text(path: Path) -> str:
    """The beginning of a sheet of texts."""
    with path.open("rb") as file:
        begin, more = file.read(MOST_TEXT), bool(file.read(1))
    words = begin.decode("utf-8", errors="replace")
    if more:
        words = f"{words.rpartition(chr(10))[0] or words}\n..."
    return f"<pre>{html.escape(words)}</pre>" if words.strip() else ""
