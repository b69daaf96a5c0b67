"""Beginning with another run's networks: which of their layers fit, in their order, and what is initialised anew.

A network of another size has layers more or fewer in between, under shifted numbers. So layers are not compared by name alone: the
longest sequence of layers that both networks have, of equal kinds and shapes and in equal order, is taken.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gancore import checkpoint, distributed
from gancore.checkpoint import BEST, Checkpoint
from gancore.configuration.layers import section_of
from gancore.configuration.run_config import Start
from gancore.configuration.settings import Settings
from gancore.data.spec import SampleSpec
from gancore.engine.build import weights_of
from gancore.engine.ema import MovingAverage
from gancore.engine.restore import read_saved
from gancore.errors import CheckpointError, UsageError
from gancore.filling import check_fits
from gancore.losses.spectral import settle
from gancore.nets.conditioning import ClassLinear
from gancore.run import RunFolder
from gancore.text import check_path

OWN = ("start", "freeze", "device", "workers")
"""Settings of a run that one that begins with its networks does not take over."""
NAMED = 6
"""As many layers are named in a line."""
Layers = dict[str, dict[str, Tensor]]
"""The tensors of each layer, by its name and their names in it."""


# --- the run that is begun with -----------------------------------------------------------------------------------------


def open_source(run: str | Path) -> RunFolder:
    """The folder of the run whose networks are wanted.

    Raises:
        RunFolderError: it is no run.
        UsageError: it is a model folder of another library.
    """
    check_path(run, "the run to begin with")
    path = Path(run).expanduser().absolute()
    if not (path / "config.toml").is_file() and (path / "config.json").is_file():
        raise UsageError(
            f"'{run}' is no run but a model folder of another library, as `gan export` writes them: begin with it by an option of "
            f"the architecture that reads it, such as architecture=gpt2 architecture.folder={run}"
        )
    return RunFolder.open(path)


def source_settings(run: str | Path, plugin: str | None) -> dict[str, Any]:
    """What a run of `plugin` that begins with the networks of `run` takes over of its settings, unless others are asked for.

    Raises:
        GanError: it is no run, or one of another plugin.
    """
    layer = open_source(run).read_config()
    _check_plugin(run, layer, plugin)
    return {key: value for key, value in layer.items() if key not in OWN}


def _check_plugin(run: str | Path, layer: Mapping[str, Any], plugin: str | None) -> None:
    if plugin not in (None, layer["plugin"]):
        raise UsageError(
            f"'{run}' is a run of plugin '{layer['plugin']}', and this is to be one of '{plugin}': a run can begin only with the "
            "networks of one of its own plugin"
        )


def with_step(settings: Settings) -> Settings:
    """`settings` with the path and the step of what is begun with in full, as they are once the run has a folder.

    Raises:
        GanError: nothing can be begun with there.
    """
    start = settings.run.start
    if not start.run:
        return settings
    folder = open_source(start.run)
    layer = folder.read_config()
    _check_plugin(start.run, layer, settings.run.plugin)
    theirs, own = section_of(layer.get("architecture")).get("name"), settings.architecture.name
    if theirs != own:
        raise UsageError(
            f"'{start.run}' has the networks of architecture '{theirs}', and this run those of '{own}', which cannot begin with "
            f"them; say architecture={theirs}"
        )
    found = _chosen(folder, start)
    return settings.updated(start={"run": str(folder.path), "step": found.step})


def _chosen(folder: RunFolder, start: Start) -> Checkpoint:
    if isinstance(start.step, int):
        return checkpoint.at(folder.checkpoints, start.step)
    place = folder.checkpoints / BEST if start.step == BEST else folder.checkpoints
    if start.step == BEST and not checkpoint.any_in(place):
        raise CheckpointError(
            f"'{folder.path}' keeps no best checkpoint, because no figures were computed while it was trained (every.evaluate=N); "
            "leave out --best (start.step)"
        )
    return checkpoint.newest(place)[0]


# --- which layers fit ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fit:
    """Which layers of one network are taken from which of another: `layers` by their names here.

    `by_class` are those of them with a row for each class. `fresh` are initialised anew, `left_out` have no place here.
    """

    layers: Mapping[str, str]
    by_class: tuple[str, ...]
    fresh: tuple[str, ...]
    left_out: tuple[str, ...]

    def in_words(self) -> str:
        """`14 of 16 layers (initialised anew: project, layers.0; left out: project)`."""
        total = len(self.layers) + len(self.fresh)
        notes = {"classes matched": self.by_class, "initialised anew": self.fresh, "left out": self.left_out}
        told = "; ".join(f"{words}: {_listed(names)}" for words, names in notes.items() if names)
        return f"{len(self.layers)} of {total} layers" + (f" ({told})" if told else "")


def _listed(names: Sequence[str]) -> str:
    more = [f"{len(names) - NAMED} more"] if len(names) > NAMED else []
    return ", ".join([name or "parameters of its own" for name in names[:NAMED]] + more)


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts layer 10 behind layer 9: files of weights keep no order."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in name.split(".")]


def _place(name: str) -> tuple[str, str, str]:
    """The layer of a tensor, its name there, and empty text; or what a parametrisation (spectral norm) keeps beside a weight."""
    layer, _, rest = f".{name}".partition(".parametrizations.")
    if not rest:
        layer, _, own = name.rpartition(".")
        return layer, own, ""
    own, _, kept = rest.partition(".")
    if kept.startswith("original"):  # or original0 and original1, where it is made of several
        return layer[1:], f"{own}{kept.removeprefix('original')}", ""
    return layer[1:], own, kept


def layers_of(tensors: Mapping[str, Tensor]) -> Layers:
    """The tensors of a network by the modules that hold them; a weight is the same with a parametrisation and without."""
    found: Layers = {}
    for name in sorted(tensors, key=_natural):
        layer, own, kept = _place(name)
        if not kept:
            found.setdefault(layer, {})[own] = tensors[name]
    return found


def _kind(name: str, layer: Mapping[str, Tensor]) -> object:
    """Equal for layers that can take each other's place: those of one sequence, with tensors of equal shapes and types."""
    where = re.sub(r"(^|\.)\d+(?=\.|$)", r"\1#", name)
    return where, tuple(sorted((n, tuple(t.shape), t.dtype) for n, t in layer.items()))


def align(own: Layers, theirs: Layers) -> dict[str, str]:
    """The longest sequence of layers in both, by name here and there; where there are several, that with most equal names."""
    mine, others = list(own), list(theirs)
    kinds = [[_kind(name, layers[name]) for name in layers] for layers in (own, theirs)]
    many = len(mine) + 1
    best = [[0] * (len(others) + 1) for _ in range(many)]
    for i in range(len(mine) - 1, -1, -1):
        for j in range(len(others) - 1, -1, -1):
            gain = many + (mine[i] == others[j]) if kinds[0][i] == kinds[1][j] else -1
            here = gain + best[i + 1][j + 1] if gain > 0 else 0
            best[i][j] = max(best[i + 1][j], best[i][j + 1], here)
    pairs, i, j = {}, 0, 0
    while i < len(mine) and j < len(others):
        if best[i][j] == best[i + 1][j]:
            i += 1
        elif best[i][j] == best[i][j + 1]:
            j += 1
        else:
            pairs[mine[i]] = others[j]
            i, j = i + 1, j + 1
    return pairs


def fit(network: nn.Module, theirs: Mapping[str, Tensor], classes: Sequence[str], before: Sequence[str]) -> Fit:
    """What of the tensors `theirs`, of a network of the classes `before`, fits `network`, of `classes`."""
    own, source = layers_of(network.state_dict()), layers_of(theirs)
    pairs = align(own, source)
    by_class = [name for name in own if name in source and _by_class(network, name, own, source, classes, before)]
    pairs |= {name: name for name in by_class}
    if tuple(classes) != tuple(before):
        told = {
            n for n, m in network.named_modules() if isinstance(m, ClassLinear)
        }  # equal shapes say nothing of classes
        pairs = {name: other for name, other in pairs.items() if name not in told or name in by_class}
    return Fit(
        layers=pairs,
        by_class=tuple(by_class),
        fresh=tuple(name for name in own if name not in pairs),
        left_out=tuple(name for name in source if name not in pairs.values()),
    )


def _by_class(
    network: nn.Module, name: str, own: Layers, theirs: Layers, classes: Sequence[str], before: Sequence[str]
) -> bool:
    """Whether a layer has a row for each class, and these are not the same ones in the same order."""
    if not classes or not before or tuple(classes) == tuple(before) or own[name].keys() != theirs[name].keys():
        return False
    shapes = [(tuple(mine.shape), tuple(theirs[name][n].shape)) for n, mine in own[name].items()]
    fits = all(a[:1] == (len(classes),) and b[:1] == (len(before),) and a[1:] == b[1:] for a, b in shapes)
    # Of as many classes, only an embedding is known to be one of classes, and what tells them.
    return fits and (len(classes) != len(before) or isinstance(network.get_submodule(name), nn.Embedding | ClassLinear))


def filled(
    network: nn.Module, theirs: Mapping[str, Tensor], found: Fit, classes: Sequence[str], before: Sequence[str]
) -> dict[str, Tensor]:
    """All tensors of `network`, with those that fit in their places.

    A row of a class is that of the class of the same name, or else the mean of all rows.
    """
    result: dict[str, Tensor] = dict(network.state_dict())
    source = layers_of(theirs)
    for name in result:
        layer, own, kept = _place(name)
        if kept:
            result[name] = theirs.get(_estimate(found, name), result[name])
        elif layer in found.layers:
            result[name] = tensor = source[found.layers[layer]][own]
            if layer in found.by_class:
                mean = tensor.mean(0, dtype=torch.float64).to(tensor.dtype)
                result[name] = torch.stack([tensor[before.index(c)] if c in before else mean for c in classes])
    return result


def _estimate(found: Fit, name: str) -> str:
    """The name there of what a parametrisation keeps here under `name`; empty where it is of another weight."""
    layer, _, rest = f".{name}".partition(".parametrizations.")
    other = found.layers.get(layer[1:]) if layer[1:] not in found.by_class else None
    return "" if other is None else f"{other}.parametrizations.{rest}".lstrip(".")


def unsettled(network: nn.Module, theirs: Mapping[str, Tensor], found: Fit) -> list[str]:
    """Layers of `network` that get another weight, and with it no estimate of its spectral norm."""
    kept = {_place(name)[0]: name for name in network.state_dict() if _place(name)[2]}
    return [layer for layer, name in kept.items() if layer in found.layers and _estimate(found, name) not in theirs]


def unlike(spec: SampleSpec, saved: Mapping[str, Any]) -> list[str]:
    """In what samples differ from those of another run, beside what shapes of layers and classes tell: tokens, a sample rate."""
    told = {*SampleSpec.model_fields, *spec.measured}  # what is measured, such as a mean, samples are scaled by
    return [
        name for name, value in spec.model_dump(mode="json").items() if name not in told and saved.get(name) != value
    ]


def frozen(networks: Mapping[str, nn.Module], settings: Settings) -> list[str]:
    """A sentence on each network of which the option `freeze` keeps layers from being trained."""
    told = []
    for name in (name for name, count in settings.run.freeze if count):
        modules = dict(networks[name].named_modules())
        kept = [n for n, m in modules.items() if weights_of(m, trained=False)]
        total = len(kept) + sum(bool(weights_of(m)) for m in modules.values())
        told.append(f"frozen, and not trained: {len(kept)} of {total} layers of the {name} ({_listed(kept)})")
    return told


# --- taking them ----------------------------------------------------------------------------------------------------------


def begin_with(
    settings: Settings, networks: Mapping[str, nn.Module], ema: MovingAverage, spec: SampleSpec, folder: RunFolder
) -> tuple[str, ...]:
    """Fill the networks, and the moving average, of a new run with those that it is to begin with, as far as they fit.

    Optimizers begin anew. What was taken is written to `start.json` in `folder` and returned in a few lines; none where the run
    begins with random weights.

    Raises:
        UsageError: nothing fits.
        CheckpointError: it is damaged.
    """
    start = settings.run.start
    if not start.run:
        return ()
    lines = distributed.on_main(lambda: _take(start, networks, ema, spec, folder))
    for module in (*networks.values(), ema.module):
        distributed.broadcast_module(module)
    return tuple(lines)


def _take(
    start: Start, networks: Mapping[str, nn.Module], ema: MovingAverage, spec: SampleSpec, folder: RunFolder
) -> list[str]:
    found = _chosen(open_source(start.run), start)
    saved = read_saved(found).spec
    names = saved.get("classes")
    before = [str(name) for name in names] if isinstance(names, list) else []
    fits: dict[str, Fit] = {}
    contents: list[tuple[nn.Module, dict[str, Tensor], list[str]]] = []
    for name in (*networks, "ema"):
        network = "generator" if name == "ema" else name
        # Without weights it is what a penalty remembers, which begins anew as optimizers do.
        if network not in found.networks or next(networks[network].parameters(), None) is None:
            continue
        module, theirs = networks[network], found.tensors(name)
        if name != "ema":
            fits[name] = fit(module, theirs, spec.classes, before)
        whole = filled(module, theirs, fits[network], spec.classes, before)
        check_fits(module, whole, name, found.path)
        layers = unsettled(module, theirs, fits[network])
        contents.append((ema.module if name == "ema" else module, whole, layers))
    if not any(one.layers for one in fits.values()):
        raise UsageError(
            f"no layer of the networks of '{start.run}' fits those of this run; give the architecture the options that it has there "
            "(architecture.*), or train from random weights, without --from"
        )
    for module, whole, layers in contents:
        module.load_state_dict(whole)
        for layer in layers:
            settle(module.get_submodule(layer))
    told = ", ".join(f"{name} {one.in_words()}" for name, one in fits.items())
    summary = [f"begins with step {found.step:,} of '{start.run}': {told}"]
    if others := unlike(spec, saved):
        summary.append(
            f"samples of that run differ from these in {', '.join(others)}, so what its layers have learnt of that may not hold here"
        )
    record = {"run": start.run, "step": found.step, "summary": summary}
    folder.write_start(record | {"networks": {name: asdict(one) for name, one in fits.items()}})
    return summary
