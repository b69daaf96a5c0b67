"""The engine's own components, declared through the same hooks as any plugin's."""

from __future__ import annotations

from collections.abc import Iterator

from gancore import hookimpl
from gancore.components import Augmentation, Game, Loss, Metric, Optimizer, Penalty, PluginInfo, Schedule


@hookimpl
def gan_plugin_info() -> PluginInfo:
    return PluginInfo(
        summary="Losses, penalties, optimizers, schedules, metrics of features and the standard game of the engine",
        api_version=1,
    )


@hookimpl
def gan_losses() -> Iterator[Loss]:
    yield Loss(
        name="non-saturating",
        summary="Logistic loss with the non-saturating generator (Goodfellow et al. 2014)",
        target="gancore.losses.adversarial:NonSaturating",
    )
    yield Loss(
        name="minimax",
        summary="Logistic loss with the saturating generator of the zero-sum game (Goodfellow et al. 2014)",
        target="gancore.losses.adversarial:Minimax",
    )
    yield Loss(
        name="hinge",
        summary="Hinge loss with margin 1 (Lim and Ye 2017)",
        target="gancore.losses.adversarial:Hinge",
    )
    yield Loss(
        name="least-squares",
        summary="LSGAN: squared distance from labels (Mao et al. 2017)",
        target="gancore.losses.adversarial:LeastSquares",
        options="gancore.losses.adversarial:LeastSquaresOptions",
    )
    yield Loss(
        name="wasserstein",
        summary="Difference of the critic's means; needs a Lipschitz critic (Arjovsky et al. 2017)",
        target="gancore.losses.adversarial:Wasserstein",
    )
    yield Loss(
        name="rpgan",
        summary="Relativistic pairing of real and fake samples (Jolicoeur-Martineau 2018; Huang et al. 2024)",
        target="gancore.losses.adversarial:RelativisticPairing",
    )
    yield Loss(
        name="ragan",
        summary="Relativistic average: each sample against the mean of the other kind (Jolicoeur-Martineau 2018)",
        target="gancore.losses.adversarial:RelativisticAverage",
    )


@hookimpl
def gan_penalties() -> Iterator[Penalty]:
    yield Penalty(
        name="gradient-penalty",
        summary="WGAN-GP: gradient norm near 1 between real and fake samples (Gulrajani et al. 2017)",
        target="gancore.losses.penalties:GradientPenalty",
        options="gancore.losses.penalties:GradientPenaltyOptions",
    )
    yield Penalty(
        name="dragan",
        summary="DRAGAN: gradient norm near 1 around real samples (Kodali et al. 2017)",
        target="gancore.losses.penalties:Dragan",
        options="gancore.losses.penalties:DraganOptions",
    )
    yield Penalty(
        name="r1",
        summary="Squared gradient norm on real samples (Mescheder et al. 2018)",
        target="gancore.losses.penalties:R1",
        options="gancore.losses.penalties:R1Options",
    )
    yield Penalty(
        name="r2",
        summary="Squared gradient norm on fake samples (Mescheder et al. 2018)",
        target="gancore.losses.penalties:R2",
        options="gancore.losses.penalties:R1Options",
    )
    for name, side, of in (("cr", "", "real"), ("cr-fake", "Fake", "generated")):
        yield Penalty(
            name=name,
            summary=f"Consistency: logits of {of} samples stay as they are where these are augmented (Zhao et al. 2021)",
            target=f"gancore.losses.consistency:{side}Consistency",
            options="gancore.losses.consistency:ConsistencyOptions",
        )
    yield Penalty(
        name="lecam",
        summary="LeCam: logits stay near moving averages of the other side's, for few data (Tseng et al. 2021)",
        target="gancore.losses.regularisers:LeCam",
        options="gancore.losses.regularisers:LeCamOptions",
    )
    yield Penalty(
        name="path-length",
        summary="Of the generator: equal steps of the latent change samples equally (Karras et al. 2020)",
        target="gancore.losses.regularisers:PathLength",
        options="gancore.losses.regularisers:PathLengthOptions",
    )
    yield Penalty(
        name="weight-clip",
        summary="Keep the critic's weights in a small box (Arjovsky et al. 2017)",
        target="gancore.losses.penalties:WeightClip",
        options="gancore.losses.penalties:WeightClipOptions",
    )


@hookimpl
def gan_augmentations() -> Iterator[Augmentation]:
    yield Augmentation(
        name="apa",
        summary="APA: some fakes are shown to the discriminator as real samples (Jiang et al. 2021)",
        target="gancore.losses.apa:Apa",
        options="gancore.losses.apa:ApaOptions",
    )


@hookimpl
def gan_games() -> Iterator[Game]:
    yield Game(
        name="gan",
        summary="The standard game: a generator against a discriminator",
        target="gancore.games.gan:GanGame",
        options="gancore.games.gan:GanOptions",
        players=("discriminator", "generator"),
    )
    yield Game(
        name="pix2pix",
        summary="The standard game, and nearness to the real sample of which a part is given (Isola et al. 2017)",
        target="gancore.games.pix2pix:Pix2Pix",
        options="gancore.games.pix2pix:Options",
        players=("discriminator", "generator"),
    )
    yield Game(
        name="cut",
        summary="From domain to domain without pairs, by contrast of places: one generator, no way back (CUT, Park et al. 2020)",
        target="gancore.games.cut:Cut",
        options="gancore.games.cut:Options",
        players=("discriminator", "generator"),
        translates=True,
    )
    yield Game(
        name="cycle",
        summary="From domain to domain without pairs, there and back (CycleGAN, Zhu et al. 2017)",
        target="gancore.games.cycle:Cycle",
        options="gancore.games.cycle:Options",
        players=("discriminator", "generator"),
        translates=True,
    )
    yield Game(
        name="stargan",
        summary="From domain to domain in many styles, drawn or of a sample to follow (StarGAN v2, Choi et al. 2020)",
        target="gancore.games.stargan:StarGan",
        options="gancore.games.stargan:Options",
        players=("discriminator", "generator"),
        translates=True,
    )


@hookimpl
def gan_optimizers() -> Iterator[Optimizer]:
    for name, options, summary in (
        ("adam", "Adam", "Adam: moments of the gradient and of its square (Kingma and Ba 2015)"),
        ("adamw", "Adam", "Adam with weight decay beside the gradient (Loshchilov and Hutter 2019)"),
        ("rmsprop", "RmsProp", "The gradient over the root of its mean square (Hinton 2012)"),
        ("sgd", "Sgd", "Gradient descent, with momentum or without"),
    ):
        yield Optimizer(
            name=name,
            summary=summary,
            target=f"gancore.optimizers:{name}",
            options=f"gancore.optimizers:{options}Options",
        )


@hookimpl
def gan_schedules() -> Iterator[Schedule]:
    for name, summary in (
        ("linear", "In a straight line"),
        ("cosine", "Along half a cosine, slow at both ends (Loshchilov and Hutter 2017)"),
    ):
        yield Schedule(
            name=name,
            summary=summary,
            target=f"gancore.schedules:{name.capitalize()}",
            options="gancore.options:ScheduleOptions",
        )


@hookimpl
def gan_metrics() -> Iterator[Metric]:
    yield Metric(
        name="mind",
        summary="MIND: sliced Wasserstein distance of features (Berthet et al. 2026)",
        target="gancore.evaluation.metrics.mind:Mind",
        options="gancore.evaluation.metrics.mind:Options",
    )
    yield Metric(
        name="neighbours",
        summary="Precision, recall, density and coverage of features (Kynkäänniemi et al. 2019; Naeem et al. 2020)",
        target="gancore.evaluation.metrics.neighbours:Neighbours",
        options="gancore.evaluation.metrics.neighbours:Options",
    )
    yield Metric(
        name="nearest",
        summary="Copies of training samples: distances to the nearest one, authenticity",
        target="gancore.evaluation.metrics.nearest:NearestSamples",
        options="gancore.evaluation.metrics.nearest:Options",
    )
    yield Metric(
        name="vendi",
        summary="How many different samples there are: Vendi score (Friedman and Dieng 2023)",
        target="gancore.evaluation.metrics.vendi:Vendi",
    )
    yield Metric(
        name="class-accuracy",
        summary="Classifiers on features: trained on real samples and tested on generated ones, and the other way round",
        target="gancore.evaluation.metrics.classes:ClassAccuracy",
        options="gancore.evaluation.metrics.classes:Options",
    )
    yield Metric(
        name="frechet",
        summary="Fréchet distance of features (Heusel et al. 2017)",
        target="gancore.evaluation.metrics.frechet:Frechet",
        options="gancore.evaluation.metrics.frechet:Options",
    )
    yield Metric(
        name="kernel",
        summary="Kernel distance of features (Bińkowski et al. 2018)",
        target="gancore.evaluation.metrics.kernel:Kernel",
        options="gancore.evaluation.metrics.kernel:Options",
    )
    yield Metric(
        name="translation",
        summary="Of translated samples: content kept, round trip, identity, and what leaving them as they were would give",
        target="gancore.evaluation.metrics.translation:Translation",
    )
    yield Metric(
        name="control",
        summary="What each direction of a run does to samples it was not found by, perceptual path length, and DCI of its codes",
        target="gancore.latent.control:Control",
        options="gancore.latent.control:Options",
        default=False,
    )
