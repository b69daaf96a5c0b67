"""Real tunes, note for note: what another library and plain fractions make of them is what phrases hold."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
import pytest
import torch
from support.midi import phrases_of
from support.shared import SHARED, marks

from gan_music.data.keys import estimate_keys
from gan_music.data.midi import Options, open_midi
from gan_music.data.phrases import table_of
from gan_music.data.reading import read_tune
from gan_music.roll import to_note_table, to_rolls
from gancore.random import Draws

TUNES = SHARED / "nottingham" / "MIDI"

pytestmark = marks(TUNES)


@pytest.fixture(scope="module")
def by_mido():
    """For each file: ticks a quarter, the notes (start, end, pitch) of each track that has any, the time signatures."""
    mido = pytest.importorskip("mido")
    files = {}
    for file in sorted(TUNES.iterdir()):
        midi = mido.MidiFile(file)
        parts, meters, signature = [], {0: (4, 4)}, None
        for track in midi.tracks:
            now, open_notes, notes = 0, defaultdict(list), []
            for message in track:
                now += message.time
                if message.type == "note_on" and message.velocity:
                    open_notes[message.channel, message.note].append(now)
                elif message.type in ("note_on", "note_off") and open_notes[message.channel, message.note]:
                    notes.append((open_notes[message.channel, message.note].pop(0), now, message.note))
                elif message.type == "time_signature":
                    meters[now] = (message.numerator, message.denominator)
                elif message.type == "key_signature":
                    signature = signature or message.key
            if notes:
                parts.append(notes)
        files[file.name] = (midi.ticks_per_beat, parts, meters, signature)
    return files


def test_every_file_has_the_notes_that_mido_reads(by_mido):
    for name, (tpq, parts, _, _) in by_mido.items():
        tune = read_tune((TUNES / name).read_bytes())
        assert tune.ticks_per_quarter == tpq
        read = [
            sorted(zip(part.start.tolist(), (part.start + part.duration).tolist(), part.pitch.tolist(), strict=True))
            for part in tune.parts
        ]
        assert read == [sorted(notes) for notes in parts], name


def as_heard(notes):
    """Of notes of one pitch that begin together the longest, up to the next that begins; as in a roll."""
    rows = defaultdict(dict)
    for track, start, end, pitch in notes:
        rows[track, pitch][start] = max(end, rows[track, pitch].get(start, 0))
    heard = []
    for (track, pitch), own in rows.items():
        onsets = sorted(own)
        for start, following in zip(onsets, [*onsets[1:], math.inf], strict=True):
            heard.append((track, start, min(own[start], following), pitch))
    return sorted(heard)


@pytest.mark.parametrize(
    ("meter", "bars", "steps"), [("4/4", 4, 4), ("4/4", 2, 12), ("6/8", 4, 2), ("3/4", 1, 24), ("2/4", 3, 8)]
)
def test_round_trip_of_every_tune_is_exact_on_the_grid(by_mido, meter, bars, steps):
    options = Options(path=TUNES, meter=meter, bars=bars, steps_per_beat=steps)
    source = open_midi(options, lambda *_: None)
    wanted = tuple(map(int, meter.split("/")))
    expected = [
        (name, as_heard(notes))
        for name, (tpq, parts, meters, _) in by_mido.items()
        if len(parts) >= 2
        for notes in phrases_of(tpq, parts[:2], meters, wanted, bars, steps)
    ]
    assert len(source) == len(expected) > 50
    for low in range(0, len(source), 512):
        at = torch.arange(low, min(low + 512, len(source)))
        rolls = source.fetch(at, Draws(0, at))[0].numpy()
        notes, phrase = to_note_table(rolls, source.spec)
        assert np.array_equal(to_rolls(notes, phrase, len(at), source.spec), rolls)
        found = [[] for _ in at]
        columns = (phrase, notes.track, notes.start, notes.start + notes.duration, notes.pitch)
        for number, *note in zip(*(column.tolist() for column in columns), strict=True):
            found[number].append(tuple(note))
        for number, rows in enumerate(found, low):
            assert (source.names[source.phrases.tune[number]], sorted(rows)) == expected[number]


def test_estimated_scales_agree_with_the_key_signatures_of_the_files(by_mido):
    tunes = [read_tune((TUNES / name).read_bytes()) for name in by_mido]
    notes = table_of(tunes, [[0] * len(tune.parts) for tune in tunes])
    cells = notes.tune * 12 + notes.pitch % 12
    keys = estimate_keys(np.bincount(cells, notes.duration, 12 * len(tunes)).reshape(-1, 12))
    letters = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
    right = 0
    for key, (_, _, _, signature) in zip(keys, by_mido.values(), strict=True):
        tonic = letters[signature[0]] + signature.count("#") - signature[1:].count("b")
        right += key == tonic % 12 + 12 * signature.endswith("m")
    # Krumhansl and Kessler's profiles by correlation name 84% of them.
    assert right / len(tunes) > 0.88
