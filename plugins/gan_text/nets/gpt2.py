"""A transformer that writes from left to right: GPT-2 (Radford et al. 2019) of the transformers library, new or fine-tuned."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from gan_text.nets.common import TextArchitectureOptions, TextGenerator, build_discriminator
from gan_text.nets.export import save
from gan_text.nets.pretrained import FolderOptions, await_checkpoint, check_kind, fill
from gan_text.nets.sampling import Sampling
from gan_text.spec import TextSpec
from gancore.data.spec import SampleSpec, require
from gancore.errors import UsageError
from gancore.nets.transformers_loader import load

if TYPE_CHECKING:
    from transformers import Cache, GPT2Config


class Options(TextArchitectureOptions, FolderOptions):
    """Options of the architecture `gpt2`."""

    width: int = Field(256, ge=8, le=8192, description="Length of a token's vector; a multiple of `heads`.")
    layers: int = Field(4, ge=1, le=96, description="Blocks of attention and two layers.")
    heads: int = Field(4, ge=1, le=128, description="Heads of each attention.")
    dropout: float = Field(
        0.1,
        ge=0.0,
        le=0.9,
        description="Dropout of embeddings, attention and layers while likelihood is trained; drawing texts is without.",
    )


class Generator(TextGenerator):
    """GPT-2 over token vectors; what it begins from is a learned vector, and a class is a vector added at every place.

    Token by token, keys and values of the places before are kept (transformers' `DynamicCache`).
    """

    def __init__(self, options: Options, spec: TextSpec) -> None:
        """UsageError for a width that the heads do not divide, and for a folder with a model that does not fit the data."""
        config = _config(options, spec)
        super().__init__(spec, config.n_embd, options)
        model = load().GPT2LMHeadModel(config)
        filled = options.folder is None or fill(model, load().GPT2LMHeadModel, options, spec)
        self.body = model.transformer
        # Tied weights are there once: each of the two names would be saved, and could be changed, by itself.
        self.words = None if config.tie_word_embeddings else model.lm_head
        if not filled:
            await_checkpoint(self.body, options)
        small = config.initializer_range
        with torch.no_grad():
            if options.folder is None:
                nn.init.normal_(self.begin, std=small)
            else:  # where the model itself begins a text
                first = config.bos_token_id
                known = first if isinstance(first, int) and 0 <= first < spec.vocabulary else spec.end
                self.begin.copy_(self.body.wte.weight[known])
            if self.classes is not None:
                nn.init.normal_(self.classes.weight, std=small)

    # --- what the base asks for ---

    def token_weight(self) -> Tensor:
        weight: Tensor = self.body.wte.weight
        return weight

    def start(self, batch: int, condition: Tensor | None) -> Cache:
        """Nothing kept yet."""
        del batch, condition
        return load().DynamicCache(config=self.body.config)

    def step(self, embedded: Tensor, state: Cache) -> tuple[Tensor, Cache]:
        # The cache goes by position, and is filled in place: releases of transformers differ in what they call it.
        out = self.body(None, state, inputs_embeds=embedded[:, None], use_cache=True)
        return self.project(out.last_hidden_state[:, 0]), state

    def hidden(self, embedded: Tensor, condition: Tensor | None) -> Tensor:
        """`[batch, places, width]`, all places at once."""
        del condition
        count = embedded.shape[1]
        # Given as it is to be used; transformers would look at values to find out that there is nothing special.
        seen = torch.ones(count, count, dtype=torch.bool, device=embedded.device).tril()[None, None]
        out: Tensor = self.body(inputs_embeds=embedded, attention_mask=seen, use_cache=False).last_hidden_state
        return out

    def readout(self) -> tuple[Tensor, Tensor | None]:
        return (self.body.wte if self.words is None else self.words).weight, None

    def last(self) -> list[Tensor]:
        return [self.body.ln_f.weight, self.body.ln_f.bias]

    # --- drawing ---

    def gumbel(self, z: Tensor, condition: Tensor | None = None, **how: Any) -> Tensor:
        with self._without_dropout():
            return super().gumbel(z, condition, **how)

    @torch.no_grad()
    def sample(self, z: Tensor, condition: Tensor | None = None, sampling: Sampling | None = None) -> Tensor:
        with self._without_dropout():
            return super().sample(z, condition, sampling)

    @contextmanager
    def _without_dropout(self) -> Iterator[None]:
        """For drawing. Attention goes by whether it is in training itself, and not by whether its layer of dropout is."""
        training = self.body.training
        self.body.eval()
        try:
            yield
        finally:
            self.body.train(training)

    # --- to other programs ---

    def export(self, folder: Path, spec: TextSpec | None = None, condition: int | None = None) -> Path:
        """Save as a model folder of the transformers library, for its AutoModelForCausalLM and AutoTokenizer.

        A text begins there with the token that ends one, as GPT-2's do, and has the same probabilities as here: the learned
        first vector, and that of the class `condition`, are in the vectors of the positions. Returns `folder`.

        Raises:
            UsageError: the generator has classes and none is chosen, or `folder` holds something.
        """
        return save(self, Path(folder), spec or self.spec, condition)


def build(options: Options, spec: SampleSpec) -> dict[str, nn.Module]:
    """Generator and discriminator for texts; conditional where `spec` has classes. UsageError for other samples."""
    text = require(spec, TextSpec, "architecture 'gpt2'")
    return {"generator": Generator(options, text), "discriminator": build_discriminator(options, text)}


def _config(options: Options, spec: TextSpec) -> GPT2Config:
    """The configuration: of the model in the folder where one is given, else of the options."""
    values: dict[str, Any] = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), options.dropout)
    values |= {"vocab_size": spec.vocabulary, "eos_token_id": spec.end}
    if options.folder is not None:
        check_kind(options, "gpt2")
        kept = options.kept()
        places = int(kept.get("n_positions", 1024))
        if places < spec.length:
            raise UsageError(
                f"the model in folder '{options.folder}' writes up to {places} tokens: texts of {spec.length} are too long; "
                f"set data.length={places} or less"
            )
        values = kept | values
    else:
        if options.width % options.heads:
            raise UsageError(
                f"vectors of width {options.width} cannot be shared by {options.heads} heads: "
                "set architecture.width to a multiple of architecture.heads"
            )
        # One place more than is read here, so that a whole text with its beginning can be given to an exported model.
        values |= {"n_positions": spec.length + 1, "bos_token_id": spec.end}
        values |= {"n_embd": options.width, "n_layer": options.layers, "n_head": options.heads}
    values = {k: v for k, v in values.items() if k not in ("model_type", "add_cross_attention")}
    return load().GPT2Config.from_dict(values, attn_implementation="sdpa")
