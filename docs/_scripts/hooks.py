"""Fills in the parts of the reference that the code itself knows, when the site is built, so that they cannot go stale.

A line `<!-- options: SECTION -->` becomes the table that `gan options --plugin image SECTION` prints (`engine` for the
engine's own settings), `<!-- components: KIND -->` the components of one kind, `<!-- help: COMMAND -->` what
`gan COMMAND --help` prints, `<!-- sizes -->` the sides of square images that the architectures take, and
`<!-- checks: HOOK -->` what the conformance kit checks of a hook (`all` for every check).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

PLUGIN = "image"
_MARK = re.compile(r"^<!-- (options|components|help|sizes|checks)(?:: ([^>]+?))? -->$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called by mkdocs for every page."""
    return _MARK.sub(lambda mark: _RENDERERS[mark[1]](mark[2] or ""), markdown)


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; bars inside cells are escaped."""
    lines = [headings, ["---"] * len(headings), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def options(section: str) -> str:
    """The options of the engine, of an optimizer, or of one component `kind.name`."""
    from gan_cli.describe import rows_of
    from gancore.config import Optimizer, RunConfig
    from gancore.plugins import Registry, options_model
    from gancore.settings import KIND_OF

    if section == "engine":
        rows = rows_of(RunConfig)
    elif section == "optimizers":
        rows = rows_of(Optimizer)
    else:
        kind, _, name = section.partition(".")
        model = options_model(Registry().find(KIND_OF[kind], name, PLUGIN).record)
        if model is None:
            return "It has no options."
        rows = rows_of(model)
    cells = ([f"`{r['option']}`", _code(r["default"]), r["values"], r["description"]] for r in rows)
    return markdown_table(["option", "default", "values", "what it does"], cells)


def components(kind: str) -> str:
    """Every component of one kind that the engine and the image plugin bring."""
    from gancore.components import KINDS
    from gancore.plugins import BUILTIN, Registry

    record = next(k for k in KINDS if k.kind == kind)
    registry = Registry()
    found = [(owner, r) for owner in (BUILTIN, PLUGIN) for r in registry.load(owner).of_kind(record).values()]
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


def _code(text: str) -> str:
    return f"`{text}`" if text and text != "required" else text


_RENDERERS = {"options": options, "components": components, "help": command_help, "sizes": sizes, "checks": checks}
