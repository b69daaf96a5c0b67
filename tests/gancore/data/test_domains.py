"""Data by their domains: partners, sources to translate, and what stands for them where there are none."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from toys import one_step
from toys.pictures import DataOptions, ToyData, ToySpec

from gancore.data.classes import Content
from gancore.data.domains import InDomains, content_of, in_domains, sources_of, with_given
from gancore.data.held_out import Subset
from gancore.data.spec import SampleSpec
from gancore.errors import PluginError, UsageError
from gancore.random import Draws


def batch(domains, turns, first=0):
    names = tuple(map(str, range(domains)))
    whole = one_step.double_batch(domains * turns, step=first)
    domain = whole.positions % domains
    whole = replace(whole, condition=domain, domain=domain, domains=domains)
    return whole, with_given(whole, ToySpec(domains=names, classes=names), 5)


@given(st.integers(2, 5), st.integers(1, 5))
def test_each_sample_is_given_one_of_another_domain_and_each_is_given_once(domains, turns):
    plain, found = batch(domains, turns)
    assert not bool((found.source == found.domain).any())
    row_of = {tuple(x.flatten().tolist()): row for row, x in enumerate(plain.x)}
    rows = [row_of[tuple(x.flatten().tolist())] for x in found.given]
    assert sorted(rows) == list(range(domains * turns))
    assert found.source.tolist() == [int(plain.domain[row]) for row in rows]
    assert [row // domains for row in rows] == [row // domains for row in range(domains * turns)]


def test_of_many_domains_partners_change_from_turn_to_turn_and_do_not_depend_on_the_batch():
    _, found = batch(4, 60)
    shifts = ((found.source - found.domain) % 4)[::4]
    assert set(shifts.tolist()) == {1, 2, 3}
    _, later = batch(4, 20, first=2)
    assert torch.equal(later.source, found.source[160:])


def test_sources_are_taken_in_turn_and_never_of_the_domain_itself():
    pool = torch.tensor([0, 1, 1, 0])
    assert sources_of(torch.tensor([0, 0, 0, 1, 1]), pool).tolist() == [1, 2, 1, 0, 3]
    with pytest.raises(UsageError, match="no sample of another domain"):
        sources_of(torch.tensor([1]), torch.tensor([1, 1]))


def test_classes_are_domains_for_a_game_that_translates_and_for_no_other():
    source = ToyData(DataOptions(labels=True))
    assert in_domains(source) is source
    found = in_domains(source, translating="cut")
    assert isinstance(found, InDomains)
    assert found.spec.domains == found.spec.classes == source.spec.classes
    assert found.spec.given_shape == found.spec.shape
    assert not found.spec.given_kept
    x, labels = found.fetch(torch.arange(6), Draws(0, torch.arange(6)))
    assert labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert x.shape == (6, 1, 4, 4)
    assert in_domains(found, translating="cut") is found


def test_domains_of_the_data_stand_where_classes_did_and_these_are_content():
    source = ToyData(DataOptions(labels=True))
    source.domains = torch.arange(100) % 2
    source.spec = source.spec.model_copy(update={"domains": ("old", "new")})
    found = in_domains(source)
    assert found.spec.classes == ("old", "new")
    assert torch.equal(found.labels, source.domains)
    assert torch.equal(found.content.numbers, source.labels)
    assert found.content.names == source.spec.model_copy().classes


def test_content_that_data_know_is_theirs_and_that_of_a_part_the_parts():
    source = ToyData(DataOptions(labels=True))
    source.content = Content(torch.arange(100) % 5, tuple("vwxyz"))
    assert content_of(source) is None  # not where nothing is translated
    found = in_domains(source, translating="cut")
    assert content_of(found) is source.content
    assert content_of(Subset(found, torch.tensor([7, 3]))).numbers.tolist() == [2, 3]
    source.content = None
    assert content_of(in_domains(source, translating="cut")) is None


@pytest.mark.parametrize(
    "content", [torch.arange(100), Content(torch.arange(99), ("a",) * 99), Content(torch.arange(100), ("a",))]
)
def test_content_that_is_none_is_a_fault_of_the_data_set(content):
    source = ToyData(DataOptions(labels=True))
    source.content = content
    with pytest.raises(
        PluginError, match=r"ToyData\.content must be a Content whose numbers are an int64 tensor \[100\]"
    ):
        in_domains(source, translating="cut")


def test_data_of_one_class_or_of_none_are_refused_with_what_to_do():
    with pytest.raises(
        UsageError,
        match=r"'toy' have no classes \(one folder alone.*; give a folder with a folder of files for each domain",
    ):
        in_domains(ToyData(DataOptions()), translating="cut")
    with pytest.raises(
        UsageError, match=r"this run translates between a, b, .*give a folder with a folder of files for each$"
    ):
        in_domains(ToyData(DataOptions()), translating="cut", like=SampleSpec(shape=(1,), domains=("a", "b")))
    single = ToyData(DataOptions(labels=True))
    single.spec = single.spec.model_copy(update={"classes": ("a",)})
    with pytest.raises(UsageError, match="have one class, 'a'"):
        in_domains(single, translating="cut")
    # Other data than those that were trained on may be of one of the domains alone.
    single.labels = torch.zeros(100, dtype=torch.int64)
    assert in_domains(single, translating="cut", like=single.spec).spec.domains == ("a",)
