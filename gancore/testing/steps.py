"""Checks of what training does in one step: gradients where they belong, for every loss, penalty and game."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from gancore import distributed
from gancore.components import Architecture, Augmentation, Component, Dataset, Game, GameRule, Loss, Penalty, Preset
from gancore.configuration.layers import section_of
from gancore.configuration.settings import Settings
from gancore.data.batch import Batch
from gancore.data.domains import with_given
from gancore.data.loader import Loader
from gancore.engine.loop import seed_layers, update
from gancore.engine.optimizers import build_players
from gancore.games.player import Phase, Player
from gancore.options import AugmentingOptions, StrengthOptions
from gancore.plugins import BUILTIN
from gancore.random import Draws, derive
from gancore.targets import options_model
from gancore.testing.check import Mismatch, NotApplicable, check
from gancore.testing.kit import BATCH, Kit, Scene, only_cheapest, scenes, tried_on

ENGINE_PENALTIES = ("r1", "r2", "gradient-penalty", "dragan")
"""Those of the engine that differentiate twice; an architecture must bear them all."""


FEW = 4
"""A batch where it only has to run with another part."""
PAIR = 2
"""A batch where that is tried many times, or in bfloat16, which CPUs compute slowly."""


def players_of(settings: Settings, game: GameRule) -> tuple[dict[str, Player], list[Phase]]:
    """Players in training, and the phases of their game."""
    players = build_players({n: m.train() for n, m in game.networks.items()}, settings.optimizers)
    return players, list(game.phases(players))


def relaxed_batch(kit: Kit, settings: Settings, step: int = 0, count: int = BATCH) -> Batch:
    """This process's part of the batch of a step, relaxed."""
    unit = max(1, 2 * len(kit.source(settings).spec.domains))  # as many in two processes as in one
    loader = Loader(
        kit.source(settings),
        batch_size=count + -count % unit,
        seed=settings.run.seed,
        rank=distributed.rank(),
        world=distributed.world_size(),
    )
    batch = loader.batch(step)
    spec = kit.source(settings).spec
    return with_given(replace(batch, relax=spec.relax), spec, settings.run.seed)


def parts_of(kit: Kit, settings: Settings, step: int = 0, count: int = BATCH) -> tuple[list[Batch], list[Draws]]:
    """The batch of a step in as many parts as the settings say, with their random numbers."""
    parts = list(relaxed_batch(kit, settings, step, count).split(settings.run.micro_batches))
    return parts, [Draws(derive(settings.run.seed, "phases"), part.positions) for part in parts]


def _one_step(kit: Kit, settings: Settings, game: GameRule, count: int = FEW) -> None:
    """Run every phase once, in a step in which it is due, and look at all gradients after each.

    Two more steps tell whether gradients die out: not where `count` is two and only a part of the engine is put in.
    """
    players, phases = players_of(settings, game)
    idle = [n for n in players if not any(p.player is players[n] for p in phases)]
    if idle:
        raise Mismatch(f"no phase moves the player {', '.join(idle)}")
    everybody = [(n, k, p) for n, m in game.networks.items() for k, p in m.named_parameters()]
    moved: dict[str, set[int]] = {n: set() for n in players}
    for phase in phases:
        owner = phase.player.name
        for _, _, p in everybody:
            p.grad = None
        parts, draws = parts_of(kit, settings, phase.start, count)
        seed_layers(settings.run.seed, phase.start, phase.name)
        norm, scalars = update(phase.player, [phase], parts, draws)
        _scalars(phase, [values for values, _ in scalars])
        strays = {
            n: k for n, k, p in everybody if p.grad is not None and id(p) not in set(map(id, phase.player.parameters))
        }
        if strays:
            told = ", ".join(f"{k} of the {n}" for n, k in strays.items())
            raise Mismatch(f"phase {phase.name} of the {owner} leaves a gradient at {told}")
        if not bool(torch.isfinite(norm)):
            bad = [k for n, k, p in everybody if p.grad is not None and not bool(torch.isfinite(p.grad).all())]
            raise Mismatch(f"phase {phase.name} gives gradients that are not finite, first at {bad[0]}")
        moved[owner] |= {id(p) for p in phase.player.parameters if p.grad is not None}
        if not any(p.grad is not None for p in phase.player.parameters) and scalars and scalars[0][0]:
            raise Mismatch(
                f"phase {phase.name} gives the {owner} no gradient: something on the way is detached, rounded or under no_grad"
            )
        phase.after_step()
    for name, player in players.items():
        without = [k for k, p in player.module.named_parameters() if p.requires_grad and id(p) not in moved[name]]
        if without:
            raise Mismatch(
                f"no phase gives a gradient to {', '.join(without[:3])}{' ...' if len(without) > 3 else ''} of the {name}; "
                "use it in forward, or do not make it a parameter"
            )
    if count > PAIR:
        _alive(kit, settings, players, phases)


def _alive(kit: Kit, settings: Settings, players: Mapping[str, Player], phases: Sequence[Phase]) -> None:
    """Every player gets a gradient that is not zero throughout, by the second step at the latest."""
    for step in range(2):
        for player in players.values():
            due = [p for p in phases if p.player is player]
            parts, draws = parts_of(kit, settings, step, FEW)
            norm, _ = update(player, due, parts, draws)
            player.optimizer.step()
            if step and not float(norm):
                raise Mismatch(
                    f"the gradients of the {player.name} are all zero: something on the way is rounded or constant"
                )


def _scalars(phase: Phase, parts: Sequence[Mapping[str, Any]]) -> None:
    for scalars in parts:
        for name, value in scalars.items():
            if not isinstance(value, Tensor) or value.dim() or value.requires_grad:
                raise Mismatch(f"phase {phase.name} reports {name} as {value!r}; give detached scalars")
            if not bool(torch.isfinite(value)):
                raise Mismatch(f"phase {phase.name} reports {name}={float(value)}, which is not finite")
    if "/" not in phase.name:
        raise Mismatch(f"a phase is called '{phase.name}'; call it player/what, such as {phase.player.name}/main")


def sound(kit: Kit, scene: Scene) -> None:
    """Block a check where the scene as it stands cannot do a step: one fault is told once."""
    if scene.name in kit.scenes():
        kit.passed("step.scene", scene.name)


def _try(kit: Kit, scene: Scene, after: bool = True, count: int = FEW, /, **changes: Any) -> None:
    if changes and after:
        sound(kit, scene)
    settings, _, game = kit.ready(scene, **changes)
    with tried_on(scene):
        _one_step(kit, settings, game, count)


def setting(kit: Kit, subject: str) -> tuple[Scene, dict[str, Any]]:
    """Where a subject is tried: a scene as it stands, such as that of a game's own preset, or the stage with the part put in."""
    scenes = kit.scenes()
    if subject in scenes:
        return scenes[subject], {}
    kind, _, local = subject.partition(" ")
    name = f"{kit.name}:{local}"
    if kind == "game":  # a preset that chooses it has the networks and the data that it is made for
        own = [s for s in scenes.values() if kit.declared(s, "game").get("name") in (local, name)]
        if own:
            return kit.cheapest(own[0]), {}
        if theirs := _of_host(kit, local):
            return theirs, {}
    if kind == "penalty":
        chosen: dict[str, Any] = {"penalties": {"*": "none", name: {"every": 1}}}
        model = options_model(kit.record(subject))
        if model is not None and issubclass(model, AugmentingOptions):
            owner = kit.stage().plugin
            found = [(n, f.record) for n, f in kit.registry.known(Augmentation, owner).items() if f.plugin != BUILTIN]
            if not found:
                raise NotApplicable("it augments samples, and there is no augmentation for those that it is tried on")
            chosen["augmentations"] = {"*": "none", found[0][0]: _full(found[0][1])}
        return kit.stage(), chosen
    if kind == "augmentation":
        return kit.stage(), {"augmentations": {"*": "none", name: _full(kit.record(subject))}}
    return kit.stage(), {kind: {"name": name}}


def _of_host(kit: Kit, game: str) -> Scene | None:
    """A preset of the host that chooses an engine's `game`, and data that need no file."""
    if not kit.host:
        return None
    host = kit.registry.load(kit.host)
    for name, preset in host.of_kind(Preset).items():
        data = host.of_kind(Dataset).get(str(section_of(preset.config.get("data")).get("name", "")))
        brought = data is not None and not data.suffixes and not data.directories
        if brought and section_of(preset.config.get("game")).get("name") == game:
            return Scene(f"stage {name}", kit.host, name)
    return None


def _full(record: Component) -> dict[str, Any]:
    """Options by which an augmentation does all that it can."""
    model = options_model(record)  # in processes without the other checks too
    strong = model is not None and issubclass(model, StrengthOptions)
    return {"strength": 1.0, "adaptive": False} if strong else {}


def same(kit: Kit, subject: str) -> tuple[str, str]:
    """What is equal for subjects that are tried in the same way, such as a game and the preset that chooses it."""
    scene, changes = setting(kit, subject)
    return scene.name, repr(changes)


def _try_part(kit: Kit, subject: str, **changes: Any) -> None:
    """A step with one part of the plugin put in, and with `changes` beside it."""
    scene, own = setting(kit, subject)
    _try(kit, scene, **own, **changes)


def parts_and_scenes(kit: Kit) -> list[str]:
    """Scenes, and everything of the plugin that takes part in a step."""
    return [*kit.scenes(), *kit.subjects(Loss, Penalty, Augmentation, Game)]


def block(kit: Kit, subject: str) -> None:
    """Block a check of a subject of `parts_and_scenes` where it cannot do a step, or not the same one twice."""
    kit.passed("step.scene" if subject in kit.scenes() else f"step.{subject.partition(' ')[0]}", subject)
    scene, _ = setting(kit, subject)
    if scene.name in kit.scenes():
        kit.passed("networks.state", kit.cheapest(scene).name)


# --- one step of everything -----------------------------------------------------------------------------------------


@check(
    "step.scene",
    "gan_architectures",
    "in one step every trainable parameter of the acting player gets a finite gradient, and no other player's does",
    scenes,
)
def step_scene(kit: Kit, subject: str) -> None:
    scene = kit.scenes()[subject]
    kit.passed("networks.shapes", subject)
    _try(kit, scene)
    if (parts := _preset(kit, scene).get("micro_batches", 1)) > 1:
        _try(kit, scene, False, FEW, micro_batches=min(FEW, parts))


@check(
    "networks.bf16",
    "gan_architectures",
    "networks run under autocast to bfloat16, and losses and gradients are finite there, whether or not a preset asks for it",
    scenes,
)
def networks_bf16(kit: Kit, subject: str) -> None:
    scene = kit.scenes()[subject]
    only_cheapest(kit, subject)
    kit.passed("step.scene", subject)
    # Penalties are in float32 whatever the networks run in, and have been tried there.
    settings, _, game = kit.ready(scene, precision="bf16", penalties="none")
    _, phases = players_of(settings, game)
    parts, draws = parts_of(kit, settings, count=PAIR)
    for phase in phases:
        seed_layers(settings.run.seed, 0, phase.name)
        with tried_on(scene):
            norm, scalars = update(phase.player, [phase], parts, draws)
        bad = [n for values, _ in scalars for n, v in values.items() if not bool(torch.isfinite(v))]
        if bad or not bool(torch.isfinite(norm)):
            raise Mismatch(f"in bf16 {bad[0] if bad else f'the gradient of phase {phase.name}'} is not finite")


def _preset(kit: Kit, scene: Scene) -> Mapping[str, Any]:
    own = scene.plugin == kit.name and scene.preset != "none"
    return kit.records(Preset)[scene.preset].config if own else {}


def _combinations(kit: Kit) -> list[str]:
    """Every loss and penalty of the engine, with every architecture of the plugin, in the first scene that has it."""
    firsts: dict[str, str] = {}
    for scene in kit.scenes().values():
        firsts.setdefault(str(kit.declared(scene, "architecture").get("name", "")), scene.name)
    parts = [f"loss {n}" for n in kit.registry.load(BUILTIN).of_kind(Loss)] + [f"penalty {n}" for n in ENGINE_PENALTIES]
    return [f"{scene}, {part}" for scene in firsts.values() for part in parts] if kit.records(Architecture) else []


@check(
    "step.engine",
    "gan_architectures",
    "the architecture trains with every loss and every gradient penalty of the engine, differentiated twice",
    _combinations,
)
def step_engine(kit: Kit, subject: str) -> None:
    scene, _, part = subject.rpartition(", ")
    kind, _, name = part.partition(" ")
    engine = f"{BUILTIN}:{name}"
    if kind == "loss":
        _try(kit, kit.scenes()[scene], True, PAIR, loss={"name": engine}, penalties="none")
    else:
        _try(
            kit,
            kit.scenes()[scene],
            True,
            PAIR,
            loss={"name": f"{BUILTIN}:non-saturating"},
            penalties={"*": "none", engine: {"every": 1}},
        )


@check(
    "step.loss",
    "gan_losses",
    "a step with the loss runs and gives every trainable parameter of the acting player a finite gradient",
    lambda kit: kit.subjects(Loss),
)
def step_loss(kit: Kit, subject: str) -> None:
    kit.passed("loss.contract", subject)
    _try_part(kit, subject)


@check(
    "step.penalty",
    "gan_penalties",
    "a step with the penalty runs, double backward included, and gives the discriminator finite gradients",
    lambda kit: kit.subjects(Penalty),
)
def step_penalty(kit: Kit, subject: str) -> None:
    kit.passed("penalty.contract", subject)
    _try_part(kit, subject)


@check(
    "step.augmentation",
    "gan_augmentations",
    "a step with the augmentation runs, under a gradient penalty too",
    lambda kit: kit.subjects(Augmentation),
)
def step_augmentation(kit: Kit, subject: str) -> None:
    kit.passed("augmentation.contract", subject)
    _try_part(kit, subject, penalties={"*": "none", "r1": {"every": 1}})


@check(
    "step.game",
    "gan_games",
    "every player has a network and a phase; each phase gives its own player, and nobody else, finite gradients",
    lambda kit: kit.subjects(Game),
)
def step_game(kit: Kit, subject: str) -> None:
    record, (scene, changes) = kit.record(subject), setting(kit, subject)
    sound(kit, scene)
    _, _, game = kit.ready(scene, **changes)
    trainable = [n for n, m in game.networks.items() if any(p.requires_grad for p in m.parameters())]
    extra = [n for n in trainable if n not in record.players]
    if extra:
        raise Mismatch(f"it brings networks for {', '.join(extra)} and declares players {', '.join(record.players)}")
    if changes:  # else that is the scene's own step
        _try(kit, scene, **changes)
