"""Names of notes, MIDI pitches and frequencies."""

from __future__ import annotations

import numpy as np
import pytest

from gan_audio.data.pitches import hertz, midi, note_name, pitch_of


def test_names_are_those_of_librosa():
    librosa = pytest.importorskip("librosa")
    assert [note_name(pitch) for pitch in range(128)] == list(librosa.midi_to_note(np.arange(128), unicode=False))


def test_every_name_is_read_back():
    assert [pitch_of(note_name(pitch)) for pitch in range(128)] == list(range(128))


@pytest.mark.parametrize(
    ("name", "pitch"),
    [
        ("C4", 60),
        ("A4", 69),
        ("C-1", 0),
        ("G9", 127),
        ("Db4", 61),
        ("B\N{MUSIC SHARP SIGN}3", 60),
        ("E\N{MUSIC FLAT SIGN}4", 63),
        ("C#4 plucked", 61),
        ("F5_loud_2", 77),
        (" B5 ", 83),
    ],
)
def test_name_gives_its_pitch(name, pitch):
    assert pitch_of(name) == pitch


@pytest.mark.parametrize(
    "name", ["", "zero", "7", "C", "c4", "H4", "C44", "G#9", "Cb-1", "C-2", "plucked C4", "C4plucked"]
)
def test_other_names_are_no_pitch(name):
    assert pitch_of(name) is None


@pytest.mark.parametrize("pitch", [-1, 128])
def test_pitch_outside_midi_has_no_name(pitch):
    with pytest.raises(ValueError, match=f"not {pitch}"):
        note_name(pitch)


def test_frequencies_are_those_of_equal_temperament():
    np.testing.assert_allclose(hertz([57, 69, 81]), [220.0, 440.0, 880.0])
    assert hertz(60) == pytest.approx(261.6255653)  # ISO 16, middle C


def test_midi_is_the_inverse_of_hertz():
    pitches = np.linspace(20.0, 110.0, 91) + 0.37
    np.testing.assert_allclose(midi(hertz(pitches)), pitches)
