"""Broken promises: for each, the check that must find it, and the edit that breaks the specimen."""

from __future__ import annotations

from toys.specimen import WITH_GIVEN, Change


def declared(old: str, new: str) -> tuple[Change, ...]:
    return (Change("declarations", old, new),)


def part(old: str, new: str) -> tuple[Change, ...]:
    return (Change("parts", old, new),)


def package(old: str, new: str) -> tuple[Change, ...]:
    return (Change("metadata", old, new),)


WIDTH = 'width: int = Field(16, ge=1, le=4096, description="Hidden units.")'
FETCH = "return self.points[indices], None"
MAKE = "points: Tensor = self.last(self.first(z).relu()).tanh()"
JUDGE = "logits: Tensor = self.last(h.tanh()).squeeze(1)"
LAST = "self.last = nn.Linear(options.width, 1)"
FIRST = "self.first = nn.Linear(options.latent, options.width)"
LATENT = "self.latent_shape = (options.latent,)"
BUILD = 'return {"generator": Generator(options, spec), "discriminator": Discriminator(options, spec)}'
REAL_SIDE = "return F.softplus(-real).mean() + F.softplus(fake).mean()"
FAKE_SIDE = "return F.softplus(-fake).mean()"
SLOPE = "return slope.flatten(1).norm(dim=1).pow(self.options.power).mean()"
CSV_PATH = 'path = folder / f"{stem}.csv"'
NAMES = 'path.write_text("\\n".join(s.name for s in sheets))\n        return [path]'
ROWS = "writerows(samples.tolist())"
METRIC = "def gap(material):"
FIGURES = (
    'return {"gap": float((fake.mean(0) - real.mean(0)).norm()), "spread": Figure(value=1.0, real=1.0, overlap=1.0)}'
)
NOT_EXACT = "    @property\n    def exact(self):\n        return False\n\n    def harden(self, relaxed):"
FORWARD = (
    "    def forward(self, z: Tensor, condition: Tensor | None) -> Tensor:\n"
    "        if self.classes is not None and condition is not None:\n            z = z"
)
WITNESS = "fake = self.generator(draw_latent(self.generator, draws), batch.condition)"


def validator(mode: str, arguments: str, *body: str) -> tuple[Change, ...]:
    """The option `width` with a validator of its own."""
    lines = [
        "",
        "",
        f"    @field_validator('width', mode='{mode}')",
        "    @classmethod",
        f"    def _width(cls, {arguments}):",
    ]
    code = "\n".join([WIDTH, *lines[1:], *(f"        {line}" for line in body)])
    return (*part(WIDTH, code), *part("from pydantic import Field", "from pydantic import Field, field_validator"))


def method(signature: str, body: str) -> tuple[Change, ...]:
    """A method of the generator, before its `forward`."""
    return part(FORWARD, f"    def {signature}:\n        {body}\n\n{FORWARD}")


ONCE = """class Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.tanh()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        return grad * (1 - ctx.saved_tensors[0].tanh() ** 2)


"""

PLUGIN = {
    "it fails on import": ("plugin.loads", declared("import Iterable\n", "import Iterable\n\nimport no_such_module\n")),
    "its API version is of the future": ("plugin.loads", declared("api_version=1", "api_version=99")),
    "a hook is misspelt": ("plugin.loads", declared("def gan_losses()", "def gan_loses()")),
    "a hook yields another kind": ("plugin.loads", declared("yield Metric(", "yield Loss(")),
    "pip would not install gancore": ("plugin.package", package("Requires-Dist: gancore\n", "")),
    "the package has no summary": ("plugin.package", package("Summary: Points\n", "")),
    "declarations import torch": ("plugin.light", declared("import Iterable\n", "import Iterable\nimport torch\n")),
    "importing it prints": ("plugin.light", declared("import Iterable\n", "import Iterable\nprint('hello')\n")),
    "a hook is not marked": ("plugin.loads", declared("@hookimpl\ndef gan_losses()", "def gan_losses()")),
    "the demo preset does not exist": ("plugin.presets", declared('demo_preset="demo"', 'demo_preset="tiny"')),
    "the demo has no data": ("plugin.presets", declared('"data": {"name": "circles"}, ', "")),
}

COMPONENTS = {
    "a component has no summary": ("component.summary", declared('summary="The logistic loss"', 'summary=""')),
    "a target is misspelt": ("component.resolves", declared(":Logistic", ":Logistics")),
    "options are no model": ("component.resolves", declared(":CsvOptions", ":Points")),
    "the options of a penalty lack weight": ("component.resolves", part("(PenaltyOptions)", "(Options)")),
    "the spec is no spec": ("component.resolves", declared(":PointSpec", ":Points")),
    "an option has no description": ("component.options", part(', description="Hidden units."', "")),
    "options hold a list": (
        "options.immutable",
        part(WIDTH, f'{WIDTH}\n    sides: list[str] = Field([], description="Of something.")'),
    ),
    "options hold a dict in a tuple": (
        "options.immutable",
        part(WIDTH, f'{WIDTH}\n    sides: tuple[dict[str, str], ...] = Field((), description="Of something.")'),
    ),
    "a number has no bounds": ("component.options", part("16, ge=1, le=4096, ", "16, ")),
    "infinity is taken": (
        "component.nonsense",
        part(WIDTH, f'{WIDTH}\n    rate: float = Field(0.5, ge=0.0, allow_inf_nan=True, description="Of something.")'),
    ),
    "a list has numbers without bounds": (
        "component.options",
        part(WIDTH, f'{WIDTH}\n    sides: tuple[int, ...] = Field((), description="Of something.")'),
    ),
    "None cannot be written down": (
        "component.defaults",
        part(WIDTH, f'{WIDTH}\n    rate: float | None = Field(0.5, ge=0.0, le=1.0, description="Of something.")'),
    ),
    "unknown options are ignored": (
        "component.options",
        part(WIDTH, f'model_config = {{"extra": "ignore", "frozen": True}}\n    {WIDTH}'),
    ),
    "an option has no default": ("component.defaults", part("Field(16, ge=1", "Field(ge=1")),
    "a default is out of bounds": ("component.defaults", part("Field(16, ge=1", "Field(0, ge=1")),
    "an option is lost in config.toml": (
        "component.defaults",
        part(
            WIDTH,
            f'{WIDTH}\n    drawn: int = Field(ge=0, le=9999, exclude=True, description="A seed.",'
            " default_factory=iter(range(9999)).__next__)",
        ),
    ),
    "a validator takes anything": (
        "component.nonsense",
        validator("wrap", "value, handler", "try:", "    return handler(value)", "except ValueError:", "    return 16"),
    ),
    "a validator raises KeyError": (
        "component.nonsense",
        validator("before", "value", "return value if isinstance(value, int) else {}[value]"),
    ),
    "a preset names no architecture": ("preset.complete", declared('"architecture": {"name": "mlp"}, ', "")),
    "a preset misspells an option": ("preset.complete", declared('{"name": "mlp"}', '{"name": "mlp", "widht": 8}')),
    "a preset names an unknown loss": ("preset.complete", declared('"steps": 1000', '"steps": 1000, "loss": "hinged"')),
}

DATA = {
    "the spec is of another class": ("data.opens", part("self.spec = PointSpec(", "self.spec = SampleSpec(")),
    "the data set is empty": ("data.opens", part("return len(self.points)", "return 0")),
    "there is no report": ("data.opens", part("self.report = report", "self.report = None")),
    "groups are not numbered": (
        "data.opens",
        part("self.report = report", "self.report = report\n        self.groups = ['one'] * len(points)"),
    ),
    "samples are of another type": ("data.samples", part(FETCH, "return self.points[indices].double(), None")),
    "samples leave their range": ("data.samples", part("0.4 + 0.5 * labels", "0.4 + 5.0 * labels")),
    "labels are int32": ("data.samples", part("else self.labels[indices]", "else self.labels[indices].int()")),
    "labels exceed the classes": ("data.samples", part('("inner", "outer")', '("inner",)')),
    "labels come without classes": ("data.samples", part('labels, ("inner", "outer"), report', "labels, (), report")),
    "relax gives float64": ("data.relaxes", part("return hard.float()", "return hard.double()")),
    "harden is not the inverse": ("data.relaxes", part("relaxed.float().clamp(-1.0, 1.0)", "relaxed.float() * 0.5")),
    "harden finds nothing near": (
        "data.relaxes",
        part("    def harden(self, relaxed):", NOT_EXACT)
        + part("relaxed.float().clamp(-1.0, 1.0)", "-relaxed.float()"),
    ),
    "one sample of many is not finite": (
        "data.samples",
        part(
            "self.points = points", "self.points = points.clone()\n        self.points[len(points) // 3] = float('nan')"
        ),
    ),
    "relax makes a tensor on the CPU": (
        "data.device",
        part("return hard.float()", "return hard.float() * torch.ones(2)"),
    ),
    "fetch draws for the batch and not for the sample": (
        "data.counted",
        part(f"del draws\n        {FETCH}", "return self.points[indices] * (0.5 + draws.seed % 5 / 10), None"),
    ),
    "fetch draws from torch": (
        "data.counted",
        part(FETCH, "return self.points[indices] * torch.rand(len(indices), 1), None"),
    ),
    "fetch mixes a batch": (
        "data.counted",
        part(FETCH, "return self.points[indices] * 0.5 - 0.1 * self.points[indices].mean(0), None"),
    ),
    "fetch mixes in a neighbour": (
        "data.held_out",
        part(FETCH, "return 0.8 * self.points[indices] + 0.2 * self.points[(indices + 1) % len(self.points)], None"),
    ),
    "the data set cannot be pickled": (
        "data.travels",
        part("self.points = points", "self.points = points\n        self.hook = lambda: 0"),
    ),
    "a missing file is a traceback": ("data.broken", part("(OSError, UnicodeDecodeError, csv.Error)", "csv.Error")),
    "an empty file has no samples": (
        "data.broken",
        part("    if not rows:\n", "    if not rows and lines:\n")
        + part("torch.tensor(rows), None", "torch.tensor(rows).reshape(-1, 2), None"),
    ),
    "an error does not name the path": ("data.broken", part("f\"data '{path}': none of", 'f"none of')),
}

NETWORKS = {
    "there is no latent_shape": ("networks.build", part(LATENT, "")),
    "networks come as a list": ("networks.build", part(BUILD, "return [Generator(options, spec)]")),
    "samples have another shape": (
        "networks.shapes",
        part("nn.Linear(options.width, spec.shape[0])", "nn.Linear(options.width, 3)"),
    ),
    "logits have two dimensions": ("networks.shapes", part(JUDGE, JUDGE.replace(".squeeze(1)", ""))),
    "the generator ignores the class": (
        "networks.condition",
        part("z = z + self.classes(condition)", "z = z + 0 * self.classes(condition)"),
    ),
    "the discriminator ignores the class": (
        "networks.condition",
        part("h = h + self.classes(condition)", "h = h + 0 * self.classes(condition)"),
    ),
    "the target seeds torch": ("networks.seeded", part(BUILD, f"torch.manual_seed(0)\n    {BUILD}")),
    "weights come from elsewhere": (
        "networks.seeded",
        part(LAST, f"{LAST}\n        self.last.weight.data[0, 0] = __import__('random').random()"),
    ),
    "the discriminator mixes a batch": (
        "networks.apart",
        part(JUDGE, JUDGE.replace("h.tanh()", "(h - h.mean(0)).tanh()")),
    ),
    "the generator mixes a batch": ("networks.apart", part(MAKE, MAKE.replace("(z)", "(z - 0.5 * z.mean(0))"))),
    "the discriminator mixes a batch under dropout": (
        "networks.apart",
        part(JUDGE, JUDGE.replace("h.tanh()", "nn.functional.dropout((h - h.mean(0)).tanh(), 0.5, self.training)")),
    ),
    "latents are drawn from torch": (
        "networks.build",
        method("draw_latent(self, draws)", "return torch.randn(len(draws), *self.latent_shape)"),
    ),
    "the generator draws noise of its own": (
        "networks.noise",
        part(MAKE, f"{MAKE}\n        points = points + 0.01 * torch.randn_like(points)"),
    ),
    "the generator remembers the last batch": (
        "networks.state",
        part(LATENT, f"{LATENT}\n        self.kept = None")
        + part(
            MAKE,
            f"{MAKE}\n        kept, self.kept = self.kept, points.detach().mean(0)\n"
            "        points = points if kept is None else points + 0.1 * kept",
        ),
    ),
    "the generator fails in bf16": (
        "networks.bf16",
        part(
            MAKE,
            "points = torch.zeros(len(z), 2, device=z.device)\n        points[torch.arange(len(z), device=z.device)] = "
            "self.last(self.first(z).relu()).tanh()",
        ),
    ),
    "noise is made on the CPU": (
        "networks.device",
        part(
            MAKE, f"{MAKE}\n        if self.training:\n            points = points + 0.01 * torch.randn(points.shape)"
        ),
    ),
    "a constant is no buffer": ("networks.device", part(MAKE, f"{MAKE} * torch.tensor([1.0, 1.0])")),
}

POWERS = {
    "a power is misspelt": ("powers.spelled", method("draw_latents(self, draws)", 'return draws.normal("z", 4)')),
    "a power is half there": (
        "powers.spelled",
        method("sample(self, z, condition, sampling)", "return self(z, condition)"),
    ),
    "a power is a layer": ("powers.spelled", part(LAST, f"{LAST}\n        self.features = self.first")),
    "groups are misspelt": (
        "powers.spelled",
        part("self.report = report", "self.report = report\n        self.group = torch.arange(len(points))"),
    ),
    "a power lacks an argument": ("powers.signature", method("log_likelihood(self, hard)", "return -hard.norm(dim=1)")),
    "a power that is a value is a method": ("powers.signature", method("takes_given(self)", "return False")),
    "labels are in a list": (
        "powers.signature",
        part(
            "return self.points[indices], None if self.labels is None else self.labels[indices]",
            "return self.points[indices], None if self.labels is None else torch.tensor(self.labels)[indices]",
        )
        + part("self.labels = labels", "self.labels = None if labels is None else labels.tolist()"),
    ),
}

STEPS = {
    "a parameter is never used": ("step.scene", part(LAST, f"{LAST}\n        self.idle = nn.Linear(2, 2)")),
    "a layer is cut off": ("step.scene", part(MAKE, MAKE.replace(".relu()", ".relu().detach()"))),
    "the generator rounds": ("step.scene", part(MAKE, f"{MAKE}\n        points = points.detach() + 0 * points")),
    "the discriminator is not finite": (
        "networks.shapes",
        part(JUDGE, f"{JUDGE}\n        logits = logits / (x * 0).sum(1)"),
    ),
    "a gradient is not finite": (
        "step.scene",
        part(JUDGE, f"{JUDGE}\n        logits = logits + (x * 0).sum(1).sqrt()"),
    ),
    "double backward is cut off": (
        "step.engine",
        part("class Discriminator", f"{ONCE}class Discriminator")
        + part(JUDGE, JUDGE.replace("h.tanh()", "Once.apply(h)")),
    ),
    "a player has no phase": ("step.game", part('for n in ("generator", "witness")]', 'for n in ("generator",)]')),
    "a phase moves somebody else": (
        "step.game",
        part(WITNESS, f"self.generator.requires_grad_(True)\n        {WITNESS}"),
    ),
    "a phase reports with a graph": (
        "step.game",
        part("return {self.name: loss.detach()}", "return {self.name: loss}"),
    ),
    "a phase forgets the weight of its part": (
        "step.parts",
        part("(loss * batch.weight).backward()", "loss.backward()"),
    ),
    "each process has its own batch statistics": (
        "step.processes",
        part(FIRST, f"{FIRST[:13]} nn.Sequential({FIRST[13:]}, nn.BatchNorm1d(options.width))"),
    ),
}

OBJECTIVES = {
    "needs_real is missing": ("loss.contract", part("    needs_real = False\n", "")),
    "the loss is not averaged": ("loss.contract", part(REAL_SIDE, REAL_SIDE.replace(".mean()", ""))),
    "the loss overflows": ("loss.finite", part(FAKE_SIDE, "return -torch.log(torch.sigmoid(fake)).mean()")),
    "a sign is turned": ("loss.direction", part(FAKE_SIDE, "return F.softplus(fake).mean()")),
    "real and fake are swapped": (
        "loss.direction",
        part(REAL_SIDE, "return F.softplus(real).mean() + F.softplus(-fake).mean()"),
    ),
    "the loss makes a tensor on the CPU": (
        "loss.device",
        part(FAKE_SIDE, "return F.binary_cross_entropy_with_logits(fake, torch.ones(len(fake)))"),
    ),
    "the penalty makes a tensor on the CPU": (
        "penalty.device",
        part(SLOPE, SLOPE.replace(".mean()", ".mul(torch.ones(len(real))).mean()")),
    ),
    "the augmentation makes a tensor on the CPU": (
        "augmentation.device",
        part("return x + 0.1", "return x + 0.0 * torch.ones(x.shape) + 0.1"),
    ),
    "the penalty counts its calls": (
        "penalty.contract",
        part(SLOPE, f"self.calls = getattr(self, 'calls', 0) + 1\n        {SLOPE} * self.calls"),
    ),
    "the loss is a sum": ("loss.couples", part(FAKE_SIDE, FAKE_SIDE.replace(".mean()", ".sum()"))),
    "the penalty draws from torch": (
        "penalty.contract",
        part("x = real.detach()", "x = (real + torch.rand_like(real))"),
    ),
    "the penalty is a sum": ("penalty.contract", part(SLOPE, SLOPE.replace(".mean()", ".sum()"))),
    "the penalty has no graph": ("penalty.contract", part("create_graph=True", "create_graph=False")),
    "the augmentation is detached": ("augmentation.contract", part("return x + 0.1", "return x.detach() + 0.1")),
    "the augmentation draws from torch": (
        "augmentation.contract",
        part('draws.normal("shift", *x.shape[1:])', "torch.randn_like(x)"),
    ),
    "the metric is not finite": ("metric.contract", part('{"gap": float(', '{"gap": float("nan") * float(')),
    "the metric gives a tensor": ("metric.contract", part('{"gap": float(', '{"gap": (')),
    "the metric has no figures": ("metric.contract", part(FIGURES, "return {}")),
    "the metric takes two tensors": ("metric.contract", part(METRIC, "def gap(fake, real):")),
    "an overlap is beyond 1": ("metric.contract", part("overlap=1.0", "overlap=1.5")),
    "the metric draws from torch": ("metric.contract", part(METRIC, f"{METRIC}\n        torch.rand(1)")),
    "the metric draws without a seed": (
        "metric.contract",
        part('{"gap": float(', '{"gap": __import__("random").random() + float('),
    ),
    "the metric changes its samples": ("metric.in-place", part(METRIC, f"{METRIC}\n        material.real.x.mul_(0.5)")),
}

FILES = {
    "the stem is ignored": ("writer.writes", part(CSV_PATH, 'path = folder / "points.csv"')),
    "a file is written elsewhere": ("writer.writes", part(CSV_PATH, 'path = folder.parent / f"{stem}.csv"')),
    "a file is left behind": (
        "writer.writes",
        part(CSV_PATH, f"(folder.parent / 'left.tmp').touch()\n        {CSV_PATH}"),
    ),
    "a file is not returned": ("writer.writes", part("        return paths\n", "        return paths[1:]\n")),
    "samples are changed": ("writer.writes", part(CSV_PATH, f"samples.mul_(0.5)\n        {CSV_PATH}")),
    "a flat sample cannot be written": (
        "writer.odd",
        part(CSV_PATH, f"{CSV_PATH}\n        assert all(x != y for x, y in samples.tolist()), 'flat'"),
    ),
    "values are lost": ("writer.reads-back", part(ROWS, "writerows(samples.round().tolist())")),
    "a row is lost": ("writer.reads-back", part(ROWS, "writerows(samples[len(samples) > 1 :].tolist())")),
    "there is no progress": ("writer.progress", part(NAMES, "return []")),
}

RUNS = {
    "Python's random numbers": (
        "run.seeded",
        part(MAKE, f"{MAKE} * (1 - 0.1 * __import__('random').random() * self.training)"),
    ),
    "a game draws from elsewhere": (
        "run.seeded",
        part(
            "loss = F.cross_entropy",
            "fake = fake + 0.1 * __import__('random').random()\n        loss = F.cross_entropy",
        ),
    ),
    "a game counts its steps": (
        "run.resumes",
        part(
            "loss = F.cross_entropy",
            "self.calls = getattr(self, 'calls', 0) + 1\n        fake = fake * self.calls\n        "
            "loss = F.cross_entropy",
        ),
    ),
    "a loss counts its calls": (
        "loss.contract",
        part(REAL_SIDE, f"self.calls = getattr(self, 'calls', 0) + 1\n        {REAL_SIDE} * (1 + 0.1 * self.calls)"),
    ),
    "the number of threads is changed": (
        "step.scene",
        part(MAKE, f"torch.set_num_threads(torch.get_num_threads() + 1)\n        {MAKE}"),
    ),
    "state in an attribute": (
        "run.resumes",
        part(LATENT, f"{LATENT}\n        self.calls = 0")
        + part(MAKE, f"self.calls += self.training\n        {MAKE} * (1 - 0.01 * self.calls)"),
    ),
    "a buffer is not saved": (
        "run.loads",
        part(LATENT, f"{LATENT}\n        self.register_buffer('scale', torch.ones(2), persistent=False)")
        + part(MAKE, f"self.scale = self.scale * (0.9 if self.training else 1.0)\n        {MAKE} * self.scale"),
    ),
    "a listener raises": ("listener.hears", declared("event.scalars['discriminator/loss']", "event.scalars['loss']")),
    "a listener stops without a reason": (
        "listener.hears",
        declared('"enough" if event.step > 1_000_000 else None', "event.step > 1_000_000"),
    ),
}

GIVEN = {
    "what is given is changed": ("networks.given", part("torch.cat([given, made", "torch.cat([0.9 * given, made")),
    "what is given is not looked at": ("networks.given", part("self.see(given)", "self.see(0 * given)")),
    "the generator does not say that it takes it": ("networks.build", part("    takes_given = True\n", "")),
    "the given part has another shape": ("data.relaxes", part("return (1,)", "return (2,)")),
    "what reads given files is no reader": ("data.given", part("def join(self", "def joined(self")),
    "a given file that does not exist is read": (
        "data.given",
        part(
            "return Given(open_csv(CsvOptions(path=path), lambda *progress: None).points)",
            "return Given(torch.zeros(1, 2))",
        ),
    ),
}

FAULTS: dict[str, tuple[str, tuple[Change, ...]]] = {
    name: (check, WITH_GIVEN + changes) for name, (check, changes) in GIVEN.items()
} | (PLUGIN | COMPONENTS | DATA | NETWORKS | POWERS | STEPS | OBJECTIVES | FILES | RUNS)
