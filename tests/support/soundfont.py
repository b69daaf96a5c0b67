"""A sound font made byte by byte: presets that each play a sine wave, so that what is heard can be checked by its frequency."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import soundfile

RATE, PITCH = 44_000, 69
"""Hundred frames make a period of 440 Hz."""
PERIODS = 40
INSTRUMENT, SAMPLE, KEYS, LOOPED = 41, 53, 43, 54


class Voice(NamedTuple):
    """A preset: bank 128 is for drums. `generators` are the format's, by number; the wave has `overtone` times its pitch."""

    program: int
    bank: int = 0
    generators: Mapping[int, int] = {LOOPED: 1}
    overtone: int = 1


def chunk(name: bytes, body: bytes) -> bytes:
    """A part of the file."""
    return name + len(body).to_bytes(4, "little") + body + b"\0" * (len(body) % 2)


def wave(overtone: int) -> np.ndarray:
    """Forty periods of 440 Hz times `overtone`, and four quiet frames at the end."""
    time = np.arange(100 * PERIODS) / 100.0
    return np.concatenate([0.5 * np.sin(2.0 * np.pi * overtone * time), np.zeros(46)])


def sound_font(voices: Sequence[Voice], compressed: bool = False) -> bytes:
    """The file, with a recording, an instrument and a preset for each voice; SF3 if `compressed`."""
    samples, parts = b"", dict.fromkeys(("phdr", "pbag", "pgen", "inst", "ibag", "igen", "shdr"), b"")
    generator = 0
    for number, voice in enumerate(voices):
        frames = (wave(voice.overtone) * 32767.0).round().astype("<i2")
        if compressed:
            file = io.BytesIO()
            soundfile.write(file, frames, RATE, format="OGG", subtype="VORBIS")
            body, start = file.getvalue(), len(samples)
            places = (start, start + len(body), 1000, 3000)
        else:
            body, start = frames.tobytes(), len(samples) // 2
            places = (start, start + 100 * PERIODS, start + 1000, start + 3000)
        samples += body
        parts["phdr"] += struct.pack("<20s3H3I", b"preset", voice.program, voice.bank, number, 0, 0, 0)
        parts["pbag"] += struct.pack("<2H", number, 0)
        parts["pgen"] += struct.pack("<2H", INSTRUMENT, number)
        parts["inst"] += struct.pack("<20sH", b"instrument", number)
        parts["ibag"] += struct.pack("<2H", generator, 0)
        # A key range comes first and the sample last, as the format demands.
        for kind, amount in sorted(voice.generators.items(), key=lambda item: item[0] != KEYS):
            parts["igen"] += struct.pack("<Hh", kind, amount)
        parts["igen"] += struct.pack("<2H", SAMPLE, number)
        generator += len(voice.generators) + 1
        kind = 1 | (0x10 if compressed else 0)
        parts["shdr"] += struct.pack("<20s5IBb2H", b"wave", *places, RATE, PITCH, 0, 0, kind)
    parts["phdr"] += struct.pack("<20s3H3I", b"EOP", 0, 0, len(voices), 0, 0, 0)
    parts["pbag"] += struct.pack("<2H", len(voices), 0)
    parts["pgen"] += bytes(4)
    parts["inst"] += struct.pack("<20sH", b"EOI", len(voices))
    parts["ibag"] += struct.pack("<2H", generator, 0)
    parts["igen"] += bytes(4)
    parts["shdr"] += struct.pack("<20s5IBb2H", b"EOS", *[0] * 9)
    tables = b"".join(chunk(name.encode(), body) for name, body in parts.items())
    lists = [
        b"INFO" + chunk(b"ifil", struct.pack("<2H", 3 if compressed else 2, 1)) + chunk(b"INAM", b"sines\0"),
        b"sdta" + chunk(b"smpl", samples),
        b"pdta" + tables,
    ]
    return chunk(b"RIFF", b"sfbk" + b"".join(chunk(b"LIST", body) for body in lists))
