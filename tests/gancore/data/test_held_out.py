"""What is kept from training: which samples, that whole groups go, and that nothing of a run sees them."""

from __future__ import annotations

import json
import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from toys import pictures as toys
from toys.runs import begin as train

from gancore import api
from gancore.checkpoint import newest
from gancore.data.fingerprint import BEYOND
from gancore.data.held_out import Subset, both_parts, domains_of, split
from gancore.data.report import ScanReport
from gancore.data.spec import SampleSpec
from gancore.errors import DataError, PluginError
from gancore.random import Draws, derive, uniform

SOME = Draws(0, torch.arange(3))


class Numbers:
    """Samples that are their own numbers, `[1]`, with groups if some are given."""

    in_memory = True

    def __init__(self, count, groups=None, domains=None):
        self.count = count
        names = () if domains is None else ("day", "night", "dusk")[: int(domains.max()) + 1]
        self.spec = SampleSpec(shape=(1,), dtype="int64", value_range=(0, 10**6), domains=names)
        self.domains = domains
        self.report = ScanReport(source="numbers", found=count, used=count)
        if groups is not None:
            self.groups = groups

    def __len__(self):
        return self.count

    def fetch(self, indices, draws):
        return indices[:, None], indices % 2


@given(sizes=st.lists(st.integers(2, 60), min_size=2, max_size=3), share=st.floats(0.001, 0.9))
def test_of_every_domain_some_samples_are_on_each_side(sizes, share):
    domains = torch.cat([torch.full((n,), number) for number, n in enumerate(sizes)])
    domains = domains[torch.randperm(len(domains), generator=torch.Generator().manual_seed(0))]
    parts = split(Numbers(len(domains), domains=domains), share)
    for rows in (parts.train, parts.held_out):
        assert domains[rows].unique().tolist() == list(range(len(sizes)))
    assert torch.cat([parts.train, parts.held_out]).sort().values.tolist() == list(range(len(domains)))


def test_a_group_of_several_domains_is_on_one_side():
    groups, domains = torch.arange(40) // 2, torch.arange(40) % 2
    parts = split(Numbers(40, groups, domains), 0.3)
    assert not set(groups[parts.train].tolist()) & set(groups[parts.held_out].tolist())
    assert torch.equal(domains_of(Subset(Numbers(40, groups, domains), parts.held_out)), domains[parts.held_out])


def test_a_domain_of_one_sample_cannot_be_split():
    with pytest.raises(DataError, match=r"for the data of domain 'night' are 1 sample; take more data, or held_out=0"):
        split(Numbers(9, domains=torch.tensor([0] * 8 + [1])), 0.1)


@pytest.mark.parametrize(
    ("domains", "words"),
    [
        (
            torch.tensor([0.0, 1.0, 1.0]),
            r"must be an int64 tensor \[3\], for its spec has domains, not torch.float32 \[3\]",
        ),
        (torch.tensor([0, 1]), r"not torch.int64 \[2\]"),
        (
            torch.tensor([0, 2, 2]),
            r"has the numbers 0, 2; of the domains day, night, dusk, numbered 0 to 2, each needs samples",
        ),
    ],
)
def test_domains_that_do_not_fit_are_the_data_sets_fault(domains, words):
    with pytest.raises(PluginError, match=words):
        domains_of(Numbers(3, domains=domains))


def test_a_single_domain_is_refused_and_a_spec_without_names_has_none():
    with pytest.raises(ValueError, match="one domain, 'day', is as good as none"):
        SampleSpec(shape=(1,), domains=("day",))
    assert domains_of(Numbers(3)) is None


@given(count=st.integers(2, 300), share=st.floats(0.001, 0.5))
def test_every_sample_is_on_one_side_and_neither_is_empty(count, share):
    parts = split(Numbers(count), share)
    assert torch.cat([parts.train, parts.held_out]).sort().values.tolist() == list(range(count))
    assert len(parts.train) > 0
    assert len(parts.held_out) > 0


def test_a_sample_is_held_out_where_the_hash_of_its_number_lies_below_the_share():
    hashed = uniform(derive(0, "held-out"), torch.arange(1000), 1)[:, 0]
    assert split(Numbers(1000), 0.2).held_out.tolist() == [n for n in range(1000) if hashed[n] < 0.2]


def test_about_the_share_is_held_out():
    # Of 20,000 independent draws the share has a standard error of 0.0021.
    assert len(split(Numbers(20_000), 0.1).held_out) / 20_000 == pytest.approx(0.1, abs=0.0085)


def test_a_larger_share_holds_out_what_a_smaller_one_does_and_longer_data_what_shorter_ones_do():
    small, large = (set(split(Numbers(500), share).held_out.tolist()) for share in (0.1, 0.3))
    assert small < large
    assert small == {n for n in split(Numbers(900), 0.1).held_out.tolist() if n < 500}


@given(st.lists(st.integers(0, 12), min_size=2, max_size=60).filter(lambda g: len(set(g)) > 1), st.floats(0.01, 0.5))
def test_samples_of_one_group_stay_together(groups, share):
    parts = split(Numbers(len(groups), torch.tensor(groups)), share)
    sides = [{groups[n] for n in side.tolist()} for side in (parts.train, parts.held_out)]
    assert sides[0] & sides[1] == set()
    assert all(sides)


def test_which_group_is_held_out_does_not_depend_on_the_order_of_the_samples():
    groups = torch.arange(40) % 8
    parts = split(Numbers(40, groups), 0.3)
    turned = split(Numbers(40, groups.flip(0)), 0.3)
    assert set(groups[parts.held_out].tolist()) == set(groups.flip(0)[turned.held_out].tolist())


def test_nothing_is_held_out_unless_asked_for():
    source = Numbers(3)
    assert both_parts(source, 0.0)[0] is source
    assert split(source, 0.0).train.tolist() == [0, 1, 2]
    assert len(split(source, 0.0).held_out) == 0


@pytest.mark.parametrize(
    ("count", "groups", "words"),
    [(1, None, "1 sample"), (3, [7, 7, 7], r"3 samples that belong together \(parts or copies of one item\)")],
)
def test_data_of_one_group_cannot_be_split(count, groups, words):
    source = Numbers(count, None if groups is None else torch.tensor(groups))
    with pytest.raises(DataError, match=rf"numbers: held_out=0.1 .* {words}.*held_out=0"):
        split(source, 0.1)


@pytest.mark.parametrize("groups", [[0, 1, 2], torch.zeros(2, dtype=torch.int64), torch.zeros(3)])
def test_groups_that_are_not_a_number_for_each_sample_are_the_plugins_fault(groups):
    with pytest.raises(PluginError, match=r"Numbers.groups must be an int64 tensor \[3\]"):
        split(Numbers(3, groups), 0.1)


def test_the_training_part_numbers_its_samples_anew_and_counts_the_others():
    part = both_parts(Numbers(100), 0.2)[0]
    rows = split(Numbers(100), 0.2).train
    x, labels = part.fetch(torch.tensor([0, 5, len(part) - 1]), SOME)
    assert x[:, 0].tolist() == rows[[0, 5, -1]].tolist()
    assert labels.tolist() == (rows[[0, 5, -1]] % 2).tolist()
    held = 100 - len(rows)
    assert part.report == ScanReport(source="numbers", found=100, used=len(rows), held_out=held)
    assert f"{len(rows)} samples from 100 found, {held} more held out" in part.report.summary()


def test_a_part_can_be_pickled_for_worker_processes():
    part = pickle.loads(pickle.dumps(Subset(Numbers(10), torch.tensor([3, 4, 9]))))
    assert part.fetch(torch.tensor([2]), SOME)[0].tolist() == [[9]]


# --- in a run ---------------------------------------------------------------------------------------------------------


def weights(run):
    return newest(run.folder / "checkpoints")[0].tensors("ema")


def test_a_run_sees_nothing_that_is_held_out_and_all_of_the_rest(tmp_path, monkeypatch):
    seen = set()
    fetch = toys.ToyData.fetch

    def record(self, indices, draws):
        if int(draws.positions.min()) < BEYOND:  # the fingerprint is of all data
            seen.update(indices.tolist())
        return fetch(self, indices, draws)

    monkeypatch.setattr(toys.ToyData, "fetch", record)
    run = train(tmp_path / "run", held_out=0.3)
    parts = split(toys.ToyData(toys.DataOptions()), 0.3)
    assert seen == set(parts.train.tolist())
    told = json.loads((run.folder / "data.json").read_text())
    assert (told["used"], told["held_out"]) == (len(parts.train), len(parts.held_out))


def test_a_resumed_run_equals_an_uninterrupted_one_where_data_are_held_out(tmp_path):
    whole = train(tmp_path / "whole", 8, held_out=0.3)
    train(tmp_path / "half", 5, held_out=0.3)
    resumed = api.resume(tmp_path / "half", steps=8, registry=toys.new_registry())
    one, two = weights(whole), weights(resumed)
    assert all(torch.equal(one[k], two[k]) for k in one)


def test_a_run_that_holds_out_nothing_is_what_it_was_and_another_is_not(tmp_path):
    usual, none, some = (
        train(tmp_path / str(n), **o) for n, o in enumerate([{}, {"held_out": 0.0}, {"held_out": 0.3}])
    )
    one, two, three = weights(usual), weights(none), weights(some)
    assert all(torch.equal(one[k], two[k]) for k in one)
    assert not all(torch.equal(one[k], three[k]) for k in one)
