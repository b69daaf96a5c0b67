"""Checks of what steers a generator: codes, classes that are mixed, the prior of its latents, recipes that repeat."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gancore.components import Prior
from gancore.data.spec import Given, SampleSpec
from gancore.errors import UsageError
from gancore.games.calling import call_generator
from gancore.latent.address import Address, Around, Between
from gancore.latent.recipe import parse, sidecar
from gancore.latent.space import Space
from gancore.latent.steering import Steering, seeds
from gancore.powers import HasFirstWeights, HasPrior, MapsLatent
from gancore.sampling.generator import Generator
from gancore.testing.check import Mismatch, NotApplicable, check
from gancore.testing.kit import BATCH, Kit, latents, only_cheapest, scenes
from gancore.testing.places import defined, written


def _ready(kit: Kit, subject: str) -> tuple[Generator, Given | None, Tensor | None]:
    """A new generator as one that was trained, what it is given, and classes."""
    only_cheapest(kit, subject)
    kit.passed("networks.state", subject)
    kit.passed("powers.signature", subject)

    def made() -> tuple[Generator, Given | None, Tensor | None]:
        settings, spec, game = kit.ready(kit.scenes()[subject])
        x, labels = kit.batch(kit.source(settings))
        given = None if spec.given_shape is None else Given(x)
        return Generator(game.networks["generator"], spec, settings, 0), given, labels

    return kit.once("steering", subject, make=made)


def _space(module: nn.Module, spec: SampleSpec) -> Space:
    try:
        return Space(module, spec)
    except UsageError as error:
        raise NotApplicable(str(error)) from error


@check(
    "powers.map",
    "gan_architectures",
    "map gives codes [batch, layers, size], and synthesise of them bit for bit what a call gives in evaluation",
    scenes,
)
@torch.no_grad()
def powers_map(kit: Kit, subject: str) -> None:
    own, given, labels = _ready(kit, subject)
    module = own.module
    if not isinstance(module, MapsLatent):
        raise NotApplicable("its only code is the latent")
    part = None if given is None else own.spec.given_part(own.spec.relax(given.x))
    z = latents(module)
    w = module.map(z, labels)
    if w.dim() != 3 or len(w) != BATCH or not w.is_floating_point():
        raise Mismatch(f"map gives {w.dtype} {list(w.shape)} for {BATCH} latents{written(module.map)}")
    made = module.synthesise(w, labels, *(() if part is None else (part,)))
    if not torch.equal(made, call_generator(module, z, labels, part)):
        raise Mismatch(
            f"synthesise makes something else of the codes than a call of their latents{written(module.synthesise)}"
        )


@check(
    "powers.mixes",
    "gan_architectures",
    "a generator that takes weights of classes makes the same of all weight on one class as of its number",
    scenes,
)
@torch.no_grad()
def powers_mixes(kit: Kit, subject: str) -> None:
    own, given, labels = _ready(kit, subject)
    if labels is None or not own.spec.classes:
        raise NotApplicable("the data have no classes")
    if not _space(own.module, own.spec).mixes_classes:
        raise NotApplicable("its networks take classes by number alone")
    part = None if given is None else own.spec.given_part(own.spec.relax(given.x))
    z, weights = latents(own.module), torch.nn.functional.one_hot(labels, own.spec.class_count).float()
    one, other = (call_generator(own.module, z, c, part) for c in (labels, weights))
    if not torch.allclose(one, other, rtol=1e-3, atol=1e-3 * float(one.abs().max())):
        raise Mismatch(f"weights [batch, classes] of one class make other samples{defined(type(own.module))}")


@check(
    "powers.weights",
    "gan_architectures",
    "first_weights has for each layer of codes a matrix [outputs, size]",
    scenes,
)
def powers_weights(kit: Kit, subject: str) -> None:
    own, _, _ = _ready(kit, subject)
    if not isinstance(own.module, HasFirstWeights):
        raise NotApplicable("it has no first_weights")
    space, found = _space(own.module, own.spec), own.module.first_weights()
    if len(found) != space.layers or any(w.dim() != 2 or w.shape[1] != space.size for w in found):
        shapes = ", ".join(str(list(w.shape)) for w in found) or "nothing"
        raise Mismatch(
            f"codes are of {space.layers} layers of {space.size} numbers, and it gives {shapes}{written(own.module.first_weights)}"
        )


@check(
    "powers.prior",
    "gan_architectures",
    "prior is a gancore.components.Prior that fits the latents: floats, and flat where only the first of them can be moved",
    scenes,
)
def powers_prior(kit: Kit, subject: str) -> None:
    own, _, _ = _ready(kit, subject)
    module = own.module
    if not isinstance(module, HasPrior):
        raise NotApplicable("it has no prior")
    prior, z = module.prior, latents(module)
    place = defined(type(module))
    if not isinstance(prior, Prior):
        raise Mismatch(f"prior is {prior!r:.80}{place}")
    if prior.kind == "none":
        if not prior.instead.strip():
            raise Mismatch(f"its prior is of kind none and does not say by what it can be steered instead{place}")
        return
    if not z.is_floating_point():
        raise Mismatch(f"latents are {z.dtype}, which cannot be moved by degrees; say Prior(kind='none', ...){place}")
    if prior.smooth is not None and (z.dim() != 2 or not 1 <= prior.smooth <= z.shape[1]):
        raise Mismatch(f"smooth={prior.smooth} of latents {list(z.shape)}{place}")
    smooth = z.flatten(1)[:, : prior.smooth]
    if prior.kind == "sphere" and not torch.allclose(length := smooth.norm(dim=1), length[:1], rtol=1e-3):
        raise Mismatch(
            f"its prior is a sphere, and latents have lengths from {length.min():.3g} to {length.max():.3g}{place}"
        )


@check(
    "powers.steered",
    "gan_architectures",
    "edits of zero change nothing, and recipes make their samples again, bit for bit",
    scenes,
)
def powers_steered(kit: Kit, subject: str) -> None:
    own, given, _ = _ready(kit, subject)
    if isinstance(own.module, MapsLatent):
        kit.passed("powers.map", subject)
    space = _space(own.module, own.spec)
    step = torch.linspace(-1.0, 1.0, space.layers * space.size).view(space.layers, space.size)
    steering = Steering(own, {"step": step}, given)
    first, second = seeds(2)
    moved = Address(seed=0, around=Around(spread=0.3, seed=1), truncation=0.7, edits={"step": 1.0})
    addresses = [first, moved, Address(between=Between(one=moved, other=moved, at=0.5)), second]
    samples, recipes = steering.sample(addresses), steering.recipes(addresses)
    read = parse("".join(sidecar([str(number) for number in range(len(recipes))], recipes)), "the recipes")
    if not torch.equal(steering.repeat(read[::-1]), samples.flip(0)):
        raise Mismatch(f"samples that are made again of their recipes are others{defined(type(own.module))}")
    edited = [address.changed(edits={"step": 0.0}) for address in (first, second)]
    if not torch.equal(steering.sample(edited), steering.sample([first, second])):
        raise Mismatch(f"an edit of zero makes another sample{defined(type(own.module))}")
