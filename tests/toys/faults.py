"""Broken promises: by the check that must find each of them, the edits that break the specimen."""

from __future__ import annotations

from toys.specimen import WITH_GIVEN, Change, more_data


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
FILM = "in samples.tolist()))\n        return [path]"
POINT = 'point = path.read_text().partition("\\n")[0]'
ROWS = "writerows(samples.tolist())"
PLACES = "return self.spec.relax(x) * 1.0"
RADIUS = "return x.float().norm(dim=1)"
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


def option(line: str) -> tuple[Change, ...]:
    """One more option, beside `width`."""
    return part(WIDTH, f"{WIDTH}\n    {line}")


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

OF_FIRST_LINES = """files = sorted(options.path.glob("*.txt"))
    rows = [[float(number) for number in file.read_text().partition("\\n")[0].split()] for file in files]
    return Points(torch.tensor(rows), None, (), ScanReport(source="texts", found=len(rows), used=len(rows)))"""

BROKEN: dict[str, dict[str, tuple[Change, ...]]] = {
    "plugin.loads": {
        "it fails on import": declared("import Iterable\n", "import Iterable\n\nimport no_such_module\n"),
        "its API version is of the future": declared("api_version=1", "api_version=99"),
        "a hook is misspelt": declared("def gan_losses()", "def gan_loses()"),
        "a hook yields another kind": declared("yield Metric(", "yield Loss("),
        "a hook is not marked": declared("@hookimpl\ndef gan_losses()", "def gan_losses()"),
    },
    "plugin.package": {
        "pip would not install gancore": package("Requires-Dist: gancore\n", ""),
        "the package has no summary": package("Summary: Points\n", ""),
    },
    "plugin.light": {
        "declarations import torch": declared("import Iterable\n", "import Iterable\nimport torch\n"),
        "importing it prints": declared("import Iterable\n", "import Iterable\nprint('hello')\n"),
    },
    "plugin.presets": {
        "the demo preset does not exist": declared('demo_preset="demo"', 'demo_preset="tiny"'),
        "the demo has no data": declared('"data": {"name": "circles"}, ', ""),
    },
    "component.summary": {"a component has no summary": declared('summary="The logistic loss"', 'summary=""')},
    "component.resolves": {
        "a target is misspelt": declared(":Logistic", ":Logistics"),
        "options are no model": declared(":CsvOptions", ":Points"),
        "the options of a penalty lack weight": part("(PenaltyOptions)", "(Options)"),
        "the spec is no spec": declared(":PointSpec", ":Points"),
    },
    "component.options": {
        "an option has no description": part(', description="Hidden units."', ""),
        "a number has no bounds": part("16, ge=1, le=4096, ", "16, "),
        "a list has numbers without bounds": option('sides: tuple[int, ...] = Field((), description="Of something.")'),
        "unknown options are ignored": part(
            WIDTH, f'model_config = {{"extra": "ignore", "frozen": True}}\n    {WIDTH}'
        ),
    },
    "options.immutable": {
        "options hold a list": option('sides: list[str] = Field([], description="Of something.")'),
        "options hold a dict in a tuple": option(
            'sides: tuple[dict[str, str], ...] = Field((), description="Of something.")'
        ),
    },
    "component.nonsense": {
        "infinity is taken": option(
            'rate: float = Field(0.5, ge=0.0, allow_inf_nan=True, description="Of something.")'
        ),
        "a validator takes anything": validator(
            "wrap", "value, handler", "try:", "    return handler(value)", "except ValueError:", "    return 16"
        ),
        "a validator raises KeyError": validator(
            "before", "value", "return value if isinstance(value, int) else {}[value]"
        ),
    },
    "component.defaults": {
        "None cannot be written down": option(
            'rate: float | None = Field(0.5, ge=0.0, le=1.0, description="Of something.")'
        ),
        "an option has no default": part("Field(16, ge=1", "Field(ge=1"),
        "a default is out of bounds": part("Field(16, ge=1", "Field(0, ge=1"),
        "an option is lost in config.toml": part(
            WIDTH,
            f'{WIDTH}\n    drawn: int = Field(ge=0, le=9999, exclude=True, description="A seed.",'
            " default_factory=iter(range(9999)).__next__)",
        ),
    },
    "preset.complete": {
        "a preset names no architecture": declared('"architecture": {"name": "mlp"}, ', ""),
        "a preset misspells an option": declared('{"name": "mlp"}', '{"name": "mlp", "widht": 8}'),
        "a preset names an unknown loss": declared('"steps": 1000', '"steps": 1000, "loss": "hinged"'),
    },
    "data.opens": {
        "the spec is of another class": part("self.spec = PointSpec(", "self.spec = SampleSpec("),
        "the data set is empty": part("return len(self.points)", "return 0"),
        "there is no report": part("self.report = report", "self.report = None"),
        "groups are not numbered": part(
            "self.report = report", "self.report = report\n        self.groups = ['one'] * len(points)"
        ),
    },
    "data.samples": {
        "samples are of another type": part(FETCH, "return self.points[indices].double(), None"),
        "samples leave their range": part("0.4 + 0.5 * labels", "0.4 + 5.0 * labels"),
        "labels are int32": part("else self.labels[indices]", "else self.labels[indices].int()"),
        "labels exceed the classes": part('("inner", "outer")', '("inner",)'),
        "labels come without classes": part('labels, ("inner", "outer"), report', "labels, (), report"),
        "one sample of many is not finite": part(
            "self.points = points", "self.points = points.clone()\n        self.points[len(points) // 3] = float('nan')"
        ),
    },
    "data.relaxes": {
        "relax gives float64": part("return hard.float()", "return hard.double()"),
        "harden is not the inverse": part("relaxed.float().clamp(-1.0, 1.0)", "relaxed.float() * 0.5"),
        "harden finds nothing near": part("    def harden(self, relaxed):", NOT_EXACT)
        + part("relaxed.float().clamp(-1.0, 1.0)", "-relaxed.float()"),
    },
    "data.device": {
        "relax makes a tensor on the CPU": part("return hard.float()", "return hard.float() * torch.ones(2)")
    },
    "data.counted": {
        "fetch draws for the batch and not for the sample": part(
            f"del draws\n        {FETCH}", "return self.points[indices] * (0.5 + draws.seed % 5 / 10), None"
        ),
        "fetch draws from torch": part(FETCH, "return self.points[indices] * torch.rand(len(indices), 1), None"),
        "fetch mixes a batch": part(
            FETCH, "return self.points[indices] * 0.5 - 0.1 * self.points[indices].mean(0), None"
        ),
    },
    "data.held_out": {
        "fetch mixes in a neighbour": part(
            FETCH, "return 0.8 * self.points[indices] + 0.2 * self.points[(indices + 1) % len(self.points)], None"
        )
    },
    "data.travels": {
        "the data set cannot be pickled": part(
            "self.points = points", "self.points = points\n        self.hook = lambda: 0"
        )
    },
    "data.broken": {
        "a missing file is a traceback": part("(OSError, UnicodeDecodeError, csv.Error)", "csv.Error"),
        "an empty file has no samples": part("    if not rows:\n", "    if not rows and lines:\n")
        + part("torch.tensor(rows), None", "torch.tensor(rows).reshape(-1, 2), None"),
        "an error does not name the path": part("f\"data '{path}': none of", 'f"none of'),
    },
    "networks.build": {
        "there is no latent_shape": part(LATENT, ""),
        "networks come as a list": part(BUILD, "return [Generator(options, spec)]"),
        "latents are drawn from torch": method(
            "draw_latent(self, draws)", "return torch.randn(len(draws), *self.latent_shape)"
        ),
    },
    "networks.shapes": {
        "samples have another shape": part("nn.Linear(options.width, spec.shape[0])", "nn.Linear(options.width, 3)"),
        "logits have samples second": part(JUDGE, JUDGE.replace(".squeeze(1)", ".t()")),
        "the discriminator is not finite": part(JUDGE, f"{JUDGE}\n        logits = logits / (x * 0).sum(1)"),
    },
    "networks.condition": {
        "the generator ignores the class": part(
            "z = z + self.classes(condition)", "z = z + 0 * self.classes(condition)"
        ),
        "the discriminator ignores the class": part(
            "h = h + self.classes(condition)", "h = h + 0 * self.classes(condition)"
        ),
    },
    "networks.seeded": {
        "the target seeds torch": part(BUILD, f"torch.manual_seed(0)\n    {BUILD}"),
        "weights come from elsewhere": part(
            LAST, f"{LAST}\n        self.last.weight.data[0, 0] = __import__('random').random()"
        ),
    },
    "networks.apart": {
        "the discriminator mixes a batch": part(JUDGE, JUDGE.replace("h.tanh()", "(h - h.mean(0)).tanh()")),
        "the generator mixes a batch": part(MAKE, MAKE.replace("(z)", "(z - 0.5 * z.mean(0))")),
        "the discriminator mixes a batch under dropout": part(
            JUDGE, JUDGE.replace("h.tanh()", "nn.functional.dropout((h - h.mean(0)).tanh(), 0.5, self.training)")
        ),
    },
    "networks.noise": {
        "the generator draws noise of its own": part(
            MAKE, f"{MAKE}\n        points = points + 0.01 * torch.randn_like(points)"
        )
    },
    "networks.state": {
        "the generator remembers the last batch": part(LATENT, f"{LATENT}\n        self.kept = None")
        + part(
            MAKE,
            f"{MAKE}\n        kept, self.kept = self.kept, points.detach().mean(0)\n"
            "        points = points if kept is None else points + 0.1 * kept",
        ),
        "the generator keeps what its first call made": part(LATENT, f"{LATENT}\n        self.kept = None")
        + part(
            MAKE,
            f"{MAKE}\n        self.kept = points.detach().mean(0) if self.kept is None else self.kept\n"
            "        points = points + 0.1 * self.kept",
        ),
    },
    "networks.bf16": {
        "the generator fails in bf16": part(
            MAKE,
            "points = torch.zeros(len(z), 2, device=z.device)\n        points[torch.arange(len(z), device=z.device)] = "
            "self.last(self.first(z).relu()).tanh()",
        )
    },
    "networks.device": {
        "noise is made on the CPU": part(
            MAKE, f"{MAKE}\n        if self.training:\n            points = points + 0.01 * torch.randn(points.shape)"
        ),
        "a constant is no buffer": part(MAKE, f"{MAKE} * torch.tensor([1.0, 1.0])"),
    },
    "powers.spelled": {
        "a power is misspelt": method("draw_latents(self, draws)", 'return draws.normal("z", 4)'),
        "a power is half there": method("sample(self, z, condition, sampling)", "return self(z, condition)"),
        "a power is a layer": part(LAST, f"{LAST}\n        self.features = self.first"),
        "groups are misspelt": part(
            "self.report = report", "self.report = report\n        self.group = torch.arange(len(points))"
        ),
    },
    "powers.signature": {
        "a power lacks an argument": method("log_likelihood(self, hard)", "return -hard.norm(dim=1)"),
        "a power that is a value is a method": method("takes_given(self)", "return False"),
        "labels are in a list": part(
            "return self.points[indices], None if self.labels is None else self.labels[indices]",
            "return self.points[indices], None if self.labels is None else torch.tensor(self.labels)[indices]",
        )
        + part("self.labels = labels", "self.labels = None if labels is None else labels.tolist()"),
    },
    "powers.mixes": {
        "weights of classes are others than their numbers": part(
            "z = z + self.classes(condition)", "z = z + self.classes(condition) * (1 + condition.is_floating_point())"
        )
    },
    "powers.steered": {
        "sample draws from torch": method(
            "sample(self, z, condition, sampling)", "return self(z, condition) * torch.rand(1)"
        )
        + part(LATENT, f"{LATENT}\n        self.sampling = Options()"),
    },
    "step.scene": {
        "a parameter is never used": part(LAST, f"{LAST}\n        self.idle = nn.Linear(2, 2)"),
        "a layer is cut off": part(MAKE, MAKE.replace(".relu()", ".relu().detach()")),
        "the generator rounds": part(MAKE, f"{MAKE}\n        points = points.detach() + 0 * points"),
        "a gradient is not finite": part(JUDGE, f"{JUDGE}\n        logits = logits + (x * 0).sum(1).sqrt()"),
        "the number of threads is changed": part(
            MAKE, f"torch.set_num_threads(torch.get_num_threads() + 1)\n        {MAKE}"
        ),
    },
    "step.engine": {
        "double backward is cut off": part("class Discriminator", f"{ONCE}class Discriminator")
        + part(JUDGE, JUDGE.replace("h.tanh()", "Once.apply(h)"))
    },
    "step.game": {
        "a player has no phase": part('for n in ("generator", "witness")]', 'for n in ("generator",)]'),
        "a phase moves somebody else": part(WITNESS, f"self.generator.requires_grad_(True)\n        {WITNESS}"),
        "a phase reports with a graph": part("return {self.name: loss.detach()}", "return {self.name: loss}"),
    },
    "step.parts": {
        "a phase forgets the weight of its part": part("(loss * batch.weight).backward()", "loss.backward()")
    },
    "step.processes": {
        "each process has its own batch statistics": part(
            FIRST, f"{FIRST[:13]} nn.Sequential({FIRST[13:]}, nn.BatchNorm1d(options.width))"
        )
    },
    "loss.contract": {
        "needs_real is missing": part("    needs_real = False\n", ""),
        "the loss is not averaged": part(REAL_SIDE, REAL_SIDE.replace(".mean()", "")),
        "a loss counts its calls": part(
            REAL_SIDE, f"self.calls = getattr(self, 'calls', 0) + 1\n        {REAL_SIDE} * (1 + 0.1 * self.calls)"
        ),
    },
    "loss.finite": {"the loss overflows": part(FAKE_SIDE, "return -torch.log(torch.sigmoid(fake)).mean()")},
    "loss.direction": {
        "a sign is turned": part(FAKE_SIDE, "return F.softplus(fake).mean()"),
        "real and fake are swapped": part(REAL_SIDE, "return F.softplus(real).mean() + F.softplus(-fake).mean()"),
    },
    "loss.device": {
        "the loss makes a tensor on the CPU": part(
            FAKE_SIDE, "return F.binary_cross_entropy_with_logits(fake, torch.ones(len(fake)))"
        )
    },
    "penalty.device": {
        "the penalty makes a tensor on the CPU": part(
            SLOPE, SLOPE.replace(".mean()", ".mul(torch.ones(len(real))).mean()")
        )
    },
    "augmentation.device": {
        "the augmentation makes a tensor on the CPU": part(
            "return x + 0.1", "return x + 0.0 * torch.ones(x.shape) + 0.1"
        )
    },
    "penalty.contract": {
        "the penalty counts its calls": part(
            SLOPE, f"self.calls = getattr(self, 'calls', 0) + 1\n        {SLOPE} * self.calls"
        ),
        "the penalty draws from torch": part("x = real.detach()", "x = (real + torch.rand_like(real))"),
        "the penalty is a sum": part(SLOPE, SLOPE.replace(".mean()", ".sum()")),
        "the penalty has no graph": part("create_graph=True", "create_graph=False"),
    },
    "loss.couples": {"the loss is a sum": part(FAKE_SIDE, FAKE_SIDE.replace(".mean()", ".sum()"))},
    "augmentation.contract": {
        "the augmentation is detached": part("return x + 0.1", "return x.detach() + 0.1"),
        "the augmentation draws from torch": part('draws.normal("shift", *x.shape[1:])', "torch.randn_like(x)"),
    },
    "augmentation.strength": {
        "strength 0 changes samples": part("0.1 * self.strength", "0.1 * max(self.strength, 0.5)"),
        "the strength cannot be set": part("self.strength = options.strength", "self.power = options.strength")
        + part("0.1 * self.strength", "0.1 * self.power"),
        "the options have no strength": part("class ShiftOptions(StrengthOptions):", "class ShiftOptions(Options):")
        + part("self.strength = options.strength", "self.strength = 0.5"),
    },
    "optimizer.contract": {
        "the optimizer climbs": part('p.sub_(group["lr"]', 'p.add_(group["lr"]'),
        "the optimizer has a rate of its own": part('p.sub_(group["lr"]', 'p.sub_(self.defaults["lr"]'),
        "the optimizer moves what has no gradient": part(
            "if p.grad is not None:", "p.mul_(0.99)\n                if p.grad is not None:"
        ),
        "a schedule cannot move an option": part('"beta1": options.beta1}', '"momentum_decay": options.beta1}')
        + part('group["beta1"]', 'group["momentum_decay"]'),
    },
    "optimizer.resumes": {
        "the optimizer remembers outside of its state": part(
            "self.state[p].setdefault", "vars(self).setdefault('mine', {}).setdefault(p, {}).setdefault"
        ),
        "the optimizer counts its steps in a group": part(
            "m = self.state", "group['n'] = group.get('n', 0) + 1\n                    m = self.state"
        )
        + part('p.sub_(group["lr"]', 'p.sub_(group["lr"] / group["n"]'),
    },
    "schedule.contract": {
        "the curve stops on its way": part("return first if progress < 0.5 else last", "return (first + last) / 2"),
        "the curve overshoots": part(
            "first if progress < 0.5 else last", "first + (last - first) * 4 * progress * (1.25 - progress)"
        ),
        "the curve remembers": part(
            "return first if", "jump.n = getattr(jump, 'n', 0) + 1; return first if jump.n < 40 and"
        ),
    },
    "features.contract": {
        "the features are one number": part(PLACES, "return self.spec.relax(x).sum()"),
        "the features lack a sample": part(PLACES, "return self.spec.relax(x)[1:]"),
        "the features are not finite": part(PLACES, "return self.spec.relax(x) / 0.0"),
        "the features change the samples": part(PLACES, "return self.spec.relax(x.mul_(0.5))"),
        "the features draw from torch": part(PLACES, "return self.spec.relax(x) + torch.rand(1)"),
        "the features have no fingerprint": part('"places 1"', '""'),
        "the features have another fingerprint each time": part('"places 1"', '__import__("uuid").uuid4().hex'),
        "the features have other weights each time": part(
            PLACES, 'return self.spec.relax(x) * vars(self).setdefault("w", __import__("random").random())'
        ),
    },
    "features.apart": {
        "the features depend on the batch": part(PLACES, "return self.spec.relax(x) - self.spec.relax(x).mean(0)"),
    },
    "attribute.words": {
        "a word is empty": declared('less="nearer"', 'less=" "'),
        "both words are the same": declared('less="nearer"', 'less="farther"'),
    },
    "attribute.contract": {
        "the attribute is one number": part(RADIUS, "return x.float().norm()"),
        "the attribute is of another type": part(RADIUS, "return x.double().norm(dim=1)"),
        "the attribute is infinite": part(RADIUS, "return x.float().norm(dim=1) / 0.0"),
        "the attribute changes the samples": part(RADIUS, "return x.mul_(0.5).norm(dim=1)"),
        "the attribute draws from torch": part(RADIUS, "return x.norm(dim=1) + torch.rand(1)"),
        "the attribute draws from elsewhere": part(RADIUS, 'return x.norm(dim=1) * __import__("random").random()'),
    },
    "attribute.apart": {
        "the attribute depends on the batch": part(RADIUS, "return x.norm(dim=1) - x.norm(dim=1).mean()")
    },
    "metric.contract": {
        "the metric is not finite": part('{"gap": float(', '{"gap": float("nan") * float('),
        "the metric gives a tensor": part('{"gap": float(', '{"gap": ('),
        "the metric has no figures": part(FIGURES, "return {}"),
        "the metric takes two tensors": part(METRIC, "def gap(fake, real):"),
        "an overlap is beyond 1": part("overlap=1.0", "overlap=1.5"),
        "the metric draws from torch": part(METRIC, f"{METRIC}\n        torch.rand(1)"),
        "the metric draws without a seed": part('{"gap": float(', '{"gap": __import__("random").random() + float('),
    },
    "metric.in-place": {"the metric changes its samples": part(METRIC, f"{METRIC}\n        material.real.x.mul_(0.5)")},
    "writer.writes": {
        "the stem is ignored": part(CSV_PATH, 'path = folder / "points.csv"'),
        "a file is written elsewhere": part(CSV_PATH, 'path = folder.parent / f"{stem}.csv"'),
        "a file is left behind": part(CSV_PATH, f"(folder.parent / 'left.tmp').touch()\n        {CSV_PATH}"),
        "a file is not returned": part("        return paths\n", "        return paths[1:]\n"),
        "a walk is two files of a kind": part(FILM, FILM.replace("[path]", "[path, path]")),
        "samples are changed": part(CSV_PATH, f"samples.mul_(0.5)\n        {CSV_PATH}"),
    },
    "writer.odd": {
        "a flat sample cannot be written": part(
            CSV_PATH, f"{CSV_PATH}\n        assert all(x != y for x, y in samples.tolist()), 'flat'"
        )
    },
    "writer.reads-back": {
        "values are lost": part(ROWS, "writerows(samples.round().tolist())"),
        "a row is lost": part(ROWS, "writerows(samples[len(samples) > 1 :].tolist())"),
    },
    "writer.carries": {
        "a text is cut off": part(POINT, f"text = text[:1000]\n        {POINT}"),
        "a text is added to the last": part(POINT, "point = path.read_text()"),
        "the point is lost": (*part(POINT, "point = '0 0'"), *more_data("directories=True", OF_FIRST_LINES)),
        "damaged files raise": part('errors="replace"', 'errors="strict"'),
        "every file seems to carry a text": part("return text if line else None", "return text"),
    },
    "writer.progress": {"there is no progress": part(NAMES, "return []")},
    "run.seeded": {
        "Python's random numbers": part(MAKE, f"{MAKE} * (1 - 0.1 * __import__('random').random() * self.training)"),
        "a game draws from elsewhere": part(
            "loss = F.cross_entropy",
            "fake = fake + 0.1 * __import__('random').random()\n        loss = F.cross_entropy",
        ),
    },
    "run.resumes": {
        "a game counts its steps": part(
            "loss = F.cross_entropy",
            "self.calls = getattr(self, 'calls', 0) + 1\n        fake = fake * self.calls\n        "
            "loss = F.cross_entropy",
        ),
        "state in an attribute": part(LATENT, f"{LATENT}\n        self.calls = 0")
        + part(
            MAKE,
            f"{MAKE} * (1 - 0.01 * self.calls)\n        if points.requires_grad:\n            "
            "points.register_hook(lambda grad: setattr(self, 'calls', self.calls + 1))",
        ),
    },
    "run.loads": {
        "a buffer is not saved": part(
            LATENT, f"{LATENT}\n        self.register_buffer('scale', torch.ones(2), persistent=False)"
        )
        + part(
            MAKE,
            f"{MAKE} * self.scale\n        if points.requires_grad:\n            "
            "points.register_hook(lambda grad: setattr(self, 'scale', self.scale * 0.9))",
        )
    },
    "listener.hears": {
        "a listener raises": declared("event.scalars['discriminator/loss']", "event.scalars['loss']"),
        "a listener stops without a reason": declared(
            '"enough" if event.step > 1_000_000 else None', "event.step > 1_000_000"
        ),
    },
}

GIVEN: dict[str, dict[str, tuple[Change, ...]]] = {
    "networks.given": {
        "what is given is changed": part("torch.cat([given, made", "torch.cat([0.9 * given, made"),
        "what is given is not looked at": part("self.see(given)", "self.see(0 * given)"),
    },
    "powers.map": {
        "codes have no layers": part("condition)).relu()[:, None]", "condition)).relu()"),
        "a call makes something else of codes": part("self.synthesise(self.map(", "self.synthesise(0.9 * self.map("),
    },
    "powers.weights": {
        "first weights are of another layer": part("[self.last.weight]", "[self.first.weight]"),
        "there are first weights of two layers": part("[self.last.weight]", "2 * [self.last.weight]"),
    },
    "powers.prior": {
        "more of a latent is smooth than it has": part("smooth=options.latent", "smooth=options.latent + 1"),
        "the prior is a word": part("Prior(smooth=options.latent)", '"normal"'),
        "a latent is on no sphere": part("Prior(smooth=options.latent)", 'Prior(kind="sphere")'),
        "nothing is said to steer by": part("Prior(smooth=options.latent)", 'Prior(kind="none")'),
    },
    "networks.build": {"the generator does not say that it takes it": part("    takes_given = True\n", "")},
    "data.relaxes": {"the given part has another shape": part("return (1,)", "return (2,)")},
    "data.given": {
        "what reads given files is no reader": part("def join(self", "def joined(self"),
        "a given file that does not exist is read": part(
            "return Given(open_csv(CsvOptions(path=path), lambda *progress: None).points)",
            "return Given(torch.zeros(1, 2))",
        ),
    },
}

FAULTS: dict[str, tuple[str, tuple[Change, ...]]] = {
    name: (check, first + changes)
    for first, table in ((WITH_GIVEN, GIVEN), ((), BROKEN))
    for check, faults in table.items()
    for name, changes in faults.items()
}
