"""A few short texts with their spec, and small GPT-2s and BERTs, in memory and in model folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from gan_text.data.tokenizers import words
from gan_text.nets import gpt2
from gan_text.spec import TextSpec
from gancore.nets.transformers_loader import load

TEXTS = ["the cat sat on the mat", "a dog ran to the house", "no dog", "the mat, the cat and the dog ran on"]
LENGTH = 10


def spec_of(classes: tuple[str, ...] = (), length: int = LENGTH) -> TextSpec:
    """Words of `TEXTS`; the longest of them fills all places of `LENGTH`."""
    made = words([TEXTS])
    return TextSpec.of(
        made.tokenizer, length=length, tokens="words", end=made.end, unknown=made.unknown, classes=classes
    )


def small(**changes: Any) -> gpt2.Options:
    """Options of a GPT-2 with two layers of width 16."""
    return gpt2.Options(**{"width": 16, "heads": 2, "layers": 2, **changes})


def writer(spec: TextSpec, seed: int = 0, **changes: Any) -> gpt2.Generator:
    """A small GPT-2, its weights spread so widely that texts end, and differ from each other."""
    torch.manual_seed(seed)
    generator: Any = gpt2.build(small(**changes), spec)["generator"]
    with torch.no_grad():
        for parameter in generator.parameters():
            if parameter.dim() > 1:
                parameter.mul_(4.0)
        generator.begin.normal_()
    return generator.eval()


def gpt2_folder(folder: Path, spec: TextSpec, **changes: Any) -> Any:
    """A GPT2LMHeadModel for the tokens of `spec` with its own tokenizer, saved in `folder`; the model."""
    library = load()
    torch.manual_seed(5)
    values = {"vocab_size": spec.vocabulary, "n_positions": 12, "n_embd": 16, "n_layer": 1, "n_head": 2, **changes}
    config = library.GPT2Config(bos_token_id=spec.end, eos_token_id=spec.end, initializer_range=0.3, **values)
    model = library.GPT2LMHeadModel(config)
    model.save_pretrained(folder)
    (folder / "tokenizer.json").write_text(spec.tokenizer, encoding="utf-8")
    return model.eval()


def bert_folder(folder: Path, spec: TextSpec, **changes: Any) -> Any:
    """A BertModel for the tokens of `spec` with its own tokenizer, saved in `folder`; the model."""
    library = load()
    torch.manual_seed(6)
    values = {"vocab_size": spec.vocabulary, "max_position_embeddings": 12, "hidden_size": 16, **changes}
    config = library.BertConfig(num_hidden_layers=1, num_attention_heads=2, intermediate_size=24, **values)
    model = library.BertModel(config)
    model.save_pretrained(folder)
    (folder / "tokenizer.json").write_text(spec.tokenizer, encoding="utf-8")
    return model.eval()


def change_config(folder: Path, **changes: Any) -> None:
    """Other values in the config.json of a model folder."""
    place = folder / "config.json"
    place.write_text(json.dumps(json.loads(place.read_text(encoding="utf-8")) | changes), encoding="utf-8")
