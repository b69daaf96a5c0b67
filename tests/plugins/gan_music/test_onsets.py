"""Copies are found, transposed ones too, and phrases that are alike by chance are told from them."""

from __future__ import annotations

import pytest
import torch
from toys.material import material
from toys.music import random_rolls, rolls_of

from gan_music.features.descriptors import Descriptors, Options
from gan_music.features.onsets import nearest, onsets_of
from gan_music.metrics.table import table_of
from gan_music.roll import to_notes
from gan_music.spec import MusicSpec, Track
from gancore.evaluation.features import Computed
from gancore.evaluation.metrics.nearest import NearestSamples
from gancore.evaluation.metrics.nearest import Options as NearestOptions
from gancore.evaluation.records import Samples

SPEC = MusicSpec.of((Track(name="melody"), Track(name="drums", drums=True)), bars=1)


def onsets(x):
    return onsets_of(table_of(x.numpy(), SPEC))


def found(generated, real, train=None, held_out=True, transposed=True, **options):
    """Figures of copies by their names without that of the features."""
    train = real if train is None else train
    features = {"f": Computed("f", Descriptors(Options(transposed=transposed), SPEC), train=Samples(train))}
    metric = NearestSamples(NearestOptions(**options), SPEC)
    figures = metric(material(generated, real, train, held_out=held_out, features=features)).figures
    return {name.removeprefix("nearest-f/"): figure for name, figure in figures.items()}


def by_sets(x, train, shifts):
    """Distance of each phrase to the nearest, from sets of notes."""

    def cells(roll, shift=0):
        notes = to_notes(roll.numpy(), SPEC)
        return {
            (track, start, pitch if track else pitch + shift)
            for track, start, pitch in zip(notes.track, notes.start, notes.pitch, strict=True)
        }

    known = [cells(roll) for roll in train]
    return [
        min(1 - len(cells(roll, s) & one) / len(cells(roll, s) | one) for one in known for s in shifts) for roll in x
    ]


@pytest.mark.parametrize(("transposed", "shifts"), [(False, [0]), (True, range(-5, 7))])
def test_distance_is_one_less_the_jaccard_index_of_the_notes(transposed, shifts):
    # Few pitches, so that much is shared; the highest and lowest leave the range when moved.
    both = torch.zeros(14, 2, 16, 84, dtype=torch.uint8)
    both[:, :, :, 40:44] = random_rolls(SPEC, 14, density=0.5)[:, :, :, 40:44]
    both[:, :, ::4, [0, 83]] = random_rolls(SPEC, 14, seed=1, density=0.5)[:, :, ::4, [0, 83]]
    x, train = both[:6], both[6:]
    assert nearest(onsets(x), onsets(train), transposed).tolist() == pytest.approx(by_sets(x, train, shifts), abs=1e-6)


def test_length_of_notes_does_not_count():
    short, long = rolls_of(SPEC, [(0, 0, 1, 60)]), rolls_of(SPEC, [(0, 0, 9, 60)])
    assert nearest(onsets(short), onsets(long), False).tolist() == [0.0]


def test_many_training_phrases_are_all_looked_at():
    train = random_rolls(SPEC, 1100)
    last = nearest(onsets(train[[0, 511, 512, 1099]]), onsets(train), False)
    assert last.tolist() == [0.0] * 4


def test_planted_copies_are_counted():
    train, own = random_rolls(SPEC, 60), random_rolls(SPEC, 20, seed=1)
    figures = found(torch.cat([train[:5], own[:15]]), own, train)
    assert figures["exact"].value == 0.25
    assert figures["exact"].real == 0.0
    assert figures["nearer"].value > 0.5


def test_transposed_copies_are_counted_unless_asked_not_to():
    train, own = random_rolls(SPEC, 60), random_rolls(SPEC, 20, seed=1)
    # So that nothing leaves the range.
    train[..., -5:] = 0
    moved = train[:5].clone()
    moved[:, 0] = moved[:, 0].roll(5, dims=2)
    assert found(moved, own, train)["exact"].value == 1.0
    assert found(moved, own, train, transposed=False)["exact"].value == 0.0


def test_drums_are_not_transposed():
    train = rolls_of(SPEC, [(1, 0, 1, 36), (1, 4, 1, 38)])
    moved = rolls_of(SPEC, [(1, 0, 1, 38), (1, 4, 1, 40)])
    assert found(moved, train, train)["distance"].value == 1.0


def test_near_copies_are_those_below_the_bound():
    bars = [(0, at, 1, 60) for at in range(10)]
    train, most = rolls_of(SPEC, bars), rolls_of(SPEC, bars[:8])
    assert found(most, train, train)["near"].value == 0.0
    assert found(most, train, train, below=0.21)["near"].value == 1.0
    assert found(most, train, train)["distance"].value == pytest.approx(0.2)


@pytest.mark.parametrize("transposed", [True, False])
def test_real_phrases_that_were_trained_on_are_not_held_against_themselves(transposed):
    train = random_rolls(SPEC, 30)
    figures = found(train[:10], train[:10], train, held_out=False, transposed=transposed)
    assert figures["exact"].value == 1.0
    assert figures["near"].real == 0.0
    assert found(train[:10], train[:10], train, held_out=True)["exact"].real == 1.0


def test_a_second_copy_in_the_training_set_still_counts():
    train = random_rolls(SPEC, 30)
    twice = torch.cat([train, train[:1]])
    assert found(train, train[:2], twice, held_out=False)["near"].real == 0.5


def test_nothing_is_at_no_distance_from_nothing_and_infinitely_far_where_no_other_phrase_is_left():
    silence = rolls_of(SPEC, [], [(0, 0, 1, 60)])
    assert nearest(onsets(silence), onsets(silence[:1]), True).tolist() == [0.0, 1.0]
    alone = nearest(onsets(silence[:1]), onsets(silence[:1]), True, leave_out=torch.tensor([0]))
    assert alone.tolist() == [float("inf")]


def test_keys_are_those_of_the_onsets_alone_and_not_of_transpositions():
    one, longer, other = rolls_of(SPEC, [(0, 0, 1, 60)], [(0, 0, 9, 60)], [(0, 0, 1, 61)])
    keys = Descriptors(Options(), SPEC).keys(torch.stack([one, longer, other]))
    assert keys[0] == keys[1] != keys[2]


def test_no_more_phrases_are_looked_at_than_asked_for():
    x = random_rolls(SPEC, 20)
    other = random_rolls(SPEC, 10, seed=1)
    figures = found(torch.cat([x[:5], other]), x, x, limit=5)
    assert figures["exact"].value == 1.0
