"""Texts held without gaps and padded when fetched."""

from __future__ import annotations

import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.fetching import fetch

from gan_text.data.source import TokenSource, compact
from gan_text.data.tokenizers import words
from gan_text.spec import TextSpec
from gancore.components import DataSource
from gancore.data.report import ScanReport

SPEC = TextSpec.of(words([["a b c"]]).tokenizer, length=3, tokens="words")
REPORT = ScanReport("made", found=3, used=3)


def source_of(rows, spec=SPEC, **more):
    offsets = torch.tensor([0, *map(len, rows)]).cumsum(0)
    tokens = torch.tensor([token for row in rows for token in row], dtype=torch.int64)
    return TokenSource(compact(tokens, spec.vocabulary), offsets, spec, REPORT, **more)


def test_texts_are_padded_with_end_in_the_order_asked_for():
    source = source_of([[2, 3, 4], [], [4], [3, 2]])
    assert isinstance(source, DataSource)
    assert len(source) == 4
    x, labels = fetch(source, 3, 0, 1, 3)
    assert x.dtype is torch.int32
    assert x.tolist() == [[3, 2, 0], [2, 3, 4], [0, 0, 0], [3, 2, 0]]
    assert labels is None


def test_padding_is_with_the_end_of_the_spec():
    spec = SPEC.model_copy(update={"end": 4})
    assert fetch(source_of([[2], []], spec), 0, 1)[0].tolist() == [[2, 4, 4], [4, 4, 4]]


def test_labels_come_with_their_texts():
    source = source_of([[2], [3], [4]], labels=torch.tensor([1, 0, 2]))
    assert fetch(source, 2, 0)[1].tolist() == [2, 1]


def test_data_without_any_token_are_all_end():
    assert fetch(source_of([[], []]), 1)[0].tolist() == [[0, 0, 0]]


@pytest.mark.parametrize(("vocabulary", "dtype"), [(5, torch.int16), (65_536, torch.int16), (65_537, torch.int32)])
def test_ids_take_two_bytes_where_the_vocabulary_allows_it(vocabulary, dtype):
    assert compact(torch.tensor([0]), vocabulary).dtype is dtype


@given(ids=st.lists(st.integers(0, 65_535), min_size=1, max_size=9))
def test_every_id_survives_two_bytes(ids):
    spec = SPEC.model_copy(update={"shape": (9, 65_536)})
    assert fetch(source_of([ids], spec), 0)[0][0, : len(ids)].tolist() == ids


def test_source_can_be_sent_to_another_process():
    source = source_of([[2, 3], [4]], groups=torch.tensor([0, 0]))
    again = pickle.loads(pickle.dumps(source))
    assert torch.equal(fetch(again, 0, 1)[0], fetch(source, 0, 1)[0])
    assert again.groups.tolist() == [0, 0]
