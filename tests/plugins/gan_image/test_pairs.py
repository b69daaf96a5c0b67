"""Pairs of images: sources, how files become pairs, networks, what is written, and how near it is."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from toys.nets import one_thread  # noqa: F401
from typer.testing import CliRunner, Result

import gancore
from gan_cli.app import app
from gan_image.nets import unet
from gan_image.pairs.data import Options, open_outlines, open_pairs
from gan_image.pairs.given import Reader
from gan_image.pairs.judging import Nearness
from gan_image.pairs.sources import edges, grey, masked, small
from gan_image.pairs.spec import PairSpec
from gan_image.pairs.writers import PairGrid, PairPng
from gan_image.writers import GridOptions, PngOptions
from gancore import api
from gancore.configuration.configure import configure
from gancore.data.report import silent
from gancore.errors import DataError, UsageError
from gancore.evaluation.records import Material, Samples
from gancore.plugins import Registry
from gancore.random import Draws

ALL = Draws(0, torch.arange(2))


# --- sources ------------------------------------------------------------------------------------------------------------


def test_edges_are_black_where_black_meets_white_and_half_grey_where_a_quarter_of_that_changes() -> None:
    x = torch.zeros(2, 3, 6, 6, dtype=torch.uint8)
    x[0, 1, :, 3:] = 255  # in one colour alone
    x[1, :, 3:] = 64
    made = edges(x)
    assert made[0, 0, 2].tolist() == [255, 255, 0, 0, 255, 255]
    assert made[1, 0, :, 2].tolist() == pytest.approx([255, 255, 128, 128, 255, 255], abs=1)


def test_grey_is_the_light_and_what_is_grey_stays() -> None:
    x = torch.tensor([100, 200, 50], dtype=torch.uint8).view(1, 3, 1, 1)
    assert grey(x).item() == round(0.299 * 100 + 0.587 * 200 + 0.114 * 50)
    assert torch.equal(grey(x[:, :1]), x[:, :1])


def test_a_small_copy_has_squares_of_mean_colour_to_the_border() -> None:
    x = torch.arange(36, dtype=torch.uint8).view(1, 1, 6, 6)
    made = small(x)[0, 0]
    assert made[0, 0].item() == made[3, 3].item() == round(float(x[0, 0, :4, :4].float().mean()))
    assert made[5, 5].item() == round(float(x[0, 0, 4:, 4:].float().mean()))


def test_the_middle_is_covered_and_the_rest_stays() -> None:
    x = torch.randint(0, 255, (1, 3, 8, 8), dtype=torch.uint8)
    made = masked(x)
    assert torch.equal(made[..., 2:6, 2:6], torch.full((1, 3, 4, 4), 128, dtype=torch.uint8))
    changed = made != x
    assert not changed[..., :2, :].any()
    assert not changed[..., :, 6:].any()


# --- files --------------------------------------------------------------------------------------------------------------


def picture(path: Path, value: int, width: int = 16) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((16, width, 3), value, np.uint8)
    pixels[:, : width // 4] = 255 - value
    Image.fromarray(pixels).save(path)


def opened(path: Path, **options: object) -> object:
    return open_pairs(Options(path=path, size=16, cache=False, **options), silent)  # type: ignore[arg-type]


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Two pairs, a picture without a partner on either side, and a pair of which one file is broken."""
    for name, value in (("one", 10), ("two", 20), ("lonely", 30), ("broken", 40)):
        picture(tmp_path / "data" / "drawn" / f"{name}.png", value)
    for name, value in (("one", 110), ("two", 120), ("alone", 130)):
        picture(tmp_path / "data" / "real" / f"{name}.jpg", value)
    (tmp_path / "data" / "real" / "broken.jpg").write_bytes(b"no picture")
    return tmp_path / "data"


def middles(source: object) -> list[list[int]]:
    """The value of source and target of each pair, in its middle."""
    x, labels = source.fetch(torch.arange(len(source)), Draws(0, torch.arange(len(source))))  # type: ignore[attr-defined, arg-type]
    assert labels is None
    return [[int(row[0, 8, 8]), int(row[3, 8, 8])] for row in x]


def test_pictures_of_one_name_in_two_folders_are_a_pair_and_what_has_no_partner_is_listed(folders: Path) -> None:
    source = opened(folders)
    assert [[round(v, -1) for v in pair] for pair in middles(source)] == [[10, 110], [20, 120]]
    assert source.spec == PairSpec(shape=(6, 16, 16), source_channels=3)  # type: ignore[attr-defined]
    reasons = {skip.path: skip.reason for skip in source.report.skipped}  # type: ignore[attr-defined]
    assert set(reasons) == {"drawn/lonely.png", "real/alone.jpg", "real/broken.jpg"}
    assert reasons["drawn/lonely.png"] == "no picture of this name in 'real'"
    assert "a picture in 'drawn' is given" in source.report.summary()  # type: ignore[attr-defined]
    assert [[round(v, -1) for v in pair] for pair in middles(opened(folders, swap=True))] == [[110, 10], [120, 20]]


def test_a_picture_that_can_no_longer_be_read_takes_its_partner_with_it(tmp_path: Path) -> None:
    for number in range(3):
        picture(tmp_path / "a" / f"{number}.png", 10 * number)
        picture(tmp_path / "b" / f"{number}.png", 100 + 10 * number)
    source = opened(tmp_path, memory_limit_mb=0)
    (tmp_path / "b" / "0.png").write_bytes(b"broken")
    (tmp_path / "a" / "1.png").unlink()
    assert middles(source) == [[20, 120]] * 3
    (tmp_path / "a" / "2.png").unlink()
    with pytest.raises(DataError, match="can be read any more"):
        middles(source)


def test_of_pictures_that_have_one_name_but_for_the_suffix_the_first_is_used_and_others_are_listed(
    folders: Path,
) -> None:
    picture(folders / "real" / "one.png", 200)
    picture(folders / "beside.png", 200)
    source = opened(folders)
    assert [round(v, -1) for v in middles(source)[0]] == [10, 110]
    reasons = {skip.path: skip.reason for skip in source.report.skipped}  # type: ignore[attr-defined]
    assert reasons["real/one.png"] == "one of several of this name"
    assert reasons["beside.png"] == "in neither of the two folders"


def test_an_archive_may_hold_both_folders_in_another(folders: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "pairs.zip", "w") as archive:
        for path in sorted(folders.rglob("*.*")):
            archive.write(path, Path("whole") / path.relative_to(folders))
    assert middles(opened(tmp_path / "pairs.zip")) == middles(opened(folders))


def test_halves_of_wide_pictures_are_a_pair(tmp_path: Path) -> None:
    for number in range(2):
        pixels = np.full((16, 32, 3), 50 + number, np.uint8)
        pixels[:, 16:] = 150 + number
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    assert middles(opened(tmp_path)) == [[50, 150], [51, 151]]
    assert middles(opened(tmp_path, source="right")) == [[150, 50], [151, 51]]


def test_sources_are_computed_where_one_asks_for_them_and_both_sides_are_mirrored_alike(tmp_path: Path) -> None:
    for number in range(4):
        picture(tmp_path / f"{number}.png", 10 * number)
    source = opened(tmp_path, source="grey", flip=True)
    positions = torch.arange(64)
    x, _ = source.fetch(positions % 4, Draws(3, positions))  # type: ignore[attr-defined]
    assert source.spec.source_channels == 1  # type: ignore[attr-defined]
    assert torch.equal(grey(x[:, 1:]), x[:, :1])
    mirrored = x[:, 1, 0, 0] < 128  # the stripe is on the right
    assert 10 < int(mirrored.sum()) < 54
    with pytest.raises(UsageError, match=r"data\.source=edges, grey, small or masked"):
        opened(tmp_path)


def test_each_lost_pair_is_counted_once_and_with_those_used_they_are_all_that_were_found(folders: Path) -> None:
    for name in ("drawn", "real"):
        (folders / name / "both.png").write_bytes(b"no picture")
    (folders / "notes.txt").write_text("words")
    (folders / "drawn" / "Thumbs.db").write_text("of Windows")
    (folders / "gone.png").symlink_to(folders / "nowhere")
    report = opened(folders).report  # type: ignore[attr-defined]
    paths = [skip.path for skip in report.skipped]
    assert paths == ["drawn/both.png", "drawn/lonely.png", "gone.png", "notes.txt", "real/alone.jpg", "real/broken.jpg"]
    assert "and 'real/both.png' is" in report.skipped[0].reason
    assert (report.used, report.found) == (2, 2 + len(paths))


def test_streamed_pairs_tell_of_the_files_of_both_sides(tmp_path: Path) -> None:
    for side in ("a", "b"):
        picture(tmp_path / side / "1.png", 10)
    before = opened(tmp_path, memory_limit_mb=0).report.files  # type: ignore[attr-defined]
    picture(tmp_path / "b" / "1.png", 10, width=32)
    assert before != opened(tmp_path, memory_limit_mb=0).report.files  # type: ignore[attr-defined]


def test_files_take_the_place_of_a_demo_of_pairs_as_pairs(folders: Path) -> None:
    assert configure(Registry(), plugin="image", preset="outlines", data=folders).data.name == "pairs"
    assert configure(Registry(), plugin="image", data=folders).data.name == "folder"


def test_folders_that_do_not_pair_are_told(tmp_path: Path) -> None:
    picture(tmp_path / "a" / "1.png", 1)
    with pytest.raises(UsageError, match=r"holds one folder with pictures, 'a'; pairs need two folders"):
        opened(tmp_path, source="folders")
    picture(tmp_path / "b" / "2.png", 1)
    with pytest.raises(DataError, match="no picture in 'a' has the name of one in 'b', so"):
        opened(tmp_path, source="folders")
    picture(tmp_path / "a" / "x.png", 1)
    picture(tmp_path / "b" / "X.png", 1)
    with pytest.raises(DataError, match=r"in 'b' \(capitals count: 'x' is not 'X'\), so"):
        opened(tmp_path, source="folders")
    with pytest.raises(
        UsageError, match=r"two folders with pictures, 'a' \(2\) and 'b' \(2\), in which none has the same"
    ):
        opened(tmp_path)
    picture(tmp_path / "c" / "1.png", 1)
    for source in ("auto", "folders"):
        with pytest.raises(UsageError, match=r"3 folders with pictures: 'a', 'b', 'c'\)?; pairs need two folders"):
            opened(tmp_path, source=source)


def test_a_folder_without_a_picture_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no image could be read"):
        opened(tmp_path)
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"no image could be read \(1 file examined; first problem: a\.png"):
        opened(tmp_path)


def test_pictures_without_a_suffix_are_not_cut_in_halves_unless_they_are_wide(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", 1)
    (tmp_path / "a.png").rename(tmp_path / "a")
    with pytest.raises(UsageError, match="neither two folders"):
        opened(tmp_path)


def test_what_is_given_is_read_from_a_picture_or_a_folder_of_them(tmp_path: Path) -> None:
    spec = PairSpec(shape=(4, 8, 8), source_channels=1)
    picture(tmp_path / "given" / "b.png", 60, width=32)
    picture(tmp_path / "given" / "a.png", 90)
    (tmp_path / "given" / "notes.txt").write_text("words")
    one, both = Reader(spec).read(tmp_path / "given" / "b.png"), Reader(spec).read(tmp_path / "given")
    assert one.x.shape == (1, 4, 8, 8)
    assert [int(row[0, 4, 4]) for row in both.x] == [90, 60]
    assert torch.equal(one.x[0, 0], both.x[1, 0])
    with pytest.raises(DataError, match=r"no image could be read \(1 file examined; first problem: notes\.txt"):
        Reader(spec).read(tmp_path / "given" / "notes.txt")
    (tmp_path / "given" / "c.png").write_bytes(b"broken")
    with pytest.warns(UserWarning, match=r"1 of 3 pictures cannot be read and is left out, c\.png: "):
        assert Reader(spec).read(tmp_path / "given").names == ("a", "b")
    (tmp_path / "given" / "d.png").write_bytes(b"broken")
    with pytest.warns(UserWarning, match=r"2 of 4 pictures cannot be read and are left out; the first is c\.png: "):
        Reader(spec).read(tmp_path / "given")
    with pytest.raises(UsageError, match="2 channels cannot be read from pictures"):
        Reader(PairSpec(shape=(3, 8, 8), source_channels=2)).read(tmp_path / "given")


def test_what_is_given_in_16_bits_has_the_range_of_the_data_or_where_these_have_none_its_own(tmp_path: Path) -> None:
    Image.fromarray(np.repeat(np.array([[1000, 2000]], np.uint16), 4, axis=1).repeat(8, axis=0)).save(
        tmp_path / "x.png"
    )
    spec = PairSpec(shape=(2, 8, 8), source_channels=1)
    for limits, wanted in ((None, [0, 255]), ((0.0, 4000.0), [64, 128])):
        read = Reader(spec.model_copy(update={"source_intensities": limits})).read(tmp_path / "x.png")
        assert read.x[0, 0, 4, [0, -1]].tolist() == wanted
    picture(tmp_path / "pairs" / "b" / "x.png", 5)
    (tmp_path / "pairs" / "a").mkdir()
    (tmp_path / "x.png").rename(tmp_path / "pairs" / "a" / "x.png")
    assert opened(tmp_path / "pairs").spec.source_intensities == (1000.0, 2000.0)  # type: ignore[attr-defined]


def test_what_is_given_is_fitted_as_the_pairs_were(tmp_path: Path) -> None:
    picture(tmp_path / "1.png", 100, width=32)  # the first quarter is of another value
    seen = set()
    for fit in ("crop", "resize", "pad"):
        source = opened(tmp_path, source="grey", fit=fit)
        read = Reader(source.spec).read(tmp_path / "1.png")  # type: ignore[attr-defined]
        own, _ = source.fetch(torch.arange(1), Draws(0, torch.arange(1)))  # type: ignore[attr-defined]
        assert torch.allclose(read.x[:, :1].float(), own[:, :1].float(), atol=1.0)
        seen.add(int(read.x[0, 0, 0, 1]))
    assert seen == {100, 155, 255}  # cut off, there, and below a bar


# --- networks -----------------------------------------------------------------------------------------------------------

SMALL = {"latent": 3, "width": 4, "max_width": 16, "discriminator_width": 4}


@pytest.mark.parametrize(("height", "width"), [(16, 16), (24, 32)])
def test_sources_are_in_the_pairs_that_are_made_and_decide_what_is_made(height: int, width: int) -> None:
    torch.manual_seed(0)
    spec = PairSpec(shape=(4, height, width), source_channels=1, classes=("a", "b"))
    networks = unet.build(unet.Options(**SMALL, scales=2), spec)
    generator, judge = networks["generator"].eval(), networks["discriminator"]
    z, given, y = torch.randn(3, 3), torch.rand(3, 1, height, width) * 2 - 1, torch.tensor([0, 1, 0])
    pairs = generator(z, y, given)
    assert pairs.shape == (3, 4, height, width)
    assert torch.equal(pairs[:, :1], given)
    assert not torch.allclose(pairs[:, 1:], generator(z, y, -given)[:, 1:], atol=1e-4)
    heads = judge(pairs, y)
    assert [head.dim() for head in heads] == [3, 3]
    assert heads[0].shape[1] >= heads[1].shape[1] > 1
    sum(head.square().sum() for head in heads).backward()
    missing = [n for net in networks.values() for n, p in net.named_parameters() if p.grad is None]
    assert missing == []


def test_a_patch_is_judged_by_what_is_in_it() -> None:
    spec = PairSpec(shape=(4, 64, 64), source_channels=1)
    judge = unet.build(unet.Options(**SMALL, patches=1, discriminator_norm="none"), spec)["discriminator"]
    x = torch.rand(1, 4, 64, 64, requires_grad=True)
    (head,) = judge(x, None)
    (slope,) = torch.autograd.grad(head[0, 16, 16], x)
    seen = slope.abs().sum((0, 1)).nonzero()
    sides = (seen.amax(0) - seen.amin(0) + 1).tolist()
    assert 8 <= max(sides) <= 16  # of 64


def test_other_samples_are_refused() -> None:
    from gan_image.spec import ImageSpec

    with pytest.raises(UsageError, match="is for pairs of images"):
        unet.build(unet.Options(), ImageSpec(shape=(3, 16, 16)))


# --- what is written, and how near it is ----------------------------------------------------------------------------------

GREY = PairSpec(shape=(4, 8, 8), source_channels=1)


def pair(source: int, target: int) -> torch.Tensor:
    return torch.cat([torch.full((1, 8, 8), source), torch.full((3, 8, 8), target)]).to(torch.uint8)


def test_sheets_show_both_sides_and_single_files_what_was_made(tmp_path: Path) -> None:
    samples = torch.stack([pair(10, 200), pair(20, 210)])
    (sheet,) = PairGrid(GridOptions(columns=1), GREY).write(samples, tmp_path, "sheet")
    pixels = np.asarray(Image.open(sheet))
    assert pixels.shape == (2 * 48 + 2, 2 * 48, 3)
    assert pixels[10, 10].tolist() == [10] * 3
    assert pixels[10, 60].tolist() == [200] * 3
    files = PairPng(PngOptions(), GREY).write(samples, tmp_path, "made")
    assert [np.asarray(Image.open(file))[4, 4].tolist() for file in files] == [[200] * 3, [210] * 3]
    (named,) = PairGrid(GridOptions(), GREY).captioned(samples, tmp_path, "nearest", ["a", "b"], 2, "Title")
    assert named.exists()


def test_nearness_is_that_of_what_was_made_beside_a_constant_and_a_neighbour() -> None:
    train = torch.stack([pair(0, 0), pair(100, 100), pair(200, 250)])
    real = torch.stack([pair(90, 110), pair(210, 240)])
    made = torch.stack([pair(90, 120), pair(210, 240), pair(90, 110), pair(210, 200)])
    figures = Nearness(GREY)(Material(generated=Samples(made), real=Samples(real), train=Samples(train), held_out=True))
    assert figures["l1"] == pytest.approx((10 + 0 + 0 + 40) / 4 / 255)
    assert figures["l1-constant"] == pytest.approx((10 + 140) / 2 / 255)  # the median, 100
    assert figures["l1-nearest"] == pytest.approx((10 + 10) / 2 / 255)
    assert "l1-copy" not in figures
    same = PairSpec(shape=(2, 8, 8), source_channels=1)
    two = Samples(torch.stack([pair(90, 110)[:2]]))
    found = Nearness(same)(Material(generated=two, real=two, train=two, held_out=True))
    assert found["l1-copy"] == pytest.approx(20 / 255)


def test_a_run_is_trained_shown_and_given_pictures(tmp_path: Path) -> None:
    options = {
        "data": {"samples": 24, "size": 16}, "architecture": SMALL, "batch_size": 4, "held_out": 0.2,
        "every": {"evaluate": 0, "sample": 2}, "schedules": "none",
    }  # fmt: skip
    run = api.train(plugin="image", preset="outlines", steps=2, out=tmp_path / "run", options=options)
    assert (run.folder / "samples" / "step-00000002.png").exists()
    given = open_outlines_file(tmp_path)
    generator = gancore.load(run.folder)
    made = generator.sample(given=given)
    assert made.shape == (1, 4, 16, 16)
    assert torch.equal(made[:, :1], Reader(generator.spec).read(given).x[:, :1])
    files = generator.save(generator.sample(3, given=given), tmp_path / "made", given=generator.read_given(given))
    assert [file.name for file in files] == ["outline.png", "outline-2.png", "outline-3.png"]
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == sorted(file.name for file in files)


def cli(arguments: list[str]) -> Result:
    return CliRunner().invoke(app, arguments)


def test_a_folder_is_given_at_the_terminal_and_each_is_made_again_under_its_name(tmp_path: Path) -> None:
    options = [
        "data.samples=24",
        "data.size=16",
        "batch_size=4",
        "schedules=none",
        "every.evaluate=0",
        "every.sample=0",
    ]
    options += [f"architecture.{name}={value}" for name, value in SMALL.items()]
    run, given = str(tmp_path / "run"), tmp_path / "given"
    assert (
        cli(["run", "--plugin", "image", "--preset", "outlines", "--steps", "1", "--out", run, *options]).exit_code == 0
    )
    for name in ("a", "b"):
        picture(given / f"{name}.png", 10)
    assert cli(["sample", run, "--given", str(given), "-n", "4", "--out", str(tmp_path / "made")]).exit_code == 0
    assert {"a.png", "a-2.png", "b.png", "b-2.png"} < {path.name for path in (tmp_path / "made").iterdir()}
    recipe = ["--recipe", str(tmp_path / "made" / "b-2.png"), "--given", str(given)]
    assert cli(["sample", run, *recipe, "--out", str(tmp_path / "again")]).exit_code == 0
    one, other = (np.asarray(Image.open(tmp_path / name)) for name in ("made/b-2.png", "again/b.png"))
    assert np.array_equal(one, other)
    picture(tmp_path / "nearest.png", 10)
    why = ["--given", str(tmp_path / "nearest.png"), "-n", "8", "--out", str(tmp_path / "why")]
    assert cli(["explain", run, *why]).exit_code == 0
    assert {"nearest.png", "false.png", "sample-00000.png"} < {path.name for path in (tmp_path / "why").iterdir()}
    assert Image.open(tmp_path / "why" / "nearest.png").width > 100
    assert Image.open(tmp_path / "why" / "sample-00000.png").size == (16, 16)
    for name in (".DS_Store", "Thumbs.db"):
        (given / name).write_text("of a system")
    assert cli(["sample", run, *recipe, "--out", str(tmp_path / "still")]).exit_code == 0
    refused = cli(["translate", run, str(given), "--to", "winter"])
    assert refused.exit_code == 2
    said = " ".join(refused.output.split())
    assert (
        "does not translate between domains, and what it makes of files is of one kind; leave --to out, or take gan sample --given"
        in said
    )
    picture(given / "c.png", 20)
    refused = cli(["sample", run, *recipe, "--out", str(tmp_path / "third")])
    assert refused.exit_code != 0
    assert "as it was then" in " ".join(refused.output.split())


def test_a_run_of_pairs_is_steered_around_what_is_given_or_says_why_not(tmp_path: Path) -> None:
    options = {
        "data": {"samples": 24, "size": 16}, "architecture": SMALL, "batch_size": 4, "held_out": 0.2,
        "every": {"evaluate": 0, "sample": 0}, "schedules": "none",
    }  # fmt: skip
    run = str(api.train(plugin="image", preset="outlines", steps=1, out=tmp_path / "run", options=options).folder)
    given = ["--given", str(open_outlines_file(tmp_path))]
    assert cli(["directions", run, "-n", "100", *given]).exit_code == 0
    assert cli(["sample", run, *given, "--edit", "sefa-1=2", "--out", str(tmp_path / "edit-1.5")]).exit_code == 0
    assert cli(["walk", run, *given, "--frames", "3", "--between", "0,1"]).exit_code == 0
    control = ["evaluate", run, "--metric", "control", "-n", "20", "metrics.control.samples=20", "features=made-pixels"]
    assert '"path-z-made-pixels"' in cli([*control, "metrics.control.codes=400", "--json"]).stdout
    blended = cli(["blend", run, run, "--layers", "0-0", "--out", str(tmp_path / "blend")])
    assert " ".join(blended.stderr.split()).endswith("--given FILE")
    for words, arguments in (
        ("single layer, so there is nothing to mix", ["mix", run, "0", "1", "--layers", "0-0", *given]),
        ("pass --given FILE", ["mix", run, "0", "1", "--layers", "0-0"]),
        ("pass --given FILE", ["walk", run]),
        ("pass --given FILE", ["directions", str(tmp_path / "blend")]),
        ("no code stands for a whole one", ["project", run, given[1]]),
    ):
        refused = cli(arguments)
        assert refused.exit_code == 2
        assert words in " ".join(refused.stderr.split())


def open_outlines_file(folder: Path) -> Path:
    from gan_image.data import blossoms

    source = open_outlines(blossoms.Options(samples=2, size=16), silent)
    x, _ = source.fetch(torch.arange(1), Draws(0, torch.arange(1)))
    Image.fromarray(x[0, 0].numpy()).save(folder / "outline.png")
    return folder / "outline.png"
