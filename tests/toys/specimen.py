"""A plugin that keeps every promise, as source text, so that tests can break one promise at a time."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from gancore.testing import points, points_parts

DECLARATIONS, PARTS = "fake_specimen", "fake_specimen_parts"

MORE_DECLARATIONS = """
from gancore.components import Attribute, Augmentation, Features, Game, Loss, Metric, Optimizer, Penalty, Schedule


@hookimpl
def gan_losses():
    yield Loss(name="logistic", summary="The logistic loss", target=f"{_PARTS}:Logistic")


@hookimpl
def gan_penalties():
    yield Penalty(
        name="slope", summary="Mean squared gradient", target=f"{_PARTS}:Slope", options=f"{_PARTS}:SlopeOptions"
    )


@hookimpl
def gan_augmentations():
    yield Augmentation(name="shift", summary="Move each point a little", target=f"{_PARTS}:Shift", options=f"{_PARTS}:ShiftOptions")


@hookimpl
def gan_games():
    yield Game(
        name="witness", summary="With a third player who tells classes apart", target=f"{_PARTS}:WitnessGame",
        players=("discriminator", "generator", "witness"),
    )


@hookimpl
def gan_optimizers():
    options = f"{_PARTS}:LionOptions"
    yield Optimizer(name="lion", summary="Signs of momentum", target=f"{_PARTS}:lion", options=options)


@hookimpl
def gan_schedules():
    options = "gancore.options:ScheduleOptions"
    yield Schedule(name="jump", summary="At once, half-way", target=f"{_PARTS}:jump_by", options=options)


@hookimpl
def gan_metrics():
    yield Metric(name="gap", summary="Distance between the means", target=f"{_PARTS}:gap_metric")


@hookimpl
def gan_features():
    yield Features(name="places", summary="The points themselves", target=f"{_PARTS}:Places")


@hookimpl
def gan_attributes():
    yield Attribute(
        name="radius", summary="Distance from the centre", target=f"{_PARTS}:radius_of", less="nearer", more="farther",
    )


@hookimpl
def gan_run_started(event):
    (event.folder / "diary.txt").write_text("began")


@hookimpl
def gan_tick(event):
    text = f"{event.scalars['discriminator/loss']}"
    (event.folder / "diary.txt").write_text(text)


@hookimpl
def gan_should_stop(event):
    return "enough" if event.step > 1_000_000 else None
"""

MORE_WRITERS = """
    yield Writer(name="text", summary="A file a point", target=f"{_PARTS}:TextWriter", role="each")
    yield Writer(name="film", summary="Point after point", target=f"{_PARTS}:FilmWriter", role="walk")
    yield Writer(name="list", summary="Names of the sheets", target=f"{_PARTS}:ListWriter", role="progress")
"""

MORE_PARTS = '''
import torch.nn.functional as F

from gancore.evaluation.records import Figure
from gancore.games.calling import draw_latent
from gancore.games.gan import GanGame
from gancore.games.player import Phase
from gancore.options import OptimizerOptions, Options, PenaltyOptions, StrengthOptions


class PointSpec(SampleSpec):
    """Points in the plane."""

    def relax(self, hard):
        return hard.float()

    def harden(self, relaxed):
        return relaxed.float().clamp(-1.0, 1.0)


class Logistic:
    needs_real = False
    couples_batch = False

    def __init__(self, spec):
        pass

    def discriminator(self, real, fake):
        return F.softplus(-real).mean() + F.softplus(fake).mean()

    def generator(self, fake, real):
        return F.softplus(-fake).mean()


class SlopeOptions(PenaltyOptions):
    """Options of the penalty."""

    power: float = Field(2.0, ge=1.0, le=4.0, description="Of the norm.")


class Slope:
    def __init__(self, options, spec):
        self.options = options

    def penalty(self, critic, real, fake, draws):
        x = real.detach().requires_grad_()
        (slope,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
        return slope.flatten(1).norm(dim=1).pow(self.options.power).mean()

    def constrain(self, module):
        pass


class ShiftOptions(StrengthOptions):
    """Options of `shift`."""


class Shift:
    def __init__(self, options, spec):
        self.strength = options.strength

    def __call__(self, x, draws):
        return x + 0.1 * self.strength * draws.normal("shift", *x.shape[1:])


class LionOptions(OptimizerOptions):
    """Options of `lion`."""

    beta1: float = Field(0.9, ge=0.0, lt=1.0, description="Share of the momentum.")


class Lion(torch.optim.Optimizer):
    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    m = self.state[p].setdefault("exp_avg", torch.zeros_like(p))
                    p.sub_(group["lr"] * m.lerp_(p.grad, 1 - group["beta1"]).sign())


def lion(options, parameters):
    return Lion(parameters, {"lr": options.lr, "beta1": options.beta1})


def jump_by(options):
    def jump(first, last, progress):
        return first if progress < 0.5 else last

    return jump


class WitnessPhase(Phase):
    def __init__(self, name, player, context, witness):
        super().__init__(name, player)
        self.generator = context.networks["generator"]
        self.witness = witness

    def run(self, batch, draws):
        if batch.condition is None:
            return {}
        fake = self.generator(draw_latent(self.generator, draws), batch.condition)
        loss = F.cross_entropy(self.witness(fake), batch.condition)
        (loss * batch.weight).backward()
        return {self.name: loss.detach()}


class WitnessGame(GanGame):
    def __init__(self, context):
        from gancore.games.gan import GanOptions

        super().__init__(GanOptions(), context)
        self.networks["witness"] = nn.Linear(context.spec.shape[0], max(1, context.spec.class_count))

    def phases(self, players):
        witness = self.networks["witness"]
        more = [WitnessPhase(f"{n}/class", players[n], self.context, witness) for n in ("generator", "witness")]
        return [*super().phases(players), *more]


class Places:
    def __init__(self, spec):
        self.spec = spec
        self.fingerprint = "places 1"

    def __call__(self, x):
        return self.spec.relax(x) * 1.0


def radius_of(spec):
    def radius(x):
        return x.float().norm(dim=1)

    return radius


def gap_metric(spec):
    def gap(material):
        fake, real = material.generated.x, material.real.x
        return {"gap": float((fake.mean(0) - real.mean(0)).norm()), "spread": Figure(value=1.0, real=1.0, overlap=1.0)}

    return gap


class TextWriter(CsvWriter):
    def write(self, samples, folder, stem, labels=None):
        paths = [folder / f"{stem}-{n:05d}.txt" for n in range(len(samples))]
        for path, (x, y) in zip(paths, samples.tolist(), strict=True):
            path.write_text(f"{x} {y}")
        return paths

    def attach(self, path, text):
        point = path.read_text().partition("\\n")[0]
        path.write_text(f"{point}\\n{text}", encoding="utf-8")

    def text_of(self, path):
        _, line, text = path.read_text(encoding="utf-8", errors="replace").partition("\\n")
        return text if line else None


class FilmWriter(CsvWriter):
    def write(self, samples, folder, stem, labels=None):
        path = folder / f"{stem}.film"
        path.write_text("\\n".join(f"{x} {y}" for x, y in samples.tolist()))
        return [path]


class ListWriter:
    def __init__(self, spec):
        pass

    def write(self, sheets, folder, stem):
        path = folder / f"{stem}.txt"
        path.write_text("\\n".join(s.name for s in sheets))
        return [path]
'''


@dataclass(frozen=True)
class Change:
    """An edit of the specimen: in the module of declarations or of parts, or in the package's metadata."""

    where: str
    old: str
    new: str


def _with_given() -> tuple[Change, ...]:
    declared = """
    yield Dataset(
        name="halves", summary="Points of which one coordinate is given", target=f"{_PARTS}:open_halves",
        options=f"{_PARTS}:CirclesOptions", spec=f"{_PARTS}:HalfSpec",
        given=f"{_PARTS}:HalfReader",
    )


@hookimpl
def gan_architectures()"""
    chosen = """
    yield Architecture(
        name="half", summary="The other coordinate", target=f"{_PARTS}:build_half", options=f"{_PARTS}:MlpOptions"
    )


@hookimpl
def gan_writers()"""
    preset = """
    yield Preset(
        name="half", summary="The other coordinate",
        config={"data": {"name": "halves"}, "architecture": {"name": "half"}, "steps": 1000, "samples": 64},
    )


from gancore.components import Attribute"""
    parts = '''from gancore.components import Prior
from gancore.data.spec import Given


class HalfSpec(PointSpec):
    """Points whose first coordinate is given."""

    @property
    def given_shape(self):
        return (1,)

    def given_part(self, relaxed):
        return relaxed[:, :1]


class HalfReader:
    def __init__(self, spec):
        self.spec = spec

    def read(self, path):
        return Given(open_csv(CsvOptions(path=path), lambda *progress: None).points)

    def join(self, samples, given):
        return None


def open_halves(options, progress):
    source = open_circles(options, progress)
    source.spec = HalfSpec(**source.spec.model_dump())
    return source


class HalfGenerator(Generator):
    takes_given = True

    def __init__(self, options, spec):
        super().__init__(options, spec)
        self.see = nn.Linear(1, 2)
        self.prior = Prior(smooth=options.latent)

    def map(self, z, condition):
        return self.first(z + self.classes(condition)).relu()[:, None]

    def synthesise(self, w, condition, given):
        made = (self.last(w.flatten(1)) + self.see(given)).tanh()
        return torch.cat([given, made[:, 1:]], dim=1)

    def first_weights(self):
        return [self.last.weight]

    def forward(self, z, condition, given):
        return self.synthesise(self.map(z, condition), condition, given)


def build_half(options, spec):
    return {"generator": HalfGenerator(options, spec), "discriminator": Discriminator(options, spec)}


class Logistic:'''
    return (
        Change("declarations", "\n\n@hookimpl\ndef gan_architectures()", declared),
        Change("declarations", "\n\n@hookimpl\ndef gan_writers()", chosen),
        Change("declarations", "\n\nfrom gancore.components import Attribute", preset),
        Change("parts", "class Logistic:", parts),
    )


WITH_GIVEN = _with_given()
"""What adds to the specimen data of which a part is given, and networks for them."""


def more_data(takes: str, body: str, name: str = "second") -> tuple[Change, ...]:
    """What adds a data set that takes `suffixes=(...)` or `directories=True`, opened by `body` with `options` and `progress`."""
    declared = f"""
    yield Dataset(
        name="{name}", summary="More points", target=f"{{_PARTS}}:open_{name}", options=f"{{_PARTS}}:CsvOptions",
        spec=f"{{_PARTS}}:PointSpec", {takes},
    )


@hookimpl
def gan_architectures()"""
    opened = f"def open_{name}(options, progress):\n    {body}\n\n\nclass Logistic:"
    return (
        Change("declarations", "\n\n@hookimpl\ndef gan_architectures()", declared),
        Change("parts", "class Logistic:", opened),
    )


def _falling() -> tuple[Change, ...]:
    falls = """def fall(place):
    import os

    if os.environ.get("FALL") == place:
        raise ZeroDivisionError("it fell")


class PointSpec"""
    before = {
        "dataset": 'progress("drawing circles"',
        "architecture": 'return {"generator": Generator(options, spec)',
        "network": "points: Tensor = self.last(",
        "loss": "return F.softplus(-real)",
        "penalty": "x = real.detach().requires_grad_()",
        "augmentation": "return x + 0.1 *",
        "game": "more = [WitnessPhase(",
        "writer": 'path = folder / f"{stem}.csv"',
    }
    places = (Change("parts", line, f"fall({place!r}); {line}") for place, line in before.items())
    return (Change("parts", "class PointSpec", falls), *places)


FALLING = _falling()
"""What makes each component of the specimen fail where the environment variable FALL names its kind."""
ALL_CHOSEN = {
    "data": "specimen:circles", "architecture": "specimen:mlp", "loss": "specimen:logistic", "penalties": "specimen:slope",
    "augmentations": "specimen:shift", "game": "specimen:witness",
}  # fmt: skip
"""A run with them."""


def _replace(text: str, old: str, new: str) -> str:
    assert old in text, f"the specimen has no {old!r} to break"
    return text.replace(old, new)


def sources() -> dict[str, str]:
    """The specimen's modules and metadata by what `Change.where` calls them."""
    declarations = inspect.getsource(points).replace("gancore.testing.points_parts", PARTS)
    spec = "gancore.data.spec:SampleSpec"
    declarations = _replace(declarations, f'spec = "{spec}"', f'spec = "{PARTS}:PointSpec"')
    writers = declarations.index("    yield Writer(")
    end = declarations.index("\n\n", writers)
    declarations = declarations[:end] + MORE_WRITERS + declarations[end:] + MORE_DECLARATIONS
    parts = _replace(inspect.getsource(points_parts), "self.spec = SampleSpec(", "self.spec = PointSpec(")
    metadata = "Metadata-Version: 2.1\nName: gan-specimen\nVersion: 1.0\nSummary: Points\nRequires-Dist: gancore\n"
    return {"declarations": declarations, "parts": parts + MORE_PARTS, "metadata": metadata}


def install(site: Path, changes: Iterable[Change] = ()) -> None:
    """Write the specimen into `site`, which is on `sys.path`, as the installed plugin `specimen`, with `changes`."""
    texts = sources()
    for change in changes:
        texts[change.where] = _replace(texts[change.where], change.old, change.new)
    (site / f"{DECLARATIONS}.py").write_text(texts["declarations"], encoding="utf-8")
    (site / f"{PARTS}.py").write_text(texts["parts"], encoding="utf-8")
    info = site / "gan_specimen-1.0.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text(texts["metadata"], encoding="utf-8")
    (info / "RECORD").write_text(f"{DECLARATIONS}.py,,\n{PARTS}.py,,\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[gancore]\nspecimen = {DECLARATIONS}\n", encoding="utf-8")
