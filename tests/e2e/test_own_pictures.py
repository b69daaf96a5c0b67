"""A folder as people have them: mixed sizes, formats and modes, and some files that are broken."""

from __future__ import annotations

import json
import random

import numpy as np
from PIL import Image
from support.terminal import TINY, Terminal


def test_a_mixed_folder_with_broken_files_trains_without_a_flag_beyond_data(terminal: Terminal) -> None:
    folder = terminal.folder / "my pictures"
    (folder / "holidays").mkdir(parents=True)
    chance = random.Random(1)
    modes = {"png": ["RGB", "RGBA", "L", "P", "1", "LA", "I;16"], "jpg": ["RGB", "L", "CMYK"], "gif": ["P"], "bmp": ["RGB"],
             "webp": ["RGB", "RGBA"], "tiff": ["RGB", "L"]}  # fmt: skip
    made = 0
    for suffix, kinds in modes.items():
        for mode in kinds:
            size = (chance.randint(20, 200), chance.randint(20, 200))
            rgb = Image.fromarray(np.random.default_rng(made).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))
            picture = rgb.convert("L").convert("I").convert("I;16") if mode == "I;16" else rgb.convert(mode)
            picture.save(folder / ("holidays" if made % 2 else ".") / f"{mode.replace(';', '')}-{made}.{suffix}")
            made += 1
    good = (folder / "RGB-0.png").read_bytes()
    (folder / "cut.png").write_bytes(good[: len(good) // 2])
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "letter.png").write_text("no picture at all")
    (folder / "notes.txt").write_text("to do")

    done = terminal.gan("run", "--plugin", "image", "--data", "my pictures", "--steps", 3, "--json", *TINY)
    run = terminal.folder / json.loads(done.stdout)["folder"]
    report = json.loads((run / "data.json").read_text())
    assert report["used"] == made
    assert {"cut.png", "empty.jpg", "letter.png"} <= {s["path"] for s in report["skipped"]}
    assert all(s["reason"] for s in report["skipped"])
    with Image.open(run / "samples" / "step-00000003.png") as sheet:
        assert sheet.mode == "RGB"


def test_a_folder_without_pictures_is_an_error_that_says_what_was_looked_for(terminal: Terminal) -> None:
    (terminal.folder / "texts").mkdir()
    (terminal.folder / "texts" / "a.txt").write_text("a")
    failed = terminal.gan("run", "--plugin", "image", "--data", "texts", *TINY, code=1)
    assert "no image could be read" in failed.stderr
    assert "PNG" in failed.stderr


def test_data_that_do_not_exist_are_a_usage_error(terminal: Terminal) -> None:
    failed = terminal.gan("run", "--plugin", "image", "--data", "nowhere", code=2)
    assert "nowhere" in failed.stderr
