"""The built-in digits."""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from support.fetching import fetch

from gan_image.data.digits import Options, open_digits


def test_digits_are_scikit_learns_scaled_to_full_range():
    source = open_digits(Options(), lambda *_: None)
    original = load_digits()
    x, labels = fetch(source, 0, 5, 1796)
    assert x.shape == (3, 1, 8, 8)
    assert x.dtype == torch.uint8
    expected = torch.from_numpy(original.images[[0, 5, 1796]] * 255 / 16)[:, None]
    assert (x - expected).abs().max() <= 0.5
    assert x.max() == 255
    assert labels.tolist() == original.target[[0, 5, 1796]].tolist()
    assert len(source) == 1797
    assert source.spec.classes == tuple("0123456789")
    assert source.report.used == 1797


def test_digits_without_labels_have_no_classes():
    source = open_digits(Options(labels=False), lambda *_: None)
    assert fetch(source, 0, 1)[1] is None
    assert source.spec.classes == ()
