"""`gan new-plugin`: the package of a new plugin that installs, passes its tests and trains as it is.

The files come from `gan_cli/skeleton/`: those of `common` and of one modality. `dot_x` there becomes `.x`, `module` the
plugin's module, `stem` the name as part of one, and `$name` and the like are filled in.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from gancore.errors import RunFolderError, UnknownNameError, UsageError
from gancore.plugins import BUILTIN, Registry
from gancore.run import check_free

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

MODALITIES = {"continuous": "numbers in a range", "discrete": "sequences of symbols"}
LONGEST = 40
SUFFIX = ".tmpl"
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_RESERVED = {BUILTIN: "the engine's own name", "none": "the word that takes a component out"}


@dataclass(frozen=True, slots=True)
class NewPlugin:
    """What has been written: `folder` and, relative to it, `files`."""

    name: str
    folder: Path
    files: tuple[Path, ...]

    @property
    def package(self) -> str:
        """What people will install."""
        return f"gan-{self.name}"

    @property
    def module(self) -> str:
        """What Python imports."""
        return module_of(self.name)


def module_of(name: str) -> str:
    """The import name of the plugin `name`: `tide-levels` is `gan_tide_levels`."""
    return f"gan_{name.replace('-', '_')}"


def suggestion(text: str) -> str:
    """The plugin name nearest to `text`: `Gan Waves!` is `waves`; empty where nothing of it can be kept."""
    plain = unicodedata.normalize("NFKD", text.casefold()).encode("ascii", "ignore").decode()
    words = re.sub(r"[^a-z0-9]+", "-", plain).lstrip("0123456789-")
    while words.startswith("gan-"):
        words = words.removeprefix("gan-").lstrip("0123456789-")
    name = words[:LONGEST].strip("-")
    return "" if name in _RESERVED else name


def check_name(name: str) -> None:
    """Make sure that a plugin can be called `name` here.

    Raises:
        UsageError: it is not a name, or is taken; the message says by what.
    """
    wrong = _fault(name)
    if wrong:
        better = suggestion(name)
        advice = f"try '{better}'" if better and better != name else "choose another, such as 'waves'"
        raise UsageError(f"a plugin cannot be called '{name}': {wrong}; {advice}")
    for plugin in Registry().installed():
        if plugin.name == name:
            owner = f"{plugin.distribution} {plugin.version}".strip() or plugin.module
            raise UsageError(f"the plugin name '{name}' is taken by the installed package {owner}; choose another")
    if importlib.util.find_spec(module_of(name)) is not None:
        raise UsageError(
            f"a plugin '{name}' would be the module {module_of(name)}, and one of that name can be imported already;"
            " choose another name"
        )


def _fault(name: str) -> str:
    """What is wrong with a name by itself; empty for a good one."""
    if name in _RESERVED:
        return f"that is {_RESERVED[name]}"
    if name.startswith("gan-"):
        return "'gan-' comes before it in the package's name anyway"
    if len(name) > LONGEST:
        return f"it has {len(name)} characters, more than {LONGEST}"
    if not _NAME.fullmatch(name):
        return "names are lower-case letters, digits and single hyphens, and begin with a letter"
    return ""


def create(name: str, modality: str, out: Path | None) -> NewPlugin:
    """Write the package into `out`, or into `gan-NAME` here: all of it or nothing.

    Raises:
        UsageError: the name cannot be used, or there is no such modality.
        RunFolderError: the folder has something in it, or cannot be written.
    """
    check_name(name)
    if modality not in MODALITIES:
        raise UnknownNameError("modality", modality, MODALITIES)
    target = Path(f"gan-{name}") if out is None else out
    check_free(target)
    values = {"name": name, "package": f"gan-{name}", "module": module_of(name), "stem": name.replace("-", "_")}
    written = []
    try:
        with _all_or_nothing(target.absolute()) as folder:
            for path, text in _filled(modality, values):
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_text(text, encoding="utf-8", newline="\n")
                written.append(path)
    except OSError as error:
        cause = error.strerror or str(error)
        raise RunFolderError(f"'{target}' cannot be written ({cause}); choose another --out") from error
    return NewPlugin(name, target, tuple(sorted(written)))


def next_commands(made: NewPlugin) -> str:
    """What to type next, for people."""
    commands = [
        f"cd {shlex.quote(str(made.folder))}",
        "pip install -e '.[test]'",
        "python -m pytest",
        f"gan plugins check {made.name}",
        f"gan run --plugin {made.name}",
    ]
    return "\n".join([f"{len(made.files)} files in {made.folder}; go on with", *(f"  {line}" for line in commands)])


def _filled(modality: str, values: dict[str, str]) -> Iterator[tuple[Path, str]]:
    """Paths in the new package, and what belongs there."""
    skeleton = files("gan_cli") / "skeleton"
    for part in ("common", modality):
        for path, source in _templates(skeleton / part, Path()):
            renamed = [re.sub(r"^dot_", ".", p).replace("stem", values["stem"]) for p in path.parts]
            place = Path(*[values["module"] if p == "module" else p for p in renamed])
            yield place, Template(source.read_text(encoding="utf-8")).substitute(values)


def _templates(folder: Traversable, below: Path) -> Iterator[tuple[Path, Traversable]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _templates(entry, below / entry.name)
        elif entry.name.endswith(SUFFIX):
            yield below / entry.name.removesuffix(SUFFIX), entry


@contextmanager
def _all_or_nothing(target: Path) -> Iterator[Path]:
    """A folder beside `target` that takes its place if all goes well, and goes away with all it holds otherwise."""
    missing = [p for p in target.parents if not p.exists()]
    draft = target.parent / f".{target.name}.{os.getpid()}.tmp"
    try:
        draft.mkdir(parents=True)
        yield draft
        if target.exists():
            target.rmdir()  # it is empty; not every system lets a folder take the place of one
        draft.rename(target)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        for parent in missing:
            with suppress(OSError):
                parent.rmdir()
        raise
