"""A whole training: what listeners hear and when, who may end it, and what happens when numbers are not finite."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from toys import pictures as toys
from toys.runs import begin as run
from toys.runs import go_on, rows

import gancore
import gancore.run
from gancore import checkpoint
from gancore.engine import optimizers, parts, session
from gancore.errors import ConfigError, NonFiniteError, PluginError, UsageError


class Listener:
    """Remembers every event; ends the run at step `stop`."""

    def __init__(self, stop=0):
        self.stop = stop
        self.heard = []

    @gancore.hookimpl
    def gan_run_started(self, event):
        self.heard.append(("started", event.step))
        self.data = event.data

    @gancore.hookimpl
    def gan_tick(self, event):
        self.heard.append(("tick", event.step))
        self.last = event

    @gancore.hookimpl
    def gan_should_stop(self, event):
        self.heard.append(("asked", event.step))
        return "that will do" if event.step == self.stop else None

    @gancore.hookimpl
    def gan_checkpoint_saved(self, event):
        self.heard.append(("saved", event.step))
        assert checkpoint.verify(event.path).step == event.step

    @gancore.hookimpl
    def gan_run_finished(self, event):
        self.heard.append((event.outcome, event.step))
        self.reason = event.reason

    def steps(self, kind):
        return [step for k, step in self.heard if k == kind]


@pytest.mark.parametrize("labels", [True, False])
def test_a_run_says_which_classes_its_data_have(tmp_path, labels):
    listener = Listener()
    run(tmp_path / "run", 1, [listener], **{"data.labels": labels})
    names = toys.CLASSES
    assert listener.data.endswith(f"; {len(names)} classes ({', '.join(names[:-1])} and {names[-1]})") == labels


def alerts(folder):
    return [alert for row in rows(folder) for alert in row.get("alerts", [])]


# --- what happens when --------------------------------------------------------------------------------------------------


def test_things_happen_when_they_are_due_and_in_this_order(tmp_path):
    heard = Listener()
    done = run(tmp_path / "run", 10, [heard])
    assert heard.heard == [
        ("started", 0),
        ("saved", 3),
        ("tick", 4), ("asked", 4),
        ("saved", 6),
        ("tick", 8), ("asked", 8),
        ("saved", 9),
        ("tick", 10), ("asked", 10),
        ("saved", 10),
        ("completed", 10),
    ]  # fmt: skip
    assert (done.step, done.outcome, done.reason) == (10, "completed", "reached step 10")
    assert [row["step"] for row in rows(tmp_path / "run")] == [4, 8, 10]
    sheets = sorted(p.name for p in (tmp_path / "run" / "samples").glob("step-*"))
    assert sheets == ["step-00000000.txt", "step-00000005.txt", "step-00000010.txt"]
    assert sorted(p.name for p in (tmp_path / "run" / "checkpoints").iterdir()) == ["step-00000009", "step-00000010"]


def test_a_tick_carries_the_means_of_its_steps(tmp_path):
    one, four = Listener(), Listener()
    run(tmp_path / "one", 4, [one], **{"every.log": 1})
    done = run(tmp_path / "four", 4, [four], **{"every.log": 4})
    each = rows(tmp_path / "one")
    for name in ("discriminator/loss", "generator/loss", "generator/grad_norm", "discriminator/auc"):
        mean = sum(row[name] for row in each) / 4
        assert four.last.scalars[name] == pytest.approx(mean, rel=1e-5)
    assert dict(done.scalars) == dict(four.last.scalars)
    assert four.last.samples_per_second > 0


def test_a_listener_may_end_the_run_and_its_reason_is_kept(tmp_path):
    heard = Listener(stop=8)
    done = run(tmp_path / "run", 20, [heard])
    assert (done.step, done.outcome, done.reason) == (8, "stopped", "that will do")
    assert heard.heard[-2:] == [("saved", 8), ("stopped", 8)]
    assert heard.reason == "that will do"
    assert "That will do" in (tmp_path / "run" / "report.html").read_text()


def test_a_run_is_told_to_its_own_listeners_alone(tmp_path):
    registry, first, second = toys.new_registry(), Listener(), Listener()
    for name, listener in (("first", first), ("second", second)):
        run(tmp_path / name, 1, [listener], registry=registry)
    assert first.steps("completed") == second.steps("completed") == [1]


def test_a_listener_outside_of_a_list_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"listeners=<.*Listener object at .*>: give a list of objects"):
        run(tmp_path / "run", 1, Listener())
    assert not (tmp_path / "run").exists()


def test_a_wish_to_stop_at_the_last_step_comes_too_late(tmp_path):
    done = run(tmp_path / "run", 8, [Listener(stop=8)])
    assert (done.step, done.outcome) == (8, "completed")


def test_an_empty_reason_ends_nothing(tmp_path):
    class Empty:
        @gancore.hookimpl
        def gan_should_stop(self, event):
            return ""

    done = run(tmp_path / "run", 8, [Empty()])
    assert (done.step, done.outcome) == (8, "completed")


def test_a_run_stopped_where_a_checkpoint_was_due_saves_it_once(tmp_path):
    heard = Listener(stop=4)
    assert run(tmp_path / "run", 10, [heard], **{"every.checkpoint": 4}).outcome == "stopped"
    assert heard.steps("saved") == [4]


def test_a_writer_that_cannot_be_made_is_told_before_there_is_a_folder(tmp_path, monkeypatch):
    def no_font(*arguments):
        raise UsageError("no such sound font")

    monkeypatch.setattr("gancore.engine.parts.check_writers", no_font)
    with pytest.raises(UsageError, match="no such sound font"):
        run(tmp_path / "run", 4)
    assert not (tmp_path / "run").exists()


def test_an_exception_in_training_reaches_the_caller_and_listeners_hear_of_the_end(tmp_path):
    toys.FAULTS["crash"] = {4}
    heard = Listener()
    with pytest.raises(RuntimeError, match="broke down"):
        run(tmp_path / "run", 9, [heard])
    assert heard.heard[-1] == ("failed", 4)
    assert heard.reason == "the toy generator broke down"


def test_the_same_seed_gives_the_same_run_and_another_seed_another(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run(tmp_path / name, 3, seed=seed, **{"architecture.norm": "batch"})
    a, b, c = (checkpoint.newest(tmp_path / n / "checkpoints")[0].tensors("ema") for n in "abc")
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert not any(torch.equal(a[k], c[k]) for k in a if k.endswith("weight"))
    sheets = [(tmp_path / n / "samples" / "step-00000003.txt").read_text() for n in "abc"]
    assert sheets[0] == sheets[1] != sheets[2]


def test_training_leaves_the_callers_random_numbers_alone(tmp_path):
    before = torch.get_rng_state()
    run(tmp_path / "run", 2)
    assert torch.equal(torch.get_rng_state(), before)


# --- numbers that are not finite ----------------------------------------------------------------------------------------

EACH = {"every.checkpoint": 1, "every.log": 2, "keep": 100, "every.health": 0}
NORMED = {"name": "pair", "norm": "batch", "discriminator_norm": "batch"}
NETWORKS = ("generator", "discriminator", "ema")


def saved(folder, step):
    return checkpoint.verify(folder / "checkpoints" / f"step-{step:08d}")


def unchanged(folder, before, after, name):
    first, second = saved(folder, before).tensors(name), saved(folder, after).tensors(name)
    return {key for key in first if torch.equal(first[key], second[key])}, set(first)


def same_optimizer(folder, before, after, name):
    first, second = (saved(folder, step).optimizer(name)["state"] for step in (before, after))
    return all(torch.equal(first[i][k], second[i][k]) for i in first for k in first[i])


def test_a_step_with_a_bad_sample_changes_nothing(tmp_path):
    toys.FAULTS["data"] = {3, 4}
    run(tmp_path / "run", 8, architecture=NORMED, **EACH)
    for after in (4, 5):
        for name in NETWORKS:
            same, every = unchanged(tmp_path / "run", 3, after, name)
            assert same == every, f"{name} changed: {every - same}"
        assert same_optimizer(tmp_path / "run", 3, after, "discriminator")
        assert same_optimizer(tmp_path / "run", 3, after, "generator")
    for name in NETWORKS:
        assert not unchanged(tmp_path / "run", 5, 6, name)[0]


def test_a_bad_gradient_of_the_generator_leaves_it_its_average_and_all_statistics_alone(tmp_path):
    toys.FAULTS["generator"] = {3}
    run(tmp_path / "run", 6, architecture=NORMED, **EACH)
    for name in ("generator", "ema"):
        same, every = unchanged(tmp_path / "run", 3, 4, name)
        assert same == every
    assert same_optimizer(tmp_path / "run", 3, 4, "generator")
    # The discriminator had moved by then; its statistics go back with the others.
    same, every = unchanged(tmp_path / "run", 3, 4, "discriminator")
    assert {k for k in every if "running" in k or "num_batches" in k} == same
    assert not unchanged(tmp_path / "run", 4, 5, "generator")[0]


def test_bad_steps_are_told_once_and_so_is_recovery(tmp_path):
    toys.FAULTS["data"] = {3, 4, 5}
    run(tmp_path / "run", 10, **EACH)
    told = alerts(tmp_path / "run")
    assert [text.split(":")[0] for text in told] == ["step 4", "step 7"]
    assert "the discriminator's gradients are not finite" in told[0]
    assert "lower learning rate" in told[0]
    assert "finite again" in told[1]
    for row in rows(tmp_path / "run"):
        assert all(value == value for value in row.values()), row


@pytest.mark.parametrize("options", [{"batch_size": 1}, {"batch_size": 8}])
def test_figures_stay_finite_where_spread_cannot_be_measured(tmp_path, options):
    toys.FAULTS["data"] = {3}  # with single samples, step 24 and later
    run(tmp_path / "run", 6, **{"every.health": 2, "every.log": 1, **options})
    text = (tmp_path / "run" / "metrics.jsonl").read_text()
    assert "NaN" not in text
    measured = [row["step"] for row in rows(tmp_path / "run") if "health/spread" in row]
    assert measured == ([] if options["batch_size"] == 1 else [2, 6])


def test_too_many_bad_steps_end_the_run_with_what_and_where_and_a_good_checkpoint(tmp_path):
    toys.FAULTS["data"] = set(range(5, 100))
    heard = Listener()
    with pytest.raises(NonFiniteError) as caught:
        run(tmp_path / "run", 50, [heard], **{"health.max_bad_steps": 4})
    message = str(caught.value)
    assert "stopped at step 9" in message
    assert "gradients of the discriminator were not finite in 4 steps in a row" in message
    assert "layers.0.weight" in message
    good = saved(tmp_path / "run", 6)
    assert f"the last good checkpoint is {good.path} (step 6)" in message
    assert heard.heard[-1] == ("failed", 9)
    assert heard.reason == message
    for name in NETWORKS:
        assert all(torch.isfinite(t).all() for t in good.tensors(name).values())
    # Step 6 was a bad one already: what it saved are the weights of step 5, and sampling from them works.
    generator = gancore.load(tmp_path / "run", registry=toys.new_registry(), device="cpu")
    assert generator.step == 6
    assert torch.isfinite(generator.sample(3)).all()
    # With the cause gone the run can go on.
    toys.FAULTS.clear()
    assert go_on(tmp_path / "run", steps=12).outcome == "completed"


def test_giving_up_before_the_first_checkpoint_says_so(tmp_path):
    toys.FAULTS["data"] = set(range(100))
    with pytest.raises(NonFiniteError, match="no checkpoint had been saved yet"):
        run(tmp_path / "run", 50, **{"every.checkpoint": 0})


@pytest.fixture
def no_denominator(monkeypatch):
    """Optimizers as they are where `eps` is too small for float32: a parameter without a gradient becomes NaN."""
    build = optimizers.build_optimizer

    def without(chosen, parameters):
        return build(replace(chosen, options=chosen.options.model_copy(update={"eps": 1e-50})), parameters)

    monkeypatch.setattr(optimizers, "build_optimizer", without)


def test_an_update_that_is_not_finite_ends_the_run_before_anything_bad_is_kept(tmp_path, no_denominator, monkeypatch):
    averaged = []
    monkeypatch.setattr(parts.MovingAverage, "update", lambda self, *_: averaged.append(1))
    monkeypatch.setattr(toys, "ToyGenerator", Idle)
    heard = Listener()
    with pytest.raises(NonFiniteError) as caught:
        run(tmp_path / "run", 9, [heard], **EACH)
    message = str(caught.value)
    assert "stopped at step 1: the optimizer made unused of the generator not finite" in message
    assert "no checkpoint had been saved yet; nothing was saved after it" in message
    assert "raise optimizers.generator.eps" in message
    assert heard.heard[-1] == ("failed", 1)
    assert not averaged
    assert not list((tmp_path / "run").glob("checkpoints/*"))
    assert "the generator's update is not finite, in unused" in alerts(tmp_path / "run")[0]


class Idle(toys.ToyGenerator):
    """Has a weight whose gradient is zero."""

    def __init__(self, options, spec):
        super().__init__(options, spec)
        self.unused = torch.nn.Parameter(torch.zeros(()))

    def forward(self, z, condition):
        return super().forward(z, condition) + 0.0 * self.unused


@pytest.mark.parametrize("place", ["ema", "optimizer", "buffer"])
def test_what_is_not_finite_is_not_saved(tmp_path, monkeypatch, place):
    def spoil(running):
        if running.state.step == 6:
            average = running.state.ema.module
            tensor = {
                "ema": lambda: next(average.parameters()),
                "buffer": lambda: next(average.buffers()),
                "optimizer": lambda: running.state.players["generator"].optimizer.state_dict()["state"][0]["exp_avg"],
            }[place]()
            tensor.view(-1)[0] = torch.nan
        return save(running)

    save = session.Session._save
    monkeypatch.setattr(session.Session, "_save", spoil)
    words = {"ema": r"layers\.0\.weight of the moving average", "buffer": r"layers.* of the moving average"}
    where = words.get(place, r"state\.0\.exp_avg of the generator's optimizer")
    kept = tmp_path / "run" / "checkpoints" / "step-00000003"
    with pytest.raises(NonFiniteError, match=rf"step 6, which was not saved: .* in {where}.*{kept} \(step 3\)"):
        run(tmp_path / "run", 9, architecture=NORMED)
    assert [path.name for path in kept.parent.iterdir()] == [kept.name]
    assert go_on(tmp_path / "run", steps=5).step == 5


@pytest.mark.parametrize("option", ["eps", "lr"])
def test_what_float32_cannot_hold_is_no_option_of_an_optimizer(tmp_path, option):
    with pytest.raises(ConfigError, match=rf"optimizers\.generator\.{option}: .* 1\.2e-38 to 10?, not 1e-50"):
        run(tmp_path / "run", 1, **{f"optimizers.generator.{option}": 1e-50})


# --- on the disk --------------------------------------------------------------------------------------------------------


def test_what_a_checkpoint_relies_on_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    log = []
    sync, rename = gancore.run.sync, Path.rename
    monkeypatch.setattr(gancore.run, "sync", lambda path: (log.append(path.name), sync(path)))
    monkeypatch.setattr(Path, "rename", lambda self, to: (log.append(to.name), rename(self, to))[1])
    run(tmp_path / "run", 5, **{"every.checkpoint": 4})
    for step in ("step-00000004", "step-00000005"):
        before = log[: log.index(step)]
        for name in ("config.toml", "environment.json", "data.json", "metrics.jsonl", "run", tmp_path.name):
            assert name in before[-7:], (step, name)


@pytest.mark.parametrize("mask", [0o022, 0o002])
def test_all_files_of_a_run_have_the_mode_that_the_umask_leaves(tmp_path, mask):
    before = os.umask(mask)
    try:
        run(tmp_path / "run", 3)
    finally:
        os.umask(before)
    files = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert len(files) > 10
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in files} == dict.fromkeys(
        [path.name for path in files], oct(0o666 & ~mask)
    )


# --- other games and settings -------------------------------------------------------------------------------------------


def test_a_game_of_three_players_trains_phase_by_phase(tmp_path):
    toys.RAN.clear()
    heard = Listener()
    trio = {"architecture": {"name": "three"}, "game": {"name": "trio"}}
    run(tmp_path / "run", 8, [heard], **trio)
    main, encoder = "discriminator/main", "encoder/latent"
    assert [
        (0, "generator/warm-up"), (0, encoder),
        (1, "generator/warm-up"), (1, encoder),
        (2, main), (2, "generator/main"), (2, encoder),
        (3, main), (3, encoder), (3, "encoder/late"),
        (4, main), (4, "generator/main"), (4, encoder),
        (5, main), (5, encoder),
        (6, main), (6, "generator/main"), (6, encoder), (6, "encoder/late"),
        (7, main), (7, encoder),
    ] == toys.RAN  # fmt: skip
    last = saved(tmp_path / "run", 8)
    steps = {
        n: {int(s["step"]) for s in last.optimizer(n)["state"].values()}
        for n in ("generator", "discriminator", "encoder")
    }
    # The two phases of the encoder that meet in steps 3 and 6 share one optimizer step.
    assert steps == {"generator": {5}, "discriminator": {6}, "encoder": {8}}
    assert {"encoder/latent", "encoder/grad_norm", "discriminator/main"} <= set(heard.last.scalars)


def test_a_game_of_three_players_resumes_bit_for_bit(tmp_path):
    trio = {"architecture": {"name": "three"}, "game": {"name": "trio"}}
    run(tmp_path / "whole", 9, **trio)
    run(tmp_path / "parts", 5, **trio)
    go_on(tmp_path / "parts", steps=9)
    for name in ("generator", "discriminator", "encoder", "ema"):
        first, second = (saved(tmp_path / n, 9).tensors(name) for n in ("whole", "parts"))
        assert all(torch.equal(first[k], second[k]) for k in first)


def test_optimizers_of_unknown_players_are_refused_and_missing_networks_named(tmp_path):
    with pytest.raises(UsageError, match="no such player"):
        run(tmp_path / "a", 2, **{"optimizers.encoder.lr": 0.1})
    with pytest.raises(PluginError, match="needs a network for encoder"):
        run(tmp_path / "b", 2, game={"name": "trio"})


@pytest.mark.parametrize(
    "options",
    [
        {"precision": "bf16", "loss": "rpgan", "penalties": {"r1": {}, "r2": {}}},
        {"precision": "bf16", "architecture": {"name": "pair", "norm": "batch", "spectral_norm": "both"}},
        {"memory_format": "channels_last"},
        {"micro_batches": 3, "loss": "ragan", "penalties": {"gradient-penalty": {}}, "augmentations": {"wobble": {}}},
        {"ema.half_life": 0},
        {"loss": "wasserstein", "penalties": {"weight-clip": {"clip": 0.05}}, "game": {"generator_every": 3}},
    ],
    ids=["bf16", "bf16 spectral", "channels last", "micro-batches", "no ema", "clipped"],
)  # fmt: skip
def test_trainings_of_all_kinds_end_with_finite_figures(tmp_path, options):
    done = run(tmp_path / "run", 4, **{"data.labels": True, **options})
    assert done.outcome == "completed"
    assert all(torch.isfinite(torch.tensor(v)) for v in done.scalars.values())
    last = saved(tmp_path / "run", 4)
    for name in NETWORKS:
        assert all(t.dtype != torch.bfloat16 and torch.isfinite(t).all() for t in last.tensors(name).values())
    if "clip" in str(options):
        assert max(float(t.abs().max()) for t in last.tensors("discriminator").values()) <= 0.05 + 1e-7
    if options.get("ema.half_life") == 0:
        raw, average = last.tensors("generator"), last.tensors("ema")
        assert all(torch.equal(raw[k], average[k]) for k in raw)
