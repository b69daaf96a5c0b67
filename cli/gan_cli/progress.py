"""Following a training in the terminal: a live panel where there is one, plain lines elsewhere."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from gan_cli.errors import say, tell
from gan_cli.terminal import Terminal
from gan_cli.waiting import Waiting, duration
from gancore import hookimpl
from gancore.engine.stopping import tell_on_stderr

if TYPE_CHECKING:
    from gancore.engine.session import Run
    from gancore.events import Estimate, Evaluated, HealthAlert, Progress, RunFinished, RunStarted, Tick

SECONDS_BETWEEN_LINES = 5.0
EXIT_INTERRUPTED = 130


def follow(begin: Callable[..., Run], *, quiet: bool, as_json: bool) -> None:
    """Call `begin` with a listener and a progress report, tell what comes of it, and exit as promised."""
    main = os.environ.get("RANK", "0") == "0"
    console = Terminal(stderr=True)
    view: Plain | Panelled | None = None
    if main and not quiet:
        view = Panelled(console) if console.is_terminal and not os.environ.get("NO_LIVE") else Plain()
    listeners = [view or Silent()] if main else []
    try:
        run = begin(
            listeners=listeners,
            progress=view.reading if view else lambda words, done, total: None,
            stopping=view.stopping if isinstance(view, Panelled) else tell_on_stderr if main else lambda words: None,
        )
    finally:
        if view is not None:
            view.close()
    if not main:
        return
    if as_json:
        result: dict[str, Any] = {"folder": str(run.folder), "step": run.step, "outcome": run.outcome}
        result |= {"reason": run.reason, "best": None if run.evaluated is None else asdict(run.evaluated)}
        print(json.dumps(result | {"scalars": dict(run.scalars), "files": [str(f) for f in run.files]}))
    else:
        tell(run.folder)
    if run.outcome == "interrupted":
        from gancore.reporting import animation_left

        say(f"stopped by {run.reason} at step {run.step:,}; everything is saved")
        say(f"to continue: gan resume {run.folder}")
        if animation_left(run.folder):
            say(f"to make the animation of the sheets, which was skipped: gan report {run.folder}")
        raise typer.Exit(EXIT_INTERRUPTED)
    say(f"done: {run.reason}. Samples are in {run.folder / 'samples'}, the report is {run.folder / 'report.html'}")
    if run.evaluated is not None:
        say(f"best: {best(run.evaluated)}; to generate samples of that: gan sample {run.folder} --best")
    if run.outcome == "stopped":
        say(f"to continue: gan resume {run.folder}")
    if run.domains:
        say(
            f"to translate files: gan translate {run.folder} FILES --to DOMAIN, which is one of: {', '.join(run.domains)}"
        )
        return
    say(f"to generate more samples: gan sample {run.folder} {'--given FILE' if run.needs_given else '-n 64'}")


def about(seconds: float) -> str:
    """`5700` as `1.6 h`: as exact as an estimate is."""
    for size, unit in ((86400.0, "days"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 1.5 * size:
            value = seconds / size
            return f"{value:.0f} {unit}" if value >= 10 else f"{value:.1f} {unit}".replace(".0 ", " ")
    return f"{max(1, round(seconds))} s"


def left(event: Tick | Progress) -> str:
    """How much is left, in words."""
    return f"{duration(math.inf if event.seconds_left is None else event.seconds_left)} left"


def told(estimate: Estimate, event: Progress) -> str:
    """An estimate in a sentence or two."""
    rest = event.steps - event.step
    words = f"about {about(estimate.seconds)} for the remaining {rest:,} steps on this machine"
    words += f", at {estimate.seconds_per_step:.3g} s per step: until {at(time.time() + estimate.seconds)}"
    if estimate.measured == 0:
        words += " (a guess from a few passes through the networks; a better estimate follows)"
    elif estimate.measured == 1:
        words += " (from the first step alone, usually the slowest)"
    elif estimate.first_unlike is not None:
        words += f", if step {estimate.first_unlike:,} and other kinds of steps not seen yet take as long"
    if estimate.last_step < event.steps:
        words += (
            f". Time will be up at about step {estimate.last_step:,}; for schedules that end there, use "
            f"--steps {estimate.last_step}"
        )
    if estimate.cheaper:
        words += f"; with {estimate.cheaper} it would take about {about(estimate.cheaper_seconds)}"
    return words


def at(when: float) -> str:
    """A time of day, with the day where it is not today, and the year alone where it is far away."""
    now = time.localtime()
    if when - time.time() > 300 * 86400:
        return f"{now.tm_year + (when - time.time()) / 31556952:.0f}"
    moment = time.localtime(when)
    return time.strftime("%H:%M" if moment[:3] == now[:3] else "%a %d %b, %H:%M", moment)


def number(scalars: Any, name: str) -> str:
    """A figure to three digits, `-` where there is none."""
    value = scalars.get(name)
    return "-" if value is None else f"{value:.3g}"


def best(evaluated: Evaluated) -> str:
    """The best evaluation so far, beside what real samples have."""
    beside = "" if evaluated.real is None else f" (real samples: {evaluated.real:.3g})"
    return f"{evaluated.metric} {evaluated.best:.3g}{beside} at step {evaluated.best_step:,}"


def newest(evaluated: Evaluated) -> str:
    """The newest evaluation, and the best one where that is another."""
    beside = "" if evaluated.real is None else f" (real samples: {evaluated.real:.3g})"
    words = f"{evaluated.value:.3g}{beside} at step {evaluated.step:,}, "
    if evaluated.best_step == evaluated.step:
        return words + "the best so far"
    return words + f"best {evaluated.best:.3g} at step {evaluated.best_step:,}"


def facts(event: Tick | Progress) -> list[tuple[str, str]]:
    """What the panel and the lines show of a tick."""
    s = {name: value for name, value in event.scalars.items() if not name.startswith(("evaluate", "schedule/"))}
    rows = [
        ("samples/s", f"{event.samples_per_second:,.0f}"),
        ("loss", f"D {number(s, 'discriminator/loss')}  G {number(s, 'generator/loss')}"),
        ("logits", f"real {number(s, 'discriminator/real')}  fake {number(s, 'discriminator/fake')}"),
        ("gradient", f"D {number(s, 'discriminator/grad_norm')}  G {number(s, 'generator/grad_norm')}"),
        ("health", "good" if not event.troubles else ", ".join(event.troubles)),
    ]
    if "health/spread" in s:
        rows[-1] = ("health", f"{rows[-1][1]} (spread {s['health/spread']:.0%} of real)")
    if not any(key.endswith("/loss") for key in s):  # as while only likelihood is trained, which has figures of its own
        rows = [row for row in rows if row[0] not in ("loss", "logits")]
        others = {k: v for k, v in s.items() if not k.startswith("health/") and not k.endswith("/grad_norm")}
    else:
        others = {k: v for k, v in s.items() if not k.startswith(("discriminator/", "generator/", "health/"))}
    rows += [(k, f"{v:.3g}") for k, v in list(others.items())[:6]]
    return rows + ([] if event.evaluated is None else [(event.evaluated.metric, newest(event.evaluated))])


def warning(alert: HealthAlert) -> str:
    """An alert as it is told."""
    return f"{'evaluation' if alert.kind == 'evaluation' else 'health'}: {alert}"


def opening(event: RunStarted) -> str:
    """One line about the run that begins."""
    sizes = ", ".join(f"{name} {count:,}" for name, count in event.parameters.items())
    where = f"from step {event.step:,} to {event.steps:,}" if event.step else f"{event.steps:,} steps"
    lines = (f"{event.folder}: {where} on {event.device}; parameters: {sizes}", event.data, *event.notes)
    return "\n".join(lines)


class Silent:
    """Only what must be heard."""

    @hookimpl
    def gan_tick(self, event: Tick) -> None:
        for alert in event.alerts:
            say(warning(alert))


class Plain:
    """Lines, at most one every few seconds."""

    def __init__(self) -> None:
        self.spoken = -math.inf
        self.waiting = Waiting("running the first steps")

    def close(self) -> None:
        self.waiting.end()

    def reading(self, words: str, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self.spoken >= SECONDS_BETWEEN_LINES:
            self.spoken = now
            say(f"{words}: {done:,}" + (f" of {total:,}" if total else ""))

    @hookimpl
    def gan_run_started(self, event: RunStarted) -> None:
        say(opening(event))
        self.spoken = -math.inf  # the first figures are not kept back for a line on reading data
        self.waiting.begin()

    @hookimpl
    def gan_tick(self, event: Tick) -> None:
        for alert in event.alerts:
            say(warning(alert))
        if event.evaluated is not None and event.evaluated.step == event.step:
            self.spoken = -math.inf  # figures that come so seldom are never kept back
        self._figures(event)

    @hookimpl
    def gan_progress(self, event: Progress) -> None:
        if event.estimate is not None:
            say(told(event.estimate, event))
        if event.estimate is None or event.estimate.measured:
            self._figures(event)

    def _figures(self, event: Tick | Progress) -> None:
        self.waiting.end()
        now = time.monotonic()
        if now - self.spoken < SECONDS_BETWEEN_LINES and event.step != event.steps:
            return
        self.spoken = now
        share = f"step {event.step:,}/{event.steps:,} ({event.step / event.steps:.0%}), {left(event)}"
        say("  ".join([share, *(f"{name}: {value}" for name, value in facts(event))]))

    @hookimpl
    def gan_run_finished(self, event: RunFinished) -> None:
        del event
        self.close()


class Elapsed:
    """A line that counts seconds while it is shown."""

    def __init__(self, words: str) -> None:
        self.words = words
        self.began = time.monotonic()

    def __rich__(self) -> Text:
        return Text(f"{self.words}: {duration(time.monotonic() - self.began)} so far")


class Noted:
    """Something on the screen with a note below it, which may come at any moment: it is read when the screen is drawn."""

    def __init__(self) -> None:
        self.shown: Any = Text("")
        self.note = ""

    def __rich__(self) -> Group:
        return Group(self.shown, Text(self.note, style="yellow")) if self.note else Group(self.shown)


class Panelled:
    """A panel that is redrawn in place; alerts stay above it."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.noted = Noted()
        self.live = Live(self.noted, console=console, refresh_per_second=4, transient=False)
        self.open = False
        self.title = ""
        self.panel: Panel | None = None
        """The figures, once there are some."""

    def _show(self, what: Any) -> None:
        self.noted.shown = what
        if not self.open:
            self.live.start()
            self.open = True

    def stopping(self, words: str) -> None:
        """Nothing is drawn here: whatever the signal interrupted may be drawing."""
        self.noted.note = words

    def close(self) -> None:
        if self.open:
            self.live.stop()
            self.open = False

    def reading(self, words: str, done: int, total: int) -> None:
        bar = ProgressBar(total=total or None, completed=done, width=40)
        what: list[Any] = [Text(f"{words}: {done:,}" + (f" of {total:,}" if total else "")), bar]
        self._show(Group(*([] if self.panel is None else [self.panel]), *what))

    @hookimpl
    def gan_run_started(self, event: RunStarted) -> None:
        self.title = str(event.folder)
        self._show(Elapsed("running the first steps"))
        self.live.console.print(Text(opening(event)))

    @hookimpl
    def gan_tick(self, event: Tick) -> None:
        for alert in event.alerts:
            style = "green" if alert.kind == "recovered" else "yellow"
            self.live.console.print(Text(warning(alert), style=style))
        self._figures(event)

    @hookimpl
    def gan_progress(self, event: Progress) -> None:
        if event.estimate is not None:
            self.live.console.print(Text(told(event.estimate, event)))
        if event.estimate is None or event.estimate.measured:
            self._figures(event)

    def _figures(self, event: Tick | Progress) -> None:
        table = Table.grid(padding=(0, 2))
        percent = f"{event.step / event.steps:.0%}"
        table.add_row("step", f"{event.step:,} of {event.steps:,} ({percent}), {left(event)}")
        for name, value in facts(event):
            style = "yellow" if name == "health" and event.troubles else ""
            table.add_row(name, Text(value, style=style))
        if event.last_sheet is not None:
            table.add_row("samples", Text(str(event.last_sheet), overflow="fold"))
        bar = ProgressBar(total=event.steps, completed=event.step, width=None)
        self.panel = Panel(Group(table, bar), title=self.title, title_align="left")
        self._show(self.panel)

    @hookimpl
    def gan_run_finished(self, event: RunFinished) -> None:
        del event
        self.close()


if sys.platform == "win32":
    EXIT_INTERRUPTED = 1
