"""The relational memory core: its attention, its gates, and what it remembers."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gan_text.nets.relational_memory import RelationalMemory


def core(slots: int = 3, heads: int = 2, head_size: int = 4, mlp_layers: int = 2) -> RelationalMemory:
    torch.manual_seed(0)
    return RelationalMemory(5, slots, heads, head_size, mlp_layers)


def inputs(count: int = 6) -> tuple[Tensor, Tensor]:
    source = torch.Generator().manual_seed(1)
    return torch.randn(count, 5, generator=source), torch.randn(count, 3, 8, generator=source)


def by_the_book(net: RelationalMemory, x: Tensor, memory: Tensor) -> Tensor:
    """Santoro et al. 2018: attention of torch over memory and input, residuals with normalisation, gates of an LSTM."""
    row = net.input(x)[:, None]
    both = torch.cat([memory, row], dim=1).transpose(0, 1)
    size = net.size
    seen, _ = F.multi_head_attention_forward(
        memory.transpose(0, 1),
        both,
        both,
        size,
        net.heads,
        torch.cat([net.query.weight, net.key_value.weight]),
        torch.zeros(3 * size),
        None,
        None,
        False,
        0.0,
        torch.eye(size),
        torch.zeros(size),
    )
    attended = F.layer_norm(memory + seen.transpose(0, 1), (size,))
    hidden = attended
    for layer in net.mlp:
        hidden = torch.relu(layer(hidden))
    candidate = F.layer_norm(attended + hidden, (size,))
    gates = net.gates_of_input(row) + net.gates_of_memory(torch.tanh(memory))
    return torch.sigmoid(gates[..., :size]) * torch.tanh(candidate) + torch.sigmoid(gates[..., size:]) * memory


@pytest.mark.parametrize("mlp_layers", [1, 2, 4])
def test_a_step_is_that_of_the_paper(mlp_layers: int):
    net = core(mlp_layers=mlp_layers)
    x, memory = inputs()
    torch.testing.assert_close(net(net.prepare(x), memory), by_the_book(net, x, memory), atol=1e-5, rtol=1e-5)


def test_one_slot_attends_to_itself_and_to_the_input():
    net = core(slots=1)
    x, memory = inputs()
    torch.testing.assert_close(net(net.prepare(x), memory[:, :1]), by_the_book(net, x, memory[:, :1]))


def test_slots_differ_at_first():
    memory = core().start(2)
    assert memory.shape == (2, 3, 8)
    assert len(memory[0].unique(dim=0)) == 3


def test_gates_that_are_shut_keep_memory_as_it_is():
    net = core()
    with torch.no_grad():
        net.gates_of_input.bias[:8] = -50.0
        net.gates_of_input.bias[8:] = 50.0
    x, memory = inputs()
    torch.testing.assert_close(net(net.prepare(x), memory), memory)


def test_memory_is_kept_at_first():
    assert core().gates_of_input.bias[8:].tolist() == [1.0] * 8


def test_memory_stays_bounded_however_long_the_text():
    """At first gates keep less than all of it and add less than 1."""
    net = core()
    memory = net.start(4)
    with torch.no_grad():
        for _ in range(300):
            memory = net(net.prepare(torch.randn(4, 5)), memory)
    assert bool(torch.isfinite(memory).all())
    assert float(memory.abs().max()) < 30.0
