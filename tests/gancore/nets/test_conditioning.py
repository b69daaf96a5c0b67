"""How classes reach a network."""

from __future__ import annotations

import pytest
import torch

from gancore.errors import UsageError
from gancore.nets.conditioning import ClassEmbedding, LatentWithClass, ProjectionHead


def test_projection_adds_the_product_of_class_and_features() -> None:
    head = ProjectionHead(2, 3)
    assert head.classes is not None
    with torch.no_grad():
        head.linear.weight.copy_(torch.tensor([[1.0, -1.0]]))
        head.linear.bias.fill_(0.5)
        head.classes.weight.copy_(torch.tensor([[0.0, 0.0], [1.0, 2.0], [3.0, 4.0]]))
    features = torch.tensor([[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]])
    # w . h + b = 1 - 2 + 0.5; the classes add 0, 1 + 4 and 3 + 8.
    assert head(features, torch.tensor([0, 1, 2])).tolist() == [-0.5, 4.5, 10.5]


def test_without_classes_the_head_is_linear_and_ignores_the_condition() -> None:
    head = ProjectionHead(4, 0)
    features = torch.randn(3, 4)
    assert torch.equal(head(features, torch.tensor([0, 1, 2])), head.linear(features)[:, 0])


def test_the_latent_is_followed_by_the_embedding_of_the_class() -> None:
    layer = LatentWithClass(2, 5, 3)
    z = torch.randn(2, 2)
    assert layer.embedding is not None
    assert torch.equal(layer(z, torch.tensor([4, 0])), torch.cat([z, layer.embedding.weight[[4, 0]]], dim=1))
    assert layer.dim == 5


def test_without_classes_the_latent_stays_as_it_is() -> None:
    layer, z = LatentWithClass(2, 0, 3), torch.randn(2, 2)
    assert layer(z, None) is z
    assert layer.dim == 2


def test_a_missing_condition_is_named_with_the_number_of_classes() -> None:
    with pytest.raises(UsageError, match=r"conditional on 7 classes.*from 0 to 6"):
        ClassEmbedding(7, 2)(None)
