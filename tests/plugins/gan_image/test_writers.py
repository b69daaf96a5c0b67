"""What writers put on disk, read back with Pillow."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

from gan_image.spec import ImageSpec
from gan_image.writers import (
    GifOptions,
    GifWriter,
    GridOptions,
    GridWriter,
    PngOptions,
    PngWriter,
    arrange,
    near_square,
    thin,
)
from gancore.errors import UsageError


def images(count, channels=1, height=8, width=8):
    """Image n is filled with 10 * n, plus its channel."""
    values = torch.arange(count)[:, None, None, None] * 10 + torch.arange(channels)[None, :, None, None]
    return values.expand(count, channels, height, width).to(torch.uint8)


def read(path):
    with Image.open(path) as image:
        return image.mode, np.asarray(image)


def grid(tmp_path, samples, labels=None, **options):
    writer = GridWriter(GridOptions(**options), ImageSpec(shape=tuple(samples.shape[1:])))
    (path,) = writer.write(samples, tmp_path / "samples", "step-000010", labels)
    assert path == tmp_path / "samples" / "step-000010.png"
    return read(path)


def test_a_sheet_shows_images_row_by_row_enlarged_with_thin_gaps(tmp_path):
    mode, pixels = grid(tmp_path, images(4))
    assert mode == "L"
    assert pixels.shape == (2 * 48 + 2, 2 * 48 + 2)  # 8 pixels enlarged six times
    assert np.unique(pixels[:48, :48]).tolist() == [0]
    assert np.unique(pixels[:48, 50:]).tolist() == [10]
    assert np.unique(pixels[50:, :48]).tolist() == [20]
    assert np.unique(pixels[50:, 50:]).tolist() == [30]
    assert np.unique(pixels[48:50]).tolist() == [128]


def test_captions_stand_above_images_and_a_title_above_all(tmp_path):
    writer = GridWriter(GridOptions(), ImageSpec(shape=(1, 8, 8)))
    (path,) = writer.captioned(images(6), tmp_path, "nearest", ["here"] * 6, 3, "Two words")
    _, pixels = read(path)
    tiles = [(pixels == 10 * n).all(axis=2) for n in range(1, 6)]
    assert [int(tile.sum()) for tile in tiles] == [80 * 80] * 5  # letters are of other greys
    tops, lefts = zip(*(np.argwhere(tile).min(axis=0) for tile in tiles), strict=True)
    assert tops[0] == tops[1] < tops[2] == tops[4]
    assert lefts[2] < lefts[0] == lefts[3] < lefts[1] == lefts[4]
    above = pixels[: tops[0], :, 0]
    assert (above[above.shape[0] - 18 :] < 200).any()
    assert (above[:20] < 200).any()


def test_enlarging_keeps_pixels_sharp(tmp_path):
    sample = torch.randint(0, 256, (1, 3, 8, 8), dtype=torch.uint8)
    mode, pixels = grid(tmp_path, sample)
    assert mode == "RGB"
    assert np.array_equal(pixels, sample[0].permute(1, 2, 0).numpy().repeat(6, axis=0).repeat(6, axis=1))


@pytest.mark.parametrize(
    ("channels", "mode", "values"),
    [(1, "L", 20), (2, "L", 20), (3, "RGB", [20, 21, 22]), (4, "RGBA", [20, 21, 22, 23]), (6, "RGB", [20, 21, 22])],
)
def test_any_number_of_channels_is_shown(tmp_path, channels, mode, values):
    found, pixels = grid(tmp_path, images(4, channels))
    assert found == mode
    assert pixels[60, 10].tolist() == values  # 20.5 is rounded to even


def test_large_sheets_stay_within_their_limit(tmp_path):
    _, pixels = grid(tmp_path, images(25, height=512, width=512), columns=5)
    assert max(pixels.shape) <= 2048
    _, pixels = grid(tmp_path, images(25, height=256, width=256), columns=5)
    assert pixels.shape == (5 * 256 + 8, 5 * 256 + 8)


def test_columns_can_be_chosen(tmp_path):
    _, pixels = grid(tmp_path, images(6, height=48, width=48), columns=6)
    assert pixels.shape == (48, 6 * 48 + 10)


@pytest.mark.parametrize(
    ("count", "columns"),
    [(1, 1), (2, 2), (4, 2), (8, 4), (9, 3), (12, 4), (16, 4), (7, 3), (10, 5), (64, 8)],
)
def test_sheets_are_nearly_square_and_full_if_possible(count, columns):
    assert near_square(count) == columns


def test_tall_images_get_more_columns():
    assert near_square(16, height_by_width=4.0) == 8


def test_with_labels_classes_become_rows_or_columns():
    assert arrange(6, [1, 0, 1, 0, 1, 0], None) == ([1, 3, 5, 0, 2, 4], 3)  # two rows of three
    assert arrange(6, [2, 1, 0, 0, 1, 2], None) == ([2, 1, 0, 3, 4, 5], 3)  # three columns of two
    assert arrange(4, [3, 1, 2, 0], None) == ([3, 1, 2, 0], 2)  # one of each: in order of classes
    assert arrange(5, [0, 0, 1, 1, 1], None) == ([0, 1, 2, 3, 4], 3)  # not equally many: as given
    assert arrange(4, [0, 1, 0, 1], 4) == ([0, 1, 2, 3], 4)  # columns that fit no class: as given


@pytest.mark.parametrize(
    ("classes", "count", "height_by_width", "rows", "columns"),
    [
        (2, 64, 1.0, 8, 8),
        (2, 1000, 1.0, 32, 32),
        (3, 64, 1.0, 9, 8),
        (10, 100, 1.0, 10, 10),
        (2, 64, 4.0, 4, 16),
        (2, 64, 0.25, 16, 4),
    ],
)
def test_classes_of_many_images_have_rows_of_their_own_on_a_nearly_square_sheet(
    classes, count, height_by_width, rows, columns
):
    order, found = arrange(count, [n % classes for n in range(count)], None, height_by_width)
    assert found == columns
    assert len(order) == rows * columns
    lines = [order[start : start + columns] for start in range(0, len(order), columns)]
    of_rows = [{n % classes for n in line if n is not None} for line in lines]
    assert of_rows == [{name} for name in range(classes) for _ in range(rows // classes)]
    assert sorted(n for n in order if n is not None) == list(range(count))


@pytest.mark.parametrize("count", [1, 2, 7, 30, 64, 101, 260, 1000])
@pytest.mark.parametrize("classes", [1, 2, 3, 10, 26, 100])
def test_sheets_of_any_number_of_classes_are_at_most_three_times_as_long_as_wide(classes, count):
    order, columns = arrange(count, [n % classes for n in range(count)], None)
    rows = -(-len(order) // columns)
    assert 1 / 3 <= rows / columns <= 3
    shown = [n for n in order if n is not None]
    assert sorted(shown) == list(range(count))
    if classes > 1:
        by_column = [order[start::columns] for start in range(columns)]
        one_each = all(len({n % classes for n in line if n is not None}) == 1 for line in by_column)
        assert one_each or [n % classes for n in shown] == sorted(n % classes for n in shown)


def test_chosen_columns_that_divide_the_images_of_a_class_keep_its_rows_together():
    order, columns = arrange(12, [0, 1] * 6, 3)
    assert (order, columns) == ([0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11], 3)
    assert arrange(8, [0, 1] * 4, 2) == (list(range(8)), 2)  # as many as classes: each column is one


def test_places_behind_the_last_image_of_a_class_are_empty_and_its_rows_keep_their_name(tmp_path):
    with_names, without = named(tmp_path, ("cat", "dog"), [0, 1] * 5, side=48)  # four rows of three, two places empty
    assert without.shape[:2] == (4 * 48 + 3 * 2, 3 * 48 + 2 * 2)
    assert np.unique(without[50:98, 100:]).tolist() == [128]
    added = with_names.shape[1] - without.shape[1]
    assert np.array_equal(with_names[:, added:], without)
    assert all((part[:, :added] < 128).any() for part in np.array_split(with_names, 4))


def test_a_sheet_with_labels_holds_every_image_at_its_class(tmp_path):
    _, pixels = grid(tmp_path, images(6), labels=[1, 0, 1, 0, 1, 0])
    assert pixels[[10, 60]][:, [10, 60, 110]].tolist() == [[10, 30, 50], [0, 20, 40]]


def test_png_bytes_are_the_same_each_time(tmp_path):
    samples = torch.randint(0, 256, (5, 3, 8, 8), dtype=torch.uint8)
    writer = GridWriter(GridOptions(), ImageSpec(shape=(3, 8, 8)))
    (one,) = writer.write(samples, tmp_path / "one", "a")
    (two,) = writer.write(samples, tmp_path / "two", "a")
    assert one.read_bytes() == two.read_bytes()
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["a.png"]


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_single_images_are_written_in_their_own_size_exactly(tmp_path, channels):
    samples = torch.randint(0, 256, (3, channels, 8, 10), dtype=torch.uint8)
    paths = PngWriter(PngOptions(), ImageSpec(shape=(channels, 8, 10))).write(samples, tmp_path, "digit")
    assert [path.name for path in paths] == ["digit-00000.png", "digit-00001.png", "digit-00002.png"]
    for path, sample in zip(paths, samples, strict=True):
        pixels = read(path)[1].reshape(8, 10, channels)
        assert np.array_equal(pixels, sample.permute(1, 2, 0).numpy())


def test_names_of_single_images_tell_their_class(tmp_path):
    spec = ImageSpec(shape=(1, 8, 8), classes=("3", "cat", "../a b", "\u732b"))
    paths = PngWriter(PngOptions(), spec).write(images(4), tmp_path, "x", [0, 1, 2, 3])
    assert [path.name for path in paths] == [
        "x-00000-class3.png",
        "x-00001-cat.png",
        "x-00002-a_b.png",
        "x-00003-\u732b.png",
    ]
    assert all(path.parent == tmp_path for path in paths)
    plain = PngWriter(PngOptions(class_names=False), spec).write(images(1), tmp_path, "y", [1])
    assert plain[0].name == "y-00000.png"


@pytest.mark.parametrize("samples", [torch.zeros(0, 1, 8, 8, dtype=torch.uint8), torch.zeros(2, 1, 8, 8)])
def test_what_is_no_image_is_refused(tmp_path, samples):
    spec = ImageSpec(shape=(1, 8, 8))
    for writer in (GridWriter(GridOptions(), spec), PngWriter(PngOptions(), spec)):
        with pytest.raises(UsageError, match=r"uint8 of shape \[n, channels, height, width\]"):
            writer.write(samples, tmp_path, "x")


# --- animations -------------------------------------------------------------------------------------------------------


def sheets(tmp_path, *pictures):
    paths = []
    for number, picture in enumerate(pictures):
        paths.append(tmp_path / f"step-{number:06d}.png")
        picture.save(paths[-1])
    return paths


def animate(tmp_path, paths, **options):
    written = GifWriter(GifOptions(**options), ImageSpec(shape=(1, 8, 8))).write(paths, tmp_path / "out", "progress")
    assert written == [tmp_path / "out" / "progress.gif"]
    with Image.open(written[0]) as image:
        frames = [(np.asarray(f.convert("RGB")), f.info["duration"]) for f in ImageSequence.Iterator(image)]
        return frames, image.info


def test_an_animation_shows_sheets_in_order_and_holds_the_last(tmp_path):
    values = [np.random.default_rng(n).integers(0, 256, (30, 40), dtype=np.uint8) for n in range(3)]
    frames, info = animate(tmp_path, sheets(tmp_path, *map(Image.fromarray, values)), frame_ms=100, hold_ms=900)
    assert [duration for _, duration in frames] == [100, 100, 900]
    assert info["loop"] == 0
    for (pixels, _), expected in zip(frames, values, strict=True):
        assert np.array_equal(pixels, expected[..., None].repeat(3, axis=2))


def test_colours_of_an_animation_are_near_the_sheets(tmp_path):
    colours = [(250, 10, 10), (10, 250, 10), (30, 60, 200)]
    frames, _ = animate(tmp_path, sheets(tmp_path, *(Image.new("RGB", (20, 20), colour) for colour in colours)))
    assert [tuple(pixels[5, 5].tolist()) for pixels, _ in frames] == colours


def test_transparency_is_white_in_an_animation(tmp_path):
    paths = sheets(tmp_path, Image.new("RGBA", (20, 20), (9, 9, 9, 0)), Image.new("RGBA", (20, 20), (255, 0, 0, 255)))
    frames, _ = animate(tmp_path, paths)
    assert [tuple(pixels[5, 5].tolist()) for pixels, _ in frames] == [(255, 255, 255), (255, 0, 0)]


def test_animations_are_reduced_to_their_longest_side(tmp_path):
    frames, _ = animate(tmp_path, sheets(tmp_path, Image.new("L", (400, 200), 7)), max_side=100)
    assert frames[0][0].shape == (50, 100, 3)


def test_sheets_of_another_size_are_brought_to_that_of_the_last(tmp_path):
    frames, _ = animate(tmp_path, sheets(tmp_path, Image.new("L", (10, 10), 0), Image.new("L", (30, 20), 255)))
    assert [pixels.shape for pixels, _ in frames] == [(20, 30, 3)] * 2


def test_frames_are_thinned_evenly_and_the_last_is_kept():
    paths = list(range(11))
    assert thin(paths, 3) == [0, 5, 10]
    assert thin(paths, 11) == paths
    assert thin(paths, 1) == [10]
    assert thin([], 5) == []


def test_a_capped_animation_ends_with_the_last_sheet(tmp_path):
    paths = sheets(tmp_path, *(Image.new("L", (20, 20), value) for value in range(0, 200, 10)))
    frames, _ = animate(tmp_path, paths, max_frames=4)
    assert [int(pixels[0, 0, 0]) for pixels, _ in frames] == [0, 60, 130, 190]


def test_broken_sheets_are_left_out_and_none_gives_no_animation(tmp_path):
    (good,) = sheets(tmp_path, Image.new("L", (20, 20), 7))
    broken = tmp_path / "broken.png"
    broken.write_bytes(good.read_bytes()[:40])
    frames, _ = animate(tmp_path, [good, broken, tmp_path / "gone.png"])
    assert len(frames) == 1
    writer = GifWriter(GifOptions(), ImageSpec(shape=(1, 8, 8)))
    assert writer.write([broken], tmp_path, "none") == []


# --- names of classes -------------------------------------------------------------------------------------------------


def named(tmp_path, classes, labels, side=16, **options):
    """A sheet with names and the same without, as arrays."""
    spec = ImageSpec(shape=(3, side, side), classes=classes)
    samples = images(len(labels), 3, side, side)
    sheets = []
    for stem, shown in (("named", True), ("plain", False)):
        writer = GridWriter(GridOptions(class_names=shown, **options), spec)
        (path,) = writer.write(samples, tmp_path, stem, labels)
        with Image.open(path) as picture:
            sheets.append(np.asarray(picture).copy())
    return sheets


def test_names_of_classes_stand_above_their_columns_and_change_no_image(tmp_path):
    with_names, without = named(tmp_path, ("cat", "dog", "emu"), [0, 1, 2] * 2)
    added = with_names.shape[0] - without.shape[0]
    assert added > 10
    assert np.array_equal(with_names[added:], without)
    width = without.shape[1] // 3
    parts = [with_names[:added, n * width : (n + 1) * width] for n in range(3)]
    assert all((part < 128).any() and (part > 200).any() for part in parts)  # letters on paper above each
    assert not np.array_equal(parts[0], parts[1])


def test_names_of_classes_stand_beside_their_rows(tmp_path):
    with_names, without = named(tmp_path, ("cat", "dog"), [0, 1] * 4)
    added = with_names.shape[1] - without.shape[1]
    assert added > 10
    assert np.array_equal(with_names[:, added:], without)
    halves = np.split(with_names[:, :added], [without.shape[0] // 2])
    assert all((half < 128).any() for half in halves)


def test_long_names_stand_upright_above_narrow_columns(tmp_path):
    with_names, without = named(tmp_path, tuple("abcde"[n] * 30 for n in range(5)), list(range(5)), columns=5)
    added = with_names.shape[0] - without.shape[0]
    assert added > 60
    assert np.array_equal(with_names[added:], without)


def test_images_in_no_order_of_classes_have_a_name_each(tmp_path):
    with_names, without = named(tmp_path, ("cat", "dog"), [0, 0, 0, 1])
    assert with_names.shape[1] == without.shape[1]
    assert with_names.shape[0] - without.shape[0] > 2 * 10


@pytest.mark.parametrize("side", [1, 4])
def test_no_names_are_written_where_there_is_no_room_for_letters(tmp_path, side):
    with_names, without = named(tmp_path, ("cat", "dog"), [0, 1] * 512 + [0], side=side, columns=1000)
    assert with_names.shape == without.shape


def test_names_that_differ_at_their_end_differ_on_the_sheet():
    from gan_image.labels import _fitting

    one, two = (_fitting(f"a class of many letters {n}", 60, 11) for n in (1, 2))
    assert one != two
    assert ".." in one
