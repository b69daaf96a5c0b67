"""What `gan sample`, `gan walk` and `gan mix` do."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gan_cli.errors import say
from gan_cli.waiting import Counting, loading, waiting
from gancore.errors import CheckpointError, RunFolderError, UsageError
from gancore.storage import numbered_folder, whole_folder

if TYPE_CHECKING:
    from gancore.data.spec import Given
    from gancore.latent.address import Address, Code
    from gancore.latent.recipe import GivenFile, Recipe
    from gancore.latent.steering import Steering
    from gancore.sampling.generator import Generator

SAMPLES = 64
"""How many are drawn unless somebody says how many, or gives something for them."""
Step = int | Literal["best"] | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What every command that makes samples of a run is told."""

    run: Path
    out: Path | None = None
    step: Step = None
    device: str = "auto"
    given: Path | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    label: str | None = None
    truncation: float | None = None
    edits: Sequence[str] = ()

    @property
    def changes(self) -> bool:
        """Whether samples are to be other than a recipe says."""
        drawn = self.options.keys() & {"sampling", "candidates"}
        return self.label is not None or self.truncation is not None or bool(self.edits or drawn)


class Session:
    """A loaded generator, and the folder that samples go to."""

    def __init__(
        self,
        asked: Asked,
        into: str,
        in_turn: Counting | None = None,
        check: Callable[[Generator], None] = lambda generator: None,
    ) -> None:
        """`in_turn` is told how far it is where files that are given need not be in memory at once; `check` may refuse a generator."""
        self.asked, self.into = asked, into
        self.check, self.in_turn = check, in_turn
        self.stream: Callable[[], Iterator[Given]] | None = None
        """What reads the files that are given in turn; None where they are read at once, or nothing is given."""
        self.first: tuple[str, int] | None = None
        """The first file that named a sample, and the step that it is of."""
        from gancore.run import check_free, check_place
        from gancore.sampling.names import kind_of

        if asked.out is not None:
            check_free(asked.out)
            if suffix := kind_of(asked.out):
                raise UsageError(f"--out '{asked.out}' names a folder to make, for all files; leave '{suffix}' out")
        check_device(asked.device)
        self.steering = self._load(asked.step, asked.options)
        check_place(asked.out or asked.run / into)
        if asked.out is not None:
            from gancore.data.runs import check_apart

            check_apart(asked.out, self.steering.generator.settings.data_path)

    def _load(self, step: Step, options: Mapping[str, Any]) -> Steering:
        asked = self.asked
        with loading():
            from gancore.engine.build import check_writers
            from gancore.latent import directions
            from gancore.latent.steering import Steering
            from gancore.sampling.loading import load

        generator = load(asked.run, device=asked.device, step=step, options=options)
        roles = {chosen.found.record.role for chosen in generator.settings.writers.values()}
        if not roles & {"each", "sheet"}:
            raise UsageError(
                f"'{asked.run}' was trained without writers; add some to its config.toml, in the section [writers]"
            )
        check_writers(generator.settings, generator.spec)
        self.check(generator)
        if asked.given is not None and self.in_turn is not None:
            self.stream = generator.given_in_turn(asked.given, self.in_turn.reading)
        known = None if asked.given is None or self.stream is not None else generator.read_given(asked.given)
        try:
            kept = directions.load(asked.run)
        except RunFolderError as error:
            if asked.edits:
                raise
            kept = directions.Kept()
            warnings.warn(str(error), stacklevel=2)
        if asked.edits and (words := kept.warning(generator.step, generator.weights, asked.run)):
            warnings.warn(words, stacklevel=2)
        return Steering(generator, kept.steps, known)

    # --- addresses ---

    def numbered(self, number: int | None, seed: int) -> Sequence[Address]:
        """The first samples of a seed, with the classes, truncation and edits that are asked for."""
        from gancore.latent.on_demand import OnDemand
        from gancore.latent.steering import seeds

        own, known = self.steering.generator, self.steering.given
        count = number or (SAMPLES if known is None else len(known))
        plain, classes = seeds(count, seed), [{name: 1.0} for name in own.spec.classes]
        if known is not None:
            own.check_number(count, known)
        labels = None if self.asked.label is not None else own.labels(count, None, known)
        turns = None if labels is None else labels.tolist()

        def address(place: int) -> Address:
            one = plain[place]
            return self.revised(one if turns is None else one.model_copy(update={"classes": classes[turns[place]]}))

        return OnDemand(count, address)

    def in_order(
        self, number: int | None, seed: int, code: Code | None = None
    ) -> tuple[Path, list[Path], list[Path], int]:
        """Make and write samples for the files that are read in turn, `number` of them or one for each; see `sample`."""
        from gancore.latent.address import Address
        from gancore.latent.streaming import Stream, save_in_turn

        assert self.stream is not None
        assert self.asked.given is not None
        own, counting = self.steering.generator, self.in_turn
        assert counting is not None
        stream, names = Stream(own, self.stream, number), own.spec.classes
        if own.spec.domains and self.asked.label is None:
            own.labels(1, None, self.asked.given)  # which tells of them
        first = self.revised(Address(seed=seed) if code is None else Address(code=code))

        def address(position: int) -> Address:
            changes: dict[str, Any] = {"position": position}
            if self.asked.label is None and names:
                known = stream.class_of(position)
                changes["classes"] = {names[stream.turn(position) % len(names) if known is None else known]: 1.0}
            return first.model_copy(update=changes)

        with waiting("looking at what is given"):
            source = self.given()
        assert source is not None
        with self.new_folder() as folder:
            files, sheets, count, shown = save_in_turn(
                own, self.steering.directions, stream, address, folder, source, counting.made
            )
        if sheets and shown < count:
            say(f"{sheets[0].name} shows the first {shown:,} of {count:,}")
        return folder, files, sheets, count

    def named(self, text: str) -> Address:
        """What a text names: a seed, `SEED:NUMBER`, or a file that carries a recipe."""
        from gancore.latent.asking import seeded

        address = seeded(text)
        if address is None:
            recipes = self.recipes(Path(text))
            if len(recipes) > 1:
                raise UsageError(f"'{text}' has {len(recipes)} recipes; name the file of one sample")
            address, step = recipes[0].address, recipes[0].step
            first, first_step = self.first = self.first or (text, step)
            if self.asked.step is None and step != first_step:
                raise UsageError(
                    f"'{first}' is of step {first_step:,} and '{text}' of step {step:,}; say with --step which generator makes both"
                )
        return self.revised(address)

    def revised(self, address: Address) -> Address:
        from gancore.latent.asking import edits, mixture, revised

        asked = self.asked
        return revised(
            address,
            classes=None if asked.label is None else mixture(self.steering.spec, asked.label),
            truncation=asked.truncation,
            edits=edits(asked.edits),
        )

    def recipes(self, path: Path) -> list[Recipe]:
        """Those in a file, with the generator that they were written for."""
        from gancore.configuration.layers import merge
        from gancore.latent import recipe

        own = self.steering.generator
        found = recipe.read(path, own.settings, own.spec)
        first, asked = found[0], self.asked
        if any(_kind(one) != _kind(first) for one in found):
            raise UsageError(f"'{path}' has recipes of several checkpoints or ways of drawing; take them one by one")
        if (asked.step is None and first.step != own.step) or first.drawing != self.steering.drawing:
            step = first.step if asked.step is None else asked.step
            try:
                self.steering = self._load(step, merge(first.options, asked.options))
            except CheckpointError as error:
                raise CheckpointError(
                    f"'{path}' is of step {first.step:,}, and that checkpoint cannot be used any more ({error})"
                ) from error
        if first.given is not None and (
            asked.given is None or recipe.given_file(asked.given).sha256 != first.given.sha256
        ):
            raise UsageError(
                f"'{path}' was made for the file '{first.given.path}', as it was then; name that with --given"
            )
        return found

    # --- files ---

    @contextmanager
    def new_folder(self) -> Iterator[Path]:
        """That for what is written, taken back where the body fails."""
        out = self.asked.out
        if out is None:
            with numbered_folder(self.asked.run / self.into) as folder:
                yield folder
        else:
            from gancore.run import check_free

            check_free(out)  # as it was when all this began
            with whole_folder(out):
                yield out

    def write(self, make: Callable[[Path], list[Path]], number: int) -> tuple[Path, list[Path]]:
        with self.new_folder() as folder, waiting(f"writing {number:,} samples"):
            return folder, make(folder)

    def saved(self, samples: Any, recipes: Sequence[Recipe]) -> tuple[Path, list[Path], list[Path]]:
        """Samples and their recipes in a new folder; that, the files and the sheets."""
        from gancore.latent.saving import save

        sheets: list[Path] = []

        def put(folder: Path) -> list[Path]:
            files, whole = save(self.steering.generator, samples, recipes, folder, self.steering.given)
            sheets.extend(whole)
            return files

        folder, files = self.write(put, len(recipes))
        return folder, files, sheets

    def drawn(self, addresses: Sequence[Address]) -> tuple[Any, Sequence[Recipe]]:
        """Samples of addresses, and their recipes."""
        with waiting(f"generating {len(addresses):,} samples"):
            samples = self.steering.sample(addresses)
        return samples, self.steering.recipes(addresses, self.given())

    def given(self) -> GivenFile | None:
        """What recipes say of the file that is given, where one is."""
        from gancore.latent.recipe import given_file

        return None if self.asked.given is None else given_file(self.asked.given)


def sample(
    asked: Asked,
    number: int | None,
    seed: int,
    recipe: Path | None = None,
    around: Path | None = None,
    spread: float = 0.3,
) -> tuple[Path, list[Path], list[Path], int]:
    """Write samples, a file each, and a sheet, as far as the run has writers.

    Those of `recipe` again, or `number` around the one of `around`, or the first `number` of `seed`; with `asked.given` without a
    `number` one for each part of it.

    Returns:
        The new folder, the files, the sheets, and how many samples there are.
    """
    from gancore.options import check_whole

    check_whole(seed, "the seed", 0)
    plain = recipe is None and around is None
    session = Session(asked, "generated", Counting("generating samples", number) if plain else None)
    from gancore.latent.asking import neighbours
    from gancore.sampling.generator import MOST

    check_whole(number or SAMPLES, "the number of samples", 1, MOST)  # before addresses of all are made
    recipes: Sequence[Recipe]
    if session.stream is not None:
        return session.in_order(number, seed)
    if recipe is not None:
        recipes = session.recipes(recipe)
        if asked.changes:
            samples, recipes = session.drawn([session.revised(one.address) for one in recipes])
        else:
            with waiting(f"generating {len(recipes):,} samples"):
                samples = session.steering.repeat(recipes)
    elif around is not None:
        start = session.named(str(around))
        samples, recipes = session.drawn(neighbours(start, number or SAMPLES, spread, seed))
    else:
        samples, recipes = session.drawn(session.numbered(number, seed))
    return *session.saved(samples, recipes), len(recipes)


def translate(
    asked: Asked, number: int | None, seed: int, like: Path | None = None
) -> tuple[Path, list[Path], list[Path], int]:
    """Write translations of what is given, in the style of the sample in the file `like`, or `number` of them; see `sample`."""
    session = Session(asked, "translated", Counting("translating", number), partial(_check_translates, asked))
    code = None
    if like is not None:
        from gancore.latent.address import Code
        from gancore.latent.styles import style_of

        code = Code.of(style_of(session.steering.generator, like, asked.label))
    if session.stream is not None:
        return session.in_order(number, seed, code)
    addresses = session.numbered(number, seed)
    if code is not None:
        addresses = [one.model_copy(update={"seed": None, "code": code}) for one in addresses]
    samples, recipes = session.drawn(addresses)
    return *session.saved(samples, recipes), len(recipes)


def _check_translates(asked: Asked, generator: Generator) -> None:
    """Refuse a run that makes nothing of what it is given, or has no domains to choose from."""
    spec = generator.spec
    if spec.given_shape is None:
        raise UsageError(
            f"'{asked.run}' does not translate between domains: it makes whole samples out of nothing. Train one that does, with "
            "game=cycle on a folder that holds a folder of files for each domain; for samples of this one take gan sample"
        )
    if asked.label is not None and not spec.domains:
        raise UsageError(
            f"'{asked.run}' does not translate between domains, and what it makes of files is of one kind; leave --to out, or take "
            "gan sample --given. To choose a domain, train with game=cycle on a folder that holds a folder of files for each"
        )


def walk(asked: Asked, stations: Sequence[str], frames: int, loop: bool, each: bool) -> tuple[Path, list[Path]]:
    """Write a walk from station to station; the new folder and the files."""
    session = Session(asked, "walks")
    from gancore.latent.saving import save_walk, walk_role
    from gancore.latent.walk import walk as way

    addresses = way([session.named(text) for text in stations], frames, loop=loop)
    own = session.steering.generator
    session.steering.check()
    walk_role(own, each=each)  # to tell of what cannot be written before anything is drawn
    samples, recipes = session.drawn(addresses)
    return session.write(lambda folder: save_walk(own, samples, recipes, folder, each=each), len(recipes))


def mix(asked: Asked, one: str, other: str, layers: str) -> tuple[Path, list[Path], list[Path]]:
    """Write a sample of two, and both beside it; the new folder, the files and the sheets."""
    session = Session(asked, "mixed")
    from gancore.latent.address import Address, Mix
    from gancore.latent.asking import layers as layers_of

    first, last = layers_of(layers)
    pair = session.named(one), session.named(other)
    mixed = Address(mix=Mix(one=pair[0], other=pair[1], first=first, last=last))
    session.steering.check()
    if session.steering.space.layers == 1:
        raise UsageError(
            "the codes of this generator have a single layer, so there is nothing to mix; `gan walk` leads from sample to sample"
        )
    if 1 + last - first == session.steering.space.layers:
        raise UsageError(
            f"layers {first}-{last} are all that codes of this generator have, and give B itself; take fewer"
        )
    samples, recipes = session.drawn([pair[0], pair[1], mixed])
    return session.saved(samples, recipes)


def check_device(device: str) -> None:
    """Refuse a device that cannot be, before anything is imported or read."""
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", device):
        raise UsageError(f"device '{device}' is unknown; choose auto, cpu, mps, cuda or cuda:N")


def _kind(recipe: Recipe) -> tuple[object, ...]:
    return recipe.step, recipe.weights, recipe.drawing, recipe.given
