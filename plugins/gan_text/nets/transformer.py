"""A discriminator that reads a text in both directions: the encoder of BERT (Devlin et al. 2019) over soft embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from gan_text.nets.pretrained import FolderOptions, await_checkpoint, check_kind, fill, token_number
from gan_text.nets.reading import TextDiscriminator
from gancore.errors import UsageError
from gancore.nets.conditioning import ProjectionHead
from gancore.nets.transformers_loader import load

if TYPE_CHECKING:
    from transformers import BertConfig

    from gan_text.spec import TextSpec


class TransformerOptions(FolderOptions):
    """Options of the discriminator `transformer`."""

    width: int = Field(128, ge=8, le=4096, description="Length of a token's vector; a multiple of `heads`.")
    layers: int = Field(2, ge=1, le=48, description="Blocks of attention and two layers.")
    heads: int = Field(4, ge=1, le=64, description="Heads of each attention.")
    expansion: int = Field(
        4, ge=1, le=16, description="Width of the hidden layer in a block, in widths of a token's vector."
    )
    dropout: float = Field(0.1, ge=0.0, le=0.9, description="Dropout of embeddings, attention and layers, in training.")
    pooling: Literal["summary", "mean"] = Field(
        "summary",
        description="What is judged: a learned first place that looks at all tokens (summary), or the tokens' mean.",
    )


class TransformerDiscriminator(TextDiscriminator):
    """Texts `[batch, length, vocabulary]` on the simplex to logits `[batch]`, by class projection where there are classes.

    Attention is written out as two products (transformers' eager form), which can be differentiated twice. Places behind
    the end of a text are not looked at, and samples of a batch never touch each other.
    """

    def __init__(self, options: TransformerOptions, spec: TextSpec) -> None:
        """UsageError for a width that the heads do not divide, and for a folder with a model that does not fit the data."""
        config = _config(options, spec)
        super().__init__(spec, config.hidden_size)
        bert = load().BertModel
        self.pooling = options.pooling
        self.encoder = bert(config, add_pooling_layer=False)
        if options.folder is not None:
            if not fill(self.encoder, bert, options, spec):
                await_checkpoint(self.encoder, options)
            self.tokens = self.encoder.embeddings.word_embeddings
            self.pretrained = True
        del self.encoder.embeddings.word_embeddings  # it is given embedded tokens
        self.head = ProjectionHead(config.hidden_size, spec.class_count)
        if self.pooling == "summary":
            self.summary = nn.Parameter(torch.randn(config.hidden_size) * config.initializer_range)
            first = token_number(spec, "[CLS]")
            if options.folder is not None and first is not None:
                # Where a pretrained encoder sums up by itself.
                self.summary.data.copy_(self.tokens.weight.data[first])

    def read(self, embedded: Tensor, condition: Tensor | None, mask: Tensor) -> Tensor:
        """The summary, or the mean, of what the encoder makes of each token: `[batch, width]`."""
        del condition
        seen = mask
        if self.pooling == "summary":
            embedded = torch.cat([self.summary.to(embedded.dtype).expand(len(embedded), 1, -1), embedded], dim=1)
            seen = F.pad(mask, (1, 0), value=1.0)
        # In this form, ready to be added to the attention's logits, transformers takes the mask as it is.
        closed = (1.0 - seen)[:, None, None].to(embedded.dtype) * torch.finfo(embedded.dtype).min
        out: Tensor = self.encoder(inputs_embeds=embedded, attention_mask=closed).last_hidden_state
        if self.pooling == "summary":
            return out[:, 0]
        share = mask / mask.sum(dim=1, keepdim=True)
        return (out * share[..., None].to(out.dtype)).sum(dim=1)


def build_discriminator(options: TransformerOptions, spec: TextSpec) -> TransformerDiscriminator:
    """The discriminator for texts of `spec`; conditional where it has classes."""
    return TransformerDiscriminator(options, spec)


def _config(options: TransformerOptions, spec: TextSpec) -> BertConfig:
    """The encoder's configuration: of the model in the folder where one is given, else of the options."""
    if options.folder is not None:
        check_kind(options, "bert")
        kept = options.kept()
        places = int(kept.get("max_position_embeddings", 512))
        if places < spec.length + 1:
            raise UsageError(
                f"the encoder in folder '{options.folder}' reads up to {places} tokens, and needs one for its summary: "
                f"texts of {spec.length} are too long; set data.length={places - 1} or less"
            )
        return _eager(kept | _dropout(options) | {"vocab_size": spec.vocabulary, "is_decoder": False})
    if options.width % options.heads:
        raise UsageError(
            f"vectors of width {options.width} cannot be shared by {options.heads} heads: set architecture.transformer.width "
            "to a multiple of architecture.transformer.heads"
        )
    return _eager(
        {
            "vocab_size": spec.vocabulary,
            "hidden_size": options.width,
            "num_hidden_layers": options.layers,
            "num_attention_heads": options.heads,
            "intermediate_size": options.expansion * options.width,
            **_dropout(options),
            "max_position_embeddings": spec.length + 1,
            "type_vocab_size": 1,
            "pad_token_id": None,
            # Keeps the size of what a layer is given, whatever the width; BERT's 0.02 does so for its own.
            "initializer_range": options.width**-0.5,
        },
    )


def _dropout(options: TransformerOptions) -> dict[str, float]:
    return {"hidden_dropout_prob": options.dropout, "attention_probs_dropout_prob": options.dropout}


def _eager(values: dict[str, Any]) -> BertConfig:
    return load().BertConfig.from_dict(
        {k: v for k, v in values.items() if k != "model_type"}, attn_implementation="eager"
    )
