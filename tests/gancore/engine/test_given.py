"""A part of each sample is given: in every step, on every sheet, when samples are drawn, and only where the data say so."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial

import pytest
import torch
from toys import one_step, runs
from toys import pictures as toys
from toys.runs import go_on, load

from gancore import checkpoint
from gancore.data.batch import Batch
from gancore.data.spec import Given, SampleSpec
from gancore.errors import UsageError
from gancore.games.calling import call_generator
from gancore.random import Draws, derive
from gancore.sampling.drawing import generate, parts_of

begin = partial(runs.begin, steps=4, **toys.HALVES)
PENALISED = {"loss": "rpgan", "penalties": {"r1": {"every": 2}, "r2": {"every": 3}}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return begin(tmp_path_factory.mktemp("given") / "run", data={"name": "upper", "labels": True}).folder


@pytest.fixture(scope="module")
def generator(folder):
    return load(folder)


def pictures(count, seed=1):
    return Draws(seed, torch.arange(count)).uniform("x", 1, 4, 4) * 2 - 1


def lines(path):
    """The head of a written file, and its pictures as they are flattened."""
    head, *rows = path.read_text().removeprefix("# ").splitlines()
    return head, torch.tensor([[float(v) for v in row.split()] for row in rows])


class Recorder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.calls = []

    def forward(self, *arguments):
        self.calls.append(arguments)
        return arguments[0]


# --- training ---------------------------------------------------------------------------------------------------------


def test_a_generator_is_called_with_two_arguments_where_nothing_is_given_and_with_three_where_something_is():
    recorder, z, given = Recorder(), torch.zeros(2, 3), torch.ones(2, 1)
    call_generator(recorder, z, None, None)
    call_generator(recorder, z, None, given)
    assert recorder.calls[0] == (z, None)
    assert len(recorder.calls[1]) == 3
    assert recorder.calls[1][2] is given


def test_a_plain_spec_gives_nothing():
    spec = SampleSpec(shape=(3,))
    assert spec.given_shape is None
    assert spec.given_part(torch.zeros(2, 3)) is None


def test_parts_of_a_batch_have_the_given_parts_of_their_samples():
    x = pictures(5)
    batch = Batch(hard=x, condition=None, positions=torch.arange(5), step=0, given=x[:, :, :2])
    parts = list(batch.to(torch.device("cpu")).split(2))
    assert [len(p) for p in parts] == [3, 2]
    assert all(torch.equal(p.given, p.x[:, :, :2]) for p in parts)


@pytest.mark.parametrize("reuse_fakes", [True, False])
def test_each_fake_of_a_step_has_the_given_part_of_the_real_sample_beside_it(tmp_path, monkeypatch, reuse_fakes):
    seen = []

    def watched(self, z, condition, given):
        made = forward(self, z, condition, given)
        if self.training:
            seen.append((given.detach().clone(), made.detach().clone()))
        return made

    forward = toys.HalfGenerator.forward
    monkeypatch.setattr(toys.HalfGenerator, "forward", watched)
    begin(tmp_path / "run", steps=3, **{"game": {"name": "gan", "reuse_fakes": reuse_fakes}, "every.sample": 0})
    data = toys.ToyData(toys.DataOptions())
    from gancore.data.loader import Loader

    loader = Loader(data, batch_size=8, seed=0)
    calls = 1 if reuse_fakes else 2
    assert len(seen) == 3 * calls
    for number, (given, made) in enumerate(seen):
        real = loader.batch(number // calls).x
        torch.testing.assert_close(given, real[:, :, :2])
        assert torch.equal(made[:, :, :2], given)
        assert not torch.isclose(made[:, :, 2:], real[:, :, 2:]).all(dim=(1, 2, 3)).any()


@pytest.mark.parametrize("micro_batches", [2, 3])
def test_gradients_of_parts_of_a_batch_add_up_to_those_of_the_whole(micro_batches):
    torch.manual_seed(3)
    networks = toys.build_half(toys.NetOptions(), toys.HalfSpec())
    for network in networks.values():
        network.double()
    batch = one_step.double_batch(9)
    batch = batch.giving(batch.x[:, :, :2])
    how = {"loss": "rpgan", "penalties": {"r1": {}, "r2": {}}}
    whole, _ = one_step.game_gradients(networks, batch, **how)
    parts, _ = one_step.game_gradients(networks, batch, micro_batches=micro_batches, **how)
    assert whole["generator"].keys() >= {"see.weight", "see.bias"}
    for player, grads in whole.items():
        for name, grad in grads.items():
            torch.testing.assert_close(parts[player][name], grad, rtol=1e-9, atol=1e-12)


def test_resumed_run_equals_uninterrupted_run(tmp_path):
    how = {**PENALISED, "micro_batches": 2}
    begin(tmp_path / "whole", steps=9, **how)
    begin(tmp_path / "halves", steps=6, **how)
    go_on(tmp_path / "halves", steps=9)
    found = [checkpoint.at(tmp_path / name / "checkpoints", 9) for name in ("whole", "halves")]
    for module in ("generator", "discriminator", "ema"):
        one, two = (f.tensors(module) for f in found)
        assert all(torch.equal(v, two[k]) for k, v in one.items())
    for sheet in ("step-00000009.txt", "real/real.txt"):
        one, two = (lines(tmp_path / name / "samples" / sheet) for name in ("whole", "halves"))
        assert one[0] == two[0]
        assert torch.equal(one[1], two[1])


def test_sheets_show_what_was_made_around_the_real_samples_beside_them_in_their_classes(folder):
    real = lines(folder / "samples" / "real" / "real.txt")
    sheets = [lines(path) for path in sorted((folder / "samples").glob("step-*.txt"))]
    assert len(sheets) >= 2
    for head, rows in sheets:
        assert head == real[0]
        torch.testing.assert_close(rows[:, :8], real[1][:, :8], rtol=1e-6, atol=1e-6)
        assert not torch.isclose(rows[:, 8:], real[1][:, 8:]).all()


def test_spread_is_watched_with_what_is_given(tmp_path):
    run = begin(tmp_path / "run", steps=4, **{"every.health": 2})
    rows = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    assert [row["health/spread"] > 0 for row in rows if "health/spread" in row] == [True]


def test_a_run_from_before_specs_had_a_field_is_resumed(tmp_path, monkeypatch):
    begin(tmp_path / "run", steps=3)
    verify = checkpoint.verify

    def of_old(path):
        found = verify(path)
        spec = {k: v for k, v in found.state["spec"].items() if k != "note"}
        return replace(found, state={**found.state, "spec": spec})

    monkeypatch.setattr(checkpoint, "verify", of_old)
    assert go_on(tmp_path / "run", steps=4).step == 4


# --- who takes it -----------------------------------------------------------------------------------------------------


def test_an_architecture_that_cannot_take_what_is_given_is_refused_by_name_and_leaves_nothing_behind(tmp_path):
    with pytest.raises(UsageError, match=r"architecture 'toy:pair' cannot make the rest of samples"):
        begin(tmp_path / "run", architecture={"name": "pair"})
    assert not (tmp_path / "run").exists()


def test_a_game_whose_generator_cannot_take_what_is_given_is_refused_by_name(tmp_path):
    with pytest.raises(UsageError, match=r"game 'toy:wrapping' cannot make the rest of samples"):
        begin(tmp_path / "run", game={"name": "wrapping"})


def test_a_game_with_a_generator_of_two_arguments_trains_where_nothing_is_given(tmp_path):
    run = begin(tmp_path / "run", steps=2, data="toy", architecture={"name": "pair"}, game={"name": "wrapping"})
    assert run.step == 2


# --- sampling ---------------------------------------------------------------------------------------------------------


def test_a_sample_is_made_around_what_is_given_for_it(generator):
    given = pictures(3)
    samples = generator.sample(given=given)
    assert samples.shape == (3, 1, 4, 4)
    assert torch.equal(samples[:, :, :2], given[:, :, :2])
    assert not torch.equal(samples[:, :, 2:], given[:, :, 2:])


def test_what_is_given_is_used_in_turn(generator):
    given = pictures(3)
    samples = generator.sample(7, given=given, condition=0)
    assert torch.equal(samples[:, :, :2], given[[0, 1, 2, 0, 1, 2, 0], :, :2])
    assert not torch.equal(samples[0], samples[3])
    one = generator.sample(5, given=given[:1], condition=0)
    assert torch.equal(one[:, :, :2], given[:1, :, :2].expand(5, -1, -1, -1))
    torch.testing.assert_close(one[0], samples[0])


def test_what_is_given_changes_the_rest(generator):
    first, second = (generator.sample(4, given=pictures(4, seed), condition=1)[:, :, 2:] for seed in (1, 2))
    assert not torch.isclose(first, second).all(dim=(1, 2, 3)).any()


def test_more_samples_than_are_made_at_once_have_what_was_given_for_them(generator):
    given = pictures(50)
    samples = generator.sample(150, given=given)
    assert torch.equal(samples[:, :, :2], given.repeat(3, 1, 1, 1)[:, :, :2])


def test_nothing_given_is_an_error_that_says_how_to_give_it(generator):
    with pytest.raises(UsageError, match=r"--given FILE"):
        generator.sample(2)


def test_something_given_to_a_generator_of_whole_samples_is_an_error(tmp_path):
    whole = load(begin(tmp_path / "run", steps=1, data="toy", architecture={"name": "pair"}).folder)
    for given in (pictures(2), tmp_path / "x.txt"):
        with pytest.raises(UsageError, match="is given nothing"):
            whole.sample(2, given=given)
    with pytest.raises(UsageError, match="is given nothing"):
        generate(whole.module, whole.spec, 2, 0, None, parts_of(whole.spec, pictures(2)))


@pytest.mark.parametrize(
    "given",
    [torch.zeros(0, 1, 4, 4), torch.zeros(2, 1, 4, 5), torch.zeros(4), torch.zeros(2, 1, 4, 4, dtype=torch.uint8)],
)
def test_what_is_no_hard_sample_cannot_be_given(generator, given):
    with pytest.raises(UsageError, match=r"hard samples, float32 \[m, \.\.\.\]"):
        generator.sample(2, given=given)


def test_data_that_cannot_be_read_from_a_file_say_so(tmp_path):
    generator = load(begin(tmp_path / "run", steps=1, data="unread").folder)
    with pytest.raises(UsageError, match=r"x\.txt.*pass them as a tensor"):
        generator.read_given(tmp_path / "x.txt")
    samples = generator.sample(4, given=pictures(2))
    files = generator.save(samples, tmp_path / "out", given=generator.read_given(pictures(2)))
    assert [f.name for f in files] == [f"sample-{n}.txt" for n in range(4)]


def write_given(path, x):
    path.write_text("\n".join(" ".join(map(repr, row)) for row in x.flatten(1).tolist()))
    return path


def test_a_file_is_given_by_its_path(generator, tmp_path):
    x = pictures(2)
    path = write_given(tmp_path / "given.txt", x)
    samples = generator.sample(given=path)
    torch.testing.assert_close(samples[:, :, :2], x[:, :, :2])
    assert torch.equal(generator.sample(given=str(path)), samples)
    assert torch.equal(generator.sample(given=generator.read_given(path)), samples)


def test_each_pass_through_a_file_is_of_one_class(generator, tmp_path):
    path = write_given(tmp_path / "given.txt", pictures(2))
    assert generator.labels(7, given=path).tolist() == [0, 0, 1, 1, 2, 2, 0]
    known = Given(pictures(2), condition=torch.tensor([2, 1]))
    assert generator.labels(5, given=known).tolist() == [2, 1, 2, 1, 2]
    assert generator.labels(3, "odd", given=known).tolist() == [1, 1, 1]
    assert torch.equal(generator.sample(given=known), generator.sample(given=known.x, condition=[2, 1]))


def test_samples_around_a_file_are_written_with_its_spec_and_put_together(generator, tmp_path):
    given = generator.read_given(write_given(tmp_path / "given.txt", pictures(2)))
    labels = generator.labels(5, given=given)
    samples = generator.sample(5, given=given, condition=labels)
    files = generator.save(samples, tmp_path / "out", labels, given=given)
    assert [f.name for f in files] == [*(f"sample-{n}.txt" for n in range(5)), "joined-0.txt", "joined-1.txt"]
    assert lines(files[0])[0] == "[1, 4, 4] from a file [0, 0, 1, 1, 2]"
    head, rows = lines(files[6])
    assert head == "[1, 8, 4]  [0, 1]"
    torch.testing.assert_close(rows.reshape(2, 1, 4, 4), samples[2:4])
    (sheet,) = generator.save(samples, tmp_path / "sheet.txt", labels, given=given)
    assert lines(sheet)[0] == "[1, 8, 4]  [0, 1]"


def test_fewer_samples_than_a_file_gives_are_not_put_together(generator, tmp_path):
    given = generator.read_given(write_given(tmp_path / "given.txt", pictures(3)))
    files = generator.save(generator.sample(2, given=given), tmp_path / "out", given=given)
    assert [f.name for f in files] == ["sample-0.txt", "sample-1.txt"]


def test_latents_do_not_depend_on_what_is_given(generator):
    given = pictures(2)
    relaxed = generate(generator.module, generator.spec, 2, derive(0, "sample"), None if not generator.spec.classes else
                       torch.tensor([0, 1]), parts_of(generator.spec, given))  # fmt: skip
    z = generator.module.draw_latent(Draws(derive(0, "sample"), torch.arange(2)))
    expected = generator.module(z, torch.tensor([0, 1]), given[:, :, :2])
    torch.testing.assert_close(relaxed, expected)
