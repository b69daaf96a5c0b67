"""Directions of generators whose directions are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
import torch
from scipy.stats import linregress, spearmanr
from torch import Tensor, nn
from toys.latents import CLASSED, SPEC, Mapped, Plain

from gancore.components import Attribute
from gancore.data.spec import SampleSpec
from gancore.evaluation.attributes import Attributes
from gancore.latent.methods import apart, gradient
from gancore.latent.probing import POSITIONS, Probe, response
from gancore.latent.search import Outcome, Search
from gancore.latent.space import Space

Measures = Mapping[str, Callable[[Tensor], Tensor]]
SMALL = 0.01
"""Of weights, so that no sample is clamped."""


class Linear(nn.Module):
    """Three numbers, each a linear function of a latent of 16."""

    latent_shape = (16,)

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.linear = nn.Linear(16, 3, bias=False)
        self.linear.weight = nn.Parameter(SMALL * weights)

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        made: Tensor = self.linear(z)
        return made


def column(number: int) -> Callable[[Tensor], Tensor]:
    return lambda x: x[:, number].clone()


FIRST: Measures = {"first": column(0)}
TWO: Measures = {"first": column(0), "second": column(1)}


def found(generator: nn.Module, measures: Measures, spec: SampleSpec = SPEC, samples: int = 400) -> Outcome:
    records = {
        f"toy:{name}": Attribute(name=name, summary="A number.", target="x:y", less="less", more="more")
        for name in measures
    }
    attributes = Attributes(records, {f"toy:{name}": measure for name, measure in measures.items()}, {})
    return Search(Probe(Space(generator.eval(), spec), attributes), samples=samples).run()


def cosine(one: Tensor, other: Tensor) -> float:
    return float(torch.nn.functional.cosine_similarity(one.flatten().double(), other.flatten().double(), dim=0))


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def test_the_direction_of_a_linear_attribute_is_found_and_moves_it_by_a_deviation() -> None:
    weights = torch.randn(3, 16)
    outcome = found(Linear(weights), FIRST)
    step, effects = outcome.steps["first"], outcome.directions["first"].effects
    assert cosine(step, weights[0]) > 0.99
    assert float(step[0] @ weights[0].double()) == pytest.approx(float(weights[0].norm()), rel=0.1)
    deviation = SMALL * SPEC.value_range[1] * float(weights[0].norm())
    assert outcome.directions["first"].deviation == pytest.approx(deviation, rel=0.1)
    assert effects is not None
    assert effects.change == pytest.approx(1.0, rel=0.1)
    assert effects.spearman == pytest.approx(1.0)
    assert effects.random_change < 0.6


def test_changes_of_other_attributes_are_taken_out() -> None:
    weights = torch.zeros(3, 16)
    weights[0, 0] = weights[1, 0] = weights[1, 1] = 1.0
    outcome = found(Linear(weights), TWO)
    first = outcome.directions["first"]
    assert first.apart > 0.0
    assert cosine(outcome.steps["first"], weights[0] - torch.eye(16)[1]) > 0.95
    assert first.effects is not None
    assert first.effects.change == pytest.approx(1.0, rel=0.1)
    assert first.effects.others < 0.3


def test_only_those_layers_are_moved_by_which_an_attribute_changes_alone() -> None:
    generator = Mapped()
    generator.linear.bias.data += 2.0  # so that codes do not rectify what is linear
    with torch.no_grad():
        generator.layers.zero_()
        generator.layers[0, :, 1] = generator.layers[2, :, 0] = SMALL * torch.randn(5)
    outcome = found(generator, TWO)
    assert outcome.directions["first"].layers == (2, 2)
    assert outcome.directions["second"].layers == (0, 0)
    effects = outcome.directions["first"].effects
    assert effects is not None
    assert effects.others == pytest.approx(0.0, abs=1e-6)
    assert outcome.steps["first"][:2].eq(0.0).all()


def test_first_weights_and_components_give_what_changes_samples_most() -> None:
    weights = torch.zeros(3, 16)
    weights[0, 3], weights[1, 3], weights[1, 5] = 5.0, 3.0, 1.0
    outcome = found(Linear(weights), {})
    rows = torch.nn.functional.normalize(weights, dim=1)
    assert abs(cosine(outcome.steps["sefa-1"], torch.linalg.svd(rows).Vh[0])) > 0.999
    assert float(outcome.steps["sefa-1"].norm()) == pytest.approx(1.0, rel=0.1)
    assert outcome.directions["sefa-1"].effects is None
    mapped = found(Mapped(), {})
    assert mapped.steps["pca-1"].norm() >= mapped.steps["pca-2"].norm() > 0.0


def test_a_direction_that_is_found_is_told_by_what_it_changes_most_and_raises_it() -> None:
    weights = torch.zeros(3, 16)
    weights[0, 3] = -2.0
    outcome = found(Linear(weights), FIRST)
    assert outcome.directions["sefa-1"].attribute == "toy:first"
    assert cosine(outcome.steps["sefa-1"], -weights[0].view(16)[None]) < -0.99
    effects = outcome.directions["sefa-1"].effects
    assert effects is not None
    assert effects.change > 0.9
    assert effects.changes["first"] == effects.change


def test_what_cannot_be_steered_is_left_out_with_its_reason() -> None:
    def never(x: Tensor) -> Tensor:
        return torch.full((len(x),), torch.nan)

    def noise(x: Tensor) -> Tensor:
        return (x[:, 0] * 1e5).remainder(1.0)

    def fixed(x: Tensor) -> Tensor:
        return torch.ones(len(x))

    outcome = found(Linear(torch.randn(3, 16)), {"never": never, "noise": noise, "fixed": fixed})
    assert "named" not in {one.kind for one in outcome.directions.values()}
    assert "only 0 of 400 samples have it" in outcome.left_out["never"]
    assert "more than random" in outcome.left_out["noise"]
    assert "the same in all samples" in outcome.left_out["fixed"]


def test_what_follows_from_the_class_is_no_direction() -> None:
    generator = Plain(3)
    with torch.no_grad():
        generator.linear.weight *= SMALL
        generator.linear.weight[0, :4] = 0.0
    outcome = found(generator, TWO, CLASSED)
    assert outcome.left_out["first"] == "it follows from the class"
    weights = generator.linear.weight[1, :4].detach()
    assert cosine(outcome.steps["second"], weights) > 0.99


def test_samples_that_have_no_value_do_not_count() -> None:
    weights = torch.randn(3, 16)
    outcome = found(Linear(weights), {"first": lambda x: torch.where(x[:, 1] > 0.0, x[:, 0], torch.nan)})
    assert cosine(outcome.steps["first"], weights[0]) > 0.95


def test_ridge_is_the_gradient_of_a_linear_function_and_shrinks_noise() -> None:
    u = torch.randn(500, 6, dtype=torch.float64)
    weights = torch.tensor([1.0, -2.0, 0.0, 0.5, 0.0, 0.0], dtype=torch.float64)
    torch.testing.assert_close(gradient(u, u @ weights + 3.0), weights, rtol=1e-2, atol=1e-2)
    assert gradient(u, torch.randn(500, dtype=torch.float64)).norm() < 0.2


def test_taking_others_out_wholly_makes_orthogonal() -> None:
    gradients = torch.randn(4, 9, dtype=torch.float64)
    torch.testing.assert_close(apart(gradients, 2, 0.0), gradients[2] / gradients[2].norm())
    direction = apart(gradients, 2, 1e9)
    assert (gradients[[0, 1, 3]] @ direction).abs().max() < 1e-6
    assert float(direction.norm()) == pytest.approx(1.0)


def test_responses_are_slopes_and_rank_correlations() -> None:
    values = torch.randn(9, 3, 1, dtype=torch.float64)
    values[4, 0] = values[2, 0]
    values[3, 1] = torch.nan
    values[1:, 2] = torch.nan
    result = response(values, POSITIONS)
    for sample in (0, 1):
        y = values[:, sample, 0]
        known = ~y.isnan()
        x = torch.tensor(POSITIONS, dtype=torch.float64)[known]
        assert float(result.slopes[sample, 0]) == pytest.approx(linregress(x, y[known]).slope)
        assert float(result.ranks[sample, 0]) == pytest.approx(spearmanr(x, y[known]).statistic)
    assert bool(result.slopes[2, 0].isnan())
    assert float(result.change[0]) == pytest.approx(float(result.slopes[:2, 0].mean()))


def test_the_same_seed_finds_the_same() -> None:
    generator = Linear(torch.randn(3, 16))
    one, other = found(generator, TWO, samples=100), found(generator, TWO, samples=100)
    assert one.directions == other.directions
    assert all(torch.equal(step, other.steps[name]) for name, step in one.steps.items())


def test_generators_without_layers_have_no_found_directions() -> None:
    class Bare(nn.Module):
        latent_shape = (3,)

        def __init__(self) -> None:
            super().__init__()
            self.unused = nn.Parameter(torch.zeros(1))

        def forward(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
            return SMALL * z

    outcome = found(Bare(), FIRST, SPEC)
    assert list(outcome.directions) == ["first"]
    assert "no linear or convolutional layers" in outcome.left_out["sefa"]
