"""The features `encoder`: what an encoder of sentences makes of texts, where one is on disk."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from gan_text.metrics.words import texts_of
from gan_text.spec import TextSpec
from gancore.errors import UsageError
from gancore.nets.transformers_loader import digest, encoder, load, silence
from gancore.options import Options as BaseOptions

_VERSION = 1
"""Of what is made of a text; another makes all kept features unknown."""


class Options(BaseOptions):
    """Options of the features `encoder`."""

    path: Path = Field(
        description="Folder with any encoder of the transformers library, its tokenizer beside it (config.json, model.safetensors, "
        "tokenizer.json). Nothing is downloaded.",
    )
    longest: int = Field(128, ge=2, le=8192, description="Tokens of the encoder after which a text is cut.")


class Encoder(nn.Module):
    """The mean of the last layer over the tokens of a text; no code of the folder is run.

    Raises:
        UsageError: the folder holds no such model, or no tokenizer.
    """

    def __init__(self, options: Options, spec: TextSpec) -> None:
        super().__init__()
        folder = options.path
        model = encoder(folder, "config.json, model.safetensors and the tokenizer's files")
        try:
            with silence():
                self.tokenizer: Any = load().AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except Exception as error:
            raise UsageError(
                f"the tokenizer in '{folder}' cannot be loaded: {error}. It takes the files that save_pretrained writes"
            ) from error
        # Of a model with a decoder, such as T5, the encoder alone can read texts.
        self.model: Any = model.get_encoder() if model.config.is_encoder_decoder else model
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token or self.tokenizer.unk_token
        self.options = options
        self.spec = spec
        said = f"{_VERSION} {options.longest} {spec.end} {spec.tokenizer} {digest(folder)}"
        self.fingerprint = f"encoder {hashlib.sha256(said.encode()).hexdigest()}"

    def forward(self, x: Tensor) -> Tensor:
        """Features float32 `[n, size]` of texts int32 `[n, length]`; zeros for a text without tokens."""
        read = self.tokenizer(
            texts_of(x, self.spec), padding=True, truncation=True, max_length=self._longest(), return_tensors="pt"
        ).to(self.model.device)
        mask = read["attention_mask"]
        if not mask.shape[1]:
            return torch.zeros(len(x), self.model.config.hidden_size)
        states = self.model(input_ids=read["input_ids"], attention_mask=mask).last_hidden_state.float()
        mean: Tensor = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True).clamp(min=1)
        return mean

    def _longest(self) -> int:
        """Tokens that a text may have: those asked for, as far as the model has places."""
        places = getattr(self.model.config, "max_position_embeddings", None) or self.options.longest
        # RoBERTa numbers places from after its padding token.
        return max(2, min(self.options.longest, self.tokenizer.model_max_length, places - 2))
