"""Pictures that are not 8-bit: one range for all of a data set, in which depths, and what is said of it."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError
from support.fetching import fetch

from gan_image.data.folder import Options, StreamedSource, open_folder
from gan_image.data.intensities import to_uint8
from gan_image.spec import ImageSpec
from gancore.configuration.configure import configure
from gancore.errors import DataError
from gancore.plugins import Registry

RAMP = np.tile(np.arange(16) / 15, (16, 1))


def open_(path, **options):
    return open_folder(Options(path=path, **({"size": 16} | options)), lambda *_: None)


def pixels(source):
    return fetch(source)[0].numpy()


def save(path, values, dtype):
    Image.fromarray(np.asarray(values).astype(dtype)).save(path)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def deep_png(values, colour_type, *extra):
    """A PNG of 16 bits with `values` `[height, width, channels]`."""
    height, width = values.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    parts = [chunk(b"IHDR", header), *extra, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def deep_tiff(values):
    """A TIFF of 16 bits a channel, big-endian and not compressed, with `values` `[height, width, 3]`."""
    height, width = values.shape[:2]
    after = 8 + 2 + 12 * 9 + 4
    tags = [(256, 1, width), (257, 1, height), (258, 3, after), (259, 1, 1), (262, 1, 2), (273, 1, after + 6)]
    tags += [(277, 1, 3), (278, 1, height), (279, 1, values.size * 2)]
    head = struct.pack(">2sHIH", b"MM", 42, 8, len(tags))
    for tag, count, value in tags:
        head += struct.pack(">HHI", tag, 3, count) + struct.pack(*((">HH", value, 0) if count == 1 else (">I", value)))
    return head + struct.pack(">I3H", 0, 16, 16, 16) + values.astype(">u2").tobytes()


def tiff(values, order="<", *, apart=False, photometric=None, extra=(), packed=None, predictor=1):
    """A TIFF of one strip, or one for each channel, of any type, with `values` `[height, width]` or `[height, width, channels]`."""
    height, width, channels = (*values.shape, 1)[:3]
    kind, bits = "uif".index(values.dtype.kind) + 1, values.dtype.itemsize * 8
    stored = values.astype(values.dtype.newbyteorder(order))
    strips = [stored[..., n].tobytes() for n in range(channels)] if apart else [stored.tobytes()]
    strips = strips if packed is None else [zlib.compress(packed)]
    places = [8 + sum(map(len, strips[:n])) for n in range(len(strips))]
    tags = {
        256: [width],
        257: [height],
        258: [bits] * channels,
        259: [1 if packed is None else 8],
        273: places,
        277: [channels],
        278: [height],
    }
    tags |= {262: [photometric if photometric is not None else 1 + (channels > 2)], 279: [len(one) for one in strips]}
    tags |= {317: [predictor]} if predictor > 1 else {}
    tags |= {284: [1 + apart], 339: [kind] * channels} | ({338: list(extra)} if extra else {})
    begin = 8 + sum(map(len, strips))
    behind = begin + 2 + 12 * len(tags) + 4
    table, more = struct.pack(f"{order}H", len(tags)), b""
    for tag, numbers in sorted(tags.items()):
        content = struct.pack(f"{order}{len(numbers)}I", *numbers)
        if len(content) > 4:
            content, more = struct.pack(f"{order}I", behind + len(more)), more + content
        table += struct.pack(f"{order}HHI", tag, 4, len(numbers)) + content
    head = struct.pack(f"{order}2sHI", b"II" if order == "<" else b"MM", 42, begin)
    return head + b"".join(strips) + table + bytes(4) + more


SIGNED = {"int8": 100, "int16": 30_000, "int32": 2 * 10**9, "int64": 2**62}
DTYPES = ["uint8", "uint16", "uint32", "uint64", *SIGNED, "float16", "float32", "float64"]


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("dtype", DTYPES)
def test_tiffs_of_any_numbers_are_read_as_what_they_are(photos, dtype, order):
    if dtype in SIGNED:
        ramp = (RAMP - 0.5) * 2 * SIGNED[dtype]
    else:
        ramp = RAMP * {"uint8": 255, "uint16": 65_535, "uint32": 2**32 - 1, "uint64": 2**63}.get(dtype, 1)
    grey, colours = ramp.astype(dtype), np.dstack([ramp, ramp[::-1, ::-1], ramp.T]).astype(dtype)
    (photos / "a.tif").write_bytes(tiff(grey, order))
    (photos / "b.tif").write_bytes(tiff(colours, order))
    (photos / "c.tif").write_bytes(tiff(colours, order, apart=True))
    source = open_(photos)
    assert source.report.skipped == ()
    a, b, c = pixels(source) / 255.0
    assert np.abs(a[0] - RAMP).max() < 0.01
    assert np.abs(b - np.stack([RAMP, RAMP[:, ::-1], RAMP.T])).max() < 0.01
    assert np.array_equal(b, c)


def test_packed_tiffs_whose_values_are_differences_are_read(photos):
    colours = np.dstack([RAMP, RAMP[::-1, ::-1], RAMP.T])
    whole = (colours * 2**31).astype(np.uint32)
    steps = np.diff(whole, axis=1, prepend=whole.dtype.type(0)).astype("<u4").tobytes()
    (photos / "a.tif").write_bytes(tiff(whole, packed=steps, predictor=2))
    (photos / "b.tif").write_bytes(tiff(whole))
    x = pixels(open_(photos))
    assert x.max() == 255
    assert np.array_equal(*x)
    # Of floating point, the first bytes of all values of a row come first, and each byte is a difference.
    floats = colours.astype(np.float32)
    rows = floats.astype(">f4").view(np.uint8).reshape(16, -1, 4).transpose(0, 2, 1).reshape(16, -1, 3)
    steps = np.diff(rows, axis=1, prepend=np.uint8(0)).tobytes()
    (photos / "a.tif").write_bytes(tiff(floats, packed=steps, predictor=3))
    (photos / "b.tif").write_bytes(tiff(floats))
    x = pixels(open_(photos))
    assert x.max() == 255
    assert np.array_equal(*x)


def test_tiffs_of_16_bits_with_other_channels_or_white_for_zero_are_read(photos):
    grey = (RAMP * 4095).astype(np.uint16)
    opaque = np.full_like(grey, 65_535)
    (photos / "a.tif").write_bytes(tiff(np.dstack([grey, opaque]), extra=[2]))
    (photos / "b.tif").write_bytes(tiff(np.dstack([grey, grey, grey, opaque * 0]), extra=[0]))
    x = pixels(open_(photos))
    assert np.abs(x / 255.0 - RAMP).max() < 0.01
    (photos / "a.tif").write_bytes(tiff(grey, photometric=0))
    (photos / "b.tif").unlink()
    assert np.abs(pixels(open_(photos)) / 255.0 - (1 - RAMP)).max() < 0.01


def test_tiffs_of_many_channels_or_impossible_size_are_skipped_with_the_reason(photos):
    save(photos / "good.png", RAMP * 255, "uint8")
    (photos / "a.tif").write_bytes(tiff(np.zeros((16, 16, 5), np.uint16)))
    broken = tiff(RAMP).replace(struct.pack("<HHII", 256, 4, 1, 16), struct.pack("<HHII", 256, 4, 1, 2**30))
    (photos / "b.tif").write_bytes(broken)
    assert [one.reason for one in open_(photos).report.skipped] == [
        "a picture of 5 channels, and at most 4 are read",
        "damaged (no picture is as large as it says)",
    ]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("share", [0.99, 1e-300])
def test_range_of_the_largest_or_smallest_numbers_is_a_range(dtype, share):
    top = float(np.finfo(dtype).max) * (share if dtype == "float64" or share > 0.5 else 1e-76)
    values = ((RAMP - 0.5) * 2.0 * top).astype(dtype)
    with np.errstate(all="raise", under="ignore"):
        assert np.abs(to_uint8(values, (-top, top)) / 255.0 - RAMP).max() < 0.01


@pytest.mark.parametrize(
    ("low", "high", "dtype", "suffix", "words"),
    [
        (0, 4095, "uint16", "png", "16-bit pictures with values 0 to 4,095, scaled to 0 to 255"),
        (0, 65535, "uint16", "png", "16-bit pictures with values 0 to 65,535, scaled to 0 to 255"),
        (-1000, 1000, "int32", "tif", "32-bit pictures with values -1,000 to 1,000, scaled to 0 to 255"),
        (-1.0, 1.0, "float32", "tif", "floating-point pictures with values -1 to 1, scaled to 0 to 255"),
        (0.0, 0.5, "float32", "tif", "floating-point pictures with values 0 to 0.5, scaled to 0 to 255"),
    ],
)
def test_values_of_a_data_set_are_spread_by_its_own_range_which_is_said(photos, low, high, dtype, suffix, words):
    save(photos / f"a.{suffix}", np.round(low + RAMP * (high - low), 4), dtype)
    save(photos / f"b.{suffix}", np.full((16, 16), low), dtype)
    source = open_(photos)
    x = pixels(source)
    assert np.abs(x[0, 0] - RAMP * 255.0).max() < 1.0
    assert x[1].max() == 0
    assert source.report.notes == (words,)
    assert source.spec.intensities == (low, high)


def test_dark_picture_among_bright_ones_stays_dark(photos):
    save(photos / "a.tif", RAMP * 255, "float32")
    save(photos / "b.tif", RAMP * 0.9, "float32")
    assert pixels(open_(photos))[1].max() == 1


def test_range_does_not_depend_on_the_order_of_files(photos):
    save(photos / "a.png", RAMP * 300, "uint16")
    save(photos / "b.png", RAMP * 3000 + 5, "uint16")
    before = open_(photos).spec.intensities
    (photos / "a.png").rename(photos / "c.png")
    assert open_(photos).spec.intensities == before == (0, 3005)


def test_dark_8_bit_pictures_stay_dark_beside_deep_ones_and_alone(photos):
    save(photos / "a.png", RAMP * 20, "uint8")
    source = open_(photos)
    assert (pixels(source).max(), source.spec.intensities, source.report.notes) == (20, None, ())
    save(photos / "b.png", RAMP * 4095, "uint16")
    source = open_(photos)
    assert pixels(source).max(axis=(1, 2, 3)).tolist() == [20, 255]
    assert source.report.notes == ("1 of 2 pictures is 16-bit, with values 0 to 4,095, scaled to 0 to 255",)


def test_given_range_is_taken_and_what_lies_beyond_is_cut_off(photos):
    save(photos / "a.png", RAMP * 6000, "uint16")
    source = open_(photos, range="0,3000")
    assert np.abs(pixels(source)[0, 0] - (RAMP * 510).clip(0, 255)).max() < 1.0
    assert source.spec.intensities == (0, 3000)
    assert "values 0 to 3,000, by data.range" in source.report.summary()
    assert pixels(open_(photos, range=[0, 12000])).max() == 128


def test_given_range_means_nothing_for_8_bit_pictures_which_is_said(photos):
    save(photos / "a.png", RAMP * 20, "uint8")
    source = open_(photos, range=(0, 20))
    assert pixels(source).max() == 20
    assert source.report.notes == ("data.range has no effect, because all pictures are 8-bit",)


@pytest.mark.parametrize("wrong", ["5,5", "4095,0", "0", "0,1,2", "a,b", "0,inf", [float("nan"), 1]])
def test_range_that_cannot_be_is_refused(photos, wrong):
    with pytest.raises(ValidationError):
        Options(path=photos, range=wrong)


def test_range_comes_from_the_command_line_as_two_numbers(photos):
    layer = {"data": {"range": "0,4095"}}
    settings = configure(Registry(), plugin="image", data=photos, layers=[layer])
    assert settings.data.options.range == (0.0, 4095.0)
    assert configure(Registry(), layers=[settings.dump()]).data.options.range == (0.0, 4095.0)


def test_picture_with_values_that_are_not_finite_is_skipped_and_not_measured(photos):
    save(photos / "a.tif", RAMP, "float32")
    for name, value in (("b", np.nan), ("c", np.inf)):
        values = RAMP * 100
        values[3, 3] = value
        save(photos / f"{name}.tif", values, "float32")
    source = open_(photos)
    assert source.spec.intensities == (0, 1)
    assert [(s.path, s.reason) for s in source.report.skipped] == [
        (f"{name}.tif", "not usable (some values are NaN or infinite)") for name in "bc"
    ]
    (photos / "a.tif").unlink()
    with pytest.raises(DataError, match="no image could be read"):
        open_(photos)


@pytest.mark.parametrize(("value", "expected"), [(0, 0), (1, 255), (3000, 187), (65535, 255)])
def test_constant_pictures_keep_their_place_in_the_bits_that_they_need(photos, value, expected):
    save(photos / "a.png", np.full((16, 16), value), "uint16")
    assert np.unique(pixels(open_(photos))).tolist() == [expected]


def test_range_of_which_little_is_used_is_remarked_on(photos):
    values = RAMP * 300
    values[0, 0] = 65535
    save(photos / "a.png", values, "uint16")
    [_, note] = open_(photos).report.notes
    assert note.startswith("99 % of the values lie between 0 and ")


@pytest.mark.parametrize(
    ("colour_type", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)], ids=["grey", "colour", "grey alpha", "alpha"]
)
def test_every_kind_of_16_bit_png_keeps_its_lower_bytes(photos, colour_type, channels):
    values = np.stack([RAMP * 4095, RAMP.T * 4095, RAMP * 1000, RAMP], axis=-1)[..., :channels].astype(int)
    if channels in (2, 4):
        values[..., -1] = 65535
    (photos / "a.png").write_bytes(deep_png(values, colour_type))
    source = open_(photos)
    x = pixels(source)[0]
    colours = values[..., : 1 if channels < 3 else 3]
    assert source.spec.channels == colours.shape[-1]
    assert np.abs(x.transpose(1, 2, 0) - colours / 4095 * 255).max() < 1.0


def test_transparency_of_16_bits_is_laid_on_white(photos):
    values = np.zeros((16, 16, 2), dtype=int)
    values[:8, :, 1] = 65535
    values[0, 0, 0] = 1000
    (photos / "a.png").write_bytes(deep_png(values, 4))
    key = chunk(b"tRNS", struct.pack(">H", 500))
    grey = np.full((16, 16, 1), 500)
    grey[:8] = 0
    (photos / "b.png").write_bytes(deep_png(grey, 0, key))
    x = pixels(open_(photos))
    assert x[:, 0, 2:6].max() == 0
    assert x[:, 0, 10:].min() == 255


def test_16_bit_colours_of_a_tiff_keep_their_lower_bytes(photos):
    values = np.stack([RAMP * 4095, RAMP.T * 4095, RAMP * 1000], axis=-1).astype(int)
    (photos / "a.tif").write_bytes(deep_tiff(values))
    source = open_(photos)
    assert np.abs(pixels(source)[0].transpose(1, 2, 0) - values / 4095 * 255).max() < 1.0
    assert source.spec.intensities == (0, 4095)


def test_deep_picture_is_turned_as_its_exif_orientation_says(photos):
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.fromarray((RAMP * 4095).astype(np.uint16)).save(photos / "a.png", exif=exif)
    assert pixels(open_(photos))[0, 0, 0, 0] == 255


def test_range_is_kept_in_the_cache_and_is_the_same_when_streaming(photos):
    for number in range(5):
        save(photos / f"{number}.tif", RAMP * number, "float32")
    first, again = open_(photos, size=512), open_(photos, size=512)
    streamed = open_(photos, size=512, memory_limit_mb=1)
    assert isinstance(streamed, StreamedSource)
    assert first.spec == again.spec == streamed.spec
    assert first.report == again.report == streamed.report
    assert np.array_equal(pixels(first), pixels(streamed))
    assert np.array_equal(pixels(first), pixels(again))


def test_other_data_are_read_by_the_range_of_the_run(photos):
    save(photos / "a.png", RAMP * 500, "uint16")
    spec = ImageSpec(shape=(1, 16, 16), intensities=(0.0, 4095.0))
    other = configure(Registry(), plugin="image", data=photos, layers=[{"data": {"size": 16}}]).data
    source = other.with_unset(spec.reading).build(lambda *_: None)
    assert pixels(source).max() == 31
    assert source.spec == spec
    asked = configure(Registry(), plugin="image", data=photos, layers=[{"data": {"size": 16, "range": [0, 500]}}]).data
    assert pixels(asked.with_unset(spec.reading).build(lambda *_: None)).max() == 255


def test_several_frames_are_said(photos):
    frames = [Image.new("L", (16, 16), value) for value in (10, 200)]
    frames[0].save(photos / "a.tif", save_all=True, append_images=frames[1:])
    frames[0].save(photos / "b.png")
    source = open_(photos)
    assert pixels(source).max() == 10
    assert source.report.notes == ("1 picture has several frames or pages, of which only the first is used",)
