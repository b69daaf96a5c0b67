"""Texts inside files: other programs' libraries see them and what was there before, and no file is too strange to be read."""

from __future__ import annotations

import io
import json
import zlib
from pathlib import Path

import mido
import numpy as np
import pytest
import soundfile
import symusic
from PIL import Image

from gancore.text_chunks import MOST, TextInFiles, text_in, with_text

LONG = json.dumps({"words": ["naïve 猫 🐈\n\t"] * 5000}, ensure_ascii=False)


def png(frames: int = 1) -> bytes:
    pictures = [Image.fromarray(np.full((5, 7, 3), 40 * n, np.uint8)) for n in range(1, frames + 1)]
    file = io.BytesIO()
    pictures[0].save(file, "PNG", save_all=frames > 1, append_images=pictures[1:], duration=50)
    return file.getvalue()


def gif() -> bytes:
    pictures = [Image.fromarray(np.full((5, 7), 40 * n, np.uint8)) for n in range(3)]
    file = io.BytesIO()
    pictures[0].save(file, "GIF", save_all=True, append_images=pictures[1:], duration=50, loop=0)
    return file.getvalue()


def wav(subtype: str = "PCM_16", title: str = "") -> bytes:
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", 8000, 1, subtype, format="WAV") as sound:
        if title:
            sound.title = title
        sound.write(np.random.default_rng(0).uniform(-1, 1, 501))
    return file.getvalue()


def midi() -> bytes:
    score = symusic.Score(480)
    score.tempos.append(symusic.Tempo(0, qpm=97))
    score.tracks.append(symusic.Track("Lead", 5, False))
    score.tracks[0].notes.append(symusic.Note(0, 240, 60, 90))
    score.tracks[0].notes.append(symusic.Note(240, 480, 64, 70))
    return bytes(score.dumps_midi())


FILES = {"png": png(), "apng": png(3), "gif": gif(), "wav": wav(), "float wav": wav("FLOAT"), "midi": midi()}


@pytest.mark.parametrize("kind", FILES)
def test_text_is_read_back_and_replaces_the_one_before(kind: str, tmp_path: Path) -> None:
    path, carrier = tmp_path / "file.any", TextInFiles()
    path.write_bytes(FILES[kind])
    assert carrier.text_of(path) is None
    for text in ("short", LONG, "", "odd"):
        carrier.attach(path, text)
        assert carrier.text_of(path) == text
    assert path.read_bytes() == with_text(FILES[kind], "odd")
    assert [p.name for p in tmp_path.iterdir()] == ["file.any"]


@pytest.mark.parametrize("text", ["short", LONG])
def test_pillow_sees_the_text_and_the_same_pictures(text: str) -> None:
    with Image.open(io.BytesIO(with_text(FILES["png"], text))) as image:
        assert image.text == {"gancore": text}
        assert image.tobytes() == Image.open(io.BytesIO(FILES["png"])).tobytes()
    for kind in ("apng", "gif"):
        before, after = (Image.open(io.BytesIO(data)) for data in (FILES[kind], with_text(FILES[kind], text)))
        assert before.n_frames == after.n_frames == 3
        for number in range(3):
            before.seek(number)
            after.seek(number)
            assert before.convert("RGB").tobytes() == after.convert("RGB").tobytes()
            assert before.info["duration"] == after.info["duration"] == 50
    assert after.info["comment"].decode() == f"gancore: {text}"


@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
@pytest.mark.parametrize("text", ["short", "even", LONG])
def test_soundfile_reads_the_comment_the_title_and_the_same_sound(text: str, subtype: str) -> None:
    data = with_text(with_text(wav(subtype, title="Bell"), "to be replaced"), text)
    assert int.from_bytes(data[4:8], "little") == len(data) - 8
    with soundfile.SoundFile(io.BytesIO(data)) as file:
        assert file.comment == ("" if text == LONG else f"gancore: {text}")  # libsndfile passes over more than 2 kB
        assert file.title == "Bell"
        np.testing.assert_array_equal(file.read(), soundfile.read(io.BytesIO(wav(subtype)))[0])


@pytest.mark.parametrize("text", ["short", LONG])
def test_mido_and_symusic_read_the_same_notes_and_the_text(text: str) -> None:
    data = with_text(FILES["midi"], text)
    before, after = (mido.MidiFile(file=io.BytesIO(d), charset="utf-8") for d in (FILES["midi"], data))
    assert after.tracks[0][0] == mido.MetaMessage("text", text=f"gancore: {text}", time=0)
    assert after.tracks[0][1:] == before.tracks[0]
    assert after.tracks[1:] == before.tracks[1:]
    old, new = symusic.Score.from_midi(FILES["midi"]), symusic.Score.from_midi(data)
    assert new.tracks == old.tracks
    assert new.tempos == old.tempos


@pytest.mark.parametrize("kind", FILES)
def test_a_file_that_ends_anywhere_or_has_a_changed_byte_is_no_error(kind: str) -> None:
    whole = with_text(FILES[kind], "some text")
    for end in range(len(whole)):
        assert text_in(whole[:end]) in (None, "some text")
    for at in range(min(len(whole), 300)):
        for byte in (0, 127, 255):
            text_in(whole[:at] + bytes([byte]) + whole[at + 1 :])


def test_texts_of_other_programs_are_none_of_ours() -> None:
    bomb = b"gancore\0\0" + zlib.compress(bytes(10**7))
    chunk = len(bomb).to_bytes(4) + b"zTXt" + bomb + zlib.crc32(b"zTXt" + bomb).to_bytes(4)
    assert text_in(FILES["png"][:33] + chunk + FILES["png"][33:]) is None
    remark = io.BytesIO()
    with soundfile.SoundFile(remark, "w", 8000, 1, format="WAV") as sound:
        sound.comment = "a remark"
    assert text_in(remark.getvalue()) is None
    assert text_in(b"RIFF" + bytes(100)) is text_in(b"") is text_in(b"plain words") is None


def test_what_cannot_be_read_back_is_refused() -> None:
    with pytest.raises(ValueError, match="1,048,577 bytes is too long"):
        with_text(FILES["png"], "x" * (MOST + 1))
    assert text_in(with_text(FILES["wav"], "x" * MOST)[: 2 * MOST]) == "x" * MOST
    with pytest.raises(ValueError, match="none of them"):
        with_text(b"plain words", "x")
