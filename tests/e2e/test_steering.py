"""Samples that are asked for by where they are, and made again from what their files carry, in processes of their own."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image
from support.terminal import DIGITS, Terminal

COMMON = ("--steps", 2, "--out", "r", "--quiet", "every.health=0", "samples=4", "listeners=none")
RUNS = {
    "image": (*DIGITS, *COMMON, "architecture.width=8", "architecture.latent=16", "batch_size=16"),
    "music": ("run", "-p", "music", *COMMON, "data.count=200", "architecture.width=8", "batch_size=8"),
    "audio": (
        "run",
        "-p",
        "audio",
        *COMMON,
        "data.count=60",
        "architecture.max_width=32",
        "architecture.width=8",
        "batch_size=8",
    ),
    "text": (
        "run",
        "-p",
        "text",
        *COMMON,
        "data.count=200",
        "architecture.width=16",
        "batch_size=8",
        "game.mle.steps=1",
    ),
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Terminal]:
    """A terminal in a folder with a run `r` of a plugin, which is trained when it is first asked for."""

    @cache
    def train(plugin: str) -> Terminal:
        terminal = Terminal(tmp_path_factory.mktemp(plugin))
        terminal.gan(*RUNS[plugin])
        return terminal

    return train


def files_of(terminal: Terminal, *arguments: object) -> list[Path]:
    return [terminal.folder / f for f in json.loads(terminal.gan(*arguments, "--json").stdout)["files"]]


def singles(files: list[Path]) -> list[Path]:
    return [file for file in files if not file.stem.startswith(("sheet", "walk"))]


@pytest.mark.parametrize("plugin", list(RUNS))
def test_every_file_is_made_again_to_the_bit_from_the_recipe_that_it_carries(
    trained: Callable[[str], Terminal], plugin: str
) -> None:
    terminal = trained(plugin)
    steered = () if plugin == "text" else ("--truncation", 0.7)
    made = singles(files_of(terminal, "sample", "r", "-n", 5, "--seed", 3, *steered))
    again = singles(files_of(terminal, "sample", "r", "--recipe", made[0].parent))
    assert [file.read_bytes() for file in again] == [file.read_bytes() for file in made]
    sheet = next((f for f in made[0].parent.glob("sheet.*") if f.suffix in (".png", ".wav")), None)
    if sheet is not None:
        terminal.gan("sample", "r", "--recipe", sheet, "--out", "whole")
        assert (terminal.folder / "whole" / sheet.name).read_bytes() == sheet.read_bytes()
    one = made[3]
    alone = singles(files_of(terminal, "sample", "r", "--recipe", one))[0]
    assert alone.read_bytes() == one.read_bytes()


def test_pictures_are_varied_walked_between_and_mixed_by_class(trained: Callable[[str], Terminal]) -> None:
    terminal = trained("image")
    made = singles(files_of(terminal, "sample", "r", "-n", 4))
    around = singles(files_of(terminal, "sample", "r", "--around", made[2], "--spread", 0.2, "-n", 3))
    pixels = [np.asarray(Image.open(file)).astype(int) for file in (made[2], *around)]
    assert (
        0 < max(abs(other - pixels[0]).mean() for other in pixels[1:]) < abs(pixels[0] - pixels[0].mean()).mean() + 64
    )
    walk, *frames = files_of(terminal, "walk", "r", "--between", f"{made[0]},7:2", "--frames", 6, "--each")
    shown = [file for file in frames if file.stem.startswith("frame")]
    assert len(shown) == 6
    assert np.array_equal(np.asarray(Image.open(shown[0])), np.asarray(Image.open(made[0])))
    with Image.open(walk) as animation:
        assert animation.n_frames == 6
    files_of(terminal, "sample", "r", "--class", "0.5*3+0.5*8", "-n", 2)
    refused = terminal.gan("mix", "r", "1", "2", "--layers", "0-1", code=2)
    assert "there is nothing to mix" in refused.stderr


def test_texts_that_are_drawn_token_by_token_say_what_steers_them(trained: Callable[[str], Terminal]) -> None:
    terminal = trained("text")
    for command in (("walk", "r"), ("sample", "r", "--truncation", 0.5)):
        assert "can be steered by a prompt, the temperature" in terminal.gan(*command, code=2).stderr
    assert not list((terminal.folder / "r").glob("walks/*"))


def test_a_walk_of_sounds_is_one_sound_longer_than_any_of_them(trained: Callable[[str], Terminal]) -> None:
    terminal = trained("audio")
    whole, *frames = (f for f in files_of(terminal, "walk", "r", "--frames", 4, "--each") if f.suffix == ".wav")
    lengths = [len(soundfile.read(file)[0]) for file in (whole, *frames)]
    assert len(frames) == 4
    assert max(lengths[1:]) < lengths[0] <= sum(lengths[1:])
