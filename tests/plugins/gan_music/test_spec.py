"""What a phrase is: hard and relaxed cells, and which specs are possible."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from gan_music.spec import HELD, ONSET, MusicSpec, Track

LEAD, DRUMS = Track(name="lead"), Track(name="drums", drums=True)


def one_pitch(tracks=(LEAD,), velocities=1):
    """Phrases of four steps and one pitch."""
    return MusicSpec.of(tracks, bars=1, beats_per_bar=1, pitches=1, lowest=60, velocities=velocities)


def row(values, dtype=torch.uint8):
    return torch.tensor(values, dtype=dtype).reshape(1, 1, -1, 1)


def planes(onset, sounding, *more):
    return torch.tensor([onset, sounding, *more], dtype=torch.float32)[None, :, :, None]


def test_shape_and_range_follow_from_tracks_bars_and_velocities():
    spec = MusicSpec.of((LEAD, DRUMS), bars=2, steps_per_beat=6, beats_per_bar=3, lowest=36, pitches=48)
    assert (spec.time, spec.steps_per_bar) == (36, 18)
    assert (spec.shape, spec.value_range, spec.planes) == ((4, 36, 48), (0.0, 2.0), 2)
    loud = MusicSpec.of((LEAD,), velocities=8)
    assert (loud.shape, loud.value_range) == ((3, 64, 84), (0.0, 9.0))


def test_spec_survives_json():
    spec = MusicSpec.of((LEAD, DRUMS), tempo=96.5, classes=("a", "b"), velocities=3)
    assert MusicSpec.model_validate_json(spec.model_dump_json()) == spec


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"shape": (1, 64, 84)}, "shape must be"),
        ({"value_range": (0.0, 5.0)}, "uint8 in 0..2"),
        ({"lowest": 100}, "beyond MIDI's 127"),
        ({"tracks": ()}, "at least 1"),
    ],
)
def test_spec_that_contradicts_itself_is_refused(change, words):
    with pytest.raises(ValidationError, match=words):
        MusicSpec(**(MusicSpec.of((LEAD,)).model_dump() | change))


def test_relaxed_planes_are_onset_and_sounding_of_each_track():
    spec = one_pitch((LEAD, DRUMS))
    hard = torch.cat([row([ONSET, HELD, 0, ONSET]), row([0, ONSET, ONSET, 0])], dim=1)
    relaxed = spec.relax(hard)
    assert relaxed.dtype == torch.float32
    assert relaxed[0, :, :, 0].tolist() == [[1, 0, 0, 1], [1, 1, 0, 1], [0, 1, 1, 0], [0, 1, 1, 0]]


def test_relaxed_velocity_is_the_share_of_the_loudest_bin():
    hard = row([ONSET, HELD, ONSET + 3, 0])
    assert one_pitch(velocities=4).relax(hard)[0, 2, :, 0].tolist() == [0.25, 0.0, 1.0, 0.0]


def test_sounding_cell_after_silence_begins_a_note_and_onset_needs_sound():
    relaxed = planes([0.0, 0.0, 1.0, 1.0], [0.6, 0.9, 0.5, 0.4])
    assert one_pitch().harden(relaxed)[0, 0, :, 0].tolist() == [ONSET, HELD, ONSET, 0]


def test_drum_sounds_only_where_it_is_struck():
    relaxed = planes([0.9, 0.1, 0.1, 0.8], [0.9, 0.9, 0.9, 0.9])
    assert one_pitch((DRUMS,)).harden(relaxed)[0, 0, :, 0].tolist() == [ONSET, 0, 0, ONSET]


def test_velocity_of_an_onset_is_the_nearest_bin():
    relaxed = planes([1.0] * 4, [1.0] * 4, [0.0, 0.49, 0.63, 1.0])
    # Quarters: 0 is no bin and becomes the lowest; 0.49 is nearest to 2/4, 0.63 to 3/4.
    assert one_pitch(velocities=4).harden(relaxed)[0, 0, :, 0].tolist() == [2, 3, 4, 5]


@pytest.mark.parametrize("velocities", [1, 2, 127])
def test_hardening_undoes_relaxing(velocities):
    spec = MusicSpec.of((LEAD, DRUMS), bars=1, pitches=12, velocities=velocities)
    generator = torch.Generator().manual_seed(0)
    hard = torch.randint(0, ONSET + velocities, (5, 2, 16, 12), generator=generator, dtype=torch.uint8)
    hard[:, 1][hard[:, 1] == HELD] = 0  # drums are not held
    silent_before = torch.nn.functional.pad(hard, (0, 0, 1, 0))[:, :, :-1] == 0
    hard[(hard == HELD) & silent_before] = ONSET  # nothing is held that did not begin
    again = spec.harden(spec.relax(hard))
    assert again.dtype == torch.uint8
    assert torch.equal(again, hard)
