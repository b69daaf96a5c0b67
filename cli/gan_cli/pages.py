"""Where figures are explained: the documentation of the package that a metric comes from, on disk or on the web."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import TYPE_CHECKING

import gancore
from gancore.components import Metric
from gancore.errors import GanError
from gancore.plugins import BUILTIN, Registry

if TYPE_CHECKING:
    from gancore.evaluation.records import Evaluation

OWN = "gancore"
"""The distribution whose documentation has a page for each of its plugins."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page: its `place` in words, and its `url` where it can be opened."""

    place: str
    url: str | None


def pages_of(found: Evaluation) -> Mapping[str, Page]:
    """The page of each metric that gave figures, as far as one is known."""
    registry = Registry()
    distributions = {BUILTIN: OWN} | {p.name: p.distribution for p in registry.installed() if p.distribution}
    pages = {}
    for metric in found.figures:
        try:
            plugin = registry.find(Metric, metric, found.plugin).plugin
        except GanError:
            continue
        if (page := _page(plugin, distributions.get(plugin, ""))) is not None:
            pages[metric] = page
    return pages


def _page(plugin: str, distribution: str) -> Page | None:
    base = _documentation(distribution)
    if distribution != OWN:
        return None if base is None else Page(base, base)
    name = "explanation/figures" if plugin == BUILTIN else f"reference/{plugin}-metrics"
    if base is not None:
        url = f"{base.rstrip('/')}/{name}.html"
        return Page(url, url)
    file = Path(gancore.__file__).resolve().parents[1] / "docs" / f"{name}.md"
    return Page(f"docs/{name}.md", file.as_uri() if file.is_file() else None)


def _documentation(distribution: str) -> str | None:
    """The address that a package's metadata give for its documentation."""
    try:
        listed = metadata(distribution).get_all("Project-URL") or [] if distribution else []
    except PackageNotFoundError:
        return None
    named = {label.strip().lower(): url.strip() for label, _, url in (line.partition(",") for line in listed)}
    return named.get("documentation")
