"""Tones for a vocoder, and the smallest networks that make them of their mel spectrograms: the plugin `tones`."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from gan_audio.data.options import SoundOptions
from gan_audio.data.source import WaveSource
from gan_audio.nets.hifigan import Options as NetOptions
from gan_audio.spec import AudioSpec
from gancore import hookimpl
from gancore.components import Architecture, Dataset, Game, PluginInfo, Preset
from gancore.data.report import ScanReport
from gancore.plugins import Registry

NET: dict[str, Any] = {
    "width": 4,
    "least": 4,
    "kernels": [3],
    "dilations": [1],
    "discriminator_width": 1,
    "periods": [2, 3],
    "scales": 1,
}
DATA: dict[str, Any] = {
    "representation": "waveform",
    "given": "mel",
    "length": 512,
    "n_fft": 64,
    "hop": 16,
    "mels": 8,
}


def tones(count: int, length: int, rate: int = 8000, seed: int = 0) -> Tensor:
    """Sines of 200 to 1200 Hz that fade, `[count, 1, length]`."""
    random = torch.Generator().manual_seed(seed)
    pitch = 200 + 1000 * torch.rand(count, 1, generator=random)
    level = 0.3 + 0.6 * torch.rand(count, 1, generator=random)
    time = torch.arange(length) / rate
    return (level * torch.sin(2 * math.pi * pitch * time) * torch.exp(-10 * time))[:, None]


class DataOptions(SoundOptions):
    count: int = Field(16, ge=2, le=1000, description="How many.")


def open_tones(options: DataOptions, progress: Any) -> WaveSource:
    del progress
    count = options.count
    waves = tones(count, options.length, options.sample_rate)[:, 0]
    report = ScanReport(source="tones", found=count, used=count)
    labels = torch.arange(count) % 2 if options.given == "mel" else None  # to be left out
    return WaveSource(options.spec(() if labels is None else ("low", "high")), waves, labels, report)


class Blind(nn.Module):
    """A discriminator that does not show its layers."""

    def __init__(self, spec: AudioSpec) -> None:
        super().__init__()
        self.linear = nn.Linear(spec.length, 1)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        return self.linear(x[:, 0])[:, 0]


def build_blind(options: NetOptions, spec: AudioSpec) -> dict[str, nn.Module]:
    from gan_audio.nets import hifigan

    return {"generator": hifigan.Generator(options, spec), "discriminator": Blind(spec)}


class Flat(nn.Module):
    """A generator of waveforms that is given nothing."""

    latent_shape = (4,)

    def __init__(self, spec: AudioSpec) -> None:
        super().__init__()
        self.linear = nn.Linear(4, spec.length)

    def forward(self, z: Tensor, condition: Tensor | None) -> Tensor:
        return self.linear(z).tanh()[:, None]


def build_flat(options: NetOptions, spec: AudioSpec) -> dict[str, nn.Module]:
    return {"generator": Flat(spec), "discriminator": Blind(spec)}


@hookimpl
def gan_plugin_info() -> PluginInfo:
    return PluginInfo(summary="Tones", api_version=1, demo_preset="plain", data_preset="tones")


@hookimpl
def gan_datasets() -> Iterator[Dataset]:
    yield Dataset(
        name="tones",
        summary="Sines",
        target=f"{__name__}:open_tones",
        options=f"{__name__}:DataOptions",
        spec="gan_audio.spec:AudioSpec",
        given="gan_audio.data.given:SoundReader",
    )


@hookimpl
def gan_architectures() -> Iterator[Architecture]:
    targets = {
        "hifigan": "gan_audio.nets.hifigan:build",
        "blind": f"{__name__}:build_blind",
        "flat": f"{__name__}:build_flat",
    }
    for name, target in targets.items():
        yield Architecture(name=name, summary="Networks", target=target, options="gan_audio.nets.hifigan:Options")


@hookimpl
def gan_games() -> Iterator[Game]:
    yield Game(
        name="vocoder",
        summary="The game",
        target="gan_audio.games.vocoder:Vocoder",
        options="gan_audio.games.vocoder:Options",
        players=("discriminator", "generator"),
    )


CONFIG: dict[str, Any] = {
    "data": {"name": "tones", **DATA},
    "architecture": {"name": "hifigan", **NET},
    "game": {"name": "vocoder"},
    "loss": {"name": "least-squares"},
    "batch_size": 4,
    "steps": 2,
    "device": "cpu",
    "listeners": [],
}


@hookimpl
def gan_presets() -> Iterator[Preset]:
    yield Preset(name="tones", summary="The vocoder", config=CONFIG)
    other = {"architecture": {"name": "blind", **NET}, "game": {"name": "gan"}}
    yield Preset(name="plain", summary="A game for which the other one's networks do not do", config=CONFIG | other)


def new_registry() -> Registry:
    """The engine's own components and this plugin."""
    registry = Registry(entries=[])
    registry.register(sys.modules[__name__], "tones")
    return registry
