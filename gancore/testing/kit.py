"""The bench with its scenes: small complete configurations on which a plugin's parts are tried, and the data for them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gancore.components import Architecture, Dataset, DataSource, GameRule, Preset, Writer
from gancore.configuration.configure import configure
from gancore.configuration.settings import Settings
from gancore.data.held_out import both_parts
from gancore.data.report import silent
from gancore.data.spec import SampleSpec
from gancore.engine.build import build_game
from gancore.errors import GanError, PluginError
from gancore.games.calling import draw_latent
from gancore.random import Draws, derive
from gancore.targets import build, resolve
from gancore.testing import points
from gancore.testing.bench import Bench, seed_all
from gancore.testing.check import Blocked, Mismatch, NotApplicable, describe
from gancore.testing.names import misspelt

BATCH = 8
STEPS = 2
SMALL: dict[str, Any] = {
    "batch_size": BATCH,
    "micro_batches": 1,
    "precision": "fp32",
    "device": "cpu",
    "workers": 0,
    "samples": 2,
    "steps": STEPS,
    "keep": 2,
    "listeners": [],
    "every": {"log": 1, "sample": STEPS, "checkpoint": 1, "health": 1},
}
"""What a training of the kit uses of the engine, whatever a preset says."""

MISPLACED = "tried on points in the plane, since the plugin brings no data: "
"""How the reason begins where a part is for other data than could be had."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A complete configuration on which things are tried: `plugin`, one of its presets or none, and what goes on top."""

    name: str
    plugin: str
    preset: str = "none"
    layer: Mapping[str, Any] = field(default_factory=dict)
    borrowed: bool = False
    """Its data are points in the plane for want of better, so a misfit may be nobody's fault."""


@contextlib.contextmanager
def tried_on(scene: Scene) -> Iterator[None]:
    """On a scene that is nobody's, a failure may only mean that the part is made for other data."""
    try:
        yield
    except (Blocked, NotApplicable):
        raise
    except (Exception, SystemExit) as error:
        if not scene.borrowed:
            raise
        why = error.found if isinstance(error, Mismatch) else describe(error)
        raise Blocked(f"{MISPLACED}{why}. Say with --with PLUGIN (or host=) whose data it is made for") from error


def latents(generator: nn.Module, count: int = BATCH, seed: int = 3) -> torch.Tensor:
    """Latents as in a run."""
    return draw_latent(generator, Draws(seed, torch.arange(count)))


class Kit(Bench):
    """A plugin under test, with scenes and data."""

    def __enter__(self) -> Kit:
        return self

    # --- scenes -----------------------------------------------------------------------------------------------------

    def scenes(self) -> dict[str, Scene]:
        """One scene a preset, and one for each architecture that no preset uses; read from declarations alone."""
        found: dict[str, Scene] = {}
        used = set()
        for name, preset in self.records(Preset).items():
            layer = {} if _chosen(preset, "data") else self._data_layer()
            found[f"preset {name}"] = Scene(f"preset {name}", self.name, name, layer)
            used.add(_chosen(preset, "architecture"))
        for name in self.records(Architecture):
            if not used & {name, f"{self.name}:{name}"}:
                base = self.stage()
                layer = {**base.layer, "architecture": {"name": f"{self.name}:{name}"}}
                scene = Scene(f"architecture {name}", base.plugin, base.preset, layer, base.borrowed)
                found[scene.name] = scene
        return found

    def stage(self) -> Scene:
        """The scene on which losses, penalties and other parts are tried: the demo, the host's demo, or points."""
        presets = self.records(Preset)
        demo = self.plugin.info.demo_preset
        whole = [n for n, p in presets.items() if _chosen(p, "data")]
        name = demo if demo in presets else next(iter([*whole, *presets]), "")
        if name:
            layer = {} if _chosen(presets[name], "data") else self._data_layer()
            return Scene(f"preset {name}", self.name, name, layer)
        if self.host:
            return Scene("stage", self.host, self.registry.load(self.host).info.demo_preset)
        return Scene("stage", points.NAME, "demo", borrowed=True)

    def stage_for(self, subject: str) -> Scene:
        """The stage, or where a component is made for other samples than it has, a scene that has such."""
        stage, wanted = self.stage(), self.record(subject).spec
        if not wanted or stage.borrowed:
            return stage
        kind = resolve(wanted)
        for scene in (stage, *self.scenes().values()):
            if isinstance(self.ready(scene)[1], kind):
                return scene
        raise NotApplicable("no preset of the plugin trains on the samples that it is made for")

    def cheapest(self, scene: Scene) -> Scene:
        """Of the scenes that differ from `scene` in their data, weights and sizes alone, the one with the fewest parameters."""

        def sound(other: Scene) -> bool:
            try:
                self.passed("step.scene", other.name)
            except (Blocked, NotApplicable):
                return False
            return True

        forms = self.once("forms", make=self._forms)
        form, _ = forms.get(scene.name, ("", 0))
        alike = sorted((size, name) for name, (other, size) in forms.items() if other == form)
        return next((self.scenes()[n] for _, n in alike if len(alike) > 1 and sound(self.scenes()[n])), scene)

    def _forms(self) -> dict[str, tuple[str, int]]:
        """By scene: what is chosen in it, and its number of parameters; without those whose own checks tell of a fault."""
        found = {}
        for scene in self.scenes().values():
            with contextlib.suppress(Exception, SystemExit):
                settings, spec, game = self.ready(scene)
                parts = [(c.found.qualified, _choices(c.dump())) for c in (settings.architecture, settings.game)]
                form = repr((type(spec), len(spec.shape), spec.class_count > 1, spec.given_shape, parts))
                found[scene.name] = (form, sum(p.numel() for m in game.networks.values() for p in m.parameters()))
        return found

    def _data_layer(self) -> dict[str, Any]:
        """Data for a preset that leaves them to the user: those of another preset, else a data set that needs no file."""
        if self.data is not None:
            return {}
        presets = self.records(Preset)
        demo = presets.get(self.plugin.info.demo_preset)
        for preset in [*([demo] if demo else []), *presets.values()]:
            if _chosen(preset, "data"):
                return {"data": preset.config["data"]}
        for name, record in self.records(Dataset).items():
            if not record.suffixes and not record.directories:
                return {"data": {"name": name}}
        if self.host:
            host = self.registry.load(self.host)
            theirs = host.of_kind(Preset)[host.info.demo_preset].config.get("data", {})
            section = {"name": theirs} if isinstance(theirs, str) else dict(theirs)
            if ":" not in section.get("name", ":"):
                section["name"] = f"{self.host}:{section['name']}"
            return {"data": section}
        return {}

    def declared(self, scene: Scene, section: str) -> Mapping[str, Any]:
        """What a scene's preset and layer say of one section; empty where they leave it open or are not the plugin's."""
        value: Any = scene.layer.get(section)
        if value is None and scene.plugin == self.name and scene.preset != "none":
            value = self.records(Preset)[scene.preset].config.get(section)
        return {"name": value} if isinstance(value, str) else value or {}

    def settings(self, scene: Scene, **changes: Any) -> Settings:
        """The scene's configuration, small, with sections replaced by `changes`."""
        found = configure(
            self.registry,
            plugin=scene.plugin,
            preset=scene.preset,
            data=self.data_for(scene),
            layers=[dict(scene.layer), SMALL, {"seed": 1}, changes],
        )
        if getattr(found.game.found.record, "translates", False):
            with contextlib.suppress(GanError):  # which the data set's own checks tell
                domains = len(self.source(found).spec.domains)
                size = found.run.batch_size
                found = found.updated(batch_size=size + -size % domains)
        return found

    def data_for(self, scene: Scene) -> Path | None:
        """What `--data` names in the scene: the kit's files for a preset that leaves them to its user, else nothing."""
        if scene.plugin != self.name or scene.preset == "none" or self.brings_data(scene):
            return None
        if self.data is None:
            raise NotApplicable("it leaves the data to its user and no data set is at hand; name a file with --data")
        record = self._dataset_of(scene)
        if record is not None and not reads(record, self.data):
            raise NotApplicable(
                f"its data set '{record.name}' does not read '{self.data.name}'; name a file that it reads with --data"
            )
        return self.data

    def brings_data(self, scene: Scene) -> bool:
        """Whether the scene chooses a data set that needs no file, or names the file as well."""
        chosen, record = self.declared(scene, "data"), self._dataset_of(scene)
        files = record is not None and bool(record.suffixes or record.directories)
        return bool(chosen) and (not files or "path" in chosen)

    def _dataset_of(self, scene: Scene) -> Dataset | None:
        """The data set that a scene names, where it is one of the plugin that the scene is of."""
        name = str(self.declared(scene, "data").get("name", "")).removeprefix(f"{scene.plugin}:")
        return self.registry.load(scene.plugin).of_kind(Dataset).get(name)

    def source(self, settings: Settings) -> DataSource:
        """The data set that `settings` chooses; one of each kind is opened."""
        translates = getattr(settings.game.found.record, "translates", False)
        key = repr((settings.data.found.qualified, settings.data.dump(), translates))
        return self.once("source", key, make=lambda: settings.open_data(silent))

    def tried(self, subject: str) -> Any:
        """A loss, a penalty or an augmentation with default options, for the samples of the stage."""
        stage = self.stage()
        settings = self._at_hand(stage)
        with tried_on(stage):
            return self.built(subject, self.source(settings).spec)

    def game(self, settings: Settings) -> GameRule:
        """The game of `settings`, built anew: networks are changed by training. Raises Mismatch where it is no game to play."""
        source = self.source(settings)
        try:
            game = build_game(settings, source.spec, *both_parts(source, settings.run.held_out))
        except PluginError as error:
            networks = settings.architecture.build(source.spec)
            made = networks.get("generator") if isinstance(networks, Mapping) else None
            if made is None or hasattr(made, "latent_shape") or not (near := misspelt(made, "latent_shape", True)):
                raise
            raise Mismatch(f"{error}; it has {near}, which nobody looks for: call it latent_shape") from error
        generator = game.networks["generator"]
        z = latents(generator)
        if len(z) != BATCH or not (z.is_floating_point() or z.dtype is torch.int64):
            raise Mismatch(
                f"draw_latent gave {z.dtype} {list(z.shape)} for {BATCH} samples, not floats or int64 [{BATCH}, ...]"
            )
        with torch.random.fork_rng(devices=[]):
            seed_all(11)
            if not torch.equal(z, latents(generator)):
                raise Mismatch("draw_latent gives other latents for the same draws: draw from `draws`, not from torch")
        return game

    def ready(self, scene: Scene, **changes: Any) -> tuple[Settings, SampleSpec, GameRule]:
        """Settings, spec and a new game, for checks that are not about building them."""
        settings = self._at_hand(scene, **changes)
        if scene.name in self.scenes():
            self.passed("networks.build", scene.name)
        with tried_on(scene):
            return settings, self.source(settings).spec, self.game(settings)

    def _at_hand(self, scene: Scene, **changes: Any) -> Settings:
        """The settings of a scene whose preset and data are sound."""
        if scene.name in self.scenes():
            self.passed("preset.complete", scene.name)
        settings = self.settings(scene, **changes)
        if settings.data.found.plugin == self.name:
            subject = f"dataset {settings.data.found.record.name}"
            for name in ("data.opens", "data.samples", "data.relaxes"):
                self.passed(name, subject)
        return settings

    def batch(self, source: DataSource, count: int = BATCH) -> tuple[torch.Tensor, torch.Tensor | None]:
        """`count` hard samples with labels, from all over the data set."""
        positions = torch.arange(count)
        indices = torch.linspace(0, len(source) - 1, count).long()
        return source.fetch(indices, Draws(derive(1, "kit"), positions))

    # --- data sets --------------------------------------------------------------------------------------------------

    def dataset(self, subject: str) -> DataSource:
        """A data set, opened on the data of a preset, on its defaults, on the data given, or on what a writer has written."""
        return self.once("dataset", subject, make=lambda: self._open(subject))

    def _open(self, subject: str) -> DataSource:
        record, model = self.record(subject), self.model(subject)
        for scene in self.scenes().values():
            if self.declared(scene, "data").get("name") in (record.name, f"{self.name}:{record.name}"):
                self.passed("preset.complete", scene.name)
                settings = self.settings(scene)
                if settings.data.found.qualified == f"{self.name}:{record.name}":  # --data may be for another data set
                    return self.source(settings)
        if model is None or not any(f.is_required() for f in model.model_fields.values()):
            return build(record, None if model is None else model(), silent)
        return build(record, model(path=self.path_for(subject)), silent)

    def path_for(self, subject: str) -> Path:
        """A good file or folder for a data set that reads one.

        Raises:
            NotApplicable: none was given and no writer of the plugin makes one.
        """
        record: Dataset = self.record(subject)
        if self.data is not None and reads(record, self.data):
            return self.data
        return self.once("path", subject, make=lambda: self._write_for(record))

    def _write_for(self, record: Dataset) -> Path:
        stage = self.stage()
        if stage.plugin == self.name:
            settings = self.settings(stage)
            subject = f"dataset {settings.data.found.record.name}"
            if settings.data.found.plugin == self.name and subject != f"dataset {record.name}":
                self.passed("data.samples", subject)
            source = self.source(settings)
            samples, _ = self.batch(source)
            folders: list[Path] = []
            # A file a sample before a sheet: what shows many in one picture is not read back as many.
            for name, writer in sorted(self.records(Writer).items(), key=lambda item: item[1].role):
                if writer.role not in ("each", "sheet"):
                    continue
                try:
                    folder = self.folder("written")
                    files = self.built(f"writer {name}", source.spec).write(samples, folder, "sample", None)
                except (Exception, SystemExit):
                    continue  # which writer.writes tells
                if files and record.directories and writer.role == "each":
                    if self._opens(record, folder):
                        return folder
                    folders.append(folder)
                fitting = [f for f in files if reads(record, f)]
                if len(fitting) == 1:
                    return Path(fitting[0])
            # What no other data set reads either may be meant for this one, which is wrong not to.
            others = [r for r in self.records(Dataset).values() if r.directories and r is not record]
            for folder in folders:
                if not any(self._opens(other, folder) for other in others):
                    return folder
        forms = ", ".join([*(["a folder"] if record.directories else []), *record.suffixes])
        raise NotApplicable(f"no writer of the plugin makes what it reads ({forms}); name a file of yours with --data")

    def _opens(self, record: Dataset, path: Path) -> bool:
        """Whether a data set reads `path`, as far as its own code does not fail."""
        try:
            build(record, self.model(f"dataset {record.name}")(path=path), silent)
        except GanError:
            return False
        except (Exception, SystemExit):
            return True  # which data.opens tells
        return True


def scenes(kit: Kit) -> list[str]:
    """Names of the scenes: what checks of whole configurations look at."""
    return list(kit.scenes())


def reads(record: Dataset, path: Path) -> bool:
    """Whether `--data path` would go to this data set."""
    return record.directories if path.is_dir() else path.suffix.lower() in record.suffixes


def only_cheapest(kit: Kit, subject: str) -> None:
    """Leave a check of a scene to a cheaper one that is like it, where the check looks at nothing in which the two differ."""
    scene = kit.scenes().get(subject)
    if scene is not None and (other := kit.cheapest(scene).name) != subject:
        raise NotApplicable(f"it differs from {other} in data, weights and sizes alone, and is tried there")


def _choices(value: Any) -> Any:
    """Options with every number as whether it is zero, which turns something off; how large it is chooses no other code."""
    if isinstance(value, Mapping):
        return {k: _choices(v) for k, v in sorted(value.items())}
    if isinstance(value, list):
        return [_choices(v) for v in value]
    return bool(value) if isinstance(value, int | float) else value


def _chosen(preset: Preset, section: str) -> str:
    """The component that a preset chooses in a section; empty where it leaves it open."""
    value = preset.config.get(section, "")
    return value if isinstance(value, str) else str(value.get("name", ""))
