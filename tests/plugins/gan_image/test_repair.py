"""Pictures beside whose pixels something is long or damaged: comments, EXIF data, colour profiles."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from support.fetching import fetch

from gan_image.data.folder import Options, open_folder

NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8))
LONG = "a comment " * 200_000


def open_(path):
    return open_folder(Options(path=path, size=16), lambda *_: None)


def pixels(path):
    return fetch(open_(path), 0)[0]


def encoded(kind, **options):
    buffer = io.BytesIO()
    NOISE.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind, data, *, crc=None):
    return (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data) if crc is None else crc)
    )


def comment(kind):
    info = PngInfo()
    if kind == "zTXt":
        info.add_text("Comment", LONG, zip=True)
    else:
        info.add_itxt("XML:com.adobe.xmp", LONG, zip=True)
    return encoded("PNG", pnginfo=info)


def with_chunk(made, before=b"IDAT"):
    data = encoded("PNG")
    place = data.index(before) - 4
    return data[:place] + made + data[place:]


BROKEN = {
    "long zTXt": lambda: comment("zTXt"),
    "long iTXt": lambda: comment("iTXt"),
    "long profile": lambda: encoded("PNG", icc_profile=bytes(3_000_000)),
    "checksum of tEXt": lambda: with_chunk(chunk(b"tEXt", b"Comment\0hello", crc=1)),
    "checksum of a chunk after the pixels": lambda: with_chunk(chunk(b"tIME", bytes(7), crc=1), b"IEND"),
    "damaged zTXt": lambda: with_chunk(chunk(b"zTXt", b"Comment\0\0no zlib")),
    "damaged profile": lambda: with_chunk(chunk(b"iCCP", b"name\0\0no zlib")),
    "short gAMA": lambda: with_chunk(chunk(b"gAMA", b"")),
    "short pHYs": lambda: with_chunk(chunk(b"pHYs", b"12")),
    "short cHRM": lambda: with_chunk(chunk(b"cHRM", b"123")),
    "cut in a comment after the pixels": lambda: with_chunk(chunk(b"tEXt", bytes(99)), b"IEND")[:-70],
}


@pytest.mark.parametrize("name", BROKEN)
def test_intact_pixels_of_a_png_are_read_whatever_else_is_damaged(photos, name):
    (photos / "plain.png").write_bytes(encoded("PNG"))
    expected = pixels(photos)
    (photos / "plain.png").write_bytes(BROKEN[name]())
    assert torch.equal(pixels(photos), expected)


def test_colour_key_and_orientation_are_kept_beside_a_damaged_comment(photos):
    exif = Image.Exif()
    exif[0x0112] = 3
    image = Image.new("RGB", (16, 16), (255, 0, 0))
    image.paste((0, 0, 255), (0, 0, 16, 8))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", exif=exif, transparency=(0, 0, 255))
    data = buffer.getvalue()
    (photos / "a.png").write_bytes(data)
    expected = pixels(photos)
    assert expected[0, :, :8].flatten(1).float().mean(dim=1).tolist() == [255, 0, 0]
    assert expected[0, :, 8:].min() == 255
    (photos / "a.png").write_bytes(data[:33] + chunk(b"tEXt", b"a\0b", crc=1) + data[33:])
    assert torch.equal(pixels(photos), expected)


@pytest.mark.parametrize("kept", [0.3, 0.9, 0.999])
def test_pixels_that_are_cut_are_refused_beside_a_damaged_comment_too(photos, kept):
    data = encoded("PNG")
    begin = data.index(b"IDAT") + 4
    end = data.index(b"IEND") - 8
    cut = chunk(b"IDAT", data[begin : begin + int(kept * (end - begin))])
    (photos / "cut.png").write_bytes(data[: begin - 8] + chunk(b"tEXt", b"a\0b", crc=1) + cut + chunk(b"IEND", b""))
    NOISE.save(photos / "good.png")
    assert [(s.path, s.reason) for s in open_(photos).report.skipped] == [("cut.png", "truncated")]


@pytest.mark.parametrize("tag", [270, 305, 34675])
def test_tiff_with_a_tag_that_points_nowhere_is_read(photos, tag):
    data = bytearray(encoded("TIFF", description="hello " * 20, software="mine " * 9, icc_profile=bytes(500)))
    (photos / "a.tif").write_bytes(data)
    expected = pixels(photos)
    start, count = struct.unpack("<I", data[4:8])[0], 0
    for at in range(start + 2, start + 2 + 12 * struct.unpack("<H", data[start : start + 2])[0], 12):
        if struct.unpack("<H", data[at : at + 2])[0] == tag:
            data[at + 4 : at + 12] = struct.pack("<II", 2**31, 2**31)
            count += 1
    assert count == 1
    (photos / "a.tif").write_bytes(data)
    assert torch.equal(pixels(photos), expected)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_damaged_exif_data_and_profile_leave_the_pixels(photos, kind):
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 1, "hello " * 20
    data = encoded(kind, exif=exif, icc_profile=b"profile " * 100)
    (photos / "a.jpg").write_bytes(data)
    expected = pixels(photos)
    data = (
        data.replace(b"hello " * 20, b"\xff" * 120)
        .replace(b"profile " * 100, bytes(800))
        .replace(b"II*\0", b"XX\xff\xff")
    )
    (photos / "a.jpg").write_bytes(data)
    assert torch.equal(pixels(photos), expected)


def test_orientation_counts_where_other_exif_data_are_damaged(photos):
    image = Image.new("RGB", (32, 32), (255, 0, 0))
    image.paste((0, 0, 255), (0, 0, 32, 16))
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 3, "hello" * 10
    # The text becomes that of a tag for a number.
    data = exif.tobytes().replace(b"\x01\x0e\x00\x02", b"\x01\x1a\x00\x02")
    image.save(photos / "a.png", exif=data)
    assert pixels(photos)[0, 0, 0, 0] == 255


def test_adobe_colours_and_other_formats_hold_no_surprise(photos):
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(photos / "a.jpg")
    red = pixels(photos)[0].float().mean(dim=(1, 2))
    assert red[0] > 240
    assert red[1:].max() < 15
