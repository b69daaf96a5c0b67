"""Who imports whom, also inside of functions: no circles, and nothing upstream imports what comes after it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PLUGINS = tuple(sorted(p.parent.name for p in ROOT.glob("plugins/*/__init__.py")))
PACKAGES = {"gancore": ROOT, "gan_cli": ROOT / "cli"} | dict.fromkeys(PLUGINS, ROOT / "plugins")
PAGE = ROOT / "docs" / "explanation" / "architecture.md"


@cache
def imports() -> dict[str, set[str]]:
    """Every module of this project by its name, and those of them that it imports where it runs, at its top or in a function."""
    files = {}
    for package, parent in PACKAGES.items():
        for file in (parent / package).rglob("*.py"):
            files[".".join(file.relative_to(parent).with_suffix("").parts).removesuffix(".__init__")] = file
    return {
        name: {found for found in imported(ast.parse(file.read_text(encoding="utf-8")), files) if found != name}
        for name, file in files.items()
    }


def imported(node: ast.AST, known: dict[str, Path]) -> Iterator[str]:
    """The modules among `known` that are imported below `node`; those for types alone are not."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        names = [alias.name for alias in child.names] if isinstance(child, ast.Import | ast.ImportFrom) else []
        if isinstance(child, ast.ImportFrom):
            assert child.module is not None
            assert child.level == 0, f"a relative import of {child.module}: imports are absolute in this project"
            full = [f"{child.module}.{name}" for name in names]
            names = [name if name in known else child.module for name in full]
        yield from (name for name in names if name in known)
        yield from imported(child, known)


def pairs(package: str) -> set[tuple[str, str]]:
    """What modules of `package` import: module and imported module."""
    return {(a, b) for a, found in imports().items() if a.split(".")[0] == package for b in found}


def order() -> list[set[str]]:
    """The groups of gancore's modules and packages, in the order in which the page on the architecture lists them."""
    section = PAGE.read_text(encoding="utf-8").split("## In which order modules are read", 1)[1].split("\n## ", 1)[0]
    groups = re.findall(r"^\d+\. (.*?): ", section, re.MULTILINE | re.DOTALL)
    return [set(re.findall(r"`(\w+)`", group)) for group in groups]


def test_no_module_imports_what_imports_it() -> None:
    try:
        TopologicalSorter(imports()).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(reversed(error.args[1])))


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_itself_and_the_engine_alone(package: str) -> None:
    assert {b.split(".")[0] for _, b in pairs(package)} <= {package, "gancore"}


@pytest.mark.parametrize(
    ("upstream", "downstream"),
    [
        ("data", "engine"),
        ("nets", "engine"),
        ("losses", "engine"),
        ("games", "engine"),
        ("engine", "sampling"),
        ("sampling", "evaluator"),
    ],
)
def test_nothing_downstream_is_imported_upstream(upstream: str, downstream: str) -> None:
    assert not [
        (a, b) for a, b in pairs("gancore") if a.split(".")[1:2] == [upstream] and b.split(".")[1:2] == [downstream]
    ]


def test_every_module_of_the_engine_is_in_the_order_on_the_page_once() -> None:
    listed = [name for group in order() for name in group]
    assert sorted(listed) == sorted({m.split(".")[1] for m in imports() if m.startswith("gancore.")})


def test_modules_import_those_before_them_in_the_order_on_the_page() -> None:
    place = {name: number for number, group in enumerate(order(), 1) for name in group}
    wrong = [
        f"{a} ({place[a.split('.')[1]]}) imports {b} ({place[b.split('.')[1]]})"
        for a, b in sorted(pairs("gancore"))
        if "." in a and b.startswith("gancore.") and place[a.split(".")[1]] < place[b.split(".")[1]]
    ]
    assert wrong == []
