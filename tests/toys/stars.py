"""A plugin with a component of every kind, each of which fails where it is told to, as source text."""

from __future__ import annotations

STARS = """
import os

import gancore.testing.points_parts as toy
from gancore import hookimpl
from gancore.components import *
from gancore.games.gan import DiscriminatorPhase, GanGame, GanOptions
from gancore.losses.adversarial import NonSaturating
from gancore.losses.penalties import PenaltyTerm


def fall(place):
    if os.environ.get("STARS") == place:
        raise ZeroDivisionError("it fell")


@hookimpl
def gan_plugin_info():
    return PluginInfo(summary="Falls where it is told to", api_version=1)


@hookimpl
def gan_datasets():
    yield Dataset(name="sky", summary="S", target="fake_stars:sky", options="gancore.testing.points_parts:CirclesOptions",
                  spec="gancore.data.spec:SampleSpec")


@hookimpl
def gan_architectures():
    yield Architecture(name="net", summary="N", target="fake_stars:net", options="gancore.testing.points_parts:MlpOptions")


@hookimpl
def gan_losses():
    yield Loss(name="logit", summary="L", target="fake_stars:Logit")


@hookimpl
def gan_penalties():
    yield Penalty(name="drag", summary="D", target="fake_stars:Drag", options="gancore.options:PenaltyOptions")


@hookimpl
def gan_augmentations():
    yield Augmentation(name="glare", summary="G", target="fake_stars:Glare")


@hookimpl
def gan_games():
    yield Game(name="chase", summary="C", target="fake_stars:Chase", players=("discriminator", "generator"))


class Sky(toy.Points):
    pass


def sky(options, progress):
    fall("dataset")
    return toy.open_circles(options, progress)


class Generator(toy.Generator):
    def forward(self, z, condition):
        fall("network")
        return super().forward(z, condition)


def net(options, spec):
    fall("architecture")
    return {"generator": Generator(options, spec), "discriminator": toy.Discriminator(options, spec)}


class Logit(NonSaturating):
    def discriminator(self, real, fake):
        fall("loss")
        return super().discriminator(real, fake)


class Drag(PenaltyTerm):
    def penalty(self, critic, real, fake, draws):
        fall("penalty")
        return critic(real).square().mean()


class Glare:
    def __init__(self, spec):
        pass

    def __call__(self, x, draws):
        fall("augmentation")
        return x


class Chase(GanGame):
    def __init__(self, context):
        super().__init__(GanOptions(), context)

    def phases(self, players):
        fall("game")
        return super().phases(players)
"""
CHOSEN = {
    "data": "stars:sky", "architecture": "stars:net", "loss": "stars:logit", "penalties": "stars:drag",
    "augmentations": "stars:glare", "game": "stars:chase",
}  # fmt: skip
"""A run with all of them."""
