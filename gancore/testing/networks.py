"""Checks of architectures: networks that fit the spec, the condition, one another, and any device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gancore.components import GameRule
from gancore.data.spec import SampleSpec
from gancore.engine.contract import of_samples
from gancore.games.calling import call_generator, draw_latent, heads, mixes_batch
from gancore.random import Draws
from gancore.testing.bench import seed_all
from gancore.testing.check import Mismatch, NotApplicable, check
from gancore.testing.elsewhere import elsewhere
from gancore.testing.kit import BATCH, Kit, latents, only_cheapest, scenes, tried_on
from gancore.testing.places import defined, written


def _built(kit: Kit, subject: str, **changes: Any) -> tuple[SampleSpec, GameRule, Tensor, Tensor | None]:
    """Spec, networks, and a relaxed batch with its classes; the networks as they stand are built once, for nobody trains them here."""

    def built() -> tuple[SampleSpec, GameRule, Tensor, Tensor | None]:
        settings, spec, game = kit.ready(kit.scenes()[subject], **changes)
        x, labels = kit.batch(kit.source(settings))
        return spec, game, spec.relax(x), labels

    return built() if changes else kit.once("networks", subject, make=built)


@check(
    "networks.build",
    "gan_architectures",
    "the target returns networks by player, a generator with a latent_shape among them",
    scenes,
)
def networks_build(kit: Kit, subject: str) -> None:
    scene = kit.scenes()[subject]
    kit.passed("preset.complete", subject)
    settings = kit.settings(scene)
    if settings.data.found.plugin == kit.name:
        kit.passed("data.relaxes", f"dataset {settings.data.found.record.name}")
    state = torch.get_rng_state().clone()
    with tried_on(scene):
        kit.game(settings)
    if not torch.equal(state, torch.get_rng_state()):
        raise Mismatch("building the networks moves torch's global random numbers from outside of the engine's reach")


@check(
    "networks.shapes",
    "gan_architectures",
    "the generator makes [batch, *spec.shape], the discriminator logits [batch] or [batch, places...], or several such, for any batch",
    scenes,
)
def networks_shapes(kit: Kit, subject: str) -> None:
    with tried_on(kit.scenes()[subject]):
        _look_at_shapes(*_built(kit, subject))


def _look_at_shapes(spec: SampleSpec, game: GameRule, real: Tensor, labels: Tensor | None) -> None:
    for count in (BATCH, 3, 1):
        # Batch statistics need more than one sample; one alone is drawn in evaluation, as for `gan sample -n 1`.
        for network in game.networks.values():
            network.train(count > 1)
        z, classes = latents(game.networks["generator"], count), None if labels is None else labels[:count]
        if fault := of_samples(game.networks, spec, z, real[:count], classes, values=True):
            raise Mismatch(fault[1])


@check(
    "networks.condition",
    "gan_architectures",
    "where the data have classes, what the generator makes and what the discriminator says depend on the class",
    scenes,
)
def networks_condition(kit: Kit, subject: str) -> None:
    only_cheapest(kit, subject)
    if kit.scenes()[subject].borrowed:
        raise NotApplicable("the classes are those of points in the plane, and not of the data that it is made for")
    kit.passed("networks.shapes", subject)
    spec, game, real, labels = _built(kit, subject)
    if spec.class_count < 2 or labels is None:
        raise NotApplicable("the data have no classes")
    generator, judge = game.networks["generator"].eval(), game.networks.get("discriminator")
    classes = [torch.full((BATCH,), c) for c in (0, spec.class_count - 1)]
    # A class may come in by weights that begin at zero, so what counts is whether its weights would move.
    with torch.enable_grad():
        z = latents(generator)
        given = spec.given_part(real)
        _reacts(generator, [call_generator(generator, z, c, given) for c in classes], "generator")
        if judge is not None:
            judge.eval()
            _reacts(judge, [_logits(judge(real, c)) for c in classes], "discriminator")


def _reacts(network: nn.Module, outputs: list[Tensor], name: str) -> None:
    first, second = outputs
    if torch.equal(first, second) and _same_gradients(network, outputs):
        raise Mismatch(
            f"the {name} ignores `condition`: class 0 and the last class give the same{written(network.forward)}"
        )


def _same_gradients(network: nn.Module, outputs: list[Tensor]) -> bool:
    """Whether the weights would move in the same way for both of `outputs`."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    weights = torch.linspace(-1, 1, outputs[0].numel()).reshape(outputs[0].shape)
    sides = [
        torch.autograd.grad((o * weights).sum(), parameters, allow_unused=True, materialize_grads=True) for o in outputs
    ]
    return all(torch.equal(a, b) for a, b in zip(*sides, strict=True))


@check(
    "networks.given",
    "gan_architectures",
    "where a part is given, the generator returns samples with it as it is (unless spec.given_kept is false) that depend on it",
    scenes,
)
def networks_given(kit: Kit, subject: str) -> None:
    only_cheapest(kit, subject)
    kit.passed("networks.shapes", subject)
    spec, game, real, labels = _built(kit, subject)
    given = spec.given_part(real)
    if given is None:
        raise NotApplicable("nothing of the samples is given")
    generator = game.networks["generator"].eval()
    other = spec.given_part(real.roll(1, 0))
    if other is None or torch.equal(given, other):
        raise NotApplicable("what is given of each sample is the same")
    with torch.enable_grad():
        z = latents(generator)
        fakes = [call_generator(generator, z, labels, part) for part in (given, other)]
        for fake, part in zip(fakes, (given, other), strict=True):
            kept = spec.given_part(fake)
            if kept is None or (spec.given_kept and _distance(part, kept) > 1e-4):
                raise Mismatch("in the generator's samples the part that is given is another; put it in as it is")
        if _same_gradients(generator, fakes):
            raise Mismatch("the generator puts in what is given, and makes the rest without looking at it")


@check(
    "networks.seeded",
    "gan_architectures",
    "the same seed builds the same weights, another seed others",
    scenes,
)
def networks_seeded(kit: Kit, subject: str) -> None:
    scene = kit.scenes()[subject]
    settings, _, game = kit.ready(scene)
    seed_all(99)
    again = kit.game(settings)
    for name, network in game.networks.items():
        for key, tensor in network.state_dict().items():
            if not torch.equal(tensor, again.networks[name].state_dict()[key]):
                raise Mismatch(f"built twice from one seed, {key} of the {name} differs; draw weights from torch alone")
    # Weights that are the same whatever the seed are a fault where the target has set the seed; they may also be pretrained.
    with torch.random.fork_rng(devices=[]):
        settings.architecture.build(kit.source(settings).spec)
        torch.manual_seed(1)
        first = torch.get_rng_state()
        settings.architecture.build(kit.source(settings).spec)
        after = torch.get_rng_state()
        torch.manual_seed(2)
        settings.architecture.build(kit.source(settings).spec)
        if not torch.equal(first, after) and torch.equal(after, torch.get_rng_state()):
            raise Mismatch("whatever the seed, building leaves the same state: do not seed torch inside of the target")


@check(
    "networks.noise",
    "gan_architectures",
    "in evaluation the same latents and classes give the same samples: a generator draws no noise of its own",
    scenes,
)
def networks_noise(kit: Kit, subject: str) -> None:
    only_cheapest(kit, subject)
    kit.passed("networks.state", subject)
    spec, game, real, labels = _built(kit, subject)
    generator, given = game.networks["generator"].eval(), spec.given_part(real)
    with torch.no_grad():
        z, state = latents(generator), torch.get_rng_state()
        one, other = (call_generator(generator, z, labels, given) for _ in range(2))
    if not torch.equal(one, other) or not torch.equal(state, torch.get_rng_state()):
        raise Mismatch(
            "in evaluation the generator draws random numbers of its own: noise belongs into draw_latent, or under "
            f"`if self.training`{defined(type(generator))}"
        )


@check(
    "networks.state",
    "gan_architectures",
    "what a network gives follows from its arguments, weights and buffers, and not from what it was called with before",
    scenes,
)
def networks_state(kit: Kit, subject: str) -> None:
    only_cheapest(kit, subject)
    kit.passed("networks.shapes", subject)
    spec, game, real, labels = _built(kit, subject)
    generator, judge = game.networks["generator"], game.networks.get("discriminator")
    z, given, every = latents(generator), spec.given_part(real), torch.arange(BATCH)

    def make(network: nn.Module, rows: Tensor) -> Tensor:
        classes, part = (None if x is None else x[rows] for x in (labels, given))
        return call_generator(network, z[rows], classes, part)

    def look(network: nn.Module, rows: Tensor) -> Tensor:
        return _logits(network(real[rows], None if labels is None else labels[rows]))

    calls: dict[str, Callable[[nn.Module, Tensor], Tensor]] = {"generator": make}
    for name, call in calls.items() if judge is None else (calls | {"discriminator": look}).items():
        network = game.networks[name]
        for training in (False, True):
            weights = {k: v.clone() for k, v in network.state_dict().items()}

            def output(
                of: nn.Module, rows: Tensor, mode: bool = training, weights: Any = weights, call: Any = call
            ) -> Any:
                of.train(mode).load_state_dict(weights)
                seed_all(1)
                with torch.no_grad():
                    return call(of, rows)

            first, other, again = (output(network, rows) for rows in (every, every // 2, every))
            kept = (
                f"the {name} gives something else: it keeps something between calls that is neither parameter nor buffer, and "
                f"in no checkpoint{defined(type(network))}"
            )
            if not torch.equal(first, again):
                raise Mismatch(f"called again with the same, after a call with something else, {kept}")
            # What is kept from the first call on shows beside a network that was never called.
            fresh = kit.ready(kit.scenes()[subject])[2].networks[name]
            if _distance(other, output(fresh, every // 2)) > 1e-3:
                raise Mismatch(f"called after other calls, or as the first call of a new copy with its weights, {kept}")


@check(
    "networks.apart",
    "gan_architectures",
    "in evaluation a sample depends on its own latent and class alone; a discriminator that mixes a batch says mixes_batch",
    scenes,
)
def networks_apart(kit: Kit, subject: str) -> None:
    only_cheapest(kit, subject)
    kit.passed("networks.noise", subject)
    spec, game, real, labels = _built(kit, subject)
    generator, judge = game.networks["generator"].eval(), game.networks.get("discriminator")
    with torch.no_grad():
        z, given = latents(generator), spec.given_part(real)
        first = None if labels is None else labels[:2]
        whole = call_generator(generator, z, labels, given)
        if _distance(whole[:2], call_generator(generator, z[:2], first, spec.given_part(real[:2]))) > 1e-3:
            raise Mismatch(
                "in evaluation the generator makes other samples of the same latents when more are made at once"
            )
        if judge is None or mixes_batch(judge):
            return
        mixed = torch.cat([real[:4], real.flip(0)[:4] * 0.5])
        classes = None if labels is None else torch.cat([labels[:4], labels[:4]])
        for training in (False, True):
            judge.train(training)
            sides = []
            for x, y in ((real[:4], None if labels is None else labels[:4]), (mixed, classes)):
                torch.manual_seed(1)
                sides.append(_logits(judge(x, y))[:4])
            excused = training and draws_itself(judge, real, labels)
            if _distance(*sides) > 1e-3 and not excused:
                raise Mismatch(
                    "the discriminator's logit of a sample depends on the rest of its batch; set mixes_batch = True on it"
                )


def draws_itself(network: nn.Module, x: Tensor, labels: Tensor | None) -> bool:
    """Whether a network in training gives something else each time (dropout)."""
    outputs = []
    with torch.no_grad():
        for seed in (1, 2):
            torch.manual_seed(seed)
            outputs.append(_logits(network(x, labels)))
    return not torch.equal(*outputs)


@check(
    "networks.device",
    "gan_architectures",
    "networks move with .to(device) as a whole: constants are buffers, and new tensors are made where their inputs are",
    scenes,
)
def networks_device(kit: Kit, subject: str) -> None:
    only_cheapest(kit, subject)
    kit.passed("networks.shapes", subject)
    # Spectral normalisation cannot be computed without values, and is the engine's.
    architecture = kit.settings(kit.scenes()[subject]).architecture
    plain = {**architecture.dump(), "name": architecture.name, "spectral_norm": "none"}
    spec, game, real, labels = _built(kit, subject, architecture=plain)
    classes, given = (None if x is None else x.to("meta") for x in (labels, spec.given_part(real)))
    for name in ("generator", "discriminator"):
        if name not in game.networks:
            continue
        network = game.networks[name].to("meta")
        strays = [k for k, v in [*network.named_parameters(), *network.named_buffers()] if not v.is_meta]
        if strays:
            raise Mismatch(f"{', '.join(strays[:3])} of the {name} does not move with .to(device)")
        for training in (False, True):
            network.train(training)
            with elsewhere(f"the {name}"):
                positions = torch.arange(BATCH, device="meta")
                if name == "generator":
                    call_generator(network, draw_latent(network, Draws(3, positions)), classes, given)
                else:
                    network(real.to("meta"), classes)


def _logits(output: Tensor | Sequence[Tensor]) -> Tensor:
    """All logits of each sample, of every head and place: `[batch, logits]`."""
    return torch.cat([head.reshape(len(head), -1) for head in heads(output)], dim=1)


def _distance(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max() / b.abs().max().clamp_min(1e-6))
