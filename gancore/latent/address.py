"""Where a sample is: a value that can be written down, changed and read back, from which the sample follows."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from torch import Tensor

MOST_SEED = 2**63 - 1
DEEPEST = 16
"""How many addresses may stand one within another ..."""
MOST_PARTS = 500
"""... and of how many in all one may be made."""
FARTHEST = 1000.0
"""Of an edit, either way: an edit of 1 is about one standard deviation."""
Number = Annotated[float, Field(allow_inf_nan=False)]


class Value(BaseModel):
    """A value of the package: it cannot be changed, and nothing unknown is in it."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Code(Value):
    """A code that no seed leads to, such as one that was found for a given picture."""

    w: str = Field(description="Float32 numbers, least significant byte first, in base64.")
    noise: str = Field("", description="The noise that goes with it, in the same form.")
    layers: int = Field(ge=1, le=4096, description="Layers of the code.")

    @classmethod
    def of(cls, w: Tensor, noise: Tensor | None = None) -> Code:
        """That of `w` `[layers, size]` and noise `[k]`."""
        return cls(w=_packed(w), noise="" if noise is None else _packed(noise), layers=len(w))

    @model_validator(mode="after")
    def _check(self) -> Code:
        if (w := _unpacked(self.w)) is None or _unpacked(self.noise) is None:
            raise ValueError("the numbers of a code must be finite float32 in base64")
        if not len(w) or len(w) % self.layers:
            raise ValueError(f"{len(w)} numbers are no code of {self.layers} layers")
        return self

    def tensors(self) -> tuple[Tensor, Tensor]:
        """`w` `[layers, size]` and the noise `[k]`."""
        w, noise = _unpacked(self.w), _unpacked(self.noise)
        assert w is not None
        assert noise is not None
        return w.view(self.layers, -1), noise


class Around(Value):
    """A step away from an address, to a neighbour: 0 stays there, 1 leads to a random sample of its class."""

    spread: Number = Field(ge=0.0, le=1.0, description="How far.")
    seed: int = Field(0, ge=0, le=MOST_SEED, description="Which neighbours.")
    position: int = Field(0, ge=0, le=MOST_SEED, description="Which of these.")


class Mix(Value):
    """Some layers of one address, the others of another."""

    one: Address
    other: Address
    first: int = Field(ge=0, description="The first layer that is of the other one, counted from 0.")
    last: int = Field(ge=0, description="The last one that is.")

    @model_validator(mode="after")
    def _check(self) -> Mix:
        if self.first > self.last:
            raise ValueError(f"layers {self.first}-{self.last} are none: the first must not be after the last")
        return self


class Between(Value):
    """A place on the way between two addresses."""

    one: Address
    other: Address
    at: Number = Field(ge=0.0, le=1.0, description="0 is at the first, 1 at the other.")


class Address(Value):
    """Where a sample is, in the order in which things are applied.

    It begins at the `position`-th sample of a `seed`, as `gan sample` counts them, or at one of `code`, `between` and `mix`. Then
    come `around`, `truncation`, towards the mean of its class, and `edits`, steps along directions of the run. Classes are weights by
    name that add up to 1, and where they are not given those of what it begins with, or class `position % classes` in their order.
    """

    seed: int | None = Field(None, ge=0, le=MOST_SEED, description="A seed ...")
    position: int = Field(0, ge=0, le=MOST_SEED, description="... and the number of the sample, counted from 0.")
    code: Code | None = Field(None, description="Numbers to begin with instead.")
    between: Between | None = Field(None, description="Or a place between two others.")
    mix: Mix | None = Field(None, description="Or layers of two others.")
    around: Around | None = Field(None, description="A step to a neighbour.")
    truncation: Number = Field(
        1.0,
        ge=0.0,
        le=2.0,
        description="The distance from the mean is multiplied by this: below 1 samples are more typical and less varied.",
    )
    edits: Mapping[str, Annotated[Number, Field(ge=-FARTHEST, le=FARTHEST)]] = Field(
        {}, description="How far to go along each of some directions."
    )
    classes: Mapping[str, Number] | None = Field(None, description="Weights of classes, by name.")

    @field_validator("classes")
    @classmethod
    def _shares(cls, classes: Mapping[str, float] | None) -> Mapping[str, float] | None:
        if classes is None:
            return None
        if not classes or any(weight < 0.0 for weight in classes.values()):
            raise ValueError("weights of classes must be at least 0, and there must be some")
        if not math.isclose(sum(classes.values()), 1.0, abs_tol=1e-6):
            raise ValueError(f"the weights of classes must add up to 1, not {sum(classes.values()):g}")
        return classes

    @model_validator(mode="after")
    def _check(self) -> Address:
        begins = [name for name in ("seed", "code", "between", "mix") if getattr(self, name) is not None]
        if len(begins) != 1:
            raise ValueError(f"an address begins with one of seed, code, between and mix; here are {begins or 'none'}")
        if _depth(self) > DEEPEST:
            raise ValueError(f"more than {DEEPEST} addresses stand one within another")
        if _count(self) > MOST_PARTS:
            raise ValueError(f"it is made of more than {MOST_PARTS} addresses")
        return self

    @property
    def plain(self) -> bool:
        """Whether it is a sample as it is drawn from a seed, of one class, with nothing done to it."""
        one = self.classes is None or max(self.classes.values()) == 1.0
        return self.seed is not None and self.around is None and self.truncation == 1.0 and not self.edits and one

    def changed(self, **changes: Any) -> Address:
        """The same with other fields, all of them checked."""
        return Address.model_validate({name: getattr(self, name) for name in type(self).model_fields} | changes)


def parts(address: Address) -> tuple[Address, ...]:
    """The addresses that one is made of."""
    pair = address.between or address.mix
    return () if pair is None else (pair.one, pair.other)


def _depth(address: Address) -> int:
    return 1 + max(map(_depth, parts(address)), default=0)


def _count(address: Address) -> int:
    return 1 + sum(map(_count, parts(address)))


def _packed(values: Tensor) -> str:
    return base64.b64encode(values.detach().float().cpu().contiguous().numpy().astype("<f4").tobytes()).decode()


def _unpacked(text: str) -> Tensor | None:
    """`[n]` float32; None where it is no such text."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(raw) % 4:
        return None
    values = torch.from_numpy(np.frombuffer(raw, dtype="<f4").astype(np.float32))
    return values if bool(values.isfinite().all()) else None


for _model in (Mix, Between, Address):
    _model.model_rebuild()
