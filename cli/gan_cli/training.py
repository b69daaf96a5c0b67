"""Following a training in the terminal: a live panel where there is one, plain lines elsewhere."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from gan_cli.errors import say
from gancore import hookimpl

if TYPE_CHECKING:
    from gancore.engine.events import RunFinished, RunStarted, Tick
    from gancore.engine.session import Run

SECONDS_BETWEEN_LINES = 5.0
EXIT_INTERRUPTED = 130


def follow(begin: Callable[..., Run], *, quiet: bool, as_json: bool) -> None:
    """Call `begin` with a listener and a progress report, tell what comes of it, and exit as promised."""
    main = os.environ.get("RANK", "0") == "0"
    console = Console(stderr=True)
    view: Plain | Panelled | None = None
    if main and not quiet:
        view = Panelled(console) if console.is_terminal and not os.environ.get("NO_LIVE") else Plain()
    listeners = [view or Silent()] if main else []
    try:
        run = begin(listeners=listeners, progress=view.reading if view else lambda words, done, total: None)
    finally:
        if isinstance(view, Panelled):
            view.close()
    if not main:
        return
    if as_json:
        result = {"folder": str(run.folder), "step": run.step, "outcome": run.outcome, "reason": run.reason}
        print(json.dumps(result | {"scalars": dict(run.scalars), "files": [str(f) for f in run.files]}))
    else:
        print(run.folder)
    if run.outcome == "interrupted":
        say(f"stopped by {run.reason} at step {run.step:,}; everything is saved. Go on with: gan resume {run.folder}")
        raise typer.Exit(EXIT_INTERRUPTED)
    say(f"done: {run.reason}. Samples are in {run.folder / 'samples'}, the report is {run.folder / 'report.html'}")
    say(f"draw more: gan sample {run.folder} {'--given FILE' if run.needs_given else '-n 64'}")


def duration(seconds: float) -> str:
    """`95` as `1m35s`."""
    if not math.isfinite(seconds):
        return "?"
    whole = round(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}h{minutes:02d}m" if hours else f"{minutes}m{whole % 60:02d}s" if minutes else f"{whole}s"


class Clock:
    """How long the rest will take, from the speed of this session."""

    def __init__(self) -> None:
        self.began = (0, time.monotonic())

    def start(self, step: int) -> None:
        self.began = (step, time.monotonic())

    def eta(self, event: Tick) -> float:
        steps = event.step - self.began[0]
        return (time.monotonic() - self.began[1]) / steps * (event.steps - event.step) if steps else math.inf


def number(scalars: Any, name: str) -> str:
    """A figure to three digits, `-` where there is none."""
    value = scalars.get(name)
    return "-" if value is None else f"{value:.3g}"


def facts(event: Tick) -> list[tuple[str, str]]:
    """What the panel and the lines show of a tick."""
    s = event.scalars
    rows = [
        ("samples/s", f"{event.samples_per_second:,.0f}"),
        ("loss", f"D {number(s, 'discriminator/loss')}  G {number(s, 'generator/loss')}"),
        ("logits", f"real {number(s, 'discriminator/real')}  fake {number(s, 'discriminator/fake')}"),
        ("gradient", f"D {number(s, 'discriminator/grad_norm')}  G {number(s, 'generator/grad_norm')}"),
        ("health", "good" if not event.troubles else ", ".join(event.troubles)),
    ]
    if "health/spread" in s:
        rows[-1] = ("health", f"{rows[-1][1]} (spread {s['health/spread']:.0%} of real)")
    shown = ("discriminator/", "generator/", "health/")
    others = {k: v for k, v in s.items() if not k.startswith(shown)}
    return rows + [(k, f"{v:.3g}") for k, v in list(others.items())[:6]]


def opening(event: RunStarted) -> str:
    """One line about the run that begins."""
    sizes = ", ".join(f"{name} {count:,}" for name, count in event.parameters.items())
    where = f"from step {event.step:,} to {event.steps:,}" if event.step else f"{event.steps:,} steps"
    return f"{event.folder}: {where} on {event.device}; parameters: {sizes}\n{event.data}"


class Silent:
    """Only what must be heard."""

    @hookimpl
    def gan_tick(self, event: Tick) -> None:
        for alert in event.alerts:
            say(f"health: {alert}")


class Plain:
    """Lines, at most one every few seconds."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.spoken = 0.0

    def reading(self, words: str, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self.spoken >= SECONDS_BETWEEN_LINES:
            self.spoken = now
            say(f"{words}: {done:,}" + (f" of {total:,}" if total else ""))

    @hookimpl
    def gan_run_started(self, event: RunStarted) -> None:
        self.clock.start(event.step)
        say(opening(event))

    @hookimpl
    def gan_tick(self, event: Tick) -> None:
        for alert in event.alerts:
            say(f"health: {alert}")
        now = time.monotonic()
        if now - self.spoken < SECONDS_BETWEEN_LINES and event.step != event.steps:
            return
        self.spoken = now
        share = f"step {event.step:,}/{event.steps:,} ({event.step / event.steps:.0%}), {duration(self.clock.eta(event))} left"
        say("  ".join([share, *(f"{name}: {value}" for name, value in facts(event))]))


class Panelled:
    """A panel that is redrawn in place; alerts stay above it."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.clock = Clock()
        self.live = Live(console=console, refresh_per_second=4, transient=False)
        self.open = False
        self.title = ""

    def _show(self, what: Any) -> None:
        if not self.open:
            self.live.start()
            self.open = True
        self.live.update(what)

    def close(self) -> None:
        if self.open:
            self.live.stop()
            self.open = False

    def reading(self, words: str, done: int, total: int) -> None:
        bar = ProgressBar(total=total or None, completed=done, width=40)
        self._show(Group(Text(f"{words}: {done:,}" + (f" of {total:,}" if total else "")), bar))

    @hookimpl
    def gan_run_started(self, event: RunStarted) -> None:
        self.clock.start(event.step)
        self.title = str(event.folder)
        self._show(Text("the first figures come in a moment"))
        self.live.console.print(Text(opening(event)))

    @hookimpl
    def gan_tick(self, event: Tick) -> None:
        for alert in event.alerts:
            style = "green" if alert.kind == "recovered" else "yellow"
            self.live.console.print(Text(f"health: {alert}", style=style))
        table = Table.grid(padding=(0, 2))
        percent = f"{event.step / event.steps:.0%}"
        table.add_row("step", f"{event.step:,} of {event.steps:,} ({percent}), {duration(self.clock.eta(event))} left")
        for name, value in facts(event):
            style = "yellow" if name == "health" and event.troubles else ""
            table.add_row(name, Text(value, style=style))
        if event.last_sheet is not None:
            table.add_row("samples", Text(str(event.last_sheet), overflow="fold"))
        bar = ProgressBar(total=event.steps, completed=event.step, width=None)
        self._show(Panel(Group(table, bar), title=self.title, title_align="left"))

    @hookimpl
    def gan_run_finished(self, event: RunFinished) -> None:
        del event
        self.close()


if sys.platform == "win32":
    EXIT_INTERRUPTED = 1
