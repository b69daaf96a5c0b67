"""Whatever is wrong with the newest checkpoint, even under a manifest that fits, the one before takes its place, aloud."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tomllib
import zipfile
from functools import partial
from pathlib import Path

import pytest
import tomli_w
import torch
from safetensors.torch import load_file, save_file
from toys import pictures as toys
from toys import runs

import gancore
from gancore import checkpoint
from gancore.errors import CheckpointError, MisfitError, NonFiniteError, UsageError
from gancore.filling import check_fits
from gancore.run import RunFolder

WEIGHT = "layers.0.weight"
OPTIONS = {"optimizers": {"discriminator": {"name": "rmsprop"}, "generator": {"beta1": 0.5}}}
go_on = partial(runs.go_on, steps=8)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Seven steps, with checkpoints of the steps 6 and 7."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    runs.begin(folder, 7, **OPTIONS)
    return folder


@pytest.fixture
def run(trained, tmp_path):
    return Path(shutil.copytree(trained, tmp_path / "run"))


def newest(run):
    return run / "checkpoints" / "step-00000007"


def fit_manifest(path, **changes):
    """Let whoever changes a checkpoint change its manifest as well."""
    files = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in path.iterdir() if p.name != "manifest.json"}
    (path / "manifest.json").write_text(json.dumps({"format": 1, "step": 7, "sha256": files} | changes))


# --- ways of damage ---------------------------------------------------------------------------------------------------


def tensors(name, change):
    def damage(path):
        file = path / f"{name}.safetensors"
        values = load_file(file)
        change(values)
        save_file(values, file)

    return damage


def at(key, make):
    return lambda values: values.__setitem__(key, make(values[key]))


def poison(number):
    def make(tensor):
        tensor = tensor.clone()
        tensor.view(-1)[-1] = number
        return tensor

    return make


def optimizer(change, name="generator"):
    def damage(path):
        file = path / f"{name}.optimizer.pt"
        state = torch.load(file, weights_only=True)
        changed = change(state)
        torch.save(changed if isinstance(changed, dict) and "state" in changed else state, file)

    return damage


def moment(make, key="exp_avg"):
    return optimizer(lambda state: state["state"][0].__setitem__(key, make(state["state"][0][key])))


def state(change):
    def damage(path):
        file = path / "state.json"
        values = json.loads(file.read_text())
        change(values)
        file.write_text(json.dumps(values))

    return damage


def state_text(text):
    return lambda path: (path / "state.json").write_text(text(path) if callable(text) else text)


def squeeze(path):
    """Pack the archive, as a bomb would be."""
    file = path / "generator.optimizer.pt"
    with zipfile.ZipFile(file) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for name, data in parts.items():
            new.writestr(name, data)


def truncated(name):
    return lambda path: (path / name).write_bytes((path / name).read_bytes()[:-40])


def with_number(text):
    return state_text(
        lambda path: (path / "state.json").read_text().replace('"seconds": ', f'"seconds": {text}, "more": ')
    )


WITH_A_FITTING_MANIFEST = {
    "a weight is NaN": tensors("generator", at(WEIGHT, poison(torch.nan))),
    "a weight of the discriminator is infinite": tensors("discriminator", at(WEIGHT, poison(torch.inf))),
    "the average is NaN": tensors("ema", at(WEIGHT, poison(torch.nan))),
    "a weight is of another type": tensors("generator", at(WEIGHT, lambda t: t.double())),
    "a weight is of integers": tensors("generator", at(WEIGHT, lambda t: t.int())),
    "a weight has another shape": tensors("generator", at(WEIGHT, lambda t: t.T.contiguous())),
    "a weight is too large": tensors("ema", at(WEIGHT, lambda t: torch.zeros(1000, 1000))),
    "a weight is missing": tensors("generator", lambda values: values.pop(WEIGHT)),
    "a weight is too many": tensors("generator", lambda values: values.update(more=torch.zeros(1))),
    "the tensors are cut off": truncated("generator.safetensors"),
    "the tensors are none": lambda path: (path / "ema.safetensors").write_bytes(b"\xff" * 64),
    "a network is missing": lambda path: (path / "discriminator.safetensors").unlink(),
    "a moment is NaN": moment(poison(torch.nan)),
    "a squared moment is infinite": moment(poison(torch.inf), "exp_avg_sq"),
    "a squared moment is negative": moment(lambda t: t - 1.0, "exp_avg_sq"),
    "the step is a half": moment(lambda t: torch.tensor(0.5), "step"),
    "a moment is too small": moment(lambda t: t[:1].clone()),
    "a moment is one number": moment(lambda t: torch.zeros(())),
    "a moment is huge": moment(lambda t: torch.zeros(1).expand(10**9)),
    "a moment has strides of zero": moment(lambda t: torch.ones(1, 1).expand(t.shape)),
    "a moment is of integers": moment(lambda t: t.int()),
    "a moment is sparse": moment(lambda t: t.to_sparse()),
    "a moment is a list": moment(lambda t: t.tolist()),
    "a moment is missing": optimizer(lambda state: state["state"][0].pop("exp_avg")),
    "a moment has another name": optimizer(lambda state: state["state"][0].update(more=torch.zeros(1))),
    "moments of a parameter too many": optimizer(lambda state: state["state"].update({99: state["state"][0]})),
    "the step is no tensor": moment(lambda t: 7, "step"),
    "the step is larger than that of the run": moment(lambda t: torch.tensor(1e9), "step"),
    "the step is negative": moment(lambda t: torch.tensor(-1.0), "step"),
    "moments are emptied": optimizer(lambda state: state["state"].clear()),
    "moments of a parameter are gone": optimizer(lambda state: state["state"].pop(0)),
    "groups are missing": optimizer(lambda state: state.pop("param_groups")),
    "groups are too many": optimizer(lambda state: state["param_groups"].append(state["param_groups"][0])),
    "groups are numbers": optimizer(lambda state: state.update(param_groups=[1])),
    "a group has other parameters": optimizer(lambda state: state["param_groups"][0].update(params=[0])),
    "a group has an infinite rate": optimizer(lambda state: state["param_groups"][0].update(lr=float("inf"))),
    "the optimizer's state is a list": optimizer(lambda state: {"state": [], "param_groups": state["param_groups"]}),
    "the other player's optimizer is damaged": optimizer(lambda state: state.clear(), "discriminator"),
    "the optimizer is packed": squeeze,
    "the optimizer is cut off": truncated("generator.optimizer.pt"),
    "an optimizer is missing": lambda path: (path / "generator.optimizer.pt").unlink(),
    "the state lacks the spec": state(lambda s: s.pop("spec")),
    "the state lacks the health": state(lambda s: s.pop("health")),
    "the state lacks the means": state(lambda s: s.pop("means")),
    "the state lacks the alerts": state(lambda s: s.pop("alerts")),
    "the state lacks what optimizers remember": state(lambda s: s.pop("optimizers")),
    "the state lacks the seconds": state(lambda s: s.pop("seconds")),
    "the state has a key too many": state(lambda s: s.update(more=1)),
    "seconds are a list": state(lambda s: s.update(seconds=[1])),
    "seconds are negative": state(lambda s: s.update(seconds=-1.0)),
    "means are numbers": state(lambda s: s.update(means={"generator/loss": 1.0})),
    "means weigh nothing": state(lambda s: s.update(means={"generator/loss": [1.0, 0.0]})),
    "alerts are of no kind": state(lambda s: s.update(alerts=[{"kind": "joy", "step": 1, "message": ""}])),
    "health counts text": state(lambda s: s["health"].update(bad_in_a_row="5")),
    "the spec is text": state(lambda s: s.update(spec="toy")),
    "the spec is another": state(lambda s: s["spec"].update(shape=["x", {}])),
    "the step is text": state(lambda s: s.update(step="7")),
    "the state is nested deep": state_text('{"a":' + "[" * 100_000 + "]" * 100_000 + "}"),
    "the state has an infinite number": with_number("1e999"),
    "the state has NaN": with_number("NaN"),
    "the state has a number of 400 digits": with_number("1" + "0" * 399),
    "the state has a number of 5000 digits": with_number("1" * 5000),
    "the state is a list": state_text("[1]"),
    "the state is no text": lambda path: (path / "state.json").write_bytes(b"\xff\xfe{}"),
}  # fmt: skip


@pytest.mark.parametrize("kind", WITH_A_FITTING_MANIFEST)
def test_content_that_cannot_be_used_is_passed_over_for_the_checkpoint_before(run, kind):
    WITH_A_FITTING_MANIFEST[kind](newest(run))
    fit_manifest(newest(run))
    with pytest.warns(UserWarning, match=r"step-00000007'.*; going back to step 6") as told:
        done = go_on(run)
    assert done.step == 8
    assert len(told) == 1
    assert "\n" not in str(told[0].message)


def link_in_a_circle(path):
    (path / "state.json").unlink()
    (path / "state.json").symlink_to("state.json")


def in_place_of(name, make):
    def damage(path):
        (path / name).unlink()
        make(path / name)

    return damage


def replaced(make):
    def damage(path):
        shutil.rmtree(path)
        make(path)

    return damage


def named(name):
    """Let the manifest list one file more."""

    def damage(path):
        manifest = json.loads((path / "manifest.json").read_text())
        fit_manifest(path, sha256=manifest["sha256"] | {name: "0"})

    return damage


UNREADABLE = {
    "manifest is a FIFO": in_place_of("manifest.json", os.mkfifo),
    "manifest is a folder": in_place_of("manifest.json", Path.mkdir),
    "state is a FIFO": in_place_of("state.json", os.mkfifo),
    "weights are a folder": in_place_of("generator.safetensors", Path.mkdir),
    "state links to itself": link_in_a_circle,
    "checkpoint is a FIFO": replaced(os.mkfifo),
    "checkpoint is a file": replaced(Path.touch),
    "checkpoint links nowhere": replaced(lambda path: path.symlink_to("nowhere")),
    "a name is too long": named("x" * 5000),
    "a name has a zero in it": named("x\0"),
    "digests are numbers": lambda path: fit_manifest(path, sha256={"state.json": 1}),
    "manifest's step is a fraction": lambda path: fit_manifest(path, step=7.5),
    "manifest's format is text": lambda path: fit_manifest(path, format="new"),
    "manifest is nested deep": lambda path: (path / "manifest.json").write_text("[" * 100_000),
    "manifest's step is infinite": lambda path: (path / "manifest.json").write_text('{"format":1,"sha256":{},"step":1e999}'),
}  # fmt: skip


@pytest.mark.parametrize("kind", UNREADABLE)
def test_what_cannot_be_read_is_passed_over_for_the_checkpoint_before(run, kind):
    UNREADABLE[kind](newest(run))
    with pytest.warns(UserWarning, match=r"step-00000007'.*; going back to step 6"):
        assert go_on(run).step == 8


def test_a_renamed_checkpoint_is_not_taken_for_that_of_another_step(run):
    newest(run).rename(newest(run).with_name("step-00000009"))
    with pytest.warns(UserWarning, match=r"step-00000009' has been renamed: it is of step 7; going back to step 6"):
        assert go_on(run).step == 8


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES])
def test_a_disk_that_fails_is_told_and_the_checkpoint_before_is_taken(run, monkeypatch, number):
    digest = checkpoint._digest

    def failing(path):
        if path.parent == newest(run) and path.name == "ema.safetensors":
            raise OSError(number, os.strerror(number), str(path))
        return digest(path)

    monkeypatch.setattr(checkpoint, "_digest", failing)
    words = rf"step-00000007': ema\.safetensors cannot be read \({os.strerror(number)}\); going back to step 6"
    with pytest.warns(UserWarning, match=words):
        go_on(run)


def test_a_run_that_fell_back_is_the_run_that_was_interrupted_there(run, tmp_path, trained):
    WITH_A_FITTING_MANIFEST["the other player's optimizer is damaged"](newest(run))
    fit_manifest(newest(run))
    with pytest.warns(UserWarning, match="going back to step 6"):
        go_on(run)
    whole = tmp_path / "whole"
    runs.begin(whole, 8, **OPTIONS)
    ours, theirs = (checkpoint.verify(f / "checkpoints" / "step-00000008") for f in (run, whole))
    for name in ("generator", "discriminator", "ema"):
        one, other = ours.tensors(name), theirs.tensors(name)
        assert all(torch.equal(one[k], other[k]) for k in other)


def test_a_finished_run_whose_last_checkpoint_is_bad_goes_on_from_the_one_before(run):
    WITH_A_FITTING_MANIFEST["the average is NaN"](newest(run))
    fit_manifest(newest(run))
    with pytest.warns(UserWarning, match="going back to step 6"):
        assert runs.go_on(run).step == 7
    tensors = checkpoint.newest(run / "checkpoints")[0].tensors("ema")
    assert all(torch.isfinite(t).all() for t in tensors.values())


def test_network_that_is_kept_without_being_trained_may_hold_what_is_not_finite(run):
    save_file({"latest": torch.tensor(torch.nan)}, newest(run) / "notes.safetensors")
    fit_manifest(newest(run))
    with pytest.raises(UsageError, match="has been trained for 7 steps"):
        runs.go_on(run)


def test_variances_below_zero_which_would_give_nan_are_refused():
    norm = torch.nn.BatchNorm1d(2)
    with pytest.raises(CheckpointError, match="the saved generator has variances below zero, in running_var"):
        check_fits(norm, norm.state_dict() | {"running_var": torch.tensor([1.0, -1.0])}, "generator")
    check_fits(norm, norm.state_dict(), "generator")


def test_samples_that_are_not_finite_are_refused_though_the_weights_are_not(run, monkeypatch):
    monkeypatch.setattr("gancore.sampling.drawing.generate", lambda *arguments: torch.tensor([[1.0, torch.nan]]))
    generator = gancore.load(run, registry=toys.new_registry(), device="cpu")
    assert generator.step == 7
    with pytest.raises(NonFiniteError, match="the generator makes samples that are not finite"):
        generator.sample(2)


def test_a_checkpoint_that_is_saved_while_older_ones_are_taken_away_is_found(run):
    def use(found):
        if found.step < 8:  # as a training does that keeps one, between a look at the folder and at what is in it
            shutil.rmtree(run / "checkpoints")
            shutil.copytree(saved, run / "checkpoints" / "step-00000008")
            raise CheckpointError("it is gone")
        return found.step

    saved = checkpoint.newest(resume_copy(run).checkpoints)[0].path
    assert checkpoint.newest_usable(run / "checkpoints", use)[0] == 8


def resume_copy(run):
    copy = Path(shutil.copytree(run, run.parent / "copy"))
    go_on(copy)
    return RunFolder(copy)


def test_when_all_are_bad_one_sentence_lists_each(run):
    for path in (run / "checkpoints").iterdir():
        WITH_A_FITTING_MANIFEST["the average is NaN"](path)
        fit_manifest(path, step=int(path.name[-1]))
    with pytest.raises(
        CheckpointError, match=r"no checkpoint .* can be used: .*0007'.*not finite.*; .*0006'.*not finite"
    ):
        go_on(run)


def edit(run, before, after, count=1):
    text = (run / "config.toml").read_text()
    assert before in text
    (run / "config.toml").write_text(text.replace(before, after, count))


def choose(run, player, optimizer):
    values = tomllib.loads((run / "config.toml").read_text())
    values["optimizers"][player] = {"name": optimizer}
    (run / "config.toml").write_text(tomli_w.dumps(values))


def test_a_changed_architecture_is_told_without_blaming_damage(run):
    edit(run, "width = 8", "width = 9")
    with pytest.raises(
        MisfitError, match=r"does not fit the network of this configuration .*put back what was changed"
    ) as e:
        go_on(run)
    assert "can be used" not in str(e.value)


@pytest.mark.parametrize(("before", "after"), [("adam", "sgd"), ("adam", "rmsprop"), ("rmsprop", "adam")])
def test_another_kind_of_optimizer_is_told_in_words(run, before, after):
    who = "discriminator" if before == "rmsprop" else "generator"
    choose(run, who, after)
    with pytest.raises(MisfitError, match=rf"the {who} was trained with {before}.*config\.toml now says .*\"{after}\""):
        go_on(run)


def test_an_optimizer_s_options_are_those_of_the_configuration(run):
    edit(run, "eps = 1e-08", "eps = 0.5", 2)
    go_on(run)
    saved = checkpoint.newest(run / "checkpoints")[0].optimizer("generator")
    assert saved["param_groups"][0]["eps"] == 0.5


@pytest.mark.parametrize("kind", WITH_A_FITTING_MANIFEST)
def test_a_generator_is_loaded_from_the_checkpoint_before(run, kind):
    WITH_A_FITTING_MANIFEST[kind](newest(run))
    fit_manifest(newest(run))
    with pytest.warns(UserWarning, match=r"step-00000007'.*; taking step 6"):
        assert gancore.load(run, registry=toys.new_registry(), device="cpu").step == 6


def test_a_generator_is_not_loaded_from_a_checkpoint_with_bad_numbers_that_is_asked_for(run):
    WITH_A_FITTING_MANIFEST["a moment is NaN"](newest(run))
    fit_manifest(newest(run))
    with pytest.raises(CheckpointError, match=r"generator\.optimizer\.pt has numbers that are not finite"):
        gancore.load(run, registry=toys.new_registry(), device="cpu", step=7)


def test_a_generator_does_not_need_the_optimizer_that_the_configuration_names(run):
    choose(run, "generator", "sgd")
    assert gancore.load(run, registry=toys.new_registry(), device="cpu").step == 7


# --- figures ----------------------------------------------------------------------------------------------------------


def test_damaged_figures_do_not_stop_a_resume(run):
    (run / "metrics.jsonl").write_bytes(b'\xff\n{"step": 4, "seconds": 1}\n')
    with pytest.warns(UserWarning, match=r"metrics\.jsonl' is damaged in line 1"):
        assert go_on(run).step == 8
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [4, 8]
    assert (run / "report.html").is_file()
