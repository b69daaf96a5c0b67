"""The bench on which a plugin is tried: its scenes (small complete configurations), its data, and what was built of them."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn

from gancore.components import KINDS, Architecture, Component, Dataset, DataSource, GameRule, Preset, Writer
from gancore.data.spec import SampleSpec
from gancore.engine.build import build_game
from gancore.games.gan import draw_latent
from gancore.plugins import Plugin, Registry, build, options_model
from gancore.random import Draws, derive
from gancore.settings import Settings, configure
from gancore.testing import points
from gancore.testing.check import Blocked, Mismatch, NotApplicable, describe

T = TypeVar("T")
Record = TypeVar("Record", bound="Component | Preset")

BATCH = 8
STEPS = 4
SMALL: dict[str, Any] = {
    "batch_size": BATCH,
    "micro_batches": 1,
    "precision": "fp32",
    "device": "cpu",
    "workers": 0,
    "samples": 4,
    "steps": STEPS,
    "keep": 2,
    "listeners": [],
    "every": {"log": 1, "sample": 2, "checkpoint": 2, "health": 2},
}
"""What a training of the kit uses of the engine, whatever a preset says."""


def silent(words: str, done: int, total: int) -> None:
    """A progress report to nobody."""
    del words, done, total


def seed_all(seed: int) -> None:
    """Seed every global source of random numbers, to see who draws from one."""
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)


def latents(generator: nn.Module, count: int = BATCH, seed: int = 3) -> torch.Tensor:
    """Latents as in a run."""
    return draw_latent(generator, Draws(seed, torch.arange(count)))


@dataclass(frozen=True, slots=True)
class Scene:
    """A complete configuration on which things are tried: `plugin`, one of its presets or none, and what goes on top."""

    name: str
    plugin: str
    preset: str = "none"
    layer: Mapping[str, Any] = field(default_factory=dict)
    borrowed: bool = False
    """Its data are points in the plane for want of better, so a misfit may be nobody's fault."""


@contextmanager
def tried_on(scene: Scene) -> Iterator[None]:
    """On a scene that is nobody's, a failure may only mean that the part is made for other data."""
    try:
        yield
    except (Mismatch, Blocked, NotApplicable):
        raise
    except Exception as error:
        if not scene.borrowed:
            raise
        raise Blocked(
            f"tried on points in the plane, since the plugin brings no data: {describe(error)}. Say with --with PLUGIN (or "
            "host=) whose data it is made for"
        ) from error


class Kit:
    """A plugin under test. Everything that takes long is made once, when it is first needed."""

    def __init__(
        self, name: str, *, registry: Registry | None = None, host: str = "", data: str | Path | None = None
    ) -> None:
        """Arguments as of `gancore.testing.check_plugin`."""
        self.name = name
        self.registry = registry or Registry()
        self.host = host
        self.data = None if data is None else Path(data).expanduser()
        self._made: dict[tuple[object, ...], Any] = {}
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        if points.NAME not in self.registry.registered():
            self.registry.register(points, points.NAME)

    def __enter__(self) -> Kit:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._folder is not None:
            self._folder.cleanup()

    def folder(self, name: str) -> Path:
        """A new empty folder, gone with the kit."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="gan-check-")
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self._folder.name))

    def once(self, *key: object, make: Callable[[], T]) -> T:
        """What `make` returns, or raises, made at the first call for `key` and kept."""
        if key not in self._made:
            try:
                self._made[key] = (make(), None)
            except Exception as error:
                self._made[key] = (None, error)
        value, failed = self._made[key]
        if failed is not None:
            raise failed
        result: T = value
        return result

    def need(self, what: str, get: Callable[[], T]) -> T:
        """`get()`; where it fails, the check that needs it is blocked by `what`, which has a check of its own."""
        try:
            return get()
        except (Blocked, NotApplicable):
            raise
        except Exception as error:
            why = error.found if isinstance(error, Mismatch) else describe(error)
            raise Blocked(f"{what} failed: {why}") from error

    # --- declarations -----------------------------------------------------------------------------------------------

    @property
    def plugin(self) -> Plugin:
        """The plugin, loaded. Raises PluginError."""
        return self.once("plugin", make=lambda: self.registry.load(self.name))

    def records(self, kind: type[Record]) -> Mapping[str, Record]:
        """Its records of one kind, by name."""
        return self.plugin.of_kind(kind)

    def components(self) -> dict[str, Component]:
        """Every record with a target, as `"loss hinge"`."""
        kinds = [k for k in KINDS if k is not Preset]
        return {f"{k.kind} {n}": r for k in kinds for n, r in self.records(k).items() if isinstance(r, Component)}

    def subjects(self, kind: type[Record]) -> list[str]:
        """The plugin's records of one kind, as `"loss hinge"`."""
        return [f"{kind.kind} {name}" for name in self.records(kind)]

    def record(self, subject: str) -> Any:
        """What a subject such as `"loss hinge"` names."""
        kind, _, name = subject.partition(" ")
        return self.plugin.records[kind][name]

    def options(self, subject: str) -> Any:
        """The default options of a component; None where it has none."""
        record = self.record(subject)
        model = self.need("component.resolves", lambda: options_model(record))
        return None if model is None else self.need("component.defaults", model)

    def built(self, subject: str, *arguments: Any) -> Any:
        """The component with default options."""
        return build(self.record(subject), self.options(subject), *arguments)

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
        """The scene on which losses, penalties and other parts are tried."""
        presets = self.records(Preset)
        demo = self.plugin.info.demo_preset
        whole = [n for n, p in presets.items() if _chosen(p, "data")]
        name = demo if demo in presets else next(iter([*whole, *presets]), "")
        if name:
            return Scene("stage", self.name, name, {} if _chosen(presets[name], "data") else self._data_layer())
        if self.host:
            return Scene("stage", self.host, self.registry.load(self.host).info.demo_preset)
        return Scene("stage", points.NAME, "demo", borrowed=True)

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
            theirs = host.of_kind(Preset)[host.info.demo_preset].config["data"]
            return {"data": {**theirs, "name": f"{self.host}:{theirs['name']}"}}
        return {}

    def declared(self, scene: Scene, section: str) -> Mapping[str, Any]:
        """What a scene's preset and layer say of one section; empty where they leave it open or are not the plugin's."""
        value: Any = scene.layer.get(section)
        if value is None and scene.plugin == self.name and scene.preset != "none":
            value = self.records(Preset)[scene.preset].config.get(section)
        return {"name": value} if isinstance(value, str) else value or {}

    def settings(self, scene: Scene, **changes: Any) -> Settings:
        """The scene's configuration, small, with sections replaced by `changes`."""
        layer: dict[str, Any] = dict(scene.layer)
        data = None if "data" in layer or scene.borrowed or scene.plugin != self.name else self.data
        if data is not None and scene.preset != "none" and _chosen(self.records(Preset)[scene.preset], "data"):
            data = None
        return configure(
            self.registry,
            plugin=scene.plugin,
            preset=scene.preset,
            data=data,
            layers=[layer, SMALL, {"seed": 1}, changes],
        )

    def source(self, settings: Settings) -> DataSource:
        """The data set that `settings` chooses; one of each kind is opened."""
        key = repr((settings.data.found.qualified, settings.data.dump()))
        return self.once("source", key, make=lambda: settings.data.build(silent))

    def game(self, settings: Settings) -> GameRule:
        """The game of `settings`, built anew: networks are changed by training. Raises Mismatch where it is no game to play."""
        game = build_game(settings, self.source(settings).spec)
        generator = game.networks["generator"]
        shape = getattr(generator, "latent_shape", None)
        shaped = isinstance(shape, tuple) and shape and all(isinstance(n, int) and n > 0 for n in shape)
        if not shaped and getattr(generator, "draw_latent", None) is None:
            raise Mismatch(
                f"generator.latent_shape is {shape!r}; give a tuple of positive numbers, or a method draw_latent(draws)"
            )
        if not any(p.requires_grad for p in generator.parameters()):
            raise Mismatch("the generator has no trainable parameter; keep layers in nn.ModuleList, not in a list")
        z = latents(generator)
        if len(z) != BATCH or not z.is_floating_point():
            raise Mismatch(f"draw_latent gave {z.dtype} {list(z.shape)} for {BATCH} samples, not floats [{BATCH}, ...]")
        return game

    def ready(self, scene: Scene, **changes: Any) -> tuple[Settings, SampleSpec, GameRule]:
        """Settings, spec and a new game, for checks that are not about building them."""
        settings = self.need("preset.complete", lambda: self.settings(scene, **changes))
        source = self.need("data.opens", lambda: self.source(settings))
        with tried_on(scene):
            game = (
                self.need("networks.build", lambda: self.game(settings)) if not scene.borrowed else self.game(settings)
            )
        return settings, source.spec, game

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
        record = self.record(subject)
        for scene in self.scenes().values():
            if self.declared(scene, "data").get("name") in (record.name, f"{self.name}:{record.name}"):
                return self.source(self.settings(scene))
        model = self.need("component.resolves", lambda: options_model(record))
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
            settings = self.need("preset.complete", lambda: self.settings(stage))
            source = self.need("data.opens", lambda: self.source(settings))
            samples, _ = self.need("data.samples", lambda: self.batch(source))
            # A file a sample before a sheet: what shows many in one picture is not read back as many.
            for name, writer in sorted(self.records(Writer).items(), key=lambda item: item[1].role):
                if writer.role == "progress":
                    continue
                folder, files = self.need("writer.writes", partial(self._written, name, source.spec, samples))
                if files and record.directories and writer.role == "each":
                    return folder
                if len(files) == 1 and reads(record, files[0]):
                    return files[0]
        forms = ", ".join([*(["a folder"] if record.directories else []), *record.suffixes])
        raise NotApplicable(f"no writer of the plugin makes what it reads ({forms}); name a file of yours with --data")

    def _written(self, name: str, spec: SampleSpec, samples: torch.Tensor) -> tuple[Path, list[Path]]:
        folder = self.folder("written")
        return folder, self.built(f"writer {name}", spec).write(samples, folder, "sample", None)


def reads(record: Dataset, path: Path) -> bool:
    """Whether `--data path` would go to this data set."""
    return record.directories if path.is_dir() else path.suffix.lower() in record.suffixes


def _chosen(preset: Preset, section: str) -> str:
    """The component that a preset chooses in a section; empty where it leaves it open."""
    value = preset.config.get(section, "")
    return value if isinstance(value, str) else str(value.get("name", ""))
