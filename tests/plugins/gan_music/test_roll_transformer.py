"""The roll transformer: shapes for any grid, who looks at whom, the form of what it makes, and what it refuses."""

from __future__ import annotations

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from toys import music
from toys.music import CHORDS, DRUMS, LEAD, latents, lively, small
from toys.nets import one_thread  # noqa: F401

from gan_music.nets import roll_transformer
from gan_music.nets.roll_transformer import Attention, Norm, Patches, TokenGrid, spread
from gan_music.spec import MusicSpec, Track
from gancore.errors import UsageError

build = partial(music.build, roll_transformer, width=16)


# --- shapes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tracks", "bars", "steps"), [(1, 64, 16), (64, 8, 4)], ids=["a track of 4,096 steps", "64 tracks of 128 steps"]
)
def test_long_phrases_and_many_tracks_run(tracks: int, bars: int, steps: int) -> None:
    parts = tuple(Track(name=f"t{n}") for n in range(tracks))
    spec = MusicSpec.of(parts, bars=bars, steps_per_beat=steps, lowest=60, pitches=12)
    generator, discriminator = build(spec, width=8, depth=1)
    with torch.no_grad():
        fake = generator(latents(generator, 1))
        assert fake.shape == (1, tracks * 2, bars * 4 * steps, 12)
        assert discriminator(fake).shape == (1,)


@pytest.mark.parametrize(
    ("beats", "steps", "asked", "tokens_per_bar"),
    [(4, 2, 0, 2), (3, 4, 0, 3), (6, 2, 0, 2), (4, 12, 0, 4), (4, 4, 2, 8), (3, 4, 12, 1)],
)
def test_tokens_are_half_bars_or_beats_unless_asked_for(
    beats: int, steps: int, asked: int, tokens_per_bar: int
) -> None:
    grid = TokenGrid(small(beats_per_bar=beats, steps_per_beat=steps, bars=3), asked)
    assert (grid.tokens_per_bar, grid.tokens) == (tokens_per_bar, 3 * tokens_per_bar)
    assert grid.tokens * grid.steps == 3 * beats * steps


# --- what is made -----------------------------------------------------------------------------------------------------


def test_phrases_begin_sparse() -> None:
    generator, _ = build(small(), width=64, sounding_bias=-2.0)
    sounding = generator(latents(generator, 20))[:, 1].mean().item()
    # Logits of mean -2 and variance 1, for little is left of a beat's divisions, are positive with probability 0.023.
    assert 0.005 < sounding < 0.06


def test_a_pitch_class_that_is_favoured_is_so_in_every_octave_and_step() -> None:
    spec = small(lowest=41, pitches=19)
    generator, _ = build(spec)
    z = latents(generator)
    before = generator.logits(z)
    with torch.no_grad():
        generator.to_chroma.bias.view(2, 2, 12)[0, 0, 7] += 3.0  # track 0, sounding, G
    raised = generator.logits(z) - before
    gs = torch.tensor([pitch % 12 == 7 for pitch in range(41, 60)])
    assert torch.allclose(raised[:, 0, 0][..., gs], torch.tensor(3.0), atol=1e-5)
    raised[:, 0, 0][..., gs] = 0.0
    assert torch.allclose(raised, torch.tensor(0.0), atol=1e-5)


# --- what they depend on ----------------------------------------------------------------------------------------------


def test_both_networks_depend_on_the_class() -> None:
    spec = small(classes=("a", "b"))
    generator, discriminator = build(spec)
    z = latents(generator)
    a, b = torch.zeros(6, dtype=torch.int64), torch.ones(6, dtype=torch.int64)
    assert not torch.allclose(generator.logits(z, a), generator.logits(z, b), atol=1e-2)
    x = torch.rand(6, *spec.shape)
    assert not torch.allclose(discriminator(x, a), discriminator(x, b), atol=1e-2)


@pytest.mark.parametrize("attention", ["joint", "factorised"])
def test_samples_of_a_batch_do_not_touch_each_other(attention: str) -> None:
    spec = small(classes=("a", "b"))
    generator, discriminator = build(spec, attention=attention)
    z, condition, x = latents(generator), torch.tensor([0, 1, 1, 0, 1, 0]), torch.rand(6, *spec.shape)
    logits, judged = generator.logits(z, condition), discriminator(x, condition)
    for n in range(6):
        alone = slice(n, n + 1)
        assert torch.allclose(generator.logits(z[alone], condition[alone]), logits[alone], atol=1e-5)
        assert torch.allclose(discriminator(x[alone], condition[alone]), judged[alone], atol=1e-5)


@pytest.mark.parametrize("attention", ["joint", "factorised"])
def test_every_parameter_gets_a_gradient(attention: str) -> None:
    spec = small(LEAD, CHORDS, DRUMS, velocities=3, classes=("a", "b"))
    generator, discriminator = build(spec, attention=attention)
    lively(generator)
    condition = torch.tensor([0, 1, 0, 1, 0, 1])
    discriminator(generator(latents(generator), condition), condition).square().sum().backward()
    for network in (generator, discriminator):
        silent = [n for n, p in network.named_parameters() if p.grad is None or not bool(p.grad.any())]
        assert silent == []


@pytest.mark.parametrize("attention", ["joint", "factorised"])
def test_second_derivatives_are_those_of_finite_differences(attention: str) -> None:
    spec = small(bars=1, steps_per_beat=1, pitches=3)
    discriminator = build(spec, attention=attention, width=8, depth=1)[1].double()
    x = torch.rand(2, *spec.shape, dtype=torch.float64, requires_grad=True)

    def penalty() -> Tensor:
        (slope,) = torch.autograd.grad(discriminator(x).sum(), x, create_graph=True)
        return slope.square().sum()

    weight = discriminator.blocks[0].parts[0].inward.weight
    (gradient,) = torch.autograd.grad(penalty(), weight)
    direction = torch.randn(weight.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    values = []
    for step in (1e-5, -1e-5):
        with torch.no_grad():
            weight.add_(direction, alpha=step)
        values.append(penalty().item())
        with torch.no_grad():
            weight.sub_(direction, alpha=step)
    assert abs(values[0] - values[1]) > 1e-9
    assert (gradient * direction).sum().item() == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-4)


# --- who looks at whom ------------------------------------------------------------------------------------------------


def attention(along: str) -> Attention:
    torch.manual_seed(0)
    return Attention(16, 4, along)


def tokens() -> Tensor:
    """Two samples of three tracks and five times."""
    return torch.randn(2, 3, 5, 16, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("along", ["time", "tracks", "both"])
def test_attention_is_that_of_the_library(along: str) -> None:
    mine, x = attention(along), tokens()
    theirs = nn.MultiheadAttention(16, 4, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(mine.inward.weight)
        theirs.in_proj_bias.zero_()
        theirs.out_proj.weight.copy_(mine.outward.weight)
        theirs.out_proj.bias.copy_(mine.outward.bias)
    if along == "both":
        rows = x.reshape(2, 15, 16)
    else:
        rows = (x if along == "time" else x.transpose(1, 2)).flatten(0, 1)
    wanted = theirs(rows, rows, rows, need_weights=False)[0]
    if along == "tracks":
        wanted = wanted.view(2, 5, 3, 16).transpose(1, 2)
    assert torch.allclose(mine(x), wanted.view(2, 3, 5, 16), atol=1e-6)


@pytest.mark.parametrize(
    ("along", "reached"),
    [
        ("time", [(1, 0), (1, 1), (1, 2), (1, 3), (1, 4)]),
        ("tracks", [(0, 2), (1, 2), (2, 2)]),
        ("both", [(track, time) for track in range(3) for time in range(5)]),
    ],
)
def test_a_token_is_seen_along_its_axis_alone(along: str, reached: list[tuple[int, int]]) -> None:
    layer, x = attention(along), tokens()
    before = layer(x)
    x[:, 1, 2] += 1.0
    changed = (layer(x) - before).abs().amax(dim=(0, 3)) > 1e-6
    assert [tuple(place) for place in changed.nonzero().tolist()] == reached


@pytest.mark.parametrize("along", ["time", "tracks", "both"])
def test_attention_knows_no_order_of_its_own(along: str) -> None:
    layer, x = attention(along), tokens()
    times, tracks = torch.tensor([3, 0, 4, 1, 2]), torch.tensor([2, 0, 1])
    assert torch.allclose(layer(x[:, :, times]), layer(x)[:, :, times], atol=1e-6)
    assert torch.allclose(layer(x[:, tracks]), layer(x)[:, tracks], atol=1e-6)


def test_only_positions_tell_the_discriminator_when_a_token_sounds() -> None:
    spec = small()
    _, discriminator = build(spec)
    # Every token, a beat of four steps, ends in silence, so that none shows what came before it.
    parts = torch.rand(3, 4, 6, 4, 19)
    parts[:, :, :, -1] = 0.0
    phrases, moved = parts.flatten(2, 3), parts[:, :, [4, 2, 5, 0, 1, 3]].flatten(2, 3)
    assert not torch.allclose(discriminator(phrases), discriminator(moved), atol=1e-3)
    with torch.no_grad():
        discriminator.patches.positions.bars.zero_()
        discriminator.patches.positions.places.zero_()
    assert torch.allclose(discriminator(phrases), discriminator(moved), atol=1e-5)


def test_positions_are_sums_of_bar_place_and_row() -> None:
    bars, places = torch.tensor([[100.0], [200.0]]), torch.tensor([[10.0], [20.0], [30.0]])
    sums = spread(bars, places, torch.tensor([[1.0], [2.0]]))
    assert sums.squeeze(-1).tolist() == [
        [111.0, 121.0, 131.0, 211.0, 221.0, 231.0],
        [112.0, 122.0, 132.0, 212.0, 222.0, 232.0],
    ]


def test_a_style_scales_and_shifts_what_is_normalised() -> None:
    x, style = torch.randn(2, 3, 5, 4), torch.randn(2, 6)
    norm = Norm(4, 6)
    assert norm.style is not None
    scale, shift = (style @ norm.style.weight.T + norm.style.bias).chunk(2, dim=1)
    wanted = F.layer_norm(x, (4,)) * (1.0 + scale[:, None, None]) + shift[:, None, None]
    assert torch.allclose(norm(x, style), wanted, atol=1e-6)


@pytest.mark.parametrize(
    ("attention", "bars", "axes"),
    [
        ("auto", 2, ["both"]),
        ("auto", 64, ["time", "tracks"]),
        ("joint", 64, ["both"]),
        ("factorised", 2, ["time", "tracks"]),
    ],
)
def test_attention_is_factorised_where_phrases_are_long(attention: str, bars: int, axes: list[str]) -> None:
    _, discriminator = build(small(bars=bars), attention=attention, depth=1)  # 3 rows of 3 tokens a bar
    parts = discriminator.blocks[0].parts
    assert [part.along for part in parts if isinstance(part, Attention)] == axes


def test_the_last_row_shows_rhythm_and_chroma_in_whatever_octave() -> None:
    spec = small(LEAD, lowest=36, pitches=24)
    patches = Patches(roll_transformer.Options(width=16), spec)
    low = torch.zeros(1, 2, spec.time, 24)
    low[0, :, 0, 4], low[0, 1, 1:3, 4] = 1.0, 1.0  # an E of three steps
    high = low.roll(12, dims=3)
    other = low.roll(1, dims=3)
    assert torch.equal(patches(low)[:, -1], patches(high)[:, -1])
    assert not torch.equal(patches(low)[:, 0], patches(high)[:, 0])
    assert not torch.equal(patches(low)[:, -1], patches(other)[:, -1])
    twice = low.clone()
    twice[0, 0, 1, 4] = 1.0  # struck again while it sounds, which chroma does not show
    assert not torch.equal(patches(low)[:, -1], patches(twice)[:, -1])


# --- tracks that are given --------------------------------------------------------------------------------------------


def test_given_tracks_are_heard_and_not_changed() -> None:
    spec = small(LEAD, CHORDS, DRUMS, given=("Chords",))
    generator = lively(build(spec)[0])
    z = latents(generator)
    phrases = (torch.rand(2, 6, *spec.shape) < 0.2).float()
    one, other = (spec.given_part(spec.relax(spec.harden(p))) for p in phrases)
    fake = generator(z, None, one)
    assert fake.shape == (6, *spec.shape)
    assert torch.equal(fake[:, 2:4], one)
    assert torch.equal(spec.relax(spec.harden(fake)), fake)
    changed = (generator.logits(z, None, one) - generator.logits(z, None, other)).abs().amax(dim=(2, 3, 4))
    assert changed.shape == (6, 2)
    assert bool((changed > 1e-3).all())


def test_given_tracks_are_heard_through_attention_alone() -> None:
    spec = small(LEAD, CHORDS, DRUMS, given=("Chords",))
    generator, _ = build(spec, attention="factorised")
    with torch.no_grad():
        for block in generator.blocks:
            for part in block.parts:
                if isinstance(part, Attention) and part.along == "tracks":
                    part.outward.weight.zero_()
    one, other = (torch.rand(2, 6, *(spec.given_shape or ())) < 0.2).float()
    z = latents(generator)
    assert torch.equal(generator.logits(z, None, one), generator.logits(z, None, other))


def test_a_generator_that_is_given_nothing_says_so() -> None:
    generator, _ = build(small(LEAD, CHORDS, given=("Lead",)))
    with pytest.raises(UsageError, match="was called with nothing"):
        generator(latents(generator))


# --- what is refused --------------------------------------------------------------------------------------------------


def test_tokens_that_do_not_fill_a_bar_are_refused_in_words() -> None:
    with pytest.raises(
        UsageError, match=r"tokens of 5 steps do not fill a bar of 12 steps.*one of 1, 2, 3, 4, 6, 12, or"
    ):
        build(small(), steps_per_token=5)


def test_a_width_that_heads_do_not_divide_is_refused_in_words() -> None:
    with pytest.raises(UsageError, match="width 10 cannot be shared by 4 heads"):
        build(small(), width=10, heads=4)
