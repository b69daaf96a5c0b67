"""What people install: the wheel holds the packages and nothing else, the sdist what is needed to build and test."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", folder], cwd=ROOT, check=True, capture_output=True
    )
    return folder


def test_the_wheel_holds_every_module_and_nothing_else(built: Path) -> None:
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        names = wheel.namelist()
    packages = {
        "gancore": ROOT,
        "gan_audio": ROOT / "plugins",
        "gan_image": ROOT / "plugins",
        "gan_music": ROOT / "plugins",
        "gan_tensorboard": ROOT / "plugins",
        "gan_text": ROOT / "plugins",
        "gan_cli": ROOT / "cli",
    }
    assert {n.split("/")[0] for n in names if ".dist-info/" not in n} == set(packages)
    for package, parent in packages.items():
        sources = {
            p.relative_to(parent).as_posix()
            for p in (parent / package).rglob("*")
            if p.suffix in {".py", ".typed", ".tmpl"}
        }
        assert sources == {n for n in names if n.startswith(f"{package}/")}
    assert any(n.endswith("licenses/LICENSE") for n in names)


def test_the_wheel_declares_the_command_and_its_plugins_like_anyone_else(built: Path) -> None:
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        [name] = [n for n in wheel.namelist() if n.endswith("entry_points.txt")]
        text = wheel.read(name).decode()
    assert "gan = gan_cli:main" in text
    assert "audio = gan_audio" in text.partition("[gancore]")[2]
    assert "text = gan_text" in text.partition("[gancore]")[2]
    assert "image = gan_image" in text.partition("[gancore]")[2]


def test_the_sdist_holds_sources_tests_and_docs(built: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as sdist:
        names = {n.partition("/")[2] for n in sdist.getnames()}
    tops = {n.split("/")[0] for n in names}
    assert tops <= {
        "gancore", "plugins", "cli", "tests", "docs", "benchmarks", "mkdocs.yml", "LICENSE", "README.md", "pyproject.toml",
        "PKG-INFO", ".gitignore",
    }  # fmt: skip
    assert {
        "gancore/hookspecs.py",
        "plugins/gan_image/__init__.py",
        "tests/test_packaging.py",
        "docs/index.md",
    } <= names
    assert not any("__pycache__" in n or n.endswith(".pyc") for n in names)


def test_what_is_imported_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [d for name, d in project["optional-dependencies"].items() if name not in {"test", "dev", "docs"}]
    always, sometimes = _names(project["dependencies"]), _names([d for extra in extras for d in extra])
    declared = always | sometimes
    known_as = {"PIL": "pillow", "sklearn": "scikit-learn", "tomli_w": "tomli-w", "pydantic_core": "pydantic"}
    own = {"gancore", "gan_audio", "gan_image", "gan_music", "gan_tensorboard", "gan_text", "gan_cli"}
    imported = set()
    for folder in ("gancore", "plugins", "cli"):
        for path in (ROOT / folder).rglob("*.py"):
            for line in path.read_text().splitlines():
                words = line.split()
                if len(words) > 1 and words[0] in {"import", "from"} and not line.lstrip().startswith("from ."):
                    imported.add(package := words[1].split(".")[0].rstrip(","))
                    assert package not in sometimes or line[0].isspace(), f"{path} needs {package}, which is an extra"
    declared.add("pytest")  # only the kit's, for suites that are run by pytest
    outside = {m for m in imported - own if m not in sys.stdlib_module_names and m != "__future__" and m.isidentifier()}
    assert {known_as.get(m, m) for m in outside} <= declared


def _names(requirements: list[str]) -> set[str]:
    return {r.split(">")[0].split("<")[0].split("[")[0].lower() for r in requirements}
