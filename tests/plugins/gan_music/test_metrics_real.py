"""Real tunes have the figures that they are known to have."""

from __future__ import annotations

import pytest
from support.fetching import fetch
from support.shared import SHARED, marks
from toys.material import material

from gan_music.data.midi import Options, open_midi
from gan_music.features.descriptors import Descriptors
from gan_music.features.descriptors import Options as DescriptorOptions
from gan_music.metrics import harmony, phrases
from gancore.evaluation.features import Computed
from gancore.evaluation.metrics.nearest import NearestSamples
from gancore.evaluation.metrics.nearest import Options as NearestOptions
from gancore.evaluation.records import Samples

TUNES = SHARED / "nottingham" / "MIDI"

pytestmark = marks(TUNES)


@pytest.fixture(scope="module")
def tunes():
    """Four-bar phrases in 4/4 of two tracks, twelve steps a beat."""
    source = open_midi(Options(path=TUNES, steps_per_beat=12), lambda *_: None)
    return source.spec, fetch(source)[0]


# Counted apart from this code, on these tunes and a tenth more of the same collection.
KNOWN = {
    "empty-bars/melody": (0.0002, 0.0005),
    "empty-bars/chords": (0.0241, 0.005),
    "pitch-classes/melody": (3.54, 0.03),
    "pitch-classes/chords": (3.93, 0.03),
    "qualified-notes/melody": (1.0, 0.0005),
    "qualified-notes/chords": (1.0, 0.0005),
    "notes-per-bar/melody": (5.34, 0.06),
    "duration/melody": (8.8 / 12, 0.15 / 12),
    "polyphony-rate/melody": (0.004, 0.001),
    "polyphony-rate/chords": (0.993, 0.008),
    "tonal-distance/melody-chords": (1.056, 0.01),
    "tonal-distance-shuffled/melody-chords": (1.382, 0.01),
}


def test_tunes_have_their_known_figures(tunes):
    spec, x = tunes
    found = {}
    for metric in (phrases, harmony):
        found |= metric.build(metric.Options(), spec)(material(x))
    assert {name: found[name].value for name in KNOWN} == {
        name: pytest.approx(value, abs=within) for name, (value, within) in KNOWN.items()
    }


def test_tunes_that_were_copied_are_nearer_than_those_that_were_not(tunes):
    spec, x = tunes
    train, held_out, copied = x[:-400], x[-400:-200], x[:200]
    features = {"descriptors": Computed("descriptors", Descriptors(DescriptorOptions(), spec), train=Samples(train))}
    compared = material(copied, held_out, train, features=features)
    figures = NearestSamples(NearestOptions(), spec)(compared).figures
    assert figures["nearest-descriptors/exact"].value == 1.0
    assert figures["nearest-descriptors/exact"].real < 0.2
    assert figures["nearest-descriptors/nearer"].value > 0.85
