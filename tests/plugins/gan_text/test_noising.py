"""Kneser-Ney noising of what is read and foreseen, against counts by hand and the paper's probabilities."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from toys.text_game import SPEC, Table, batch_of, source_of
from toys.texts import build, spec_of, texts

from gan_text.games.noising import CHUNK, Noising
from gan_text.nets import lstm
from gancore.components import DataSource
from gancore.errors import UsageError
from gancore.random import Draws

END = 0
ROWS = torch.tensor(
    [
        [2, 3, 4, END, END, END],
        [2, 3, 2, 5, END, END],
        [2, 6, END, END, END, END],
        [3, 3, 3, 3, 3, 3],  # as long as a text may be: no end
    ],
    dtype=torch.int32,
)
# Pairs: 23 34 40 / 23 32 25 50 / 26 60 / 33 (five times). 2 comes four times before 3, 5 and 6; 3 comes seven times before 4, 2, 3.
FOLLOWERS = {2: 3 / 4, 3: 3 / 7, 4: 1.0, 5: 1.0, 6: 1.0}
LEADERS = {2: 1, 3: 2, 4: 1, 5: 1, 6: 1}


def draws(count, seed=0, begin=0):
    return Draws(seed, torch.arange(begin, begin + count))


def noising(strength=0.5, rows=ROWS, **more):
    source = source_of(rows)
    assert isinstance(source, DataSource)
    return Noising(source, SPEC, strength, **more)


def test_tokens_are_replaced_by_how_many_follow_them():
    share = noising(0.5).share
    wanted = torch.zeros(SPEC.vocabulary)
    for token, one in FOLLOWERS.items():
        wanted[token] = 0.5 * one
    torch.testing.assert_close(share, wanted)


def test_what_replaces_is_drawn_by_how_many_it_follows():
    chances = noising().up_to.diff(prepend=torch.zeros(1))
    wanted = torch.zeros(SPEC.vocabulary)
    for token, one in LEADERS.items():
        wanted[token] = one / 6
    torch.testing.assert_close(chances, wanted)


def test_replaced_places_and_tokens_are_as_frequent_as_they_should_be():
    count = 20_000
    hard = ROWS[1].repeat(count, 1)
    read, goal = noising(0.8)(hard, draws(count))
    # A draw may be the token itself: 3 with a chance of two in six, 2 and 5 with one.
    for place, token in enumerate((2, 3, 2, 5)):
        rate = 0.8 * FOLLOWERS[token]
        changed = (read[:, place] != token).float().mean()
        assert float(changed) == pytest.approx(rate * (1 - LEADERS[token] / 6), abs=0.02)
    after_three = goal[:, 2]
    assert float((after_three != 2).float().mean()) == pytest.approx(0.8 * 3 / 7 * 5 / 6, abs=0.02)
    drawn = read[:, 0][read[:, 0] != 2]
    assert float((drawn == 3).float().mean()) == pytest.approx(2 / 5, abs=0.02)
    # Read and foreseen are replaced at the same places, by draws of their own.
    same = (read[:, 0] != 2) & (goal[:, 1] != 3)
    assert float(same.float().mean()) == pytest.approx(0.6 * 5 / 6 * 4 / 6, abs=0.02)


def test_first_token_and_ends_stay():
    hard = ROWS[:3].repeat(500, 1)
    read, goal = noising(1.0)(hard, draws(len(hard)))
    torch.testing.assert_close(goal[:, 0], hard[:, 0].long())
    # 4, 5 and 6 are always followed by another token: all of them are hit, and the ends after them all the same stay.
    assert torch.equal(goal == END, hard == END)
    assert torch.equal(read == END, hard == END)


@pytest.mark.parametrize("rows", [[[2], [3], [4]], [[2, END, END], [3, END, END]]])
def test_texts_of_one_token_stay(rows):
    hard = torch.tensor(rows, dtype=torch.int32)
    source = source_of(torch.nn.functional.pad(hard, (0, SPEC.length - hard.shape[1]), value=END))
    read, goal = Noising(source, SPEC, 1.0)(hard, draws(len(rows)))
    assert torch.equal(read, hard.long())
    assert torch.equal(goal, hard.long())


def test_no_strength_changes_nothing():
    read, goal = noising(0.0)(ROWS, draws(len(ROWS)))
    assert torch.equal(read, ROWS.long())
    assert torch.equal(goal, ROWS.long())


def test_parts_of_a_batch_are_noised_as_in_the_whole():
    noise, hard = noising(0.8), ROWS.repeat(5, 1)
    whole = noise(hard, draws(20))
    parts = [noise(hard[:7], draws(7)), noise(hard[7:], draws(13, begin=7))]
    for n in range(2):
        assert torch.equal(whole[n], torch.cat([part[n] for part in parts]))


def test_counts_are_the_same_in_pieces_and_of_some_texts_alone():
    many = ROWS.repeat(CHUNK, 1)
    assert torch.equal(noising(0.5, many).up_to, noising(0.5).up_to)
    # The first text and the last: 3 comes six times before 3, once before 4.
    assert float(noising(1.0, most=2).share[3]) == pytest.approx(2 / 6)


def test_likelihood_is_of_the_goal_after_what_is_read():
    spec = spec_of()
    generator, _ = build(lstm, spec)
    hard, read, goal = texts(4, 7, 2, spec=spec), texts(4, 7, 2, spec=spec).flip(0), texts(4, 7, 2, spec=spec).flip(1)
    found = generator.nll(hard, read=read.long(), goal=goal.long())
    inside = torch.arange(spec.length) <= torch.tensor([4, 7, 2])[:, None]
    wanted = F.cross_entropy(generator.logits(read).transpose(1, 2), goal.long(), reduction="none") * inside
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


def test_likelihood_of_the_game_is_that_of_noised_texts():
    source = source_of(ROWS)
    table = Table(train=source, mle={"steps": 5, "noising": 0.7})
    found = table.gradients("generator/mle")["generator/nll"]
    batch = batch_of()
    noise = Noising(source, SPEC, 0.7)(batch.hard, Draws(5, batch.positions).within("generator/mle"))
    read, goal = noise
    with torch.no_grad():
        wanted = table.generator.nll(batch.hard, read=read, goal=goal).sum(1).mean()
        plain = table.generator.nll(batch.hard).sum(1).mean()
    assert found == pytest.approx(float(wanted), rel=1e-5)
    assert found != pytest.approx(float(plain), rel=1e-3)


def test_likelihood_beside_is_of_noised_texts_too():
    table = Table(train=source_of(ROWS), mle={"steps": 0, "noising": 0.7, "beside": 1.0})
    plain = Table(train=source_of(ROWS), mle={"steps": 0, "beside": 1.0})
    assert table.gradients("generator/mle") != plain.gradients("generator/mle")


def test_without_texts_to_count_noising_is_refused():
    with pytest.raises(UsageError, match="counts the texts that are trained on"):
        Table(mle={"steps": 5, "noising": 0.7})


def test_a_generator_that_cannot_be_noised_is_refused():
    class Plain(nn.Linear):
        gumbel = draw_latent = None

        def nll(self, hard, condition=None): ...

    plain = Plain(2, 2)
    plain.gumbel = plain.draw_latent = lambda *inputs: None
    networks = {"generator": plain, "discriminator": nn.Linear(2, 2)}
    with pytest.raises(UsageError, match="needs a generator whose nll takes read and goal"):
        Table(train=source_of(ROWS), networks=networks, mle={"steps": 5, "noising": 0.7})
