"""Writes the parts of the reference that the code itself knows, so that pages are whole wherever they are read.

Such a part stands between `<!-- generated: KIND ARGUMENT -->` and `<!-- end -->`, and what is between is written anew by

    python docs/_scripts/pages.py

A test fails when a page is out of date. The kinds are

- `options SECTION`: the table that `gan options SECTION` prints (`engine` for the engine's own settings);
- `section PLUGIN KIND`: a heading and such a table for every component of that kind that a plugin brings (`engine` for the engine's);
- `components KIND`: a list of all components of one kind;
- `help COMMAND`: what `gan COMMAND --help` prints;
- `sizes`: the sides of square images that the architectures take;
- `checks HOOK`: what the conformance kit checks of a hook (`all` for every check);
- `object NAME` and `module NAME`: signatures and docstrings. The built site shows these in full, by mkdocstrings.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import BaseModel

PLUGINS = ("image", "music", "audio", "text")
"""Those that come with the engine and bring components."""
DOCS = Path(__file__).resolve().parents[1]
_PART = re.compile(r"^<!-- generated: (\w+)(?: ([^\n>]+))? -->\n(.*?)^<!-- end -->\n", re.MULTILINE | re.DOTALL)
_FILE_NAME = re.compile(r'^\*\*`([^`\n]+)`\*\*\n\n(?=```\w+ title="\1")', re.MULTILINE)
"""The line above a listing that names its file for readers of the Markdown, where a title is not shown."""
_REPEATED = ("gancore.components.", "gancore.evaluation.")
"""What stands here is on another page, too, to which links lead."""


def renewed(markdown: str) -> str:
    """A page with its generated parts as they should be."""

    def part(found: re.Match[str]) -> str:
        mark = found[0].partition("\n")[0]
        text = _preface(found[1], found[2] or "") + _RENDERERS[found[1]](found[2] or "")
        return f"{mark}\n\n{text}\n\n<!-- end -->\n"

    return _PART.sub(part, markdown)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called by mkdocs for every page: what is of code becomes a directive of mkdocstrings, the rest stays.

    The line that names the file of a listing is left out, since a title says it here.
    """

    def part(found: re.Match[str]) -> str:
        if found[1] not in ("object", "module"):
            return found[3]
        name = found[2].partition(" ")[0]
        options = {"show_root_heading": "false", "show_root_toc_entry": "false"}
        if found[1] == "object":
            options = {"heading_level": "2" if ".hookspecs." in name else "3"}
            options |= {"show_root_full_path": "false"} if ".hookspecs." in name else {}
            options |= {"skip_local_inventory": "true"} if _in_hooks(found[2]) and name.startswith(_REPEATED) else {}
        lines = "".join(f"      {key}: {value}\n" for key, value in options.items())
        return f"{_preface(found[1], name)}::: {name}\n    options:\n{lines}"

    return _FILE_NAME.sub("", _PART.sub(part, markdown))


def _preface(kind: str, argument: str) -> str:
    """Where the names of a module are imported from, of which each has a heading without it."""
    name = argument.partition(" ")[0]
    return f"Import from `{name}`.\n\n" if kind == "module" else ""


def _in_hooks(argument: str) -> bool:
    """Whether something of the contract is shown in whole, on the page of a hook."""
    return argument.endswith(" whole")


def object_of(argument: str) -> str:
    """A class or function; with `whole` behind its name, all that its docstrings say."""
    name, _, whole = argument.partition(" ")
    heading = "" if ".hookspecs." in name else f"### {name}"
    return _outlines().object_outline(name, whole=bool(whole), heading=heading)  # type: ignore[no-any-return]


def module_of(argument: str) -> str:
    """All that is public in a module."""
    name, _, whole = argument.partition(" ")
    return _outlines().module_outline(name, whole=bool(whole))  # type: ignore[no-any-return]


@cache
def _outlines() -> Any:
    """The module beside this file, which belongs to no package."""
    import importlib.util

    spec = importlib.util.spec_from_file_location("docs_outlines", Path(__file__).with_name("outlines.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; bars inside cells are escaped."""
    lines = [headings, ["---"] * len(headings), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def options(section: str) -> str:
    """The options of the engine."""
    from gancore.configuration.run_config import RunConfig

    return options_table({"engine": RunConfig}[section])


def section(of: str) -> str:
    """What a plugin brings of one section of a configuration, such as `music data`: name, summary and options of each."""
    from gancore.configuration.settings import ALL_KINDS
    from gancore.plugins import BUILTIN, Registry
    from gancore.targets import options_model

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
    "object": object_of,
    "module": module_of,
}


def main() -> int:
    """Write all pages anew and name those that have changed."""
    for page in sorted(DOCS.rglob("*.md")):
        before = page.read_text(encoding="utf-8")
        if (after := renewed(before)) != before:
            page.write_text(after, encoding="utf-8")
            print(page.relative_to(DOCS.parent))
    return 0


if __name__ == "__main__":
    sys.exit(main())
