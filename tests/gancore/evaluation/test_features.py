"""Features are computed once a set, kept on disk for real samples, and checked."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gancore.errors import PluginError
from gancore.evaluation.features import Computed, places
from gancore.evaluation.records import Samples


def samples(count, seed=0):
    return Samples(torch.randint(0, 256, (count, 4), generator=torch.Generator().manual_seed(seed)).to(torch.uint8))


class Doubled:
    """Twice the values; counts what it is shown."""

    def __init__(self, fingerprint="one"):
        self.fingerprint = fingerprint
        self.seen = 0

    def __call__(self, x):
        self.seen += len(x)
        return x.float() * 2


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GAN_CACHE_DIR", str(tmp_path / "cache"))


def test_each_set_is_looked_at_once_however_often_it_is_asked_for():
    extractor, generated = Doubled(), samples(300)
    features = Computed("f", extractor, train=samples(10, 1))
    for _ in range(3):
        torch.testing.assert_close(features.of(generated), generated.x.float() * 2)
    assert extractor.seen == 300


def test_the_first_of_the_training_set_are_not_looked_at_again():
    extractor, train = Doubled(), samples(50)
    features = Computed("f", extractor, train=train.part(slice(40)))
    assert features.of(train.part(slice(7))).shape == (7, 4)
    assert features.of(train).shape == (40, 4)
    assert extractor.seen == 40


def test_kept_features_serve_another_evaluation_and_not_another_network():
    real = samples(30)
    Computed("f", Doubled(), train=samples(5, 1), keep=[real]).of(real)
    again, other = Doubled(), Doubled("two")
    torch.testing.assert_close(
        Computed("f", again, train=samples(5, 1), keep=[samples(30)]).of(real), real.x.float() * 2
    )
    Computed("f", other, train=samples(5, 1), keep=[real]).of(real)
    assert (again.seen, other.seen) == (30, 30)
    once_more = Doubled()
    torch.testing.assert_close(Computed("f", once_more, train=samples(5, 1), keep=[real]).of(real), real.x.float() * 2)
    assert once_more.seen == 0


def test_features_of_other_samples_are_not_taken_for_kept_ones():
    one, other = samples(30), samples(30, 1)
    Computed("f", Doubled(), train=samples(5, 1), keep=[one]).of(one)
    extractor = Doubled()
    torch.testing.assert_close(
        Computed("f", extractor, train=samples(5, 1), keep=[other]).of(other), other.x.float() * 2
    )
    assert extractor.seen == 30


def test_a_damaged_file_is_computed_again(tmp_path):
    real = samples(30)
    Computed("f", Doubled(), train=samples(5, 1), keep=[real]).of(real)
    (kept,) = (tmp_path / "cache").rglob("*.safetensors")
    kept.write_bytes(kept.read_bytes()[:-4] + b"oops")
    extractor = Doubled()
    with pytest.warns(UserWarning, match="damaged"):
        torch.testing.assert_close(
            Computed("f", extractor, train=samples(5, 1), keep=[real]).of(real), real.x.float() * 2
        )
    assert extractor.seen == 30


def test_without_a_cache_folder_features_are_computed(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GAN_CACHE_DIR", str(tmp_path / "file"))
    real = samples(30)
    with pytest.warns(UserWarning, match="cache"):
        assert Computed("f", Doubled(), train=samples(5, 1), keep=[real]).of(real).shape == (30, 4)


def test_a_network_looks_in_evaluation_mode_and_without_gradients():
    class Network(nn.Module):
        fingerprint = "network"

        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 2)
            self.drop = nn.Dropout(0.5)

        def forward(self, x):
            return self.drop(self.linear(x.float()))

    found = Computed("f", Network(), train=samples(5)).of(samples(200, 1))
    assert not found.requires_grad
    assert (found != 0).all()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda x: x.float()[:, 0], r"\[9\] for 9 samples, not \[9, size\]"),
        (lambda x: x.float()[:-1], r"\[8, 4\] for 9 samples"),
        (lambda x: x.numpy(), "ndarray for 9 samples"),
        (lambda x: x.float() / 0.0, "values that are not finite"),
    ],
)
def test_what_is_no_features_is_told(answer, words):
    extractor = Doubled()
    features = Computed(
        "mine", type("E", (), {"fingerprint": "", "__call__": lambda _, x: answer(x)})(), train=samples(5)
    )
    with pytest.raises(PluginError, match=f"features 'mine' gave {words}"):
        features.of(samples(9))
    assert extractor.seen == 0


def test_features_that_want_it_are_fitted_to_the_training_set_first():
    class Centred:
        fingerprint = ""

        def fit(self, train):
            self.mean = train.x.float().mean(dim=0)
            self.fingerprint = "fitted"

        def __call__(self, x):
            return x.float() - self.mean

    train = samples(100)
    features = Computed("f", Centred(), train=train)
    torch.testing.assert_close(features.of(train).mean(dim=0), torch.zeros(4), atol=1e-4, rtol=0.0)


def test_nearest_training_sample_is_euclidean_unless_the_features_have_a_distance():
    train, generated = (
        Samples(torch.tensor([[0.0, 0.0], [10.0, 0.0]])),
        Samples(torch.tensor([[3.0, 4.0], [10.0, 0.0]])),
    )

    class Same:
        fingerprint = ""

        def __call__(self, x):
            return x

    class Own(Same):
        near, same = 0.5, 0.1

        def keys(self, samples):
            return [b"equal"] * len(samples)

        def nearest(self, samples, train, leave_out):
            return torch.full((len(samples),), 7.0, dtype=torch.float64)

    euclidean = Computed("f", Same(), train=train)
    assert euclidean.nearest(generated, 5).tolist() == [5.0, 0.0]
    assert euclidean.nearest(train, 1, torch.tensor([0])).tolist() == [10.0]
    assert euclidean.near is None
    own = Computed("f", Own(), train=train)
    assert own.nearest(generated, 1).tolist() == [7.0]
    assert (own.near, own.same, own.keys(generated, 1)) == (0.5, 0.1, [b"equal"])
    assert own.authenticity(generated, 5) is None


def test_keys_are_equal_for_equal_samples_alone():
    features = Computed("f", Doubled(), train=samples(5))
    keys = features.keys(Samples(torch.tensor([[1, 2], [3, 4], [1, 2], [9, 9]])), 3)
    assert len(keys) == 3
    assert keys[0] == keys[2] != keys[1]


def test_places_are_those_of_equal_keys():
    assert places([b"c", b"a", b"x"], [b"a", b"b", b"c", b"a"]).tolist() == [2, 0, -1]


class Backwards:
    """Features that mislead, with a distance of their own: that of the first values."""

    fingerprint, near, same = "backwards", 0.0, 0.0

    def __call__(self, x):
        return -x[:, 1:2].float()

    def keys(self, samples):
        return [bytes(row.tolist()) for row in samples]

    def nearest(self, samples, train, leave_out):
        return (samples[:, :1].double() - train[:, 0].double()).abs().amin(dim=1)


@pytest.mark.parametrize("count", [20, 300])
def test_neighbours_are_those_by_a_distance_of_the_extractors_own_even_where_features_lie_far_apart(count):
    own = torch.arange(count).remainder(250)
    train = Samples(torch.stack([own, 255 - own, own, own], dim=1).to(torch.uint8))
    generated = Samples(torch.tensor([[9, 9, 9, 9], [12, 0, 0, 0]], dtype=torch.uint8))
    found = Computed("f", Backwards(), train=train).neighbours(generated, 1, 2, 0.0)
    assert found.distances.tolist() == [[0.0, 0.0 if count > 262 else 1.0]]
    assert found.places[0, 0] == 12


def test_neighbours_by_features_alone_are_the_euclidean_ones():
    train = Samples(torch.tensor([[0, 0, 0, 0], [9, 0, 0, 0], [1, 0, 0, 0]], dtype=torch.uint8))
    generated = Samples(torch.tensor([[50, 0, 0, 0], [2, 0, 0, 0]], dtype=torch.uint8))
    found = Computed("f", Doubled(), train=train).neighbours(generated, 1, 5, 2.0)
    assert found.places.tolist() == [[2, 0, 1]]
    assert found.distances[0].tolist() == pytest.approx([2.0, 4.0, 14.0])
