"""The parts of a network at its top level."""

from __future__ import annotations

import torch
from torch import nn

from gancore.nets.stages import OWN, stage_of, stages


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.constant = nn.Parameter(torch.zeros(2))
        self.first = nn.Linear(3, 4)
        self.norm = nn.BatchNorm1d(4)
        self.idle = nn.ReLU()
        self.blocks = nn.ModuleList([nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)), nn.Linear(4, 2)])


def test_sequences_are_opened_and_a_norm_belongs_to_the_layer_before_it():
    found = stages(Net())
    assert [stage.name for stage in found] == [OWN, "first, norm", "blocks.0", "blocks.1"]
    assert [stage.parameters for stage in found] == [2, 12 + 4 + 8, 20 + 20, 4 * 2 + 2]


def test_every_tensor_belongs_to_the_stage_that_holds_it():
    net = Net()
    numbers = {name: stage_of(stages(net), name) for name in net.state_dict()}
    assert {numbers[name] for name in ("first.bias", "norm.running_mean", "norm.weight")} == {1}
    assert (numbers["constant"], numbers["blocks.0.1.weight"], numbers["blocks.1.bias"]) == (0, 2, 3)


def test_a_child_that_holds_everything_is_opened():
    outer = nn.Module()
    outer.net = Net()
    assert [stage.name for stage in stages(outer)] == ["net.first, net.norm", "net.blocks.0", "net.blocks.1"]
