"""What is left out while likelihood is trained: whole tokens, and connections from place to place; and mixed precision."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from toys.texts import latents, spec_of, texts

from gan_text.nets import lstm

SPEC = spec_of()


def generator_of(**options):
    torch.manual_seed(2)
    own = {"embedding": 6, "width": 8, "dropout": 0.0, **options}
    return lstm.build(lstm.Options.model_validate(own), SPEC)["generator"]


def by_hand(generator, hard, *, weight, tokens):
    """Logits of an LSTM written out, with its recurrent weights and token vectors given."""
    layer = generator.layers[0]
    x = torch.cat([generator.begin.expand(len(hard), 1, -1), F.embedding(hard[:, :-1].long(), tokens)], 1)
    h = c = torch.zeros(len(hard), 8)
    rows = []
    for place in range(hard.shape[1]):
        gates = x[:, place] @ layer.weight_ih_l0.T + layer.bias_ih_l0 + h @ weight.T + layer.bias_hh_l0
        i, f, g, o = gates.chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        rows.append(generator.project(generator.narrowed(h)))
    return torch.stack(rows, 1)


def test_recurrent_connections_are_left_out_the_same_at_every_place():
    generator, hard = generator_of(recurrent_dropout=0.5), texts(7, 5, 6, 3, 7, 1, spec=SPEC)
    weight = generator.layers[0].weight_hh_l0
    torch.manual_seed(4)
    dropped = F.dropout(weight, 0.5)
    assert 0.3 < float((dropped == 0).float().mean()) < 0.7
    torch.manual_seed(4)
    expected = by_hand(generator, hard, weight=dropped, tokens=generator.tokens.weight)
    torch.testing.assert_close(generator.logits(hard, None), expected, rtol=1e-4, atol=1e-5)
    generator.eval()
    expected = by_hand(generator, hard, weight=weight, tokens=generator.tokens.weight)
    torch.testing.assert_close(generator.logits(hard, None), expected, rtol=1e-4, atol=1e-5)


def test_a_token_is_left_out_wherever_it_stands_in_the_batch():
    generator, hard = generator_of(token_dropout=0.5), texts(7, 5, 6, 3, 7, 1, spec=SPEC)
    torch.manual_seed(4)
    kept = F.dropout(torch.ones(SPEC.vocabulary), 0.5)
    assert 0 < int((kept == 0).sum()) < SPEC.vocabulary
    torch.manual_seed(4)
    expected = by_hand(
        generator, hard, weight=generator.layers[0].weight_hh_l0, tokens=generator.tokens.weight * kept[:, None]
    )
    torch.testing.assert_close(generator.logits(hard, None), expected, rtol=1e-4, atol=1e-5)


def test_a_class_is_read_even_where_its_token_is_left_out():
    spec = spec_of(classes=2)
    torch.manual_seed(2)
    options = lstm.Options.model_validate({"embedding": 6, "width": 8, "dropout": 0.0, "token_dropout": 0.9})
    generator = lstm.build(options, spec)["generator"]
    hard, condition = texts(7, 5, 3, 2, 6, spec=spec), torch.tensor([0, 1, 0, 1, 1])
    torch.manual_seed(4)
    read = generator.inputs(hard.long(), condition)
    torch.manual_seed(4)
    kept = F.dropout(torch.ones(spec.vocabulary), 0.9)
    tokens = F.embedding(hard[:, :-1].long(), generator.tokens.weight * kept[:, None])
    torch.testing.assert_close(read[:, 1:], tokens + generator.classes(condition)[:, None])


@pytest.mark.parametrize("option", ["recurrent_dropout", "token_dropout"])
def test_texts_are_drawn_without_anything_left_out(option):
    generator, plain = generator_of(**{option: 0.9}), generator_of()
    plain.load_state_dict(generator.state_dict())
    z = latents(generator, 6)
    assert generator.training
    assert torch.equal(generator.gumbel(z, None), plain.gumbel(z, None))
    assert torch.equal(generator.sample(z, None), plain.sample(z, None))


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_under_autocast_layers_compute_in_float32_on_a_processor(dropout: float):
    generator, hard = generator_of(recurrent_dropout=dropout), texts(7, 5, 6, 3, 7, 1, spec=SPEC)
    made = []
    generator.layers[0].register_forward_hook(lambda layer, args, out: made.append((args[0].dtype, out[0].dtype)))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        generator.nll(hard).sum().backward()
    assert made == [(torch.float32, torch.float32)]
    assert torch.isfinite(generator.layers[0].weight_hh_l0.grad).all()
