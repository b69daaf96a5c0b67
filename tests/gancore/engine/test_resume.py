"""A run that was interrupted and resumed is the run that was not, bit for bit."""

from __future__ import annotations

import json
import os
import signal
import warnings

import pytest
import torch
from toys import pictures as toys
from toys.runs import rows

import gancore
from gancore import checkpoint
from gancore.api import resume, train
from gancore.errors import CheckpointError, GanError, RunFolderError, UsageError

TOY = {
    **toys.SMALL, "data": {"name": "toy", "labels": True}, "architecture": {"name": "pair", "norm": "batch"},
    "loss": "rpgan", "penalties": {"r1": {"weight": 1.0, "every": 2}, "r2": {"every": 3}}, "seed": 4,
    "augmentations": {"apa": {"kimg": 0.05, "interval": 3}},
    "optimizers": {"discriminator": {"name": "rmsprop"}},
    "schedules": {
        "optimizers.generator.lr": {"name": "cosine", "factor": 0, "warmup": 4}, "optimizers.generator.beta2": {"first": 0.9},
        "optimizers.discriminator.beta2": {"first": 0.8}, "penalties.r1.weight": {"factor": 0.1}, "ema.half_life": {"first": 0},
    },
    "balance": True,
}  # fmt: skip
DIGITS = {
    **toys.SMALL, "preset": "none", "data": {"name": "digits"}, "samples": 10,
    "architecture": {"name": "dcgan", "width": 4, "latent": 6}, "loss": "ragan", "micro_batches": 2,
    "augmentations": {"diffaugment": {}}, "penalties": {"r1": {"every": 2}},
}  # fmt: skip


class Interrupter:
    """Presses Ctrl-C, in effect, when the checkpoint of a step has been saved."""

    def __init__(self, step):
        self.step = step

    @gancore.hookimpl
    def gan_checkpoint_saved(self, event):
        if event.step == self.step:
            os.kill(os.getpid(), signal.SIGTERM)


class Stopper:
    """Asks for the end at a tick."""

    def __init__(self, step):
        self.step = step

    @gancore.hookimpl
    def gan_should_stop(self, event):
        return "enough" if event.step == self.step else None


def begin(folder, steps, options, plugin="toy", listeners=()):
    registry = toys.new_registry() if plugin == "toy" else None
    return train(plugin=plugin, registry=registry, out=folder, steps=steps, options=options, listeners=listeners)


def go_on(folder, plugin="toy", **more):
    return resume(folder, registry=toys.new_registry() if plugin == "toy" else None, **more)


def equal_values(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal_values(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(equal_values, a, b))
    return a == b


def assert_same_players(one, other, step):
    first, second = (checkpoint.verify(f / "checkpoints" / f"step-{step:08d}") for f in (one, other))
    for name in ("generator", "discriminator", "ema"):
        tensors, others = first.tensors(name), second.tensors(name)
        assert tensors.keys() == others.keys()
        assert [k for k in tensors if not torch.equal(tensors[k], others[k])] == []
    for name in ("generator", "discriminator"):
        assert equal_values(first.optimizer(name), second.optimizer(name))
    return first, second


def assert_same_run(whole, parts, step):
    first, second = assert_same_players(whole, parts, step)
    states = [{k: v for k, v in c.state.items() if k != "seconds"} for c in (first, second)]
    assert states[0] == states[1]
    assert rows(whole) == rows(parts)
    sheets = sorted((whole / "samples").glob("step-*"))
    assert sheets
    for sheet in sheets:
        assert (parts / "samples" / sheet.name).read_bytes() == sheet.read_bytes(), sheet.name


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Eleven steps without a break."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    begin(folder, 11, TOY)
    return folder


@pytest.mark.parametrize("step", [3, 6, 9])
def test_a_run_interrupted_between_ticks_and_resumed_equals_an_uninterrupted_one(whole, tmp_path, step):
    done = begin(tmp_path / "run", 11, TOY, listeners=[Interrupter(step)])
    assert (done.step, done.outcome, done.reason) == (step, "interrupted", "SIGTERM")
    assert go_on(tmp_path / "run").outcome == "completed"
    assert_same_run(whole, tmp_path / "run", 11)


def test_a_run_stopped_at_a_tick_and_resumed_equals_an_uninterrupted_one(whole, tmp_path):
    assert begin(tmp_path / "run", 11, TOY, listeners=[Stopper(4)]).outcome == "stopped"
    go_on(tmp_path / "run")
    assert_same_run(whole, tmp_path / "run", 11)


@pytest.mark.parametrize("step", [4, 5, 8, 10])
def test_a_run_that_crashed_and_was_resumed_equals_an_uninterrupted_one(whole, tmp_path, step):
    toys.FAULTS["crash"] = {step}
    with pytest.raises(RuntimeError, match="broke down"):
        begin(tmp_path / "run", 11, TOY)
    toys.FAULTS.clear()
    go_on(tmp_path / "run")
    assert_same_run(whole, tmp_path / "run", 11)


def test_a_run_interrupted_twice_equals_an_uninterrupted_one(whole, tmp_path):
    begin(tmp_path / "run", 11, TOY, listeners=[Interrupter(3)])
    assert go_on(tmp_path / "run", listeners=[Interrupter(6)]).outcome == "interrupted"
    go_on(tmp_path / "run")
    assert_same_run(whole, tmp_path / "run", 11)


def test_bad_steps_before_the_interruption_are_remembered(tmp_path):
    # The interruption at step 6 comes after two of three bad steps.
    options = TOY | {"health.max_bad_steps": 4}
    toys.FAULTS["data"] = {4, 5, 6}
    begin(tmp_path / "whole", 11, options)
    begin(tmp_path / "run", 11, options, listeners=[Interrupter(6)])
    go_on(tmp_path / "run")
    assert_same_run(tmp_path / "whole", tmp_path / "run", 11)


def test_conditional_digits_resume_bit_for_bit(tmp_path):
    begin(tmp_path / "whole", 7, DIGITS, plugin="image")
    begin(tmp_path / "run", 7, DIGITS, plugin="image", listeners=[Interrupter(3)])
    go_on(tmp_path / "run", plugin="image")
    assert_same_run(tmp_path / "whole", tmp_path / "run", 7)


def test_a_finished_run_trained_on_equals_a_longer_one(tmp_path):
    constant = TOY | {"optimizers": {}, "schedules": "none"}
    begin(tmp_path / "whole", 10, constant)
    begin(tmp_path / "run", 6, constant)
    done = go_on(tmp_path / "run", steps=10)
    assert (done.step, done.outcome) == (10, "completed")
    assert_same_players(tmp_path / "whole", tmp_path / "run", 10)
    assert "steps = 10\n" in (tmp_path / "run" / "config.toml").read_text()


def test_a_finished_run_needs_more_steps_to_go_on(whole):
    with pytest.raises(UsageError, match=r"has been trained for 11 steps; to train it further, add --steps"):
        go_on(whole)
    with pytest.raises(UsageError, match="11 steps"):
        go_on(whole, steps=11)


def test_a_damaged_newest_checkpoint_is_passed_over_aloud(whole, tmp_path):
    begin(tmp_path / "run", 11, TOY, listeners=[Interrupter(6)])
    broken = tmp_path / "run" / "checkpoints" / "step-00000006" / "ema.safetensors"
    data = bytearray(broken.read_bytes())
    data[-1] ^= 1
    broken.write_bytes(data)
    with pytest.warns(UserWarning, match=r"step-00000006': ema\.safetensors is not what was written.*back to step 3"):
        go_on(tmp_path / "run")
    assert_same_run(whole, tmp_path / "run", 11)


def test_a_run_without_a_usable_checkpoint_is_an_error_that_lists_them(tmp_path):
    begin(tmp_path / "run", 11, TOY, listeners=[Interrupter(6)])
    for manifest in (tmp_path / "run" / "checkpoints").glob("*/manifest.json"):
        manifest.write_text("{}")
    with pytest.raises(CheckpointError, match=r"no checkpoint in .* can be used.*step-00000006.*step-00000003"):
        go_on(tmp_path / "run")


def edit(run, before, after):
    config = run / "config.toml"
    assert before in config.read_text()
    config.write_text(config.read_text().replace(before, after, 1))


def test_data_of_another_form_are_refused_even_if_changed_data_will_do(tmp_path):
    begin(tmp_path / "run", 11, TOY, listeners=[Interrupter(6)])
    edit(tmp_path / "run", 'note = ""', 'note = "others"')
    for how in ({}, {"changed_data": True}):
        with pytest.raises(
            CheckpointError, match=r"the data have changed since .*step-00000006' was saved: note was , now is others"
        ):
            go_on(tmp_path / "run", **how)


CHANGES = {
    "samples": ("length = 100", "length = 97", "100 samples then, 97 now"),
    "content": ("centre = 0.0", "centre = 0.25", "the content of the samples differs"),
    "held_out": ("held_out = 0.0", "held_out = 0.2", r"held_out was 0, now is 0\.2"),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_changed_data_are_refused_unless_they_are_asked_for(tmp_path, kind):
    before, after, words = CHANGES[kind]
    run = begin(tmp_path / "run", 11, TOY, listeners=[Interrupter(6)]).folder
    edit(run, before, after)
    with pytest.raises(CheckpointError, match=rf"{words}; restore .*gan resume {run} --changed-data"):
        go_on(run)
    with pytest.warns(UserWarning, match=f"continuing with changed data, as requested: {words}"):
        assert go_on(run, changed_data=True).outcome == "completed"
    # From now on the new ones are those of the run, and nothing is told again.
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="continuing with changed data")
        go_on(run, steps=12)
    edit(run, after, before)
    with pytest.raises(CheckpointError, match="step-00000012"):
        go_on(run, steps=13)


def test_a_resumption_that_is_refused_leaves_the_configuration_as_it_was(tmp_path):
    run = begin(tmp_path / "run", 11, TOY, listeners=[Interrupter(6)]).folder
    edit(run, "length = 100", "length = 97")
    before = (run / "config.toml").read_bytes()
    with pytest.raises(CheckpointError, match="the data have changed"):
        go_on(run, steps=20, options={"keep": 2})
    assert (run / "config.toml").read_bytes() == before
    with pytest.raises(GanError):
        go_on(run, options={"listeners": ["nobody"]})
    assert (run / "config.toml").read_bytes() == before


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("seed = 4", "seed = 5", "seed=4, and .* now says 5: restore it"),
        ("balance = true", "balance = false", "balance=True, and .* now says False: restore it"),
        ("batch_size = 8", "batch_size = 4", "batch_size=8, and .* now says 4: restore it, .* raise micro_batches"),
    ],
)
def test_what_decides_which_samples_come_next_cannot_be_changed(tmp_path, before, after, words):
    run = begin(tmp_path / "run", 11, TOY, listeners=[Interrupter(6)]).folder
    edit(run, before, after)
    for how in ({}, {"changed_data": True}):
        with pytest.raises(CheckpointError, match=words):
            go_on(run, **how)


def test_what_tells_the_data_from_others_is_in_the_run_s_record_of_them(whole):
    facts = json.loads((whole / "data.json").read_text())["fingerprint"]
    saved = checkpoint.newest(whole / "checkpoints")[0].state["data"]
    assert facts["samples"] == 100
    assert facts.items() <= saved.items()


def test_a_changed_architecture_is_refused(tmp_path):
    begin(tmp_path / "run", 11, TOY, listeners=[Interrupter(6)])
    config = tmp_path / "run" / "config.toml"
    config.write_text(config.read_text().replace("width = 8", "width = 9"))
    with pytest.raises(CheckpointError, match="does not fit the network of this configuration"):
        go_on(tmp_path / "run")


def test_a_folder_that_is_no_run_cannot_be_resumed(tmp_path):
    with pytest.raises(RunFolderError, match="is not a run"):
        resume(tmp_path)
