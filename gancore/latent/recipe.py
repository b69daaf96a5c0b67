"""All that a sample of a run follows from, as text that travels with its file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from gancore.configuration.mistakes import explain
from gancore.configuration.settings import Settings
from gancore.data.files import scan, why_unreadable
from gancore.errors import ConfigError, UsageError
from gancore.latent.address import Address, Value
from gancore.powers import CarriesText
from gancore.sampling.drawing import CHUNK
from gancore.text import brief

SIDECAR = "recipes.json"
"""Beside files that cannot carry a text, and for all of a folder at once: recipes by the file's name."""
MOST_BYTES = 256 * 1024 * 1024
"""Of a file with recipes, at most."""


class GivenFile(Value):
    """The file of a conditioning input."""

    path: str = Field(description="Where it was.")
    sha256: str = Field(description="Digest of what was in it; of a folder, of the names and digests of its files.")


class Recipe(Value):
    """The address of a sample in a run, and what its last bits depend on.

    Networks round a little differently in batches of other sizes, so that a recipe says at which place of how many samples it was
    computed. On the same machine, with the same versions and number of threads, it gives the same sample, bit for bit.
    """

    gancore: int = Field(1, ge=1, le=1, description="Version of this form.")
    run: str = Field("", description="Name of the run's folder.")
    step: int = Field(ge=0, description="Step of the checkpoint.")
    weights: str = Field("", description="SHA-256 of the generator's weights.")
    device: str = Field("cpu", description="Kind of device.")
    address: Address = Field(description="Where the sample is in the generator's latent space.")
    directions: Mapping[str, str] = Field({}, description="SHA-256 of the directions that its edits go along.")
    sampling: Mapping[str, Any] = Field({}, description="How the generator draws samples, where it can be chosen.")
    candidates: Mapping[str, Any] = Field({}, description="How it was chosen among candidates, where it was.")
    judge: str = Field("", description="SHA-256 of the weights of the discriminator that chose it.")
    given: GivenFile | None = Field(None, description="What it was made for.")
    batch: int = Field(ge=1, le=CHUNK, description="How many samples were computed at once ...")
    row: int = Field(ge=0, lt=CHUNK, description="... and at which place among them, counted from 0.")

    @property
    def drawing(self) -> dict[str, Any]:
        """How it was drawn: what `gancore.latent.steering.Steering.drawing` says of a generator."""
        return {"sampling": self.sampling, "candidates": self.candidates, "judge": self.judge}

    @property
    def options(self) -> dict[str, Any]:
        """Options with which a generator is loaded that draws so."""
        return {"sampling": dict(self.sampling), "candidates": dict(self.candidates or {"count": 1})}

    def text(self) -> str:
        """As JSON in one line, without what is as ever."""
        return json.dumps(
            self.model_dump(mode="json", exclude_defaults=True) | {"gancore": self.gancore}, ensure_ascii=False
        )


def given_file(path: Path) -> GivenFile:
    """What a recipe says of the file, or the folder of files, at `path`, which has been read before.

    In a folder those files count that a data set there would have, and hidden ones do not.
    """
    if not path.is_dir():
        return GivenFile(path=str(path), sha256=_sha256(path))
    whole = hashlib.sha256()
    for entry in scan(path).entries:
        try:
            content = _sha256(path / entry.key)
        except OSError as error:  # left out with a warning, when it was read
            content = f"({why_unreadable(error)})"
        whole.update(f"{content} {entry.name}\n".encode())
    return GivenFile(path=str(path), sha256=whole.hexdigest())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def parse(text: str | bytes, where: str) -> list[Recipe]:
    """The recipes of a JSON text: one, a list of some, or those of files by their names. `where` names the text in messages.

    Raises:
        UsageError: it is no JSON, or no recipe.
        ConfigError: recipes with mistakes in them.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{where} holds no recipe: it is not JSON ({brief(str(error))})") from error
    if (
        isinstance(found, dict)
        and "address" not in found
        and found
        and all(isinstance(v, dict) for v in found.values())
    ):
        # A sample may have several files, a sound and its picture say.
        found = list({json.dumps(one, sort_keys=True): one for one in found.values()}.values())
    try:
        recipes = [Recipe.model_validate(one) for one in (found if isinstance(found, list) else [found])]
    except ValidationError as error:
        raise ConfigError(explain(error, Recipe, where), "recipe") from error
    except RecursionError as error:
        raise UsageError(f"{where} holds no recipe: it is nested too deeply") from error
    if not recipes:
        raise UsageError(f"{where} holds no recipe")
    for recipe in recipes:
        if recipe.row >= recipe.batch:
            raise UsageError(f"{where}: a recipe is at place {recipe.row} of a batch of {recipe.batch}, which has none")
    return recipes


def read(path: Path, settings: Settings, spec: Any) -> list[Recipe]:
    """The recipes in the file at `path`: JSON, or the one that a file of a sample carries.

    `settings` and `spec` are those of the run, whose writers know their files.

    Raises:
        UsageError: there is no file, or no recipe in it.
        ConfigError: recipes with mistakes in them.
    """
    if path.is_dir():
        path = path / SIDECAR
    if not path.is_file():
        raise UsageError(f"'{path}' does not exist; give a file that `gan sample` wrote, or {SIDECAR} beside it")
    if path.suffix.lower() != ".json":
        for writer in carriers(settings, spec):
            if (text := writer.text_of(path)) is not None:
                return parse(text, f"'{path}'")
        beside = path.parent / SIDECAR
        if beside.is_file() and path.name in (by_name := _by_name(beside)):
            return parse(json.dumps(by_name[path.name]), f"'{beside}'")
        raise UsageError(
            f"'{path}' carries no recipe; give a file that `gan sample` wrote, as it wrote it, or {SIDECAR}"
        )
    return parse(_content(path), f"'{path}'")


def carriers(settings: Settings, spec: Any) -> list[CarriesText]:
    """The run's writers whose files can carry a text."""
    built = [chosen.build(spec) for chosen in settings.writers.values() if chosen.found.record.role != "progress"]
    return [writer for writer in built if isinstance(writer, CarriesText)]


def sidecar(names: Sequence[str], recipes: Sequence[Recipe]) -> Iterator[str]:
    """The lines of a sidecar: `recipes` of files of these names."""
    yield "{\n"
    for number, (name, recipe) in enumerate(zip(names, recipes, strict=True), 1):
        yield f"{json.dumps(name, ensure_ascii=False)}: {recipe.text()}{',' if number < len(names) else ''}\n"
    yield "}\n"


def _by_name(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(_content(path))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _content(path: Path) -> bytes:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UsageError(f"'{path}' is too large to be recipes")
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"'{path}' could not be read: {error.strerror}") from error
