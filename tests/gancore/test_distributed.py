"""Two processes against one: gradients, figures and whole trainings; and nothing at all where there is only one."""

from __future__ import annotations

import json
import os
import socket
import sys

import pytest
import torch
from support import forked
from support import rank_worker as worker
from torch import nn
from toys.runs import begin, go_on

from gancore import checkpoint, distributed
from gancore.errors import LostProcessError, UsageError
from gancore.games.separation import SIGN


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """What each of two processes found, and the folder that they worked in."""
    folder = tmp_path_factory.mktemp("ranks")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    common = os.environ | {
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": "1",
        "GAN_CACHE_DIR": str(folder / "cache"),
    }
    processes = [
        forked.start(
            sys.executable,
            [worker.__file__, str(folder)],
            cwd=folder,
            env=common | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(2)
    ]
    said = [p.communicate(timeout=90)[1] for p in processes]
    assert [p.returncode for p in processes] == [0, 0], "\n".join(said)
    return folder, [torch.load(folder / f"rank-{rank}.pt", weights_only=False) for rank in range(2)]


def test_processes_under_torchruns_variables_form_a_group(ranks):
    _, found = ranks
    assert [f["identity"] for f in found] == [(True, 0, 2, True), (True, 1, 2, False)]


@pytest.mark.parametrize("case", worker.CASES)
def test_two_processes_give_one_processs_gradients_on_the_whole_batch(ranks, case):
    _, found = ranks
    # In parts only across ranks: that parts of one process add up is shown against plain autograd in games/test_gan.py.
    expected = worker.gradients(case.replace("in 2", "in 1"))
    for rank in found:
        actual = rank["cases"][case]
        for player, grads in expected["gradients"].items():
            assert actual["gradients"][player].keys() >= grads.keys()
            for name, grad in actual["gradients"][player].items():
                wanted = grads.get(name, torch.zeros_like(grad))
                torch.testing.assert_close(grad, wanted, rtol=1e-6, atol=1e-6 * max(1.0, float(wanted.abs().max())))


@pytest.mark.parametrize("case", worker.CASES)
def test_two_processes_record_one_processs_figures(ranks, case):
    _, found = ranks
    expected = worker.gradients(case.replace("in 2", "in 1"))["scalars"]
    for rank in found:
        actual = rank["cases"][case]["scalars"]
        # The AUC counts pairs within a part, so it is another estimate, and so is the sign, where it is relative to a part's fakes.
        assert actual.keys() == expected.keys()
        absolute = case.removeprefix("conditional ").startswith(("non-saturating", "minimax", "hinge", "least-squares"))
        for name in expected.keys() - {"discriminator/auc", "" if absolute else SIGN}:
            assert actual[name] == pytest.approx(expected[name], rel=1e-6, abs=1e-9), name


@pytest.mark.parametrize("case", [c for c in worker.CASES if c.startswith("batch norm")])
def test_two_processes_keep_one_processs_running_statistics(ranks, case):
    _, found = ranks
    expected = worker.gradients(case)["buffers"]
    for rank in found:
        assert rank["cases"][case]["buffers"].keys() == expected.keys()
        for name, value in expected.items():
            torch.testing.assert_close(rank["cases"][case]["buffers"][name], value, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("bucket_bytes", [1, 64, 1 << 20])
def test_missing_gradients_count_as_zeros_whatever_the_size_of_buckets(ranks, bucket_bytes):
    _, found = ranks
    for rank in found:
        means = [set(g.flatten().tolist()) for g in rank["gaps"][bucket_bytes]]
        # (1 + 2) / 2 * 1; 1 / 2 * 2; 2 / 2 * 3; nothing; (1 + 2) / 2 * 5
        assert means == [{1.5}, {1.0}, {3.0}, {0.0}, {7.5}]
        assert [g.dtype for g in rank["gaps"][bucket_bytes]][:2] == [torch.float32, torch.float64]


def test_scalars_are_averaged_by_name_whatever_their_order(ranks):
    _, found = ranks
    assert [f["means"] for f in found] == [{"a": 5.0, "b": 1.5}] * 2


def test_values_and_modules_become_those_of_rank_0(ranks):
    _, found = ranks
    assert [f["value"] for f in found] == [["from", 0]] * 2
    torch.manual_seed(0)
    expected = nn.Conv2d(2, 3, 2)
    for rank in found:
        assert torch.equal(rank["module"]["0.weight"], expected.weight)
        assert torch.equal(rank["module"]["0.bias"], expected.bias)
        assert rank["module"]["1.running_mean"].tolist() == [5.0] * 3


def test_gathered_rows_stand_in_order_of_rank_and_carry_a_gradient_that_averages_right(ranks):
    _, found = ranks
    for number, rank in enumerate(found):
        rows, grad = rank["gather"]
        assert rows.flatten().tolist() == [1, 2, 11, 12]
        own = rows[2 * number : 2 * number + 2]
        # A rank's own rows only, twice, so that the mean over two ranks is the derivative of the one objective.
        torch.testing.assert_close(grad, 2 * 3 * own**2)


def test_the_sum_over_ranks_can_be_differentiated_twice(ranks):
    _, found = ranks
    total = torch.tensor([3.0, 5.0], dtype=torch.float64)
    for rank in found:
        s, first, second = rank["sum"]
        assert torch.equal(s, total)
        # The objectives of both ranks, (1 + 2) s^3, depend on x_r: 9 s^2. Its sum over both ranks again: 2 * 18 s.
        torch.testing.assert_close(first, 9 * total**2)
        torch.testing.assert_close(second, 36 * total)


def test_a_training_by_two_processes_is_that_of_one(ranks, tmp_path):
    folder, found = ranks
    assert [f["run"][:3] for f in found] == [(folder / "run", 5, "completed")] * 2
    assert [f["resumed"][:2] for f in found] == [(7, "completed")] * 2
    assert [f["ticks"] for f in found] == [2, 0]
    begin(tmp_path / "one", 5, **worker.TRAINING)
    go_on(tmp_path / "one", steps=7)
    ours, theirs = (checkpoint.newest(p / "checkpoints")[0] for p in (folder / "run", tmp_path / "one"))
    for name in ("generator", "discriminator", "ema"):
        expected = theirs.tensors(name)
        for key, value in ours.tensors(name).items():
            torch.testing.assert_close(value, expected[key], rtol=1e-4, atol=1e-5, msg=lambda m, k=key: f"{k}: {m}")


def test_figures_of_a_training_by_two_processes_are_those_of_one(ranks, tmp_path):
    folder, _ = ranks
    begin(tmp_path / "one", 5, **worker.TRAINING)
    go_on(tmp_path / "one", steps=7)
    two, one = (
        [json.loads(line) for line in (p / "metrics.jsonl").read_text().splitlines()]
        for p in (folder / "run", tmp_path / "one")
    )
    assert [row["step"] for row in two] == [4, 5, 7]
    for ours, theirs in zip(two, one, strict=True):
        assert ours.keys() == theirs.keys()
        for name in ours.keys() - {"seconds", "samples_per_second", "discriminator/auc", SIGN, "health/spread"}:
            assert ours[name] == pytest.approx(theirs[name], rel=1e-3, abs=1e-4), name


# --- alone --------------------------------------------------------------------------------------------------------------


def test_two_processes_end_together_when_the_figures_of_the_first_get_no_better(ranks):
    folder, found = ranks
    (step, outcome, reason, best), other = (f["ended"] for f in found)
    assert (step, outcome, best) == (4, "stopped", 2)
    assert "mind-points has not improved in the last evaluation" in reason
    assert other == (step, outcome, reason, None)
    assert checkpoint.steps_of(folder / "ended" / "checkpoints" / "best") == [2]


def test_alone_nothing_is_exchanged(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with distributed.process_group(torch.device("cpu")):
        assert not distributed.active()
    assert (distributed.rank(), distributed.world_size(), distributed.is_main()) == (0, 1, True)
    x = torch.ones(2, requires_grad=True)
    assert distributed.gather(x) is x
    assert distributed.sum_over_ranks(x) is x
    assert distributed.broadcast_value("mine") == "mine"
    assert distributed.mean_scalars({"a": 2.0}) == {"a": 2.0}
    p = nn.Parameter(torch.zeros(2))
    distributed.reduce_gradients([p])
    assert p.grad is None


def test_a_process_takes_its_own_card_before_it_joins_the_group(monkeypatch):
    did = []
    for name, value in {"RANK": "5", "LOCAL_RANK": "1", "WORLD_SIZE": "8"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "set_device", lambda number: did.append(("card", number)))
    monkeypatch.setattr(torch.distributed, "init_process_group", lambda backend: did.append(("join", backend)))
    monkeypatch.setattr(torch.distributed, "destroy_process_group", lambda: did.append("leave"))
    with distributed.process_group(torch.device("cuda")):
        pass
    assert did == [("card", 1), ("join", "nccl"), "leave"]


def test_a_batch_that_processes_cannot_share_is_a_usage_error(tmp_path, monkeypatch):
    monkeypatch.setattr(distributed, "world_size", lambda: 3)
    with pytest.raises(UsageError, match="batch_size=8 cannot be shared by 3 processes"):
        begin(tmp_path / "r", 1)


def test_process_that_is_lost_is_told_without_the_place_in_a_library():
    error = RuntimeError(
        "[/p/gloo/tcp/pair.cc:537] Read error [127.0.0.1]:9: Connection reset by peer. This is typical"
    )
    with pytest.raises(LostProcessError) as caught, distributed.talking():
        raise error
    assert str(caught.value).endswith("as process 0 of 1 found (Read error [127.0.0.1]:9: Connection reset by peer)")
