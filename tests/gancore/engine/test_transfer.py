"""A run that begins with another run's networks: what of them it takes, what it tells, and what it refuses."""

from __future__ import annotations

import json
import shutil
from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm
from toys import pictures as toys
from toys.runs import begin, go_on, rows

from gancore import checkpoint, hookimpl
from gancore.api import plan, train
from gancore.data.spec import SampleSpec
from gancore.engine.build import weights_of
from gancore.engine.transfer import align, filled, fit, layers_of, unlike, unsettled
from gancore.errors import CheckpointError, RunFolderError, UsageError
from gancore.losses.spectral import apply_spectral_norm, settle
from gancore.nets.conditioning import ClassEmbedding, ClassLinear

KINDS = ("generator", "discriminator", "ema")


def tensors(folder, step, name):
    return checkpoint.verify(folder / "checkpoints" / f"step-{step:08d}").tensors(name)


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A run of six steps."""
    return begin(tmp_path_factory.mktemp("source") / "run", 6, seed=1).folder


class Notes:
    @hookimpl
    def gan_run_started(self, event):
        self.notes = event.notes


def go_from(source, folder, steps=4, **options):
    options = {"keep": 9, **options}
    return train(start=source, registry=toys.new_registry(), out=folder, steps=steps, options=options).folder


# --- which layers fit -------------------------------------------------------------------------------------------------


def ladder(*widths):
    """Convolutions from one width to the next, with a norm between two of them."""
    layers = [layer for a, b in pairwise(widths) for layer in (nn.Conv2d(a, b, 3), nn.BatchNorm2d(b))]
    return nn.Sequential(*layers[:-1])


def test_stages_that_a_ladder_has_more_are_fresh_and_the_others_keep_their_order():
    small, large = ladder(4, 2, 1), ladder(8, 4, 2, 1)
    found = fit(large, small.state_dict(), (), ())
    assert found.layers == {"2": "0", "3": "1", "4": "2"}
    assert (found.fresh, found.left_out) == (("0", "1"), ())
    assert torch.equal(filled(large, small.state_dict(), found, (), ())["4.weight"], small.state_dict()["2.weight"])


def test_stages_that_a_ladder_has_less_are_left_out():
    found = fit(ladder(4, 2, 1), ladder(8, 4, 2, 1).state_dict(), (), ())
    assert (found.fresh, found.left_out) == ((), ("0", "1"))


def test_files_that_keep_no_order_of_names_are_aligned_by_numbers():
    deep = nn.Sequential(*(nn.Linear(n, n + 1) for n in range(1, 13)))
    shuffled = dict(sorted(deep.state_dict().items()))
    assert list(layers_of(shuffled)) == [str(n) for n in range(12)]
    assert align(layers_of(deep.state_dict()), layers_of(shuffled)) == {str(n): str(n) for n in range(12)}


def test_of_equal_layers_those_of_equal_names_are_taken():
    four = nn.Sequential(*(nn.Linear(2, 2) for _ in range(4)))
    two = {name: tensor for name, tensor in four.state_dict().items() if name[0] in "13"}
    assert align(layers_of(four.state_dict()), layers_of(two)) == {"1": "1", "3": "3"}


def test_a_class_keeps_its_row_by_name_and_a_new_one_gets_the_mean_of_all():
    before, after = ClassEmbedding(2, 3), ClassEmbedding(3, 3)
    state, names = {"weight": before.weight.detach()}, (("fox", "cat", "dog"), ("cat", "dog"))
    found = fit(after, state, *names)
    assert (found.by_class, found.fresh) == (("",), ())
    cat, dog = state["weight"]
    assert torch.allclose(filled(after, state, found, *names)["weight"], torch.stack([(cat + dog) / 2, cat, dog]))


def test_classes_in_another_order_keep_their_rows():
    state, names = {"weight": torch.tensor([[1.0], [2.0]])}, (("dog", "cat"), ("cat", "dog"))
    own = ClassEmbedding(2, 1)
    assert filled(own, state, fit(own, state, *names), *names)["weight"].tolist() == [[2.0], [1.0]]


@pytest.mark.parametrize(("outputs", "taken"), [(2, [2.0, 1.0]), (4, None)])
def test_what_tells_classes_is_not_taken_for_others(outputs, taken):
    own = ClassLinear(1, outputs, bias=False)
    state = {"weight": torch.arange(1.0, outputs + 1)[:, None]}
    found = fit(own, state, ("cat", "dog"), ("dog", "cat"))
    assert found.fresh == (() if taken else ("",))
    if taken:
        assert filled(own, state, found, ("cat", "dog"), ("dog", "cat"))["weight"].flatten().tolist() == taken
    assert fit(own, state, ("dog", "cat"), ("dog", "cat")).fresh == ()


@pytest.mark.parametrize("norm", [apply_spectral_norm, weight_norm])
def test_a_weight_is_taken_with_what_its_norm_keeps(norm):
    torch.manual_seed(0)
    theirs, own = (nn.Sequential(norm(nn.Linear(4, 4)), norm(nn.Linear(4, 3, bias=False))) for _ in range(2))
    found = fit(own, theirs.state_dict(), (), ())
    assert (found.layers, found.fresh) == ({"0": "0", "1": "1"}, ())
    assert same(filled(own, theirs.state_dict(), found, (), ()), theirs.state_dict())
    assert unsettled(own, theirs.state_dict(), found) == []
    assert fit(norm(nn.Linear(5, 3)), norm(nn.Linear(4, 3)).state_dict(), (), ()).fresh == ("",)


def test_a_weight_is_taken_into_a_spectral_norm_and_out_of_it():
    torch.manual_seed(0)
    plain, normalised = nn.Linear(4, 3), apply_spectral_norm(nn.Linear(4, 3))
    for own, theirs in ((plain, normalised), (normalised, plain)):
        state = theirs.state_dict()
        found = fit(own, state, (), ())
        assert (found.layers, found.left_out) == ({"": ""}, ())
        own.load_state_dict(filled(own, state, found, (), ()))
        assert unsettled(own, state, found) == ([""] if own is normalised else [])
    settle(normalised)
    assert torch.linalg.matrix_norm(normalised.eval().weight, 2).item() == pytest.approx(1.0, abs=0.01)


def test_rows_of_classes_in_another_order_are_matched_under_a_spectral_norm_too():
    own, names = apply_spectral_norm(ClassEmbedding(2, 1)), (("dog", "cat"), ("cat", "dog"))
    state = {"weight": torch.tensor([[1.0], [2.0]])}
    found = fit(own, state, *names)
    assert filled(own, state, found, *names)["parametrizations.weight.original"].tolist() == [[2.0], [1.0]]
    assert unsettled(own, own.state_dict(), found) == [""]


def test_tensors_of_another_type_do_not_fit():
    assert fit(nn.Linear(2, 2), nn.Linear(2, 2).double().state_dict(), (), ()).fresh == ("",)


def test_what_shapes_of_layers_do_not_tell_of_samples_is_told():
    class Sound(SampleSpec):
        measured = ("mean",)
        rate: int = 8000
        mean: float = 0.0

    saved = Sound(shape=(4,), classes=("a", "b"))
    assert unlike(Sound(shape=(8,), rate=16000, mean=1.0), saved.model_dump(mode="json")) == ["rate"]
    assert unlike(Sound(shape=(8,)), saved.model_dump(mode="json")) == []


# --- whole runs -------------------------------------------------------------------------------------------------------


def test_a_run_begins_with_the_networks_and_the_average_of_another(source, tmp_path):
    run = go_from(source, tmp_path / "run")
    for name in KINDS:
        assert same(tensors(run, 0, name), tensors(source, 6, name)), name
    begun = checkpoint.verify(run / "checkpoints" / "step-00000000")
    assert begun.state["optimizers"] == {"generator": 0, "discriminator": 0}


def test_the_average_is_not_forgotten_in_the_first_steps(source, tmp_path):
    run = go_from(source, tmp_path / "run", steps=1, **{"ema.half_life": 8.0})
    average, before, after = (tensors(run, s, n) for s, n in ((1, "ema"), (0, "ema"), (1, "generator")))
    # A batch of 8 is one half-life.
    assert all(torch.allclose(average[name], (before[name] + after[name]) / 2, atol=1e-6) for name in before)


def test_settings_are_those_of_the_other_run_unless_others_are_asked_for(source, tmp_path):
    settings = plan(start=source, registry=toys.new_registry(), options={"batch_size": 4}, seed=9)
    theirs = plan(config=source / "config.toml", registry=toys.new_registry())
    assert (settings.run.batch_size, settings.run.seed) == (4, 9)
    assert (settings.run.ema, settings.architecture) == (theirs.run.ema, theirs.architecture)
    assert (settings.run.start.run, settings.run.start.step) == (str(source), 6)
    other = plan(
        start=source, preset="none", options={"data": "toy", "architecture": "pair"}, registry=toys.new_registry()
    )
    assert (other.run.plugin, other.run.batch_size, other.run.start.step) == ("toy", 64, 6)


def test_a_resumed_run_that_began_with_another_equals_an_uninterrupted_one_without_that(source, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(source, copy)
    whole = go_from(copy, tmp_path / "whole")
    toys.FAULTS["crash"] = {2}
    with pytest.raises(RuntimeError, match="broke down"):
        go_from(copy, tmp_path / "run", **{"every.checkpoint": 0})
    toys.FAULTS.clear()
    shutil.rmtree(copy)
    go_on(tmp_path / "run")
    for name in KINDS:
        assert same(tensors(whole, 4, name), tensors(tmp_path / "run", 4, name)), name
    assert rows(whole) == rows(tmp_path / "run")


def test_what_was_taken_is_kept_with_the_run_and_in_its_report(source, tmp_path):
    run = go_from(source, tmp_path / "run", **{"data.labels": True})
    record = json.loads((run / "start.json").read_text())
    assert (record["run"], record["step"]) == (str(source), 6)
    assert set(record["networks"]) == {"generator", "discriminator"}
    [line] = record["summary"]
    assert line.startswith(f"begins with step 6 of '{source}': ")
    assert "generator 2 of 3 layers (initialised anew: classes)" in line
    assert "begins with step 6 of" in (run / "report.html").read_text()


def test_what_penalties_remember_begins_anew(tmp_path):
    source = begin(tmp_path / "source", 2, penalties="lecam").folder
    run = go_from(source, tmp_path / "run", steps=1)
    assert tensors(source, 2, "penalty-lecam")["average"].isfinite().all()
    assert tensors(run, 0, "penalty-lecam")["average"].isnan().all()
    with pytest.raises(UsageError, match=r"no layer of the networks of .* fits"):
        go_from(source, tmp_path / "other", **{"architecture.width": 9})


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"architecture.width": 9}, UsageError, "no layer of the networks of .* fits"),
        ({"start.step": 5}, CheckpointError, "there is no checkpoint of step 5"),
        ({"start.step": "best"}, CheckpointError, "keeps no best checkpoint"),
        ({"game.san": True}, UsageError, "does not end in a ProjectionHead"),
    ],
)
def test_what_cannot_be_begun_with_is_refused_and_leaves_nothing_behind(source, tmp_path, options, error, words):
    with pytest.raises(error, match=words):
        go_from(source, tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


def test_runs_of_others_and_folders_that_are_none_are_refused(source, tmp_path):
    with pytest.raises(UsageError, match="is a run of plugin 'toy', and this is to be one of 'image'"):
        plan(start=source, plugin="image")
    with pytest.raises(RunFolderError, match="is not a run"):
        plan(start=tmp_path)
    with pytest.raises(UsageError, match="the run to begin with '' is empty"):
        plan(start="", plugin="toy", registry=toys.new_registry())
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UsageError, match=r"a model folder of another library.*architecture\.folder="):
        plan(start=tmp_path)


def test_a_damaged_checkpoint_is_refused(source, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(source, copy)
    for file in (copy / "checkpoints").glob("*/generator.safetensors"):
        file.write_bytes(b"\xff" * 100)
    with pytest.raises(CheckpointError, match="is not what was written"):
        go_from(copy, tmp_path / "run")


def test_frozen_layers_stay_as_they_were_and_have_no_optimizer_state(source, tmp_path):
    run = go_from(source, tmp_path / "run", steps=2, **{"freeze.discriminator": 1})
    before, after = tensors(run, 0, "discriminator"), tensors(run, 2, "discriminator")
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {name for name in before if not name.startswith("layers.0.")}
    found = checkpoint.verify(run / "checkpoints" / "step-00000002").optimizer("discriminator")
    assert len(found["state"]) == len(changed)
    assert go_on(run, steps=3).step == 3


def test_a_layer_with_a_spectral_norm_is_frozen_as_one():
    network = apply_spectral_norm(nn.Sequential(nn.Conv2d(1, 2, 3), nn.Linear(2, 1, bias=False)))
    assert [sorted(map(len, found)) for m in network.modules() if (found := weights_of(m))] == [[2, 2], [1]]


def test_the_beginning_of_a_run_says_what_is_frozen(source, tmp_path):
    told = Notes()
    begin(tmp_path / "run", 1, [told], **{"start.run": str(source), "freeze.discriminator": 1})
    assert told.notes[-1] == "frozen, and not trained: 1 of 3 layers of the discriminator (layers.0)"


def test_freezing_all_layers_is_refused(source, tmp_path):
    with pytest.raises(UsageError, match=r"freeze\.discriminator=99: .* at most"):
        go_from(source, tmp_path / "run", **{"freeze.discriminator": 99})
