"""A generator as a model folder of the transformers library, which needs nothing of this project to be used."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from tokenizers import Tokenizer, processors
from torch.nn.utils import parametrize

from gancore.errors import UsageError
from gancore.nets.transformers_loader import load, silence
from gancore.storage import occupied

if TYPE_CHECKING:
    from gan_text.nets.gpt2 import Generator
    from gan_text.spec import TextSpec


def save(generator: Generator, folder: Path, spec: TextSpec, condition: int | None) -> Path:
    """Save `generator` in `folder`, which must be empty or missing; see `Generator.export`."""
    if spec.class_count and (condition is None or not 0 <= condition < spec.class_count):
        raise UsageError(
            f"a model of the transformers library knows no classes, and this generator has {spec.class_count}: choose one "
            f"of them, from 0 to {spec.class_count - 1} ({', '.join(spec.classes[:5])}...), to be exported alone"
        )
    if condition is not None and not spec.class_count:
        raise UsageError(f"class {condition} was asked for, and this generator has no classes: leave it out")
    if occupied(folder):
        raise UsageError(f"'{folder}' exists already: choose a folder that is empty, or not there yet")
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        with silence():
            _model(generator, spec, condition).save_pretrained(unfinished)
            _tokenizer(spec, generator.body.config.n_positions).save_pretrained(unfinished)
        if folder.exists():
            folder.rmdir()
        os.replace(unfinished, folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return folder


@torch.no_grad()
def _model(generator: Generator, spec: TextSpec, condition: int | None) -> Any:
    """A GPT2LMHeadModel that begins a text with the token `end`, with the probabilities of `generator`."""
    library, end = load(), spec.end
    values = generator.body.config.to_dict()
    config = library.GPT2Config.from_dict(values | {"bos_token_id": end, "eos_token_id": end, "pad_token_id": end})
    model = library.GPT2LMHeadModel(config)
    state = {f"transformer.{k}": v.detach().cpu() for k, v in plain_state(generator.body).items()}
    if generator.words is not None:
        state["lm_head.weight"] = generator.words.weight.detach().cpu()
    model.load_state_dict(state, strict=generator.words is not None)
    # What is read at a place is the sum of a token's and a position's vector. At the first place the token is always the
    # one that begins, so the learned vector can take its place by way of the position's.
    positions = model.transformer.wpe.weight
    positions[0] += generator.begin.cpu() - model.transformer.wte.weight[end]
    if generator.classes is not None and condition is not None:
        positions += generator.classes.weight[condition].cpu()
    sampling = generator.sampling
    model.generation_config = library.GenerationConfig(
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        max_length=min(spec.length + 1, config.n_positions),
        do_sample=True,
        temperature=sampling.temperature,
        top_k=sampling.top_k,
        top_p=sampling.top_p,
    )
    return model.eval()


def plain_state(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The weights of `module` under their plain names, as they are in use: normalised where they are parametrised."""
    state = {k: v for k, v in module.state_dict().items() if ".parametrizations." not in f".{k}"}
    for name, layer in module.named_modules():
        if parametrize.is_parametrized(layer):
            prefix = f"{name}." if name else ""
            state |= {f"{prefix}{weight}": getattr(layer, weight) for weight in layer.parametrizations}
    return state


def _tokenizer(spec: TextSpec, places: int) -> Any:
    """The tokenizer of `spec` for AutoTokenizer: it puts the token that begins a text before each."""
    tokenizer = Tokenizer.from_str(spec.tokenizer)
    end = tokenizer.id_to_token(spec.end)
    unknown = {} if spec.unknown is None else {"unk_token": tokenizer.id_to_token(spec.unknown)}
    tokenizer.post_processor = processors.TemplateProcessing(
        single=[end, "$A"], pair=[end, "$A", "$B"], special_tokens=[(end, spec.end)]
    )
    return load().PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=end,
        eos_token=end,
        pad_token=end,
        **unknown,
        model_max_length=places,
        clean_up_tokenization_spaces=False,
    )
