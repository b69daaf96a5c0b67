"""From settings to networks and a game: the one way in which training and sampling both build them, and refuse what cannot be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import ParametrizationList, is_parametrized

from gancore.components import Augment, DataSource, GameContext, GameRule
from gancore.configuration.settings import Settings
from gancore.data.spec import SampleSpec
from gancore.engine.contract import in_words, of_networks
from gancore.errors import BreachError, PluginError, UsageError
from gancore.games.breach import form
from gancore.losses.spectral import apply_spectral_norm
from gancore.options import ArchitectureOptions, AugmentingOptions, PenaltyOptions, StrengthOptions
from gancore.powers import Augments, Deceives, Judges, MixesBatch, TakesGiven
from gancore.random import Draws, derive


@dataclass(frozen=True, slots=True)
class Chain:
    """Augmentations by name, one after another; none at all is the identity."""

    parts: Mapping[str, Augment]

    def __call__(self, x: Tensor, draws: Draws) -> Tensor:
        for number, (name, part) in enumerate(self.parts.items()):
            made = part(x, draws.within(f"augment-{number}"))
            if not isinstance(made, Tensor) or made.shape != x.shape:
                raise BreachError("augmentation", part, f"it made {form(made)} of samples {list(x.shape)}", "", name)
            x = made
        return x

    def deceived(self, draws: Draws) -> Tensor | None:
        """The rows in which the discriminator is shown fakes in place of real samples, `[batch]` bool; None without an augmentation
        that does so."""
        parts: list[object] = [*self.parts.values()]
        rows = [p.deceived(draws.within(f"augment-{n}")) for n, p in enumerate(parts) if isinstance(p, Deceives)]
        found = [chosen for chosen in rows if chosen is not None]
        return torch.stack(found).any(0) if found else None


def build_chain(settings: Settings, spec: SampleSpec) -> Chain:
    """The augmentations of a run, in their order."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(settings.run.seed, "augmentations"))
        return Chain({name: chosen.build(spec) for name, chosen in settings.augmentations.items()})


def own_augmentations(settings: Settings, chain: Chain) -> dict[str, Chain]:
    """What of `chain` each penalty has that augments samples for itself, by its name, and under "" what the discriminator sees.

    Raises:
        UsageError: a penalty names what the run does not have, or what is adaptive; or there is nothing.
    """
    own: dict[str, Chain] = {}
    usable = [n for n, part in chain.parts.items() if not isinstance(part, Deceives)]  # which changes no sample
    for name, chosen in settings.penalties.items():
        if not isinstance(chosen.options, AugmentingOptions):
            continue
        where, named = f"penalties.{name}.augmentations", chosen.options.augmentations or usable
        if not named or not set(named) <= set(usable):
            words = f"names {', '.join(named)}" if named else "there is none"
            raise UsageError(
                f"{where}: it compares samples with augmented ones, and {words}; of the run's augmentations, "
                f"{', '.join(usable) or 'none'} can be had for that: add one, such as augmentations=NAME (gan options augmentations)"
            )
        for n in named:
            options = settings.augmentations[n].options
            if (
                isinstance(options, StrengthOptions)
                and options.adaptive
                and f"augmentations.{n}.strength" not in settings.schedules
            ):
                raise UsageError(
                    f"{where}: the strength of '{n}' is adapted to how the discriminator takes samples that are augmented by it, which "
                    f"with this penalty are none; say augmentations.{n}.adaptive=false augmentations.{n}.strength=0.5"
                )
        own[name] = Chain({n: chain.parts[n] for n in named})
    taken = {n for one in own.values() for n in one.parts}
    return own | {"": Chain({n: part for n, part in chain.parts.items() if n not in taken})}


def _found(networks: object) -> str:
    if not isinstance(networks, Mapping):
        return form(networks)
    return ", ".join(f"{form(m)} as '{n}'" for n, m in networks.items() if not isinstance(m, nn.Module))


def build_game(
    settings: Settings,
    spec: SampleSpec,
    train: DataSource | None = None,
    held_out: DataSource | None = None,
    chain: Chain | None = None,
) -> GameRule:
    """The game with its networks, initialised from the seed, on the CPU. `train` are the data that are trained on, and `held_out`
    some that are not; `chain` are the run's augmentations, where somebody else needs them as well.

    Raises:
        PluginError: a component gave something that does not meet its contract.
    """
    run = settings.run
    own = own_augmentations(settings, chain or build_chain(settings, spec))
    # Building must not disturb the caller's random numbers, and must not depend on them.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(run.seed, "init"))
        networks = settings.architecture.build(spec)
        if not isinstance(networks, Mapping) or not all(isinstance(m, nn.Module) for m in networks.values()):
            name = settings.architecture.found.qualified
            raise PluginError(
                f"architecture '{name}' must return its networks by name, nn.Module objects, not {_found(networks)}"
            )
        networks = dict(networks)
        options = settings.architecture.options
        normed = options.spectral_norm if isinstance(options, ArchitectureOptions) else "none"
        for name in networks:
            if normed == "both" or normed == name:
                apply_spectral_norm(networks[name])
        penalties = {}
        for name, chosen in settings.penalties.items():
            if not isinstance(chosen.options, PenaltyOptions):
                raise PluginError(
                    f"penalty '{chosen.found.qualified}': its options must derive from gancore.options.PenaltyOptions"
                )
            penalty = chosen.build(spec)
            if name in own:
                if not isinstance(penalty, Augments):
                    raise PluginError(
                        f"penalty '{chosen.found.qualified}': with options derived from AugmentingOptions it needs an attribute augment"
                    )
                penalty.augment = own[name]
            penalties[name] = (penalty, chosen.options)
        context = GameContext(
            networks=networks,
            spec=spec,
            loss=settings.loss.build(spec),
            penalties=penalties,
            augment=own.pop(""),
            autocast=torch.bfloat16 if run.precision == "bf16" else None,
            micro_batches=run.micro_batches,
            steps=run.steps,
            train=train,
            held_out=held_out,
        )
        game: GameRule = settings.game.build(context)
    missing = [p for p in settings.game.found.record.players if p not in game.networks]
    if missing or "generator" not in game.networks:
        found = ", ".join(game.networks)
        absent = ", ".join(missing or ["generator"])
        raise PluginError(
            f"game '{settings.game.found.qualified}' needs a network for {absent}; architecture "
            f"'{settings.architecture.found.qualified}' brought {found}"
        )
    if spec.given_shape is not None and not _takes_given(game.networks["generator"]):
        takes = _takes_given(networks.get("generator"))
        what = (
            f"game '{settings.game.found.qualified}'"
            if takes
            else f"architecture '{settings.architecture.found.qualified}'"
        )
        raise UsageError(
            f"{what} cannot make the rest of samples of which a part is given, as it is of these data: choose another, or "
            "let nothing be given"
        )
    if fault := of_networks(game.networks, settings.game.found.record.players):
        raise in_words(settings, BreachError("architecture", game.networks[fault[0]], fault[1], "__init__"))
    freeze(game.networks, settings)
    if "ema" in game.networks:  # checkpoints keep the moving average under this name
        raise PluginError(f"game '{settings.game.found.qualified}' calls a network 'ema'; call it something else")
    judge_of(game, settings)  # rather than after days of training
    return game


def freeze(networks: Mapping[str, nn.Module], settings: Settings) -> None:
    """Exclude the first layers of each network from training, as many as the option `freeze` says; a layer is a module with parameters
    of its own, and the first are those that the network lists first.

    Raises:
        UsageError: there is no such network, or nothing of it would be left to train.
    """
    for name, count in settings.run.freeze:
        if not count:
            continue
        if name not in networks:
            raise UsageError(f"freeze.{name}={count}: this game has no {name}; leave the option out")
        layers = [weights for m in networks[name].modules() if (weights := weights_of(m))]
        if count >= len(layers):
            raise UsageError(
                f"freeze.{name}={count}: the {name} of architecture '{settings.architecture.found.qualified}' has {len(layers)} layers "
                f"with weights, of which at most {len(layers) - 1} can be frozen"
            )
        for layer in layers[:count]:
            for parameter in layer:
                parameter.requires_grad_(False)


def weights_of(module: nn.Module, *, trained: bool = True) -> list[nn.Parameter]:
    """Parameters of a layer itself that are `trained`, or are not, with those that a parametrisation (spectral norm) keeps for it."""
    if isinstance(module, ParametrizationList):
        return []
    kept = module.parametrizations.values() if is_parametrized(module) else ()  # type: ignore[operator]
    return [p for part in (module, *kept) for p in part.parameters(recurse=False) if p.requires_grad == trained]


def _takes_given(generator: nn.Module | None) -> bool:
    return isinstance(generator, TakesGiven) and generator.takes_given


def judge_of(game: GameRule, settings: Settings) -> str | None:
    """The name of the network of `game` that chooses between candidates; None where there are none.

    Raises:
        UsageError: there is no such network, or it compares samples of a batch with each other.
    """
    count = settings.run.candidates.count
    if count == 1:
        return None
    if not isinstance(game, Judges) or game.judge is None:
        raise UsageError(
            f"candidates.count={count}: game '{settings.game.found.qualified}' has no discriminator that could choose between "
            "samples; say candidates.count=1"
        )
    judge = game.networks[game.judge]
    if isinstance(judge, MixesBatch) and judge.mixes_batch:
        raise UsageError(
            f"candidates.count={count}: the discriminator of architecture '{settings.architecture.found.qualified}' judges whole "
            "batches and cannot choose between samples; say candidates.count=1, or take another architecture"
        )
    return game.judge


def check_writers(settings: Settings, spec: SampleSpec) -> None:
    """Make every writer once, so that one that cannot be made, for want of a file say, is told of before any work is done."""
    for chosen in settings.writers.values():
        chosen.build(spec)
