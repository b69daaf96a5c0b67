"""How final texts are drawn: temperature, top-k, nucleus and prompt, and one token a place by inverse CDF."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from gancore.errors import UsageError
from gancore.options import Options

if TYPE_CHECKING:
    from gan_text.spec import TextSpec

_BLOCK = 64
_LIKELY = 256


class Sampling(Options):
    """How a token is drawn from the generator's logits; in this order: temperature, top_k, top_p.

    A temperature that rises with the entropy is after Zhang et al. 2024, "EDT: Improving large language models' generation by
    entropy-based dynamic temperature sampling"; here it rises linearly.
    """

    temperature: float = Field(
        1.0, ge=1e-3, le=10.0, description="Logits are divided by it: below 1 likely tokens become likelier."
    )
    temperature_per_nat: float = Field(
        0.0,
        ge=0.0,
        le=1.0,
        description="Added to the temperature for each nat of entropy that the next token has, so that it is lower where the"
        " generator is sure; 0: the same temperature everywhere.",
    )
    top_k: int = Field(
        0, ge=0, le=1_000_000, description="Draw among this many likeliest tokens (Fan et al. 2018); 0: among all."
    )
    top_p: float = Field(
        1.0,
        gt=0.0,
        le=1.0,
        description="Draw among the fewest tokens that have this probability together (Holtzman et al. 2020); 1: among all.",
    )
    prompt: str = Field("", description="Text that every sample begins with.")


def uniforms(z: Tensor) -> tuple[Tensor, Tensor]:
    """Two float32 in [0, 1) for each of 64 random bits: from their highest 24, and from the next 24."""
    high, low = (z >> 40) & 0xFFFFFF, (z >> 16) & 0xFFFFFF
    return high.to(torch.float32) * 2.0**-24, low.to(torch.float32) * 2.0**-24


def by_entropy(logits: Tensor, at_least: float, per_nat: float) -> Tensor | float:
    """`at_least` + `per_nat` * the entropy in nats of each row of `logits` `[batch, vocabulary]`: `[batch, 1]`, or one number."""
    if not per_nat:
        return at_least
    return at_least + per_nat * torch.special.entr(logits.softmax(-1)).sum(-1, keepdim=True)


def weights(logits: Tensor, sampling: Sampling) -> Tensor:
    """Unnormalised probabilities `[batch, vocabulary]` float32 after temperature, top-k and top-p; 0 for what is left out.

    Tokens that are exactly as likely as the last one that is kept are kept, too.
    """
    logits = logits.float()
    temperature = by_entropy(logits, sampling.temperature, sampling.temperature_per_nat)
    w = torch.exp((logits - logits.amax(-1, keepdim=True)).div_(temperature))
    count = w.shape[-1]
    if 0 < sampling.top_k < count:
        least = torch.topk(w, sampling.top_k, dim=-1, sorted=False).values.amin(-1, keepdim=True)
        w = torch.where(w >= least, w, 0.0)
    if sampling.top_p < 1.0:
        w = torch.where(w >= _nucleus(w, sampling.top_p), w, 0.0)
    return w


def _nucleus(w: Tensor, share: float) -> Tensor:
    """The weight `[batch, 1]` of the last token of the smallest set of largest weights with `share` of the whole."""
    needed = share * w.sum(-1, keepdim=True)
    ordered = None
    if w.device.type == "cpu" and w.shape[-1] > _LIKELY:
        # Most often a few tokens have it, and finding these is several times as fast as sorting all.
        ordered = torch.topk(w, _LIKELY, dim=-1).values
        if bool((ordered.sum(-1, keepdim=True) < needed).any()):
            ordered = None
    if ordered is None:
        ordered = w.sort(dim=-1, descending=True).values
    before = (ordered.cumsum(-1) < needed).sum(-1, keepdim=True)
    return ordered.gather(-1, before.clamp(max=ordered.shape[-1] - 1))


def draw(w: Tensor, z: Tensor) -> Tensor:
    """A token `[batch]` int64 for each row of weights `w` `[batch, vocabulary]`, by inverse CDF of the bits `z` `[batch]`.

    In two steps, among blocks of the vocabulary and within one: less than a pass over the weights, and 48 bits decide. A
    token of weight 0 is never drawn.
    """
    first, second = uniforms(z)
    count = w.shape[-1]
    padded = F.pad(w, (0, -count % _BLOCK)).unflatten(-1, (-1, _BLOCK))
    block = _chosen(padded.sum(-1), first)
    inside = padded.gather(1, block[:, None, None].expand(-1, 1, _BLOCK)).squeeze(1)
    return block * _BLOCK + _chosen(inside, second)


def _chosen(w: Tensor, u: Tensor) -> Tensor:
    """The first column `[batch]` at which the running sum of `w` `[batch, n]` is above `u` times the whole."""
    sums = w.cumsum(-1)
    # Summation in blocks may leave running sums that fall by rounding where a weight is 0; they must not.
    sums = torch.where(w > 0.0, sums, 0.0).cummax(-1).values
    return (sums <= u[:, None] * sums[:, -1:]).sum(-1)


def prompt_ids(prompt: str, spec: TextSpec) -> list[int]:
    """The tokens of `prompt` without an end; none for an empty one.

    Raises:
        UsageError: it has words that the data do not have, or leaves nothing to be drawn.
    """
    if not prompt:
        return []
    (found,) = spec.token_ids([prompt])
    if spec.unknown is not None and spec.unknown in found:
        read = spec.decode(torch.tensor([found]))[0]
        raise UsageError(
            f"sampling.prompt '{prompt}': not all of it is in the vocabulary of the data, which read it as '{read}'; "
            "use words that the data have"
        )
    if len(found) >= spec.length:
        raise UsageError(
            f"sampling.prompt has {len(found)} tokens, and texts of these data have {spec.length} at most: shorten it"
        )
    return found
