"""From logits to notes: patterns over the steps of a beat, and tracks of single notes."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from gan_music.nets.notes import NoteNeurons, NoteOptions, accents, patterns
from gan_music.spec import MusicSpec, Track

MELODY, CHORDS, DRUMS = Track(name="melody", single=True), Track(name="chords"), Track(name="drums", drums=True)


def neurons(*tracks: Track, steps: int = 4, **options: Any) -> tuple[NoteNeurons, MusicSpec]:
    spec = MusicSpec.of(tracks, bars=1, beats_per_bar=2, steps_per_beat=steps, pitches=5)
    neutral = {"sounding_bias": 0.0, "attack_bias": 0.0, "metre": 0.0}
    return NoteNeurons(NoteOptions.model_validate(neutral | options), spec), spec


def logits(spec: MusicSpec, count: int = 50) -> Tensor:
    shape = (count, len(spec.tracks), spec.planes, spec.time, spec.pitches)
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


# --- patterns ---------------------------------------------------------------------------------------------------------


def test_patterns_of_four_steps_are_the_beat_its_halves_and_its_quarters() -> None:
    h = math.sqrt(2.0)
    wanted = [[1, 1, h, 0], [1, 1, -h, 0], [1, -1, 0, h], [1, -1, 0, -h]]
    assert torch.allclose(patterns(4, 0.0), torch.tensor(wanted))


def test_fine_patterns_are_scaled_down_by_their_divisor() -> None:
    ratio = patterns(4, 1.5).norm(dim=0) / patterns(4, 0.0).norm(dim=0)
    assert torch.allclose(ratio, torch.tensor([1.0, 2**-1.5, 2**-6.0, 2**-6.0]))


@given(steps=st.integers(1, 48))
def test_patterns_are_orthogonal_and_complete(steps: int) -> None:
    basis = patterns(steps, 0.0)
    assert torch.allclose(basis.T @ basis, steps * torch.eye(steps), atol=1e-3)


def test_patterns_of_twelve_steps_tell_halves_before_thirds() -> None:
    basis = patterns(12, 0.0)
    assert torch.allclose(basis[:, 1], torch.tensor([1.0] * 6 + [-1.0] * 6))
    first = torch.linalg.qr(basis[:, :4])[0]
    thirds = torch.eye(3).repeat_interleave(4, dim=0)
    assert torch.allclose(first @ (first.T @ thirds), thirds, atol=1e-5)


def test_accents_of_four_and_of_six_steps() -> None:
    assert accents(4, 1.0).tolist() == [1.0, 2**-4, 2**-1, 2**-4]
    third, sixth = 3 ** -math.log2(3), 6 ** -math.log2(6)
    assert torch.allclose(accents(6, 1.0), torch.tensor([1.0, sixth, third, 0.5, third, sixth]))


def test_notes_are_struck_anew_on_the_beat_more_easily_than_off_it() -> None:
    layer, spec = neurons(CHORDS, metre=0.7, attack_bias=-0.2, sounding_bias=20.0)
    onsets = layer(logits(spec), None)[:, 0].unflatten(1, (2, 4)).mean(dim=(0, 3))[1]
    assert onsets[0] > onsets[2] > onsets[1]


def test_more_metre_gives_longer_notes() -> None:
    def onsets(metre: float) -> float:
        layer, spec = neurons(CHORDS, metre=metre, attack_bias=-20.0)
        return float(layer(logits(spec), None)[:, 0].mean())

    assert onsets(4.0) < onsets(1.0) < onsets(0.0)


def test_drums_are_struck_by_accents_and_do_not_spread_over_the_beat() -> None:
    layer, spec = neurons(DRUMS, CHORDS, metre=2.0, sounding_bias=-0.5)
    x = logits(spec)
    x[:, 0, 0, 1:] = 0.0  # what the drums play is on the first step alone
    drums, chords = layer(x, None)[:, 1::2].unbind(1)
    assert torch.equal(drums[:, 0], (x[:, 0, 0, 0] > 0.5).float())
    assert drums[:, 1:].max() == 0.0
    steps = neurons(DRUMS, metre=2.0, sounding_bias=-0.1)[0](logits(spec)[:, :1], None)[:, 1]
    strong, weak, half, _ = steps.unflatten(1, (2, 4)).mean(dim=(0, 1, 3))
    assert strong > half > weak
    assert chords[:, 0].max() == 1.0


# --- tracks of single notes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["deterministic", "stochastic"])
def test_single_notes_never_sound_together(kind: str) -> None:
    layer, spec = neurons(MELODY, CHORDS, neurons=kind)
    key = torch.randn(50, generator=torch.Generator().manual_seed(2)) if kind == "stochastic" else None
    sounding = layer(logits(spec), key)[:, 1::2]
    assert sounding[:, 0].sum(-1).max() == 1.0
    assert sounding[:, 1].sum(-1).max() > 1.0


def test_single_note_is_the_one_with_the_highest_logit() -> None:
    layer, _spec = neurons(MELODY, steps=1)
    x = torch.full((1, 1, 2, 2, 5), -1.0)
    x[0, 0, 0, 0] = torch.tensor([-1.0, 0.5, 2.0, 1.9, -3.0])
    assert layer(x, None)[0, 1].tolist() == [[0, 0, 1, 0, 0], [0, 0, 0, 0, 0]]


def test_gradient_of_a_single_note_is_that_of_a_softmax_with_silence() -> None:
    layer, spec = neurons(MELODY, steps=1)
    x = logits(spec, 3).requires_grad_()
    pull = torch.randn(3, 2, 5, generator=torch.Generator().manual_seed(3))
    (layer(x, None)[:, 1] * pull).sum().backward()
    twin = x.detach().clone().requires_grad_()
    silence = torch.zeros(3, 2, 1)
    (torch.softmax(torch.cat([twin[:, 0, 0], silence], dim=-1), dim=-1)[..., :-1] * pull).sum().backward()
    assert x.grad is not None
    assert twin.grad is not None
    assert torch.allclose(x.grad[:, 0, 0], twin.grad[:, 0, 0], atol=1e-4)  # the slope has grown by some 1e-5


def test_single_notes_without_neurons_are_shares_of_one() -> None:
    layer, spec = neurons(MELODY, neurons="none")
    shares = layer(logits(spec), None)[:, 1].sum(-1)
    assert shares.min() > 0.0
    assert shares.max() < 1.0


def test_drums_cannot_be_single_notes() -> None:
    with pytest.raises(ValueError, match="drums are not single notes"):
        Track(name="kit", drums=True, single=True)
