"""The styles of samples in files, for translations that are to be like them."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from gancore.errors import UsageError
from gancore.powers import MapsLatent, ReadsStyle
from gancore.sampling.drawing import check_class
from gancore.sampling.generator import Generator


@torch.no_grad()
def style_of(generator: Generator, path: Path, domain: str | int | None) -> Tensor:
    """The code `[layers, size]` of the sample in a file, which is of `domain`.

    Raises:
        UsageError: the generator reads no styles, there is no such domain, or the file holds more than one sample.
        DataError: the file is damaged.
    """
    network = generator.module
    if not (isinstance(network, ReadsStyle) and isinstance(network, MapsLatent)):
        raise UsageError(
            "this generator translates in one manner, and reads no style from samples; train with game=stargan for that"
        )
    if domain is None:
        raise UsageError(
            f"name the domain of '{path}', which is the one to translate to: {', '.join(generator.spec.domains)}"
        )
    known = generator.read_given(path)
    if len(known) != 1:
        raise UsageError(f"'{path}' holds {len(known):,} samples; name one, whose style all translations get")
    device = next(network.parameters()).device
    condition = torch.tensor([check_class(generator.spec, domain)], device=device)
    code: Tensor = network.read(generator.spec.relax(known.x).to(device), condition)[0].float().cpu()
    return code
