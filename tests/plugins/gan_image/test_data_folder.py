"""Pictures from folders and archives: formats, broken files, labels, the cache, streaming."""

from __future__ import annotations

import io
import logging
import os
import pickle
import warnings
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image
from support.fetching import fetch

from gan_image.data.folder import Options, StreamedSource, glance, open_folder
from gancore.components import DataFacts
from gancore.data.loader import Loader
from gancore.errors import DataError, UsageError
from gancore.random import Draws

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def open_(path, progress=lambda *_: None, **options):
    return open_folder(Options(path=path, **({"size": 16} | options)), progress)


@pytest.mark.parametrize(("mode", "channels"), [("auto", 3), ("grey", 1), ("rgba", 4)])
def test_a_glance_tells_what_reading_finds_of_sound_pictures(tmp_path, mode, channels):
    for name in ("cats/1.png", "cats/2.jpg", "dogs/1.png", "dogs/notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("Rex") if path.suffix == ".txt" else noise(0).save(path)
    facts = glance(Options(path=tmp_path, size=(16, 24), mode=mode))
    assert facts == DataFacts(count=3, shape=(channels, 16, 24), classes=2)
    source = open_(tmp_path, size=(16, 24), mode=mode)
    assert (len(source), source.spec.shape, source.spec.class_count) == (facts.count, facts.shape, facts.classes)


def plain(colour, size=(20, 30), mode="RGB"):
    return Image.new(mode, size, colour)


def noise(seed, height=40, width=40):
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


def is_colour(x, colour, tolerance=0):
    return bool((x.int() - torch.tensor(colour).reshape(-1, 1, 1)).abs().max() <= tolerance)


def encoded(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def pack(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


# --- formats and modes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "gif", "bmp", "tif", "ppm", "tga", "ico", "jp2"])
def test_every_usual_format_is_read(photos, suffix):
    plain((200, 100, 50), (32, 32)).save(photos / f"a.{suffix}")
    source = open_(photos)
    assert source.spec.shape == (3, 16, 16)
    assert is_colour(fetch(source)[0][0], (200, 100, 50), tolerance=6)


def test_the_suffix_of_a_name_does_not_matter(photos):
    (photos / "picture.txt").write_bytes(encoded(plain(RED)))
    assert is_colour(fetch(open_(photos))[0][0], RED)


@pytest.mark.parametrize(
    ("image", "colour"),
    [
        (plain(1, mode="1"), WHITE),
        (plain(90, mode="L"), (90, 90, 90)),
        (plain((0, 255), mode="LA"), (0, 0, 0)),
        (plain(GREEN).convert("P", palette=Image.Palette.ADAPTIVE), GREEN),
        (plain((255, 0, 0, 0), mode="RGBA"), WHITE),
        (plain((255, 0, 0, 128), mode="RGBA"), (255, 127, 127)),
    ],
    ids=["1", "L", "LA", "P", "transparent", "half transparent"],
)
def test_every_mode_of_png_becomes_rgb_on_white(photos, image, colour):
    image.save(photos / "a.png")
    x, _ = fetch(open_(photos, mode="rgb"))
    assert is_colour(x[0], colour, tolerance=1)


def test_transparency_of_a_palette_is_laid_on_white(photos):
    image = plain(0, mode="P")
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.save(photos / "a.png", transparency=0)
    assert is_colour(fetch(open_(photos))[0][0], WHITE)


def test_sixteen_bits_become_eight(photos):
    values = np.full((20, 20), 0x8000, dtype=np.uint16)
    Image.fromarray(values).save(photos / "a.png")
    Image.fromarray(values).save(photos / "b.tif")
    source = open_(photos)
    assert source.spec.shape == (1, 16, 16)
    assert fetch(source)[0].unique().tolist() == [128]  # 32768 * 255 / 65535 = 127.5


def test_floating_point_and_cmyk_tiffs_are_read(photos):
    Image.fromarray(np.full((20, 20), 0.2, dtype=np.float32)).save(photos / "a.tif")
    plain((0, 255, 255, 0), mode="CMYK").save(photos / "b.tif")
    x, _ = fetch(open_(photos))
    assert is_colour(x[0], (51, 51, 51))
    assert is_colour(x[1], RED)


def test_the_first_frame_of_an_animation_is_taken(photos):
    frames = [plain(RED), plain(BLUE)]
    frames[0].save(photos / "a.gif", save_all=True, append_images=frames[1:])
    frames[0].save(photos / "b.png", save_all=True, append_images=frames[1:])
    x, _ = fetch(open_(photos))
    assert is_colour(x[0], RED)
    assert is_colour(x[1], RED)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_a_photo_is_turned_as_its_exif_orientation_says(photos, suffix):
    image = Image.new("RGB", (32, 32), RED)
    image.paste(BLUE, (0, 0, 32, 16))  # blue above red as stored
    exif = Image.Exif()
    exif[0x0112] = 3  # held upside down
    image.save(photos / f"a.{suffix}", exif=exif)
    x, _ = fetch(open_(photos))
    assert is_colour(x[0, :, :4], RED, tolerance=5)
    assert is_colour(x[0, :, 12:], BLUE, tolerance=5)


def test_all_grey_pictures_make_a_grey_data_set_and_one_coloured_makes_it_rgb(photos):
    plain(10, mode="L").save(photos / "a.png")
    plain(20, mode="L").save(photos / "b.jpg")
    assert open_(photos).spec.shape == (1, 16, 16)
    plain(RED).save(photos / "c.png")
    assert open_(photos).spec.shape == (3, 16, 16)
    assert open_(photos, mode="grey").spec.shape == (1, 16, 16)


def test_rgba_keeps_transparency(photos):
    plain((1, 2, 3, 128), mode="RGBA").save(photos / "a.png")
    source = open_(photos, mode="rgba")
    assert source.spec.mode == "RGBA"
    assert fetch(source)[0][0, 3].unique().tolist() == [128]


# --- fitting ----------------------------------------------------------------------------------------------------------


def three_stripes():
    """Red, green and blue columns of 16 pixels each: 48 wide and 16 high."""
    image = Image.new("RGB", (48, 16), RED)
    image.paste(GREEN, (16, 0, 32, 16))
    image.paste(BLUE, (32, 0, 48, 16))
    return image


def test_crop_keeps_the_middle(photos):
    three_stripes().save(photos / "wide.png")
    three_stripes().transpose(Image.Transpose.ROTATE_90).save(photos / "high.png")
    x, _ = fetch(open_(photos))
    assert is_colour(x[0], GREEN)
    assert is_colour(x[1], GREEN)


def test_resize_stretches(photos):
    three_stripes().save(photos / "a.png")
    x, _ = fetch(open_(photos, fit="resize", size=(8, 48)))
    assert x.shape == (1, 3, 8, 48)
    assert is_colour(x[0, :, :, :16], RED)
    assert is_colour(x[0, :, :, 32:], BLUE)


def test_pad_adds_white_bars_or_transparent_ones(photos):
    plain(RED, (32, 16)).save(photos / "a.png")
    x, _ = fetch(open_(photos, fit="pad"))
    assert is_colour(x[0, :, :4], WHITE)
    assert is_colour(x[0, :, 4:12], RED)
    assert is_colour(x[0, :, 12:], WHITE)
    assert fetch(open_(photos, fit="pad", mode="rgba"))[0][0, 3, :4].max() == 0


def test_shrinking_averages_instead_of_picking_pixels(photos):
    board = (np.indices((256, 256)).sum(axis=0) % 2 * 255).astype(np.uint8)
    Image.fromarray(board).save(photos / "a.png")
    x = fetch(open_(photos))[0].float()
    assert (x - 127.5).abs().max() < 3


def test_extreme_shapes_are_read(photos):
    plain(RED, (1, 1)).save(photos / "a.png")
    plain(RED, (2000, 1)).save(photos / "b.png")
    for fit in ("crop", "resize"):
        x, _ = fetch(open_(photos, fit=fit))
        assert is_colour(x[0], RED)
        assert is_colour(x[1], RED)
    assert len(open_(photos, fit="pad")) == 2


# --- broken files -----------------------------------------------------------------------------------------------------


@pytest.fixture
def mixed(photos):
    noise(0).save(photos / "good1.png")
    noise(1).save(photos / "good2.jpg")
    (photos / "empty.png").touch()
    (photos / "cut.png").write_bytes(encoded(noise(2))[:2000])
    (photos / "cut.jpg").write_bytes(encoded(noise(2), "JPEG")[:1500])
    (photos / "notes.txt").write_text("milk, eggs")
    (photos / "code.eps").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n")
    return photos


def test_broken_files_are_skipped_and_listed_with_reasons(mixed):
    report = open_(mixed).report
    assert report.found == 7
    assert report.used == 2
    assert {skipped.path: skipped.reason for skipped in report.skipped} == {
        "code.eps": "not an image",
        "cut.jpg": "truncated",
        "cut.png": "truncated",
        "empty.png": "empty",
        "notes.txt": "not an image",
    }


def test_a_decompression_bomb_is_skipped(photos, monkeypatch, recwarn):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5_000)
    plain(RED, (50, 50)).save(photos / "a.png")
    plain(RED, (100, 90)).save(photos / "between one and two limits.png")
    plain(RED, (300, 300)).save(photos / "over two limits.png")
    report = open_(photos).report
    assert report.used == 1
    assert {skipped.reason for skipped in report.skipped} == {"too large (more than 0 million pixels)"}
    assert not recwarn.list


def test_nothing_usable_is_an_error_that_says_what_was_looked_for(photos):
    (photos / "cat.png").write_bytes(encoded(noise(0))[:1000])
    (photos / "dog.txt").write_text("no dog")
    with pytest.raises(
        DataError,
        match=r"photos': no image could be read \(2 files examined; first problem: cat.png: truncated\). "
        r"Supported: PNG, JPEG",
    ):
        open_(photos)


def test_an_empty_folder_is_an_error(photos):
    with pytest.raises(DataError, match=r"no image could be read \(0 files examined; there are no files\)"):
        open_(photos)


def test_random_bytes_with_a_picture_header_never_stop_the_scan(photos):
    plain(RED).save(photos / "good.png")
    random = np.random.default_rng(0)
    for number, kind in enumerate(["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"] * 5):
        data = bytearray(encoded(noise(number), kind))
        for at in random.integers(8, len(data), 30):
            data[at] = random.integers(256)
        (photos / f"{number}.{kind.lower()}").write_bytes(data)
    report = open_(photos).report
    assert report.used + len(report.skipped) == report.found == 31
    assert report.used >= 1


# --- archives and labels ----------------------------------------------------------------------------------------------


def test_an_archive_gives_the_same_pictures_as_the_folder(tmp_path, photos):
    members = {}
    for number, name in enumerate(["cats/a.png", "cats/b.png", "dogs/c.png"]):
        members[name] = encoded(noise(number))
        (photos / name).parent.mkdir(exist_ok=True)
        (photos / name).write_bytes(members[name])
    archive = pack(tmp_path / "photos.zip", members)
    wrapped = pack(tmp_path / "wrapped.zip", {f"photos/{name}": data for name, data in members.items()})
    folder, labels = fetch(open_(photos))
    for path in (archive, wrapped):
        source = open_(path)
        x, classes = fetch(source)
        assert torch.equal(x, folder)
        assert classes.tolist() == labels.tolist() == [0, 0, 1]
        assert source.spec.classes == ("cats", "dogs")


def test_folders_name_classes_and_a_picture_beside_them_is_skipped(photos):
    for name in ("b/deep/er/1.png", "a/2.png"):
        (photos / name).parent.mkdir(parents=True, exist_ok=True)
        plain(RED).save(photos / name)
    (photos / "empty").mkdir()
    (photos / "README.txt").write_text("not a picture")
    source = open_(photos)
    assert source.spec.classes == ("a", "b")
    assert fetch(source)[1].tolist() == [0, 1]
    assert fetch(open_(photos, labels=False))[1] is None
    plain(RED).save(photos / "cover.png")
    source = open_(photos)
    assert source.spec.classes == ("a", "b")
    assert ("cover.png", "beside the folders that name the classes") in [
        (s.path, s.reason) for s in source.report.skipped
    ]
    assert len(open_(photos, labels=False)) == 3


def test_folders_called_train_and_test_are_parts_of_the_data(photos):
    for name in ("train/cats/1.png", "train/dogs/2.png", "test/cats/3.png", "val/dogs/4.png"):
        (photos / name).parent.mkdir(parents=True, exist_ok=True)
        plain(RED).save(photos / name)
    source = open_(photos)
    assert source.spec.classes == ("cats", "dogs")
    assert (len(source), source.report.found, source.report.skipped) == (2, 2, ())
    assert "train is used, test and val left out (2 files" in source.report.summary()
    assert len(open_(photos, part="all")) == 4
    assert len(open_(photos / "test")) == 1


def test_one_folder_is_no_class(photos):
    (photos / "a").mkdir()
    plain(RED).save(photos / "a" / "1.png")
    assert open_(photos).spec.classes == ()
    with pytest.raises(UsageError, match="at least two classes, but there is only 'a'"):
        open_(photos, labels=True)


def test_flipping_mirrors_half_of_the_pictures(photos):
    three_stripes().save(photos / "a.png")
    source = open_(photos, fit="resize", flip=True)
    positions = torch.arange(200)
    x, _ = source.fetch(torch.zeros(200, dtype=torch.int64), Draws(1, positions))
    left = x[:, 0, 0, 0] == 255  # red on the left: not mirrored
    assert 70 < left.sum() < 130
    assert torch.equal(x[~left][0], x[left][0].flip(-1))


# --- the cache --------------------------------------------------------------------------------------------------------


class Count:
    """A progress report that counts the pictures which were decoded."""

    def __init__(self):
        self.decoded = 0

    def __call__(self, words, done, total):
        self.decoded += words == "reading pictures"


def test_the_next_run_takes_the_pictures_from_the_cache(mixed, cache):
    first, second = Count(), Count()
    a = open_(mixed, first)
    b = open_(mixed, second)
    assert first.decoded > 0
    assert second.decoded == 0
    assert torch.equal(fetch(a)[0], fetch(b)[0])
    assert a.report == b.report
    assert sorted(path.suffix for path in cache.iterdir()) == [".json", ".npy"]


def test_a_run_below_the_pictures_is_no_data_and_leaves_the_cache_valid(mixed, cache):
    before = open_(mixed)
    real = mixed / "runs" / "image-001" / "samples" / "real"
    real.mkdir(parents=True)
    noise(5).save(real / "real.png")
    (real.parents[1] / "config.toml").write_text('plugin = "image"\n')
    count = Count()
    after = open_(mixed, count)
    assert count.decoded == 0
    assert torch.equal(fetch(after)[0], fetch(before)[0])
    assert [s.path for s in after.report.skipped if s.reason == "the folder of a run"] == ["runs/image-001"]
    assert after.report.found == before.report.found + 1


def test_cached_pictures_are_mapped_and_not_sent_to_workers(photos):
    for number in range(20):
        noise(number).save(photos / f"{number}.png")
    source = open_(photos, size=64)
    assert isinstance(source.pixels, np.memmap)
    sent = pickle.dumps(source)
    assert len(sent) < source.pixels.nbytes / 20
    assert torch.equal(fetch(pickle.loads(sent))[0], fetch(source)[0])


@pytest.mark.parametrize("change", ["content", "new file", "removed", "option"])
def test_any_change_is_read_anew(photos, change):
    for number in range(3):
        noise(number).save(photos / f"{number}.png")
    before = fetch(open_(photos))[0]
    count, options = Count(), {}
    if change == "content":
        noise(9).save(photos / "1.png")
        os.utime(photos / "1.png", (1, 1))
    elif change == "new file":
        noise(9).save(photos / "9.png")
    elif change == "removed":
        (photos / "1.png").unlink()
    else:
        options = {"fit": "pad"}
    after = fetch(open_(photos, count, **options))[0]
    assert count.decoded == len(after)
    if change == "content":
        assert torch.equal(after[[0, 2]], before[[0, 2]])
        assert not torch.equal(after[1], before[1])


@pytest.mark.parametrize("damage", ["cut pixels", "no pixels", "bad notes", "flipped bit"])
def test_a_damaged_cache_is_made_anew(mixed, cache, damage):
    before = fetch(open_(mixed))[0]
    pixels, notes = next(cache.glob("*.npy")), next(cache.glob("*.json"))
    if damage == "cut pixels":
        pixels.write_bytes(pixels.read_bytes()[:500])
    elif damage == "no pixels":
        pixels.unlink()
    elif damage == "flipped bit":
        content = bytearray(pixels.read_bytes())
        content[-100] ^= 8
        pixels.write_bytes(content)
    else:
        notes.write_text('{"mode": "rgb", "used": [99], "skipped": []}')
    with warnings.catch_warnings(record=True) as told:
        source = open_(mixed)
    assert [("damaged" in str(one.message)) for one in told] == [True] * (damage != "no pixels")
    assert torch.equal(fetch(source)[0], before)
    assert source.report.used == 2
    count = Count()
    open_(mixed, count)
    assert count.decoded == 0


def test_without_a_writable_cache_folder_pictures_stay_in_memory(photos, tmp_path, monkeypatch):
    noise(0).save(photos / "a.png")
    expected = fetch(open_(photos))[0]
    (tmp_path / "file").touch()
    monkeypatch.setenv("GAN_CACHE_DIR", str(tmp_path / "file"))
    source = open_(photos)
    assert not isinstance(source.pixels, np.memmap)
    assert torch.equal(fetch(source)[0], expected)


def test_the_cache_can_be_switched_off(photos, cache):
    noise(0).save(photos / "a.png")
    open_(photos, cache=False)
    assert not cache.exists()


def test_a_file_that_could_not_be_accessed_is_tried_again_the_next_time(photos, monkeypatch):
    noise(0).save(photos / "a.png")
    noise(1).save(photos / "b.png")
    with monkeypatch.context() as patch:
        real = open

        def refuse(path, *rest):
            if str(path).endswith("b.png"):
                raise PermissionError(13, "Permission denied")
            return real(path, *rest)

        patch.setattr("builtins.open", refuse)
        report = open_(photos).report
    assert [(s.path, s.reason) for s in report.skipped] == [("b.png", "unreadable (permission denied)")]
    assert open_(photos).report.used == 2


# --- streaming --------------------------------------------------------------------------------------------------------


@pytest.fixture
def many(mixed):
    """More than a MiB at 512 by 512."""
    for number in range(4):
        noise(number, 60, 90).save(mixed / f"more{number}.jpg")
    return mixed


def test_pictures_beyond_the_memory_limit_are_streamed_bit_for_bit(many):
    kept = open_(many, size=512, flip=True)
    streamed = open_(many, size=512, flip=True, memory_limit_mb=1, cache=False)
    assert isinstance(streamed, StreamedSource)
    assert (kept.in_memory, streamed.in_memory) == (True, False)
    assert streamed.report == kept.report
    one, other = (fetch(source, 5, 0, 3, 3, 1, seed=4)[0] for source in (streamed, kept))
    assert torch.equal(one, other)


def test_streamed_pictures_are_the_same_from_worker_processes(many, tmp_path):
    archive = pack(tmp_path / "many.zip", {path.name: path.read_bytes() for path in many.iterdir()})
    kept = Loader(open_(many, size=512), batch_size=3, seed=0)
    streamed = open_(archive, size=512, memory_limit_mb=1)
    fetch(streamed, 0)  # the archive is open when workers fork
    with Loader(streamed, batch_size=3, seed=0, workers=2, stop=3) as helped:
        assert all(torch.equal(kept.batch(step).x, helped.batch(step).x) for step in range(3))


def test_a_streaming_run_remembers_which_files_are_usable(many):
    first, second = Count(), Count()
    a = open_(many, first, size=512, memory_limit_mb=1)
    b = open_(many, second, size=512, memory_limit_mb=1)
    assert first.decoded > 0
    assert second.decoded == 0
    assert a.report == b.report


def test_a_file_gone_bad_is_replaced_by_the_next_and_named_once(many, caplog):
    source = open_(many, size=512, memory_limit_mb=1)
    names = [entry.name for entry in source.entries]
    before = fetch(source)[0]
    last = len(names) - 1
    (many / names[0]).unlink()
    (many / names[last]).write_text("not a picture any more")
    with caplog.at_level(logging.WARNING):
        after = fetch(source)[0]
        fetch(source)
    assert torch.equal(after[0], before[1])
    assert torch.equal(after[last], before[1])  # after the last comes the first, which is gone too
    assert torch.equal(after[1:last], before[1:last])
    words = [record.getMessage() for record in caplog.records]
    assert len(words) == 2
    assert words[0].startswith(f"{names[0]} is no longer there now")


def test_when_all_streamed_files_are_gone_it_is_an_error(many):
    source = open_(many, size=512, memory_limit_mb=1)
    for entry in source.entries:
        (many / entry.name).unlink()
    with pytest.raises(DataError, match="none of its 6 pictures can be read any more"):
        fetch(source, 0)
