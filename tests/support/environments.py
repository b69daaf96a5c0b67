"""Fresh environments: packages out of the listings of a page, real wheels, and a `venv` to install them into.

An environment takes what it lacks (torch, pydantic, pip's build backend) from the interpreter that runs the tests, so nothing is
fetched; whatever is installed into it comes first.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from support import forked

ROOT = Path(__file__).resolve().parents[2]
_LISTING = re.compile(r'^```\w+[^\n]*title="([^"\n]+)"[^\n]*\n(.*?)^```$', re.MULTILINE | re.DOTALL)


def listings(page: Path) -> dict[str, str]:
    """The titled blocks of code of a Markdown page, by title."""
    return dict(_LISTING.findall(page.read_text(encoding="utf-8")))


def packages(page: Path) -> dict[str, dict[str, str]]:
    """The packages whose files a page shows under titles such as `gan-rows/pyproject.toml`: files by package."""
    found: dict[str, dict[str, str]] = {}
    for title, text in listings(page).items():
        folder, _, file = title.partition("/")
        if file:
            found.setdefault(folder, {})[file] = text
    return found


def write_files(folder: Path, files: Mapping[str, str]) -> Path:
    """Write `files` (paths below `folder` to text); the folder."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def pyproject(
    name: str, modules: Iterable[str], entry_points: Mapping[str, Mapping[str, str]], summary: str = "For a test"
) -> str:
    """A `pyproject.toml` for a package of single modules with entry points by group."""
    tables = "".join(
        f'[project.entry-points."{group}"]\n' + "".join(f'{key} = "{value}"\n' for key, value in entries.items())
        for group, entries in entry_points.items()
    )
    only = ", ".join(f'"{module}.py"' for module in modules)
    return (
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        f'[project]\nname = "{name}"\nversion = "1.0"\ndescription = "{summary}"\n{tables}'
        f"[tool.hatch.build.targets.wheel]\nonly-include = [{only}]\n"
    )


def single_modules(name: str, modules: Mapping[str, str], **entry_points: Mapping[str, str]) -> dict[str, str]:
    """Files of a package of single modules: `single_modules("gan-a", {"a": source}, gancore={"a": "a"})`.

    `plugins` and `commands` stand for the groups `gancore` and `gancore.commands`.
    """
    groups = {{"plugins": "gancore", "commands": "gancore.commands"}[k]: v for k, v in entry_points.items()}
    files = {f"{module}.py": textwrap.dedent(source) for module, source in modules.items()}
    return {"pyproject.toml": pyproject(name, modules, groups), **files}


def build_wheel(source: Path, out: Path) -> Path:
    """The wheel of the package in folder `source`, built by hatchling in this interpreter."""
    before = set(out.glob("*.whl"))
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    [wheel] = set(out.glob("*.whl")) - before
    return wheel


@dataclass(frozen=True)
class Environment:
    """A virtual environment in `folder`. Its commands run where they are told to, as a user types them."""

    folder: Path

    @property
    def scripts(self) -> Path:
        return self.folder / ("Scripts" if sys.platform == "win32" else "bin")

    @property
    def python(self) -> Path:
        return self.scripts / "python"

    @property
    def site_packages(self) -> Path:
        return Path(sysconfig.get_path("purelib", vars={"base": str(self.folder)}))

    def install(self, *wheels: Path) -> None:
        """Install wheels, all at once and without looking at what they depend on, nor at what the parent has."""
        self.run("python", "-m", "pip", "install", "--no-deps", "--ignore-installed", *wheels, cwd=self.folder)

    def run(
        self, command: str, *arguments: object, cwd: Path, code: int = 0, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command that the environment has, with `variables` added to the environment variables.

        Raises:
            AssertionError: it exits with another code than `code`; all that it printed is in the message.
        """
        done = subprocess.run(
            [str(self.scripts / command), *map(str, arguments)],
            cwd=cwd,
            env=self._variables() | variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=240,
        )
        return _ended(done, code)

    def fork(self, *arguments: object, cwd: Path, code: int = 0, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run `python` with `arguments`, from one that has torch imported; `run("python", ...)` would be from the beginning."""
        variables = self._variables() | variables
        return _ended(forked.run(str(self.python), [*map(str, arguments)], cwd=cwd, env=variables), code)

    def gan(self, *arguments: object, cwd: Path, code: int = 0, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run `gan`, installed in this environment, likewise."""
        return self.fork(self.scripts / "gan", *arguments, cwd=cwd, code=code, **variables)

    def _variables(self) -> dict[str, str]:
        # What the tests' own interpreter was started with must not reach into the environment.
        kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME", "GAN_DISABLE_PLUGINS")}
        return kept | {
            "PATH": os.pathsep.join([str(self.scripts), kept.get("PATH", "")]),
            "VIRTUAL_ENV": str(self.folder),
            # `pip install .`, as a user types it, works without network: the build backend is here already.
            "PIP_NO_INDEX": "1",
            "PIP_NO_BUILD_ISOLATION": "0",  # pip reads this as "no isolation"
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "OMP_NUM_THREADS": "1",
            "GAN_CACHE_DIR": str(self.folder / "cache"),
            "COLUMNS": "200",
        }


def make_environment(folder: Path) -> Environment:
    """A fresh virtual environment, to which everything of this interpreter is visible but for what it installs itself."""
    # Without a pip of its own, which takes seconds to install: that of the parent installs into whichever runs it.
    command = [sys.executable, "-m", "venv", "--without-pip", str(folder)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    environment = Environment(folder)
    parents = dict.fromkeys(sysconfig.get_path(key) for key in ("purelib", "platlib"))
    lines = "".join(f"import site; site.addsitedir({parent!r})\n" for parent in parents)
    (environment.site_packages / "parent.pth").write_text(lines, encoding="utf-8")
    return environment


def _ended(done: subprocess.CompletedProcess[str], code: int) -> subprocess.CompletedProcess[str]:
    words = " ".join(map(str, done.args))
    assert done.returncode == code, f"{words}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


PLUGIN_COUNT, COMMAND_COUNT = 50, 10
MARKERS = "GAN_TEST_MARKERS"
"""The environment variable that names the folder in which packages of `many_packages` leave a file when they are imported."""


def many_packages(folder: Path) -> tuple[list[str], list[str]]:
    """Make 50 plugins and 10 commands look installed to whoever has `folder` in `PYTHONPATH`: their names.

    Each leaves a file in the folder `GAN_TEST_MARKERS` when it is imported; one plugin and one command then sleep for 5 seconds.
    """
    plugins = [f"plugin-{number:02d}" for number in range(PLUGIN_COUNT)]
    commands = [f"command-{number:02d}" for number in range(COMMAND_COUNT)]
    for name in [*plugins, *commands]:
        module = f"many_{name.replace('-', '_')}"
        lines = ["import os, pathlib, time", f"pathlib.Path(os.environ[{MARKERS!r}], {name!r}).touch()"]
        if name in (plugins[7], commands[3]):
            lines.append("time.sleep(5)")
        lines += ["from gancore import hookimpl", "from gancore.components import PluginInfo"]
        lines += ["@hookimpl", "def gan_plugin_info():", "    return PluginInfo(summary='One of many', api_version=1)"]
        lines += ["import typer", "app = typer.Typer()", "@app.command()", "def command():", "    print('called')"]
        group, value = ("gancore", module) if name in plugins else ("gancore.commands", f"{module}:app")
        head = f"Metadata-Version: 2.1\nName: gan-{name}\nVersion: 1.0\nSummary: One of many\n"
        info = f"gan_{name.replace('-', '_')}-1.0.dist-info"
        files = {
            f"{module}.py": "\n".join(lines) + "\n",
            f"{info}/METADATA": head,
            f"{info}/entry_points.txt": f"[{group}]\n{name} = {value}\n",
        }
        write_files(folder, files)
    return plugins, commands
