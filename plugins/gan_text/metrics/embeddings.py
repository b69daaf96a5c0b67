"""Whether sentences mean what real ones do, as far as an encoder of sentences can tell: the Fréchet distance of embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field

from gan_text.metrics.words import split, texts_of
from gan_text.spec import TextSpec
from gancore.errors import UsageError
from gancore.evaluation.distances import Floats
from gancore.evaluation.distributions import frechet_against_halves
from gancore.evaluation.records import Figure, Material, Samples
from gancore.nets.transformers_loader import encoder, load, silence
from gancore.options import Options as BaseOptions


class Options(BaseOptions):
    """Options of the metric `embeddings`."""

    encoder: Path | None = Field(
        None,
        description="Folder with any encoder of the transformers library, its tokenizer beside it (config.json, "
        "model.safetensors, tokenizer.json); when not given, latent semantic analysis of the texts trained on.",
    )
    limit: int = Field(
        2000, ge=4, le=1_000_000, description="How many texts of each set are embedded, at most; more are less biased."
    )
    longest: int = Field(128, ge=2, le=8192, description="Tokens of the encoder after which a text is cut.")
    batch: int = Field(64, ge=1, le=4096, description="Texts that the encoder reads at once.")
    dimensions: int = Field(
        64, ge=2, le=1024, description="Dimensions of latent semantic analysis, without an encoder."
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="Where the encoder runs; auto: on the GPU where there is one."
    )


def build(options: Options, spec: TextSpec) -> Embeddings:
    """The metric; see `Embeddings`."""
    return Embeddings(options, spec)


class Embeddings:
    """Semeniuta et al. 2018, "On accurate evaluation of GANs for language generation"; FED in de Masson d'Autume et al. 2019.

    - `frechet-distance`: squared Fréchet distance of the Gaussians with the means and covariances of embeddings. An embedding
      is the mean of the encoder's last layer over the tokens of a text. Sets of equal size are compared, half as many texts
      as there are real ones; the floor is real half against real half.

    Without an encoder, the embedding is that of latent semantic analysis (Deerwester et al. 1990): words and pairs of words
    weighted by TF-IDF, and their projection on the first `dimensions` singular vectors of the training texts. It knows
    which words go together in a text, but not their order beyond pairs.

    Only figures of one encoder, and of equal numbers of texts, can be compared.
    """

    def __init__(self, options: Options, spec: TextSpec) -> None:
        self.options = options
        self.spec = spec

    def __call__(self, material: Material) -> dict[str, Figure]:
        """The figures by their names."""
        sets = {"": material.generated, **material.others}
        if self.options.encoder is None:
            embedding: Latent | Encoder = Latent(self._texts(material.train, None), self.options.dimensions)
        else:
            embedding = Encoder(self.options.encoder, self.options)
        real = embedding.embed(self._texts(material.real, self.options.limit))
        size = min(map(len, sets.values()))
        found = {}
        for name, one in sets.items():
            embedded = embedding.embed(self._texts(one, self.options.limit))
            found[name], floor = frechet_against_halves(embedded, real, size)
        return {"frechet-distance": Figure(value=found.pop(""), floor=floor, others=found)}

    def _texts(self, samples: Samples, limit: int | None) -> list[str]:
        return texts_of(samples.x[:limit], self.spec)


class Encoder:
    """A model of the transformers library in a folder; nothing is loaded from elsewhere, and no code of the folder is run.

    Raises:
        UsageError: the folder holds no such model, or no tokenizer.
    """

    def __init__(self, folder: Path, options: Options) -> None:
        model = encoder(folder, "config.json, model.safetensors and the tokenizer's files")
        use_gpu = options.device == "cuda" or (options.device == "auto" and torch.cuda.is_available())
        self.device = torch.device("cuda" if use_gpu else "cpu")
        self.options = options
        try:
            with silence():
                self.tokenizer: Any = load().AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except Exception as error:
            raise UsageError(
                f"the tokenizer in '{folder}' cannot be loaded: {error}. It takes the files that save_pretrained writes"
            ) from error
        # Of a model with a decoder, such as T5, the encoder alone can read texts.
        self.model = (model.get_encoder() if model.config.is_encoder_decoder else model).to(self.device)
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token or self.tokenizer.unk_token

    @torch.no_grad()
    def embed(self, texts: Sequence[str]) -> Floats:
        """The mean of the last layer over the tokens of each text, `[texts, size]`; zeros for a text without tokens."""
        # Texts of like length are read together: less padding. A text's embedding does not depend on it.
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        found: list[torch.Tensor] = []
        for begin in range(0, len(order), self.options.batch):
            some = [texts[i] for i in order[begin : begin + self.options.batch]]
            read = self.tokenizer(
                some, padding=True, truncation=True, max_length=self._longest(), return_tensors="pt"
            ).to(self.device)
            mask = read["attention_mask"]
            if not mask.shape[1]:
                found.append(torch.zeros(len(some), self.model.config.hidden_size))
                continue
            states = self.model(input_ids=read["input_ids"], attention_mask=mask).last_hidden_state.float()
            mean = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True).clamp(min=1)
            found.append(mean.cpu())
        embedded = torch.empty(len(texts), found[0].shape[1])
        embedded[order] = torch.cat(found)
        rows: Floats = embedded.double().numpy()
        return rows

    def _longest(self) -> int:
        """Tokens that a text may have: those asked for, as far as the model has places."""
        places = getattr(self.model.config, "max_position_embeddings", None) or self.options.longest
        # RoBERTa numbers places from after its padding token.
        return max(2, min(self.options.longest, self.tokenizer.model_max_length, places - 2))


class Latent:
    """Latent semantic analysis of some texts."""

    def __init__(self, texts: Sequence[str], dimensions: int) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer  # slow to import
        from sklearn.utils.extmath import randomized_svd

        self.vectorizer: Any = TfidfVectorizer(
            ngram_range=(1, 2), tokenizer=split, token_pattern=None, sublinear_tf=True
        )
        try:
            weights = self.vectorizer.fit_transform(texts)
        except ValueError:
            # Not a single word.
            self.components = np.zeros((0, 1))
            return
        count = min(dimensions, min(weights.shape))
        _, _, components = randomized_svd(weights, count, random_state=0)
        self.components = components.T

    def embed(self, texts: Sequence[str]) -> Floats:
        """The place of each text among the concepts, `[texts, dimensions]`."""
        if not len(self.components):
            return np.zeros((len(texts), 1))
        rows: Floats = np.asarray(self.vectorizer.transform(texts) @ self.components, np.float64)
        return rows
