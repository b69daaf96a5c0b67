"""Samples of addresses, and the same samples again of the recipes that they leave."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, cached_property
from typing import Any

import torch
from torch import Tensor

from gancore.data.spec import Given
from gancore.errors import UsageError
from gancore.latent.address import Address, parts
from gancore.latent.curves import Directions, digest
from gancore.latent.on_demand import OnDemand
from gancore.latent.recipe import GivenFile, Recipe
from gancore.latent.resolving import codes_of, weights_of
from gancore.latent.space import Space
from gancore.random import derive
from gancore.sampling.drawing import CHUNK, draw, give_something, parts_of, settled
from gancore.sampling.generator import Generator


class Steering:
    """A trained generator whose samples are asked for by address.

    `directions` are those that edits go along, by name. `given` is what all samples are made for, where the data have a
    conditioning input; its first sample is for the position `first`, and so on.
    """

    def __init__(
        self, generator: Generator, directions: Directions | None = None, given: Given | None = None, first: int = 0
    ) -> None:
        self.generator, self.spec = generator, generator.spec
        self.directions: Directions = directions or {}
        self.device = next(generator.module.parameters()).device
        self.given = given
        known = None if given is None else parts_of(self.spec, settled(self.spec, given.x))
        self._parts = known and (lambda positions: known(positions - first))

    @cached_property
    def space(self) -> Space:
        """The codes of the generator; UsageError where it has none, or nothing is given to one that needs something."""
        if self.spec.given_shape is not None and self.given is None:
            raise UsageError(give_something(self.spec))
        return Space(self.generator.module, self.spec)

    def check(self) -> None:
        """Raise UsageError where samples can only be drawn: they are chosen among candidates, or there are no codes."""
        if self.generator.chooser is not None:
            raise UsageError(
                "samples of this run are chosen among random candidates, which cannot be steered; take each as it is made: "
                "candidates.count=1"
            )
        _ = self.space

    def sample(self, addresses: Sequence[Address]) -> Tensor:
        """Hard samples `[n, *shape]` on the CPU.

        Where all addresses are plain and count from 0, they are those of `Generator.sample`.

        Raises:
            UsageError: the generator cannot do what an address asks for, or something is named that there is not.
        """
        rows = [self._batch(addresses[start : start + CHUNK]) for start in range(0, len(addresses), CHUNK)]
        return torch.cat(rows)

    @property
    def drawing(self) -> dict[str, Any]:
        """How its samples are drawn, as their recipes have it."""
        how, chooser = self.generator.sampling, self.generator.chooser
        return {
            "sampling": {} if how is None else how.model_dump(mode="json"),
            "candidates": {} if chooser is None else chooser.options.model_dump(mode="json"),
            "judge": "" if chooser is None else chooser.weights,
        }

    def recipes(self, addresses: Sequence[Address], given: GivenFile | None = None) -> Sequence[Recipe]:
        """What `sample(addresses)` follows from, one for each; `given` is the file of what they are made for."""
        own, count = self.generator, len(addresses)
        common = {
            "run": "" if own.run is None else own.run.absolute().name,
            "step": own.step,
            "weights": own.weights,
            "device": self.device.type,
            "given": given,
            **self.drawing,
        }

        @cache
        def known(name: str) -> str:
            return digest(self.directions[name])

        def recipe(number: int) -> Recipe:
            address, start = addresses[number], number // CHUNK * CHUNK
            along = {name: known(name) for name in sorted(_edited(address)) if name in self.directions}
            place = {"batch": min(CHUNK, count - start), "row": number - start}
            return Recipe(address=address, directions=along, **common, **place)

        return OnDemand(count, recipe)

    def repeat(self, recipes: Sequence[Recipe]) -> Tensor:
        """The samples `[n, *shape]` that `recipes` were written for, bit for bit.

        Raises:
            UsageError: they are of other weights, drawn in another way, or of directions that have changed.
        """
        for recipe in recipes:
            self._check(recipe)
        # Of one kind and size of batch, the numbers of recipes for each row.
        waiting: dict[tuple[int, int | None], dict[int, list[int]]] = {}
        for number, recipe in enumerate(recipes):
            rows = waiting.setdefault((recipe.batch, _kind(recipe.address)), {})
            rows.setdefault(recipe.row, []).append(number)
        found: dict[int, Tensor] = {}
        for (size, _), rows in waiting.items():
            while places := {row: numbers.pop() for row, numbers in rows.items() if numbers}:
                spare = next(iter(places.values()))
                batch = self._batch([recipes[places.get(row, spare)].address for row in range(size)])
                found |= {number: batch[row] for row, number in places.items()}
        return torch.stack([found[number] for number in range(len(recipes))])

    def _batch(self, addresses: Sequence[Address]) -> Tensor:
        """Samples of one batch, of at most `CHUNK`."""
        own = self.generator
        positions = torch.tensor([address.position for address in addresses])
        if addresses[0].plain and len({_kind(address) for address in addresses}) == 1:
            weights = [weights_of(self.spec, address) for address in addresses]
            classes = None if weights[0] is None else torch.stack([w for w in weights if w is not None]).argmax(dim=1)
            seed = derive(addresses[0].seed or 0, "sample")
            return draw(
                own.module, self.spec, len(addresses), seed, classes, self._parts, own.sampling, own.chooser, positions
            )
        self.check()
        codes = codes_of(self.space, addresses, self.directions)
        part = None if self._parts is None else self._parts(positions.to(self.device))
        return self.space.samples(codes, part, own.sampling)

    def _check(self, recipe: Recipe) -> None:
        own = self.generator
        if recipe.weights and own.weights and recipe.weights != own.weights:
            raise UsageError(
                f"this recipe is of other weights than those of step {own.step:,} here: of step {recipe.step:,} of run "
                f"'{recipe.run}', or of the same run trained anew"
            )
        if recipe.drawing != self.drawing:
            if {**self.drawing, "judge": recipe.judge} == recipe.drawing:
                raise UsageError(
                    "the sample of this recipe was chosen by a discriminator of other weights than the one here"
                )
            said = " ".join(f"{name}.{key}={v}" for name, one in recipe.options.items() for key, v in one.items())
            raise UsageError(
                f"the sample of this recipe was drawn otherwise than this generator does; load it with {said}"
            )
        for name, known in recipe.directions.items():
            if name in self.directions and digest(self.directions[name]) != known:
                raise UsageError(
                    f"direction '{name}' is another one than when this recipe was written; keep a copy of the run's directions "
                    "before you find new ones"
                )


def _kind(address: Address) -> int | None:
    """The seed of a plain address: those of one seed are drawn together, and all others."""
    return address.seed if address.plain else None


def _edited(address: Address) -> set[str]:
    return set(address.edits).union(*map(_edited, parts(address)))


def seeds(count: int, seed: int = 0, **common: object) -> Sequence[Address]:
    """The addresses of samples 0 to `count` - 1 of `seed`, as `gan sample` counts them; `common` are fields of all of them."""
    first = Address(seed=seed, **common)
    return OnDemand(count, lambda number: first.model_copy(update={"position": number}))
