"""Texts inside PNG, GIF, WAV and MIDI files, beside what these show or sound: put in and read back as bytes, nothing decoded."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gancore.storage import replacing

KEY = "gancore"
"""The keyword of the text in a PNG file; in other files the text begins with it, so that it is told from other people's."""
MOST = 2**20
"""Bytes that a text may have."""
_HEAD = 2 * MOST
"""Bytes of a file that are read: the text stands before pictures and sounds."""
_PREFIX = f"{KEY}: ".encode()

Block = tuple[int, int, bytes | None]
"""Where a part of a file begins and ends, and the text where it is one of ours."""


class TextInFiles:
    """The power `CarriesText`, for writers of PNG (animated ones, too), GIF, WAV and MIDI files to inherit.

    The text is an iTXt chunk with the keyword `gancore`, a comment, a LIST chunk with the field ICMT, or a text event at the start
    of the first track. The latter three begin with `gancore: `.
    """

    def attach(self, path: Path, text: str) -> None:
        """Put `text` into the file at `path`, in place of what was put there before.

        Raises:
            ValueError: it is none of these files, or the text has more than 1 MiB in UTF-8.
        """
        changed = with_text(path.read_bytes(), text)
        replacing(path, lambda unfinished: unfinished.write_bytes(changed))

    def text_of(self, path: Path) -> str | None:
        """The text that was put into the file at `path`; None where there is none."""
        with path.open("rb") as file:
            return text_in(file.read(_HEAD))


def with_text(data: bytes, text: str) -> bytes:
    """The content of a file with `text` in it; raises what `TextInFiles.attach` does."""
    kind, content = _kind_of(data), text.encode()
    if kind is None:
        raise ValueError("a text can be put into PNG, GIF, WAV and MIDI files, and this is none of them")
    if len(content) > MOST:
        raise ValueError(f"a text of {len(content):,} bytes is too long; a file takes {MOST:,}")
    changed = bytearray(data)
    for begin, end, ours in reversed(list(kind.blocks(data))):
        if ours is not None:
            del changed[begin:end]
    place = kind.place(bytes(changed))
    changed[place:place] = kind.block(content)
    if kind.size is not None:
        at, order = kind.size(data)
        size = int.from_bytes(data[at : at + 4], order) + len(changed) - len(data)
        changed[at : at + 4] = size.to_bytes(4, order)
    return bytes(changed)


def text_in(data: bytes) -> str | None:
    """The text in the first bytes of a file."""
    kind = _kind_of(data)
    for _, _, ours in () if kind is None else kind.blocks(data):
        if ours is not None:
            try:
                return ours.decode()
            except UnicodeDecodeError:
                return None
    return None


# --- PNG --------------------------------------------------------------------------------------------------------------

_ITXT = KEY.encode() + bytes(5)
"""Keyword, not compressed, no language."""


def _png_blocks(data: bytes) -> Iterator[Block]:
    """The chunks between that of the size and the first with pixels."""
    begin = 33
    while (kind := data[begin + 4 : begin + 8]) not in (b"", b"IDAT", b"IEND"):
        end = begin + 12 + int.from_bytes(data[begin : begin + 4])
        chunk = data[begin + 4 : end - 4]
        whole = chunk[4:].startswith(_ITXT) and data[end - 4 : end] == zlib.crc32(chunk).to_bytes(4)
        yield begin, end, chunk[4 + len(_ITXT) :] if kind == b"iTXt" and whole else None
        begin = end


def _png_block(text: bytes) -> bytes:
    chunk = b"iTXt" + _ITXT + text
    return (len(chunk) - 4).to_bytes(4) + chunk + zlib.crc32(chunk).to_bytes(4)


# --- GIF --------------------------------------------------------------------------------------------------------------


def _gif_place(data: bytes) -> int:
    """Behind the header and the colours that all frames share."""
    return 13 + (3 * 2 ** ((data[10] & 7) + 1) if len(data) > 10 and data[10] & 128 else 0)


def _gif_blocks(data: bytes) -> Iterator[Block]:
    """The extensions before the first frame."""
    begin = _gif_place(data)
    while data[begin : begin + 1] == b"!":
        parts, at = [], begin + 2
        while length := int.from_bytes(data[at : at + 1]):
            parts.append(data[at + 1 : at + 1 + length])
            at += 1 + length
        text = b"".join(parts)
        ours = data[begin + 1 : begin + 2] == b"\xfe" and text.startswith(_PREFIX) and at < len(data)
        yield begin, at + 1, text[len(_PREFIX) :] if ours else None
        begin = at + 1


def _gif_block(text: bytes) -> bytes:
    text = _PREFIX + text
    parts = [text[at : at + 255] for at in range(0, len(text), 255)]
    return b"!\xfe" + b"".join(bytes([len(part)]) + part for part in parts) + b"\0"


# --- WAV --------------------------------------------------------------------------------------------------------------


def _wav_blocks(data: bytes) -> Iterator[Block]:
    """The chunks before that of the sound."""
    begin = 12
    while (kind := data[begin : begin + 4]) not in (b"", b"data"):
        end = begin + 8 + int.from_bytes(data[begin + 4 : begin + 8], "little")
        field = data[begin + 8 : end]
        text = field[12 : 12 + int.from_bytes(field[8:12], "little")]
        ours = (kind, field[:8]) == (b"LIST", b"INFOICMT") and text.startswith(_PREFIX) and end <= len(data)
        end += end % 2
        yield begin, end, text[len(_PREFIX) : -1] if ours else None
        begin = end


def _wav_place(data: bytes) -> int:
    """Before the sound."""
    return max([12, *(end for _, end, _ in _wav_blocks(data))])


def _wav_block(text: bytes) -> bytes:
    text = _PREFIX + text + b"\0"
    field = b"INFOICMT" + len(text).to_bytes(4, "little") + text + bytes(len(text) % 2)
    return b"LIST" + len(field).to_bytes(4, "little") + field


# --- MIDI -------------------------------------------------------------------------------------------------------------


def _midi_place(data: bytes) -> int:
    """The start of the first track."""
    return 16 + int.from_bytes(data[4:8])


def _midi_blocks(data: bytes) -> Iterator[Block]:
    """The events without a sound with which the first track starts."""
    begin = _midi_place(data)
    while data[begin : begin + 2] == b"\x00\xff":
        length, at = 0, begin + 3
        for at in range(begin + 3, begin + 7):
            byte = int.from_bytes(data[at : at + 1])
            length = length << 7 | byte & 127
            if byte < 128:
                break
        end = at + 1 + length
        text = data[at + 1 : end]
        ours = data[begin + 2 : begin + 3] == b"\x01" and text.startswith(_PREFIX) and end <= len(data)
        yield begin, end, text[len(_PREFIX) :] if ours else None
        begin = end


def _midi_block(text: bytes) -> bytes:
    text = _PREFIX + text
    length = [len(text) & 127]
    while (left := len(text) >> 7 * len(length)) > 0:
        length.insert(0, left & 127 | 128)
    return b"\x00\xff\x01" + bytes(length) + text


# --- kinds of file ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Kind:
    blocks: Callable[[bytes], Iterator[Block]]
    """Of what stands before pictures and sounds, so far as it is there."""
    place: Callable[[bytes], int]
    """Where a text is put in."""
    block: Callable[[bytes], bytes]
    """What is put in for a text."""
    size: Callable[[bytes], tuple[int, Literal["big", "little"]]] | None = None
    """Where a number of four bytes stands that grows with the text."""


def _kind_of(data: bytes) -> _Kind | None:
    """What to do with a file that begins with `data`; None for other kinds of file."""
    if data[:16] == b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR":
        return _Kind(_png_blocks, lambda data: 33, _png_block)
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return _Kind(_gif_blocks, _gif_place, _gif_block)
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        return _Kind(_wav_blocks, _wav_place, _wav_block, lambda data: (4, "little"))
    if data[:4] == b"MThd" and data[_midi_place(data) - 8 :][:4] == b"MTrk":
        return _Kind(_midi_blocks, _midi_place, _midi_block, lambda data: (_midi_place(data) - 4, "big"))
    return None
