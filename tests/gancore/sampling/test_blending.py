"""Generators out of those of two runs."""

from __future__ import annotations

import pytest
import torch
from toys import pictures as toys
from toys.runs import begin, go_on, load

from gancore import checkpoint
from gancore.errors import UsageError
from gancore.nets.stages import stage_of
from gancore.sampling.blending import blend_layers, blend_weights, open_pair

PAIR = {"name": "pair", "norm": "batch", "spectral_norm": "both"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs of one architecture with normalised weights, of other seeds."""
    paths = [tmp_path_factory.mktemp("trained") / name for name in ("one", "other")]
    for seed, path in enumerate(paths):
        begin(path, 2, seed=seed, architecture=PAIR)
    return paths


@pytest.fixture
def pair(runs):
    return open_pair(*runs, registry=toys.new_registry())


def average(run):
    return checkpoint.newest(run / "checkpoints")[0].tensors("ema")


def test_layers_are_those_of_the_other_run_and_the_rest_of_the_one(pair, runs, tmp_path):
    folder = blend_layers(pair, 0, 0, tmp_path / "new")
    ours, theirs, made = (average(run) for run in (*runs, folder.path))
    numbers = {name: stage_of(pair.stages, name) for name in made}
    assert set(numbers.values()) >= {0, 1}
    for name, tensor in made.items():
        assert torch.equal(tensor, (ours if numbers[name] else theirs)[name])


def test_weights_are_a_mean_buffers_too(pair, runs, tmp_path):
    folder = blend_weights(pair, 0.25, tmp_path / "new")
    ours, theirs, made = (average(run) for run in (*runs, folder.path))
    assert any("running_mean" in name for name in made)
    for name, tensor in made.items():
        if tensor.is_floating_point() and ("parametrizations" not in name or name.endswith("original")):
            assert torch.allclose(tensor, 0.75 * ours[name] + 0.25 * theirs[name])


@pytest.mark.parametrize(("share", "which"), [(0.0, 0), (1.0, 1)])
def test_the_whole_of_one_run_makes_its_samples(pair, runs, tmp_path, share, which):
    folder = blend_weights(pair, share, tmp_path / "new")
    assert torch.equal(load(folder.path).sample(4), load(runs[which]).sample(4))


def test_a_blend_is_trained_further_as_any_run(pair, tmp_path):
    folder = blend_weights(pair, 0.5, tmp_path / "new")
    assert go_on(folder.path, steps=3).step == 3


def test_all_layers_and_layers_that_there_are_not_are_refused(pair, tmp_path):
    count = len(pair.stages)
    for layers, words in (((0, count), f"has {count}, numbered"), ((0, count - 1), "are all there are")):
        with pytest.raises(UsageError, match=words):
            blend_layers(pair, *layers, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_runs_that_differ_are_refused_with_what_differs(runs, tmp_path):
    begin(tmp_path / "wide", 1, architecture={**PAIR, "norm": "none"})
    with pytest.raises(UsageError, match=r"architecture\.norm is batch in the first and none in the second"):
        open_pair(runs[0], tmp_path / "wide", registry=toys.new_registry())
    begin(tmp_path / "classes", 1, architecture=PAIR, data={"name": "toy", "labels": True})
    with pytest.raises(UsageError, match=r"the samples' classes is \[\] in the first and \['even', 'odd', 'zero'\]"):
        open_pair(runs[0], tmp_path / "classes", registry=toys.new_registry())
