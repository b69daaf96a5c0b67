"""Phrases of one tune are kept from training together."""

from __future__ import annotations

from support import midi

from gan_music.data.midi import Options, open_midi
from gancore.data.held_out import split
from gancore.data.report import silent


def test_phrases_of_one_file_are_one_group(tmp_path):
    counts = (1, 2, 3, 1, 2, 3)
    for number, phrases in enumerate(counts):
        # Quarter notes through so many phrases of four bars.
        notes = [(480 * beat, 480, 60) for beat in range(16 * phrases)]
        content = midi.midi_file(notes)
        (tmp_path / f"{number}.mid").write_bytes(content)
    source = open_midi(Options(path=tmp_path, tracks="merged"), silent)
    assert source.groups.tolist() == [number for number, phrases in enumerate(counts) for _ in range(phrases)]
    parts = split(source, 0.4)
    sides = [set(source.groups[side].tolist()) for side in (parts.train, parts.held_out)]
    assert sides[0] | sides[1] == set(range(6))
    assert sides[0] & sides[1] == set()
