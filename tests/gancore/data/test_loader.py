"""The loader: the same bits with any number of workers, ranks and restarts."""

from __future__ import annotations

import multiprocessing
import os
import signal

import pytest
import torch

from gancore.data.batch import Batch
from gancore.data.loader import Loader
from gancore.data.report import ScanReport
from gancore.data.spec import SampleSpec
from gancore.errors import DataError, GanError, UsageError
from gancore.random import Draws, derive


class Numbers:
    """Sample i is i, plus a random number; labels are odd and even."""

    in_memory = False
    spec = SampleSpec(shape=(2,), dtype="float32", value_range=(0.0, 1.0))

    def __init__(self, length=10, labels=True):
        self.length = length
        self.labels = labels
        self.report = ScanReport(source="numbers", found=length, used=length)

    def __len__(self):
        return self.length

    def fetch(self, indices, draws):
        x = torch.stack([indices.float(), draws.uniform("jitter")], dim=1)
        return x, indices % 2 if self.labels else None


class Failing(Numbers):
    def fetch(self, indices, draws):
        if int(draws.positions[0]) >= 8:
            raise ValueError("the disk is on fire")
        return super().fetch(indices, draws)


class Dying(Numbers):
    def fetch(self, indices, draws):
        os.kill(os.getpid(), signal.SIGKILL)


class Curious(Numbers):
    """Sample values tell about the process that reads them."""

    def fetch(self, indices, draws):
        ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        return torch.tensor([[os.getpid(), torch.get_num_threads(), int(ignored)]] * len(indices)), None


def same(a: Batch, b: Batch) -> bool:
    return (
        torch.equal(a.x, b.x)
        and torch.equal(a.condition, b.condition)
        and torch.equal(a.positions, b.positions)
        and a.step == b.step
    )


def test_a_batch_holds_the_samples_at_its_positions_drawn_with_the_seed_of_the_data():
    batch = Loader(Numbers(), batch_size=4, seed=9).batch(3)
    assert batch.positions.tolist() == [12, 13, 14, 15]
    assert batch.step == 3
    jitter = Draws(derive(9, "data"), torch.tensor([12, 13, 14, 15])).uniform("jitter")
    assert torch.equal(batch.x[:, 1], jitter)
    assert torch.equal(batch.condition, batch.x[:, 0].long() % 2)


def test_batches_in_a_row_go_through_every_sample_once_in_an_epoch():
    loader = Loader(Numbers(10), batch_size=4, seed=0)
    drawn = torch.cat([loader.batch(step).x[:, 0] for step in range(5)])
    assert sorted(drawn[:10].tolist()) == sorted(drawn[10:].tolist()) == list(range(10))


def test_any_number_of_workers_gives_the_same_bits():
    alone = Loader(Numbers(), batch_size=4, seed=3)
    with Loader(Numbers(), batch_size=4, seed=3, workers=2, stop=9) as helped:
        assert all(same(alone.batch(step), helped.batch(step)) for step in range(9))


def test_a_step_out_of_order_or_past_the_end_is_the_same_with_workers():
    alone = Loader(Numbers(), batch_size=4, seed=3)
    with Loader(Numbers(), batch_size=4, seed=3, workers=1, start=5, stop=9) as helped:
        assert all(same(alone.batch(step), helped.batch(step)) for step in (5, 6, 2, 3, 8, 20))


def test_workers_leave_the_global_generator_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    with Loader(Numbers(), batch_size=4, seed=3, workers=1, stop=2) as loader:
        loader.batch(0)
    assert torch.equal(torch.get_rng_state(), before)


def test_parts_of_all_ranks_make_up_the_whole_batch():
    whole = Loader(Numbers(), batch_size=6, seed=5).batch(2)
    parts = [Loader(Numbers(), batch_size=6, seed=5, rank=rank, world=3).batch(2) for rank in range(3)]
    assert torch.equal(torch.cat([part.x for part in parts]), whole.x)
    assert torch.equal(torch.cat([part.positions for part in parts]), whole.positions)


def test_a_batch_that_ranks_cannot_share_equally_is_refused():
    with pytest.raises(UsageError, match=r"a batch of 10 .* 4 processes.* such as 12"):
        Loader(Numbers(), batch_size=10, seed=0, world=4)


def test_a_batch_may_be_larger_than_the_data_set():
    batch = Loader(Numbers(3), batch_size=8, seed=0).batch(0)
    assert sorted(batch.x[:3, 0].tolist()) == [0, 1, 2]
    assert len(batch) == 8


def test_without_labels_there_is_no_condition():
    assert Loader(Numbers(labels=False), batch_size=2, seed=0).batch(0).condition is None


@pytest.mark.parametrize("workers", [0, 1])
def test_an_exception_while_reading_arrives_as_a_sentence_with_its_cause(workers):
    with Loader(Failing(), batch_size=4, seed=0, workers=workers, stop=5) as loader:
        loader.batch(0)
        loader.batch(1)
        with pytest.raises(DataError, match="the batch of step 2 could not be read: ValueError: the disk is on fire"):
            loader.batch(2)
        assert not multiprocessing.active_children()


def test_a_worker_that_is_killed_is_reported():
    with (
        Loader(Dying(), batch_size=4, seed=0, workers=1, stop=5) as loader,
        pytest.raises(GanError, match="a worker process that reads data ended unexpectedly"),
    ):
        loader.batch(0)


def test_workers_are_other_processes_with_one_thread_that_leave_ctrl_c_to_the_main_one():
    with Loader(Curious(), batch_size=2, seed=0, workers=1, stop=3) as loader:
        process, threads, ignores = loader.batch(0).x[0].tolist()
    assert process != os.getpid()
    assert threads == 1
    assert ignores == 1


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_workers_read_on_when_their_whole_group_is_told_to_end(name):
    with Loader(Numbers(), batch_size=2, seed=0, workers=1, stop=40) as loader:
        loader.batch(0)
        [worker] = multiprocessing.active_children()
        os.kill(worker.pid, getattr(signal, name))
        worker.join(0.2)
        assert same(loader.batch(1), Loader(Numbers(), batch_size=2, seed=0).batch(1))
        for step in range(2, 20):
            loader.batch(step)
    assert not multiprocessing.active_children()


def test_close_ends_the_workers_and_the_loader_can_go_on():
    loader = Loader(Numbers(), batch_size=2, seed=0, workers=2, stop=10)
    first = loader.batch(0)
    assert len(multiprocessing.active_children()) == 2
    loader.close()
    assert not multiprocessing.active_children()
    assert same(loader.batch(0), first)
    loader.close()


class Uneven(Numbers):
    """One of six is of another class."""

    spec = SampleSpec(shape=(2,), dtype="float32", value_range=(0.0, 1.0), classes=("many", "one"))

    def __init__(self):
        super().__init__(12)
        self.labels = (torch.arange(12) % 6 == 0).long()

    def fetch(self, indices, draws):
        return indices.float()[:, None], self.labels[indices]


def test_balanced_batches_hold_each_class_equally_often_whatever_the_number_of_processes():
    alone = Loader(Uneven(), batch_size=8, seed=1, balance=True)
    ranks = [Loader(Uneven(), batch_size=8, seed=1, balance=True, rank=r, world=2) for r in range(2)]
    for step in range(4):
        whole = alone.batch(step)
        assert whole.condition.sum() == 4
        assert torch.equal(whole.hard, torch.cat([one.batch(step).hard for one in ranks]))


@pytest.mark.parametrize(("source", "why"), [(Numbers(), "have no classes"), (Uneven(), "do not say which")])
def test_balance_without_known_classes_is_refused(source, why):
    source.labels = None
    with pytest.raises(UsageError, match=f"balance=true .* {why}"):
        Loader(source, batch_size=4, seed=1, balance=True)


# --- domains ------------------------------------------------------------------------------------------------------------


class Sides(Numbers):
    """The first 8 samples are of one domain, the last 4 of another; classes are odd and even."""

    spec = SampleSpec(
        shape=(2,), dtype="float32", value_range=(0.0, 1.0), domains=("left", "right"), classes=("even", "odd")
    )
    domains = torch.tensor([0] * 8 + [1] * 4)

    def __init__(self):
        super().__init__(12)
        self.labels = torch.arange(12) % 2

    def fetch(self, indices, draws):
        return torch.stack([indices.float(), draws.uniform("jitter")], dim=1), self.labels[indices]


@pytest.mark.parametrize("balance", [False, True])
def test_every_part_of_a_batch_holds_equally_many_of_each_domain_whoever_reads_it(balance):
    whole = Loader(Sides(), batch_size=8, seed=3, balance=balance)
    ranks = [Loader(Sides(), batch_size=8, seed=3, balance=balance, rank=r, world=2) for r in range(2)]
    met = []
    for step in range(4):
        batch = whole.batch(step)
        halves = [rank.batch(step) for rank in ranks]
        assert torch.equal(torch.cat([half.x for half in halves]), batch.x)
        for part in (batch, *halves, *batch.split(3)):
            assert torch.equal(Sides.domains[part.x[:, 0].long()], part.domain)
            assert torch.bincount(part.domain).tolist() == [len(part) // 2] * 2
        if balance:
            # The smaller domain has two samples of each class, which come in turns.
            assert batch.of(1).condition.view(-1, 2).sum(1).tolist() == [1, 1]
        met.append(batch.of(1).x[:, 0].long().tolist())
    assert [sorted(four) for four in met] == [[8, 9, 10, 11]] * 4
    assert len({tuple(four) for four in met}) > 1


def test_partners_follow_from_the_seed_and_change_from_epoch_to_epoch():
    loader = Loader(Sides(), batch_size=8, seed=3)
    pairs = [
        {(int(a), int(b)) for a, b in zip(batch.of(0).x[:, 0], batch.of(1).x[:, 0], strict=True)}
        for batch in map(loader.batch, range(120))
    ]
    assert len(set.union(*pairs)) == 32  # any sample of one with any of the other


def test_batches_that_cannot_hold_equally_many_of_each_domain_are_refused():
    words = r"batch_size=5: batches hold equally many samples of each of 2 domains \(left, right\); choose a multiple of 2, such as 6"
    with pytest.raises(UsageError, match=words):
        Loader(Sides(), batch_size=5, seed=0)
    with pytest.raises(UsageError, match=r"and 2 processes share them; choose a multiple of 4, such as 8"):
        Loader(Sides(), batch_size=6, seed=0, world=2)
