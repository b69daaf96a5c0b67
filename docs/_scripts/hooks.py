"""Fills in the parts of the reference that the code itself knows, when the site is built, so that they cannot go stale.

A line `<!-- options: SECTION -->` becomes the table that `gan options SECTION` prints (`engine` for the engine's own
settings), `<!-- section: PLUGIN KIND -->` a heading and such a table for every component of that kind that a plugin brings
(`engine` for the engine's), `<!-- components: KIND -->` a list of all components of one kind, `<!-- help: COMMAND -->` what
`gan COMMAND --help` prints, `<!-- sizes -->` the sides of square images that the architectures take, and
`<!-- checks: HOOK -->` what the conformance kit checks of a hook (`all` for every check).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import BaseModel

PLUGINS = ("image", "music", "audio", "text")
"""Those that come with the engine and bring components."""
_MARK = re.compile(r"^<!-- (options|section|components|help|sizes|checks)(?:: ([^>]+?))? -->$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called by mkdocs for every page."""
    return _MARK.sub(lambda mark: _RENDERERS[mark[1]](mark[2] or ""), markdown)


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; bars inside cells are escaped."""
    lines = [headings, ["---"] * len(headings), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def options(section: str) -> str:
    """The options of the engine or of an optimizer."""
    from gancore.configuration.run_config import Optimizer, RunConfig

    return options_table({"engine": RunConfig, "optimizers": Optimizer}[section])


def section(of: str) -> str:
    """What a plugin brings of one section of a configuration, such as `music data`: name, summary and options of each."""
    from gancore.configuration.settings import ALL_KINDS
    from gancore.plugins import BUILTIN, Registry, options_model

    owner, _, kind = of.partition(" ")
    found = Registry().load(BUILTIN if owner == "engine" else owner).of_kind(ALL_KINDS[kind])
    if not found:
        raise ValueError(f"{owner} brings nothing of {kind}")
    models = {name: options_model(record) for name, record in found.items()}
    parts = [f"### {n}\n\n{found[n].summary}.\n\n{options_table(m)}" for n, m in models.items() if m]
    if bare := [f"`{name}`" for name, model in models.items() if not model]:
        parts.append(f"Without options: {', '.join(bare)}.")
    return "\n\n".join(parts)


def options_table(model: type[BaseModel]) -> str:
    """A table of the options in a model."""
    from gan_cli.describe import rows_of

    rows = rows_of(model)
    cells = ([f"`{r['option']}`", _code(r["default"]), _literal(r["values"]), r["description"]] for r in rows)
    return markdown_table(["option", "default", "values", "what it does"], cells)


def components(kind: str) -> str:
    """Every component of one kind that the engine and its own plugins bring."""
    from gancore.components import KINDS
    from gancore.plugins import BUILTIN, Registry

    record = next(k for k in KINDS if k.kind == kind)
    registry = Registry()
    found = [(owner, r) for owner in (BUILTIN, *PLUGINS) for r in registry.load(owner).of_kind(record).values()]
    return markdown_table(["name", "from", "what it is"], ([f"`{r.name}`", owner, r.summary] for owner, r in found))


def command_help(command: str) -> str:
    """What a command prints when asked for help."""
    from typer.testing import CliRunner

    from gan_cli.app import app

    answer = CliRunner().invoke(app, [*command.split(), "--help"], prog_name="gan", env={"COLUMNS": "100"})
    if answer.exit_code:
        raise RuntimeError(f"gan {command} --help failed: {answer.output}")
    return f"```text\n{answer.output.strip()}\n```"


def sizes(_: str) -> str:
    """Sides of square images that can be halved down."""
    from gan_image.nets.sizes import LARGEST, SMALLEST, plan
    from gancore.errors import UsageError

    good = []
    for side in range(SMALLEST, LARGEST + 1):
        try:
            plan(side, side)
        except UsageError:
            continue
        good.append(str(side))
    return ", ".join(good)


def checks(hook: str) -> str:
    """The checks of the conformance kit that look at one hook, or `all` of them with links to the pages of their hooks."""
    import gancore.testing.suite  # noqa: F401 - its modules define the checks
    from gancore.testing.check import CHECKS

    if hook == "all":
        rows = [[f"`{c.name}`", c.expected, f"[`{c.hook}`](hooks/{c.hook}.md)"] for c in CHECKS.values()]
        return markdown_table(["check", "what is expected", "hook"], rows)
    mine = [[f"`{c.name}`", c.expected] for c in CHECKS.values() if c.hook == hook]
    if not mine:
        raise ValueError(f"no check looks at {hook}")
    return markdown_table(["check", "what is expected"], mine)


def _literal(text: str) -> str:
    """`text` with brackets, as regular expressions have them, that make no links."""
    return text.replace("[", "\\[")


def _code(text: str) -> str:
    return f"`{text}`" if text and text != "required" else text


_RENDERERS = {
    "options": options,
    "section": section,
    "components": components,
    "help": command_help,
    "sizes": sizes,
    "checks": checks,
}
