"""The public names of a module as Markdown: signatures and docstrings, read from its source without importing it."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

Function = ast.FunctionDef | ast.AsyncFunctionDef
_WIDTH = 100
_SECTION = re.compile(r"^(Args|Raises|Example|Returns|Yields|Attributes):\n((?:(?: {4}.*)?\n?)+)", re.MULTILINE)


def object_outline(name: str, *, whole: bool, heading: str = "") -> str:
    """`package.module.Name` under `heading`: its signature, docstring and public members; the first paragraphs, or the `whole`."""
    module, _, own = name.rpartition(".")
    parts = next((p for n, p in _outlines(_tree(module), whole) if n == own), None)
    if parts is None:
        raise ValueError(f"{module} has nothing called {own} that a page could show")
    return "\n\n".join([heading, *parts]).strip()


def module_outline(module: str, *, whole: bool) -> str:
    """All public classes and functions of a module, and those of its values that have a docstring."""
    found = _outlines(_tree(module), whole)
    return "\n\n".join(part for name, parts in found for part in [f"### {name}", *parts])


def _outlines(tree: ast.Module, whole: bool) -> Iterator[tuple[str, list[str]]]:
    """Public names of a module, each with its paragraphs."""
    for node, text in _with_docstrings(tree.body):
        if isinstance(node, ast.ClassDef | Function) and not node.name.startswith("_"):
            yield node.name, _definition(node, whole)
        elif isinstance(node, ast.Assign | ast.AnnAssign) and text and not _name(node).startswith("_"):
            value = "" if node.value is None else f" = {_source(node.value)}"
            yield _name(node), [_code(f"{_name(node)}{value}"), *_prose(text, whole)]


@cache
def _tree(module: str) -> ast.Module:
    found = find_spec(module)
    if found is None or found.origin is None:
        raise ValueError(f"there is no module {module}")
    text = Path(found.origin).read_bytes()
    tree, lines = ast.parse(text), text.splitlines(keepends=True)
    for node in ast.walk(tree):
        if isinstance(node, ast.expr):
            node.lines = lines  # type: ignore[attr-defined]
    return tree


def _source(node: ast.AST) -> str:
    """An expression as it was written."""
    assert isinstance(node, ast.expr)
    assert node.end_lineno is not None
    own: list[bytes] = node.lines[node.lineno - 1 : node.end_lineno]  # type: ignore[attr-defined]
    own[-1] = own[-1][: node.end_col_offset]
    own[0] = own[0][node.col_offset :]
    return b"".join(own).decode()


def _definition(node: ast.ClassDef | Function, whole: bool) -> list[str]:
    if not isinstance(node, ast.ClassDef):
        code = "\n".join([*_decorators(node), f"def {_signature(node)}: ..."])
        return [_code(code), *_prose(ast.get_docstring(node), whole)]
    bases = ", ".join(_source(b) for b in node.bases)
    made = next((n for n in node.body if isinstance(n, Function) and n.name == "__init__"), None)
    inside = f"({bases})" if bases else ""
    start = textwrap.indent(f"\ndef {_signature(made)}: ...", "    ") if made else " ..."
    head = "\n".join([*_decorators(node), f"class {node.name}{inside}:{start}"])
    parts = [_code(head), *_prose(ast.get_docstring(node), whole)]
    members = [line for member, text in _with_docstrings(node.body) if (line := _member(member, text, whole))]
    return [*parts, "\n".join(members)] if members else parts


def _member(node: ast.stmt, text: str, whole: bool) -> str:
    """A line of the list of a class's members; empty for what is nobody's concern."""
    if isinstance(node, Function):
        if node.name.startswith("_") and node.name not in ("__call__", "__len__"):
            return ""
        as_field = any(_source(d).endswith("property") for d in node.decorator_list)
        result = "" if node.returns is None else _source(node.returns)
        called = " ".join([*_decorators(node), _signature(node, width=10_000)])
        code = f"{node.name}: {result}" if as_field else called
        return _item(code, ast.get_docstring(node) or "", whole)
    if not isinstance(node, ast.AnnAssign) or _name(node).startswith(("_", "model_config")):
        return ""
    kind, value = _source(node.annotation), node.value
    if kind.startswith("ClassVar") and not text:
        return ""
    if isinstance(value, ast.Call) and _source(value.func) == "Field":  # of pydantic: the default and what it is for
        words = next((ast.literal_eval(k.value) for k in value.keywords if k.arg == "description"), "")
        value, text = (value.args or [None])[0], text or str(words)
    default = "" if value is None or "default_factory" in _source(value) else f" = {_source(value)}"
    return _item(f"{_name(node)}: {kind}{default}", text, whole)


def _decorators(node: ast.ClassDef | Function) -> list[str]:
    """Those that tell a reader how a thing is used, each as it was written."""
    found = [_source(d) for d in node.decorator_list]
    return [f"@{d}" for d in found if not d.startswith("hookspec")]


def _item(code: str, text: str, whole: bool) -> str:
    words = "\n\n".join(_prose(text, whole))
    return f"- `{code}`" + (f": {textwrap.indent(words, '  ').strip()}" if words else "")


def _signature(node: Function, width: int = _WIDTH) -> str:
    known, own = node.args, []
    for n, argument in enumerate([*known.posonlyargs, *known.args]):
        missing = len(known.posonlyargs) + len(known.args) - len(known.defaults)
        own.append(_argument(argument, known.defaults[n - missing] if n >= missing else None))
    if known.vararg or known.kwonlyargs:
        own.append(f"*{_argument(known.vararg, None)}" if known.vararg else "*")
    own += [_argument(a, d) for a, d in zip(known.kwonlyargs, known.kw_defaults, strict=True)]
    own += [f"**{_argument(known.kwarg, None)}"] if known.kwarg else []
    own = own[1:] if own and own[0] in ("self", "cls") else own
    result = "" if node.returns is None else f" -> {_source(node.returns)}"
    line = f"{node.name}({', '.join(own)}){result}"
    if len(line) <= width:
        return line
    inside = "".join(f"    {argument},\n" for argument in own)
    return f"{node.name}(\n{inside}){result}"


def _argument(argument: ast.arg, default: ast.expr | None) -> str:
    kind = "" if argument.annotation is None else f": {_source(argument.annotation)}"
    value = "" if default is None else f" = {_source(default)}" if kind else f"={_source(default)}"
    return f"{argument.arg}{kind}{value}"


def _with_docstrings(body: Sequence[ast.stmt]) -> Iterator[tuple[ast.stmt, str]]:
    """Statements with the text that stands behind each, which documents a value."""
    for node, after in zip(body, [*body[1:], None], strict=True):
        said = after.value if isinstance(after, ast.Expr) else None
        yield node, said.value if isinstance(said, ast.Constant) and isinstance(said.value, str) else ""


def _name(node: ast.Assign | ast.AnnAssign) -> str:
    return _source(node.targets[0] if isinstance(node, ast.Assign) else node.target)


def _prose(docstring: str | None, whole: bool) -> list[str]:
    """The paragraphs of a docstring; of one in sections, an example as code and the others as lists."""
    text = textwrap.dedent(docstring or "").strip()
    if not whole:
        return [text.partition("\n\n")[0]] if text else []
    return [part for part in re.split(r"\n{2,}(?![ ])", _SECTION.sub(_section, f"{text}\n").strip()) if part]


def _section(found: re.Match[str]) -> str:
    inside = textwrap.dedent(found[2]).strip()
    if found[1] == "Example":
        return f"{_code(inside)}\n"
    items = re.sub(r"^(?=\S)", "- ", inside, flags=re.MULTILINE)
    return f"{found[1]}:\n\n{items}\n"


def _code(text: str) -> str:
    return f"```python\n{text}\n```"
