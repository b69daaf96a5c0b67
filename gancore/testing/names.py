"""Names that come near one of the contract's and miss it."""

from __future__ import annotations

import difflib
import inspect

from torch import nn

from gancore.testing.places import is_own

NEAR = 0.8
"""How alike two names are, from 0 to 1, where one is taken for a misspelling of the other."""
ALIASES = {"latent_shape": ("latent_dim", "latent_size", "noise_dim", "noise_shape", "z_dim", "z_shape", "nz")}
"""What a member is called elsewhere, though it does not look alike."""


def misspelt(part: object, name: str, value: bool) -> str:
    """A public name that the author gave `part` and that was meant to be `name`, which it lacks; empty where there is none."""
    own = _own_names(part, value)
    aliases = [n for n in ALIASES.get(name, ()) if n in own]
    return next(iter(aliases or difflib.get_close_matches(name, own, n=1, cutoff=NEAR)), "")


def _own_names(part: object, value: bool) -> list[str]:
    """Public names of values, or else of methods, that the author's classes define or that their objects were given."""
    classes = [c for c in type(part).__mro__ if is_own(c)]
    found = {n: v for c in classes for n, v in vars(c).items()}
    if classes:
        found |= vars(part)
    inherited = vars(nn.Module()).keys() | vars(nn.Module).keys()
    return [
        n
        for n, v in found.items()
        if not n.startswith("_") and n not in inherited and value != (inspect.isroutine(v) or isinstance(v, type))
    ]
