"""Keys out of pitch classes, and the way to the common one."""

from __future__ import annotations

import numpy as np
import pytest

from gan_music.data.keys import KEYS, estimate_keys, to_common

MAJOR = (0, 4, 7, 0, 5, 9, 0, 7, 11, 2, 0)
MINOR = (0, 3, 7, 0, 5, 8, 0, 7, 11, 2, 0)
"""The notes of a cadence from tonic to tonic, in pitch classes above it (the leading tone of minor is raised)."""


def weights(classes):
    return np.bincount(np.array(classes) % 12, minlength=12).astype(float)[None]


@pytest.mark.parametrize("tonic", range(12))
@pytest.mark.parametrize(("cadence", "mode"), [(MAJOR, 0), (MINOR, 1)])
def test_cadence_has_the_key_that_it_is_in(tonic, cadence, mode):
    key = estimate_keys(weights([tonic + note for note in cadence]))[0]
    assert key == tonic + 12 * mode


def test_names_of_keys():
    assert (KEYS[0], KEYS[3], KEYS[21], len(KEYS)) == ("C major", "Eb major", "A minor", 24)


def test_key_does_not_depend_on_how_long_a_tune_is_and_none_is_c_major():
    short = weights([2 + note for note in MINOR])
    assert estimate_keys(np.concatenate([short, short * 1e6, short * 0])).tolist() == [14, 14, 0]


def test_every_key_comes_to_c_major_or_a_minor_by_at_most_six_semitones():
    shift = to_common(np.arange(24))
    assert (shift.min(), shift.max()) == (-5, 6)
    assert ((np.arange(24) % 12 + shift) % 12).tolist() == [0] * 12 + [9] * 12
