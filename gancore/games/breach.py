"""What components give in a step, beside what they promise: told at once, for what comes of it later does not say whose it was."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from gancore.errors import BreachError


def form(x: object) -> str:
    """The type and the shape of a tensor, or what it is instead."""
    if isinstance(x, Tensor):
        return f"{str(x.dtype).removeprefix('torch.')} {list(x.shape)}"
    return f"a {type(x).__name__}"


def of_fakes(fake: object, count: int, shape: Sequence[int]) -> str:
    """What is wrong with `count` generated samples, relaxed ones of `shape`; empty where nothing is."""
    if isinstance(fake, Tensor) and fake.shape == (count, *shape):
        return ""
    return f"for {count} latents the generator made {form(fake)}, the spec says {[count, *shape]}"


def of_logits(output: object, count: int, what: str) -> str:
    """What is wrong with what a discriminator gave for `count` samples, which are `what`; empty where nothing is."""
    if isinstance(output, Sequence) and not output:
        return f"the discriminator gave no logits of {what}"
    for head in (output,) if isinstance(output, Tensor) or not isinstance(output, Sequence) else output:
        if not isinstance(head, Tensor) or head.shape[:1] != (count,):
            return f"for {count} {what} the discriminator gave logits {form(head)}, not [{count}] or [{count}, places]"
    return ""


def a_term(value: object, kind: str, thing: object, method: str, name: str = "") -> Tensor:
    """`value`, a term to be minimised, which `method` of `thing`, a component of `kind`, has given.

    Raises:
        BreachError: it is no tensor of one number with a graph.
    """
    if not isinstance(value, Tensor) or value.numel() != 1:
        raise BreachError(kind, thing, f"its {method} gave {form(value)}, not one number", method, name)
    if not value.requires_grad:
        words = f"its {method} gave a number without a gradient; leave out what detaches it (detach, item, no_grad)"
        raise BreachError(kind, thing, words, method, name)
    return value
