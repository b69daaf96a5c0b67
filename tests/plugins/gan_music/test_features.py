"""Features of phrases: what is counted, by hand, and figures of composed tunes that are made worse, step by step."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.fetching import fetch
from toys.music import random_rolls, rolls_of

from gan_music.data.tunes import Options as TuneOptions
from gan_music.data.tunes import open_tunes
from gan_music.features.descriptors import Descriptors, Options, counts
from gan_music.metrics.table import table_of
from gan_music.roll import Notes, to_rolls
from gan_music.spec import MusicSpec, Track
from gancore.evaluation.features import Computed
from gancore.evaluation.metrics.frechet import Frechet
from gancore.evaluation.metrics.frechet import Options as FrechetOptions
from gancore.evaluation.metrics.mind import Mind
from gancore.evaluation.metrics.mind import Options as MindOptions
from gancore.evaluation.metrics.neighbours import Neighbours
from gancore.evaluation.metrics.neighbours import Options as NeighbourOptions
from gancore.evaluation.metrics.vendi import Vendi
from gancore.evaluation.records import Material, Samples

MELODY, CHORDS, DRUMS = Track(name="melody"), Track(name="chords"), Track(name="drums", drums=True)
SPEC = MusicSpec.of((MELODY, CHORDS, DRUMS), bars=2)
"""Two bars of sixteen steps, four a beat."""
C, E, G = 60, 64, 67


def counted(*notes):
    """What is counted in one phrase: by histogram, how much is in each bin that is not empty."""
    table = table_of(rolls_of(SPEC, notes).numpy(), SPEC)
    return {name: {int(at): row[at] for at in row.nonzero()[0]} for name, (row,) in counts(table).items()}


def test_histograms_of_a_melody_by_hand():
    found = counted((0, 0, 4, C), (0, 4, 3, E), (0, 6, 1, G), (0, 16, 1, C - 24))
    # Bins begin at 0, 1, 2, 3, 4, 6, ... notes a bar, and at 1, 2, 3, 4, 6, ... steps.
    assert found["notes/melody"] == {3: 1, 1: 1}
    assert found["form/melody"] == {0: 3, 1: 1}
    assert found["durations/melody"] == {3: 1, 2: 1, 0: 2}
    assert found["places/melody"] == {0: 2, 4: 1, 6: 1}
    assert found["pitch-classes/melody"] == {0: 2, 4: 1, 7: 1}
    assert found["register/melody"] == {C // 6: 2, G // 6: 1, (C - 24) // 6: 1}
    # From one below -12 up to one above 12: up four, up three, down far.
    assert found["intervals/melody"] == {13 + 4: 1, 13 + 3: 1, 0: 1}
    assert found["voices/melody"] == {1: 7, 2: 1, 0: 24}


def test_harmony_is_counted_between_notes_that_sound_together():
    found = counted((0, 0, 2, E), (1, 0, 4, C - 12), (1, 0, 4, G - 12))
    # Of the melody: a third above C and above it a third to G, for two steps; the chord's own fifth for four.
    assert found["harmony/melody"] == {12 - 4: 2, 3: 2}
    assert found["harmony/chords"] == {4: 2, 12 - 3: 2, 7: 4, 12 - 7: 4}
    assert found["harmony/melody"].keys().isdisjoint({0})


def test_drums_are_counted_by_instrument_and_place():
    found = counted((2, 0, 1, 36), (2, 4, 1, 38), (2, 20, 1, 40), (2, 0, 1, 42))
    assert found["pattern/drums"] == {0: 1, 16 + 4: 2, 3 * 16: 1}
    assert found["pitches/drums"] == {36 - 24: 1, 38 - 24: 1, 40 - 24: 1, 42 - 24: 1}
    assert not [name for name in found if name in ("places/drums", "intervals/drums", "harmony/drums")]


def test_bars_that_come_again_are_counted_against_those_that_do_not():
    found = counted((0, 0, 4, C), (0, 16, 4, C), (1, 0, 4, C), (1, 16, 4, E))
    assert found["repeated-bars/melody"] == {0: 0.5, 1: 0.5}
    assert found["bar-similarity/melody/lag-1"] == {0: 1}
    assert found["bar-similarity/chords/lag-1"] == {1: 1}


def test_features_are_roots_of_shares_less_their_mean_over_training_phrases():
    train = rolls_of(SPEC, [(0, 0, 4, C), (0, 4, 4, C)], [(0, 0, 4, C), (0, 4, 4, E)])
    features = Descriptors(Options(), SPEC)
    features.fit(Samples(train))
    found = features(train)
    assert float(found.mean(dim=0).abs().max()) < 1e-6
    # Half of the notes are other pitch classes, and one interval is another: unit vectors 45 and 90 degrees apart. And
    # E lies as high as C does, within a half octave.
    assert float((found[0] - found[1]).square().sum()) == pytest.approx((2 - 2**0.5) + 2.0, abs=1e-6)


def test_fingerprint_is_that_of_what_was_trained_on():
    prints = []
    for seed in (0, 1, 1):
        features = Descriptors(Options(), SPEC)
        features.fit(Samples(random_rolls(SPEC, 5, seed=seed)))
        prints.append(features.fingerprint)
    assert prints[0] != prints[1] == prints[2]


@pytest.mark.parametrize(
    "spec",
    [
        MusicSpec.of((DRUMS,), bars=2, lowest=0, pitches=128),
        MusicSpec.of((MELODY,), bars=1, steps_per_beat=1, beats_per_bar=1, pitches=1),
        MusicSpec.of((MELODY, MELODY), bars=40, velocities=3, steps_per_beat=24, beats_per_bar=5),
    ],
    ids=["drums", "a single cell", "long bars"],
)
def test_features_are_of_one_size_and_finite_for_noise_and_silence(spec):
    noise = random_rolls(spec, 4)
    features = Descriptors(Options(), spec)
    features.fit(Samples(noise))
    found = features(torch.cat([noise, torch.zeros_like(noise)]))
    assert found.shape == (8, features(noise[:1]).shape[1])
    assert found.isfinite().all()
    assert found.dtype == torch.float32


# --- what figures say of tunes that are made worse, step by step ----------------------------------------------------------

PART = 150


@pytest.fixture(scope="module")
def tunes():
    source = open_tunes(TuneOptions(count=1024, steps_per_beat=2, labels="style"), lambda *_: None)
    return source.spec, Samples(*fetch(source))


@pytest.fixture(scope="module")
def measured(tunes):
    """Figures of any samples against tunes that were held out from training."""
    spec, samples = tunes
    train, real = Samples(samples.x[:PART]), Samples(samples.x[PART : 2 * PART])
    features = {"d": Computed("d", Descriptors(Options(), spec), train=train)}
    metrics = (
        Mind(MindOptions(directions=100), spec),
        Frechet(FrechetOptions(components=10), spec),
        Neighbours(NeighbourOptions(), spec),
        Vendi(spec),
    )

    def figures(x):
        material = Material(generated=Samples(x), real=real, train=train, held_out=True, features=features)
        return {name: figure for metric in metrics for name, figure in metric(material).figures.items()}

    return figures


def worse(tunes, how, strength):
    spec, samples = tunes
    rest = samples.part(slice(2 * PART, None))
    good = rest.x[:PART]
    if how == "phrases":  # fewer different ones
        return good[torch.arange(PART) % [PART, 50, 15, 2][round(3 * strength)]]
    if how == "styles":  # of the four of them one alone, in the end
        return rest.x[rest.condition < 4 - round(3 * strength)][:PART]
    table, rng = table_of(good.numpy(), spec), np.random.default_rng(0)
    notes, hit = table.notes, rng.random(len(table)) < strength / 2
    pitch, start = notes.pitch.copy(), notes.start.copy()
    if how == "wrong notes":
        pitch[hit] = rng.integers(spec.lowest, spec.lowest + spec.pitches, hit.sum())
    elif how == "late notes":
        start[hit] = np.minimum(start[hit] + 1, spec.time - 1)
    kept = ~hit if how == "missing notes" else slice(None)
    notes = Notes(notes.track, start, notes.duration, pitch, notes.velocity)[kept]
    return torch.from_numpy(to_rolls(notes, table.phrase[kept], PART, spec))


@pytest.mark.parametrize(
    ("how", "falls"),
    [
        ("wrong notes", "precision-d"),
        ("missing notes", "precision-d"),
        ("late notes", "precision-d"),
        ("phrases", "vendi-d"),
        ("styles", "recall-d"),
    ],
)
def test_figures_of_tunes_move_as_these_get_worse(tunes, measured, how, falls):
    found = [measured(worse(tunes, how, strength)) for strength in (0.0, 1 / 3, 2 / 3, 1.0)]
    for rises in ("mind-d", "frechet-d-pca10"):
        up = [one[rises].value for one in found]
        assert up == sorted(up), rises
        assert up[-1] > 1.5 * up[0]
    down = [one[falls].value for one in found]
    assert down == sorted(down, reverse=True)
    assert down[-1] < 0.9 * down[0]


def test_other_tunes_are_as_far_from_real_ones_as_these_from_each_other(tunes, measured):
    found = measured(worse(tunes, "wrong notes", 0.0))
    for name in ("mind-d", "precision-d", "recall-d", "coverage-d"):
        assert found[name].value == pytest.approx(found[name].floor, rel=0.4), name
