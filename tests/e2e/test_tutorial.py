"""The tutorial on publishing a plugin, followed to the letter: every command and listing of the page, in fresh environments.

Nothing is fetched. The environments find what gancore depends on in the interpreter that runs the tests, but not gancore
itself, which is installed from a copy of its sources as the page says.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import threading
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support import forked

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "tutorials" / "publish-a-plugin.md"
FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMANDS, NOT_RUN = "Terminal", "Terminal, with an account"
SECONDS = 900.0

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("bash") is None, reason="the page's commands are for bash"),
]


class Shell:
    """One bash, so that `cd` and `source` last from block to block.

    What imports torch runs beside it: the program that this bash finds, with its variables and in its folder, forked from one that
    has torch imported.
    """

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            cwd=folder,
            env=environment,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.watchdog = threading.Timer(SECONDS, self.process.kill)
        self.watchdog.daemon = True
        self.watchdog.start()
        self.folder = folder

    def run(self, commands: str) -> str:
        """What the lines printed; the first that fails ends the test."""
        return "".join(self._line(line) for line in commands.splitlines() if line)

    def _line(self, line: str) -> str:
        if not re.match(r"gan |python (?!-m venv )", line):
            return self._bash(line)
        variables = dict(v.split("=", 1) for v in self._bash("env --null").rstrip("\n\0").split("\0"))
        name, *arguments = shlex.split(line)
        [program] = self._bash(f"type -P {name}").split()
        if name == "gan":
            arguments.insert(0, program)
        done = forked.run(
            str(Path(program).with_name("python")), arguments, cwd=self.folder, env=variables, timeout=SECONDS
        )
        assert done.returncode == 0, f"exit {done.returncode}: {line}\n{done.stdout}\n{done.stderr}"
        return done.stderr + done.stdout

    def _bash(self, line: str) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f'{{ {line}; }} < /dev/null\nprintf "\\n@@ %s %s\\n" "$?" "$PWD"\n')
        self.process.stdin.flush()
        printed = []
        for printed_line in self.process.stdout:
            if printed_line.startswith("@@ "):
                _, code, folder = printed_line.rstrip("\n").split(" ", 2)
                self.folder = Path(folder)
                assert code == "0", f"exit {code}: {line}\n{''.join(printed)}"
                return "".join(printed)
            printed.append(printed_line)
        raise AssertionError(f"the shell ended in: {line}\n{''.join(printed)}")

    def close(self) -> None:
        self.watchdog.cancel()
        self.process.communicate()


@dataclass
class Followed:
    """What following the page has left behind, and what each line of its last command in a block printed."""

    folder: Path
    printed: dict[str, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    trees: list[str] = field(default_factory=list)

    @property
    def package(self) -> Path:
        return self.folder / "gan-tides"

    @property
    def elsewhere(self) -> Path:
        return self.folder / "elsewhere"

    def said(self, command: str) -> str:
        """What the block printed in which `command` stands, which is found once."""
        [block] = [b for b in self.printed if command in b.splitlines()]
        return self.printed[block]


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Followed]:
    folder = tmp_path_factory.mktemp("tutorial")
    dependencies = _all_but_gancore(folder / ".dependencies")
    _copy_sources(folder / "gancore")
    result = Followed(folder)
    shell = Shell(folder, _environment())
    try:
        for language, attributes, text in FENCE.findall(PAGE.read_text(encoding="utf-8")):
            title = re.search(r'title="([^"]+)"', attributes)
            if title is None:
                assert language == "text", f"a listing without a title: {text}"
                result.trees.append(text)
            elif title[1] == NOT_RUN:
                result.left_out.append(text)
            elif title[1] == COMMANDS:
                if "pip install gan-tides" in text:  # from an index that has it, by somebody who has it not
                    index = result.package / "dist"
                    shell.run(f"pip uninstall --yes gan-tides\nexport PIP_FIND_LINKS='{index}'")
                result.printed[text] = shell.run(text)
                for site in shell.folder.glob(".venv/lib/python*/site-packages"):
                    _give(site, dependencies)
            else:
                _apply(result.package / title[1], text)
        yield result
    finally:
        shell.close()


def _environment() -> dict[str, str]:
    outer = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "GAN_DISABLE_PLUGINS", "PYTEST_ADDOPTS")
    return {k: v for k, v in os.environ.items() if k not in outer and not k.startswith("PIP_")} | {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_NO_COMPILE": "1",  # what is imported is compiled then
        "PIP_NO_BUILD_ISOLATION": "0",  # pip reads this as "no isolation": the build backend is here already
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "160",
    }


def _all_but_gancore(folder: Path) -> Path:
    """A folder with links to everything that is installed beside gancore."""
    folder.mkdir()
    own = re.compile(r"_*(gancore|editable_impl_gancore)\b.*|gan_\w+|gan[_-].*info|.*\.pth|pip\b.*|__pycache__")
    for place in dict.fromkeys(sysconfig.get_path(key) for key in ("purelib", "platlib")):
        for entry in Path(place).iterdir():
            if not own.fullmatch(entry.name) and not (folder / entry.name).exists():
                (folder / entry.name).symlink_to(entry)
    return folder


def _give(site: Path, dependencies: Path) -> None:
    """Let a new environment find what gancore depends on."""
    if not (site / "dependencies.pth").exists():
        for old in (*site.glob("setuptools*"), *site.glob("distutils-precedence.pth")):  # too old for torch
            shutil.rmtree(old) if old.is_dir() else old.unlink()
        (site / "dependencies.pth").write_text(f"{dependencies}\n")


def _copy_sources(folder: Path) -> None:
    folder.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    for name in ("gancore", "plugins", "cli"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))


# --- listings that change a file ----------------------------------------------------------------------------------------


def _name(statement: ast.stmt) -> str | None:
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return statement.name
    if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
        return statement.targets[0].id
    return None


def _parts(text: str) -> list[tuple[str | None, str]]:
    """Top-level statements with their names, decorators, and comments and texts that follow."""
    lines = text.splitlines(keepends=True)
    statements = ast.parse(text).body
    starts: list[tuple[str | None, int]] = []
    for statement in statements:
        explains = isinstance(statement, ast.Expr) and starts and starts[-1][0] is not None
        if not explains:
            decorators = [d.lineno for d in getattr(statement, "decorator_list", [])]
            starts.append((_name(statement), min([statement.lineno, *decorators]) - 1))
    ends = [start for _, start in starts[1:]] + [len(lines)]
    return [(name, "".join(lines[start:end])) for (name, start), end in zip(starts, ends, strict=True)]


def _apply(path: Path, listing: str) -> None:
    """A new file, or the rule of the page: what has the name of something takes its place; new names and imports are added."""
    if not path.exists():
        path.write_text(listing, encoding="utf-8")
        return
    parts, waiting, imports = _parts(path.read_text(encoding="utf-8")), "", ""
    changed = 0
    for name, text in _parts(listing):
        places = [i for i, (known, _) in enumerate(parts) if known is not None and known == name]
        if places:
            parts[places[0]] = (name, waiting + text.rstrip("\n") + "\n\n\n")
            waiting, changed = "", changed + 1
        elif name is None:
            assert text.startswith(("from ", "import ")), f"{path.name}: neither a definition nor an import: {text}"
            imports += text.strip() + "\n"
        else:
            waiting += text
    assert changed, f"{path.name}: the listing replaces nothing"
    assert not waiting, f"{path.name}: nothing of the listing uses {waiting}"
    last = max(i for i, (_, text) in enumerate(parts) if text.startswith(("from ", "import ")))
    parts[last] = (None, parts[last][1].rstrip("\n") + "\n" + imports + "\n\n")
    path.write_text("".join(text for _, text in parts), encoding="utf-8")


# --- what came of it ----------------------------------------------------------------------------------------------------


def test_only_the_upload_is_left_out(followed: Followed) -> None:
    assert followed.left_out == ["pip install twine\ntwine upload ../gan-tides/dist/*\n"]


def test_the_package_has_the_files_that_the_page_lists(followed: Followed) -> None:
    [tree] = followed.trees
    named = set(re.findall(r"[\w./-]*\.\w+", re.sub(r"   .*", "", tree)))
    named |= {"README.md", ".gitignore", ".github/workflows/test.yml"}
    assert {"pyproject.toml", "gan_tides/losses.py", "tests/test_tides.py"} <= named
    assert all((followed.package / name).is_file() for name in named)


def test_its_tests_pass_as_it_comes_and_with_the_edits(followed: Followed) -> None:
    whole = re.search(r"(\d+) passed", followed.said("python -m pytest"))
    own = re.search(r"(\d+) passed", followed.said('python -m pytest -k "not contract"'))
    assert whole is not None
    assert own is not None
    assert int(whole[1]) > 50
    assert int(own[1]) == 5


def test_samples_come_close_to_the_data(followed: Followed) -> None:
    assert 0.0 < float(followed.said("python look.py runs/tides-001").split()[-1]) < 0.1
    assert 0.0 < float(followed.said("python look.py runs/tides-003").split()[-1]) < 0.2
    first, last = (followed.package / f"runs/tides-001/samples/step-{n:08d}.png" for n in (0, 1000))
    assert first.read_bytes() != last.read_bytes()


def test_samples_are_files_that_the_plugin_writes(followed: Followed) -> None:
    files = sorted((followed.package / "runs/tides-001/generated/001").glob("*.csv"))
    assert len(files) == 16
    assert all(len(file.read_text().split(",")) == 32 for file in files)


def test_measured_levels_train_and_the_broken_line_is_told(followed: Followed) -> None:
    said = followed.said("gan run --plugin tides --data levels.csv --steps 300")
    assert "200 samples from 201 found, 1 skipped" in said
    assert "line 201" in said
    assert (followed.package / "runs/tides-002/samples/step-00000300.png").is_file()


def test_the_new_option_is_listed_and_written_down(followed: Followed) -> None:
    assert "How far real and fake logits should lie apart." in followed.said("gan options --plugin tides loss.ralsgan")
    config = tomllib.loads((followed.package / "runs/tides-003/config.toml").read_text())
    assert config["loss"] == {"name": "ralsgan", "margin": 0.5}
    assert config["data"]["length"] == 48


def test_the_edited_plugin_keeps_the_contract(followed: Followed) -> None:
    said = followed.said("gan plugins check tides")
    assert " 0 failed" in said


def test_the_wheel_works_elsewhere(followed: Followed) -> None:
    [wheel] = (followed.package / "dist").iterdir()
    assert wheel.name == "gan_tides-0.1.0-py3-none-any.whl"
    assert "gan_tides" in followed.said("gan plugins")
    assert (followed.elsewhere / "runs/tides-001/samples/step-00000200.png").is_file()


def test_users_install_it_by_name_and_use_its_loss_on_pictures(followed: Followed) -> None:
    assert "Successfully installed gan-tides-0.1.0" in followed.said("pip install gan-tides")
    [module] = followed.elsewhere.glob(".venv/lib/python*/site-packages/gan_tides/losses.py")
    assert "margin" in module.read_text()
    run = followed.elsewhere / "runs/image-001"
    assert tomllib.loads((run / "config.toml").read_text())["loss"] == {"name": "tides:ralsgan", "margin": 0.5}
    assert (run / "samples/step-00000020.png").is_file()
