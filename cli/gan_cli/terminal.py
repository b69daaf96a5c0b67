"""The one way from tables and panels to the terminal, in which nothing that a run was given can command it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.segment import Segment

from gancore.text import shown


class Terminal(Console):
    """A console that spells out control characters in what it shows, as `say` does in lines."""

    def render(self, renderable: Any, options: Any = None) -> Iterable[Segment]:
        """Everything that is shown comes through here, before it is cut and filled up to the width of its place."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(shown(segment.text), segment.style)
