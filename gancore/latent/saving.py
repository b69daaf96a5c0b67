"""Samples in files that carry the recipes by which they can be made again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from gancore.data.spec import Given, SampleSpec
from gancore.errors import UsageError
from gancore.latent.address import Address
from gancore.latent.on_demand import OnDemand
from gancore.latent.recipe import SIDECAR, Recipe, sidecar
from gancore.sampling.generator import ANY, Generator
from gancore.sampling.writing import blamed, of_role, write_captioned
from gancore.storage import replacing

WALK = "walk"


def save(
    generator: Generator,
    samples: Tensor,
    recipes: Sequence[Recipe],
    folder: Path,
    given: Given | None = None,
) -> tuple[list[Path], list[Path]]:
    """Write hard `samples` into `folder`, which is new: a file each and a sheet, as far as the run has writers, and the recipes.

    Returns:
        The files, and the sheets.
    """
    labels = labels_of(generator.spec, [recipe.address for recipe in recipes])
    roles = {chosen.found.record.role for chosen in generator.settings.writers.values()}
    texts = OnDemand(len(recipes), lambda number: recipes[number].text())
    files: list[Path] = []
    if given is not None and given.names:
        # A recipe says of which it was made by its position, wherever it stands among others.
        given = replace(given, names=tuple(given.names[r.address.position % len(given)] for r in recipes))
    if "each" in roles:
        files = generator.save(samples, folder, labels, given=given, texts=texts)
    sheets = save_sheets(generator, samples, recipes, folder, given) if "sheet" in roles else []
    write_sidecar(folder, [file.name for file in files], recipes)
    return files, sheets


def save_sheets(
    generator: Generator, samples: Tensor, recipes: Sequence[Recipe], folder: Path, given: Given | None
) -> list[Path]:
    """Write hard `samples` on sheets in `folder`, by the run's writers of these: between domains each beside what it was made of.

    `given.names` are of the samples, not of what is given.
    """
    labels = labels_of(generator.spec, [recipe.address for recipe in recipes])
    texts = OnDemand(len(recipes), lambda number: recipes[number].text())
    if given is None or not generator.spec.domains or labels is None:
        return generator.save(samples, folder / f"sheet{ANY}", labels, given=given, texts=texts)
    rows = torch.tensor([recipe.address.position % len(given) for recipe in recipes])
    names = given.names or [""] * len(recipes)
    words = [f"to {generator.spec.domains[label]}" for label in labels.tolist()]
    return beside(generator, given.x[rows], samples, list(zip(names, words, strict=True)), folder, "", texts)


def save_pairs(
    generator: Generator,
    originals: Tensor,
    samples: Tensor,
    recipes: Sequence[Recipe],
    folder: Path,
    names: Sequence[str],
) -> list[Path]:
    """Write hard `samples` and their recipes into `folder`, which is new, and each beside its original `[n, ...]` on a sheet.

    `names` are of the originals.

    Returns:
        The files of samples, and then the sheets, as far as the run has writers.
    """
    roles = {chosen.found.record.role for chosen in generator.settings.writers.values()}
    labels = labels_of(generator.spec, [recipe.address for recipe in recipes])
    texts = OnDemand(len(recipes), lambda number: recipes[number].text())
    files = generator.save(samples, folder, labels, texts=texts) if "each" in roles else []
    write_sidecar(folder, [file.name for file in files], recipes)
    words = [(name, "projection") for name in names]
    return [*files, *beside(generator, originals, samples, words, folder, "Originals and projections", texts)]


def beside(
    generator: Generator,
    originals: Tensor,
    samples: Tensor,
    words: Sequence[tuple[str, str]],
    folder: Path,
    title: str,
    texts: Sequence[str],
) -> list[Path]:
    """Write hard `originals` `[n, ...]`, each with what became of it to the right, as sheets in `folder`, by the run's writers of
    these.

    `words` are captions of both, where a writer can write them.
    """
    pairs = torch.stack([originals, samples], dim=1).flatten(0, 1)
    captions = [one[-20:] for pair in words for one in pair]
    columns = 2 * math.isqrt(len(words))  # so that no pair is torn apart
    files: list[Path] = []
    for chosen in of_role(generator.settings, "sheet"):
        with blamed(chosen, folder):
            files += write_captioned(chosen, generator.spec, pairs, folder, "sheet", captions, columns, title, texts)
    return files


def save_walk(
    generator: Generator, samples: Tensor, recipes: Sequence[Recipe], folder: Path, *, each: bool
) -> list[Path]:
    """Write the frames of a walk into `folder`, which is new: in one file, or on a sheet where no writer makes one, and the recipes.

    With `each` also a file a frame.
    """
    role = walk_role(generator, each=each)
    texts = OnDemand(len(recipes), lambda number: recipes[number].text())
    files = generator.save(samples, folder, texts=texts, stem="frame") if each else []
    whole = generator.save(samples, folder / f"{WALK}{ANY}", role=role, texts=texts) if role else []
    write_sidecar(folder, [file.name for file in files], recipes)
    return [*whole, *files]


def walk_role(generator: Generator, *, each: bool) -> str:
    """The role of the writers that make a walk one file; empty where there are none.

    Raises:
        UsageError: so it is, and not `each` frame becomes a file either.
    """
    roles = {chosen.found.record.role for chosen in generator.settings.writers.values()}
    role = next((role for role in (WALK, "sheet") if role in roles), "")
    if not role and not (each and "each" in roles):
        raise UsageError(
            "no writer of this run makes walks or sheets" + ("" if each else "; take --each for a file a frame")
        )
    return role


def write_sidecar(folder: Path, names: Sequence[str], recipes: Sequence[Recipe]) -> Path:
    """Put `recipes` into `folder`, by the names of their files: as many as there are samples, of each writer; else by number."""
    count = len(recipes)
    if not names or len(names) % count:
        names = [f"{number:05d}" for number in range(count)]
    repeated = OnDemand(len(names), lambda number: recipes[number % count])

    def fill(path: Path) -> None:
        with path.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(sidecar(names, repeated))

    return replacing(folder / SIDECAR, fill)


def labels_of(spec: SampleSpec, addresses: Sequence[Address]) -> Tensor | None:
    """The classes `[n]` int64 of samples; None where there are none, or one is of several or of unknown ones."""
    if not spec.classes:
        return None
    found: list[int] = []
    for address in addresses:
        if address.classes is not None:
            found += [spec.classes.index(name) for name, weight in address.classes.items() if weight == 1.0]
        elif address.seed is not None:
            found.append(address.position % spec.class_count)
    return torch.tensor(found) if found and len(found) == len(addresses) else None
