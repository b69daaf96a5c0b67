"""Directions that turn from code to code."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn
from toys.latents import SPEC, predictor

from gancore.components import Attribute
from gancore.errors import RunFolderError
from gancore.evaluation.attributes import Attributes
from gancore.latent import directions
from gancore.latent.curves import PARTS, Curve, digest, fit
from gancore.latent.directions import Course, Direction, Found
from gancore.latent.methods import apart
from gancore.latent.probing import Probe
from gancore.latent.search import Search
from gancore.latent.space import Codes, Space

K, CLASSES = 3, 2


def codes(count: int) -> Codes:
    draws = torch.Generator().manual_seed(1)
    w = torch.randn(count, 2, 2, generator=draws)
    return Codes(w, w[:, 0, :0], torch.eye(CLASSES)[torch.arange(count) % CLASSES])


def test_gradients_are_those_of_autograd() -> None:
    network, x = predictor(K, CLASSES), torch.randn(5, K + CLASSES, generator=torch.Generator().manual_seed(2))
    expected = torch.autograd.functional.jacobian(lambda rows: network(rows).sum(dim=0), x).permute(1, 0, 2)[..., :K]
    torch.testing.assert_close(network.gradients(x), expected)


def test_along_a_linear_prediction_an_edit_is_the_straight_step_that_raises_it_by_its_amount() -> None:
    network = predictor(K, CLASSES, scale=0.0)
    gradients = network.linear[:, :K].double()
    way = apart(gradients, 1, 3.0)
    expected = torch.einsum("k,kls->ls", (way / (way @ gradients[1])).float(), network.basis)
    mean = torch.full((1, 2, 2), 0.3)
    moved = Curve(network, 1, 3.0, 2.0, 1e6).step(codes(4), mean, torch.tensor([1.0, -0.5, 0.0, 3.0]))
    torch.testing.assert_close(moved, torch.tensor([2.0, -1.0, 0.0, 6.0])[:, None, None] * expected)


def test_an_edit_of_nothing_moves_nothing_whatever_else_is_in_the_batch() -> None:
    amounts = torch.tensor([0.0, 1.0, -2.0, 0.0])
    moved = Curve(predictor(K, CLASSES), 0, 1.0, 1.0, 2.0).step(codes(4), torch.zeros(1, 2, 2), amounts)
    assert bool((moved[amounts == 0.0] == 0.0).all())
    assert bool((moved[amounts != 0.0] != 0.0).any(dim=(1, 2)).all())


def test_the_way_of_an_edit_is_no_longer_than_it_may_be() -> None:
    network = predictor(K, CLASSES)
    moved = Curve(network, 0, 1.0, 50.0, 0.7).step(codes(6), torch.zeros(1, 2, 2), torch.full((6,), 2.0))
    lengths = (moved.flatten(1) @ network.coordinates.T).norm(dim=1)
    assert float(lengths.max()) <= 2 * 0.7 * (1 + 1e-5)
    assert float(lengths.max()) > 2 * 0.7 / PARTS


def test_no_prediction_is_worse_than_the_linear_one_that_it_begins_with_and_curved_ones_are_better() -> None:
    draws = torch.Generator().manual_seed(3)
    u = torch.randn(1500, K, generator=draws, dtype=torch.float64)
    noise = torch.randn(1500, generator=draws, dtype=torch.float64)
    values = torch.stack([u[:, 0] * u[:, 1], 0.01 * u[:, 0] + noise], dim=1)
    values[::7, 0] = torch.nan
    linear = torch.tensor([[0.0, 0.0, 0.0], [0.01, 0.0, 0.0]], dtype=torch.float64)
    before = torch.get_rng_state()
    network = fit(u, None, values, linear, torch.eye(K, dtype=torch.float64)[:, None], seed=0)
    assert torch.equal(before, torch.get_rng_state())
    fresh = torch.randn(1000, K, generator=draws)
    made = network(fresh)
    product = fresh[:, 0] * fresh[:, 1]
    assert float((made[:, 0] - product).square().mean()) < 0.1 * float(product.square().mean())
    assert float(made[:, 1].square().mean()) < 0.05  # noise is not learnt by heart


class Saddle(nn.Module):
    """A number that no straight direction raises: the product of two of the latent's."""

    latent_shape = (4,)

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        return torch.stack([z[:, 0] * z[:, 1], z[:, 2], z[:, 3]], dim=1)


def test_what_no_straight_direction_changes_is_followed_by_one_that_turns() -> None:
    record = Attribute(name="product", summary="A number.", target="x:y", less="less", more="more")
    attributes = Attributes({"toy:product": record}, {"toy:product": lambda x: x[:, 0].clone()}, {})
    probe = Probe(Space(Saddle().eval(), SPEC), attributes)
    outcome = Search(probe, samples=1500).run()
    curve, found = outcome.steps["product"], outcome.directions["product"]
    assert isinstance(curve, Curve)
    assert found.curve is not None
    assert found.effects is not None
    begun, edits = probe.codes(32, 9), (-2.0, -1.0, 0.0, 1.0, 2.0)
    values = probe.along(begun, curve, edits)[..., 0]
    assert sum(spearmanr(edits, row).statistic for row in values.T) / 32 > 0.95
    assert found.effects.spearman > 0.95


# --- in a run's folder --------------------------------------------------------------------------------------------------

COURSE = Course(own=1, rate=0.5, longest=2.0)
FOUND = Found(
    step=3, weights="ab", seed=0, samples=100, judged=64,
    directions={"up": Direction(kind="sefa"), "bent": Direction(kind="named", apart=10.0, curve=COURSE)},
)  # fmt: skip
BENT = Curve(predictor(K, CLASSES), 1, 10.0, 0.5, 2.0)


def kept(folder: Path) -> Path:
    return directions.save(folder, FOUND, {"up": torch.ones(2, 2), "bent": BENT}, lambda _: None)


def test_a_curve_is_read_as_it_was_kept(tmp_path: Path) -> None:
    kept(tmp_path)
    loaded = directions.load(tmp_path)
    curve = loaded.steps["bent"]
    assert loaded.found == FOUND
    assert isinstance(curve, Curve)
    assert digest(curve) == digest(BENT) != digest(replace(BENT, rate=0.6))
    one, other = (each.step(codes(4), torch.zeros(1, 2, 2), torch.ones(4)) for each in (curve, BENT))
    assert torch.equal(one, other)


def test_a_damaged_predictor_is_told_with_what_to_do(tmp_path: Path) -> None:
    path = kept(tmp_path) / "predictor.safetensors"
    whole = path.read_bytes()
    for content in (b"", whole[:-9], (tmp_path / "directions" / "directions.safetensors").read_bytes(), None):
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content)
        with pytest.raises(RunFolderError, match="is damaged; remove it and find the directions anew: gan directions"):
            directions.load(tmp_path)


def test_a_curve_of_a_prediction_that_there_is_not_is_damage(tmp_path: Path) -> None:
    path = kept(tmp_path) / "directions.json"
    path.write_text(path.read_text().replace('"own": 1', '"own": 7'))
    with pytest.raises(RunFolderError, match="is damaged"):
        directions.load(tmp_path)
