"""Tracks that a generator is given: which it makes beside them, and how both become one phrase."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gan_music.spec import MusicSpec
from gancore.errors import UsageError


def made_and_given(spec: MusicSpec) -> tuple[MusicSpec, MusicSpec | None]:
    """The spec of the tracks that are made, `spec` itself where that is all, and of those that are given, if any."""
    if not spec.given:
        return spec, None
    given = spec.given_tracks
    return spec.only([n for n in range(len(spec.tracks)) if n not in given]), spec.only(given)


class Weave(nn.Module):
    """Made and given tracks to phrases `[batch, tracks * planes, time, pitch]`, each in its place; what is given is not changed."""

    order: Tensor

    def __init__(self, spec: MusicSpec) -> None:
        super().__init__()
        given = spec.given_tracks
        made = [n for n in range(len(spec.tracks)) if n not in given]
        place = {track: number for number, track in enumerate([*made, *given])}
        order = [place[n] * spec.planes + plane for n in range(len(spec.tracks)) for plane in range(spec.planes)]
        self.register_buffer("order", torch.tensor(order), persistent=False)

    def forward(self, made: Tensor, given: Tensor) -> Tensor:
        """`made` `[batch, made tracks * planes, time, pitch]`, `given` `[batch, given tracks * planes, time, pitch]`."""
        return torch.cat([made, given], dim=1).index_select(1, self.order)


def check_given(given: Tensor | None, spec: MusicSpec) -> None:
    """UsageError where what a generator for `spec` was called with is not what `spec` says is given."""
    found, wanted = None if given is None else tuple(given.shape[1:]), spec.given_shape
    if found != wanted:
        raise UsageError(
            f"this generator is given {_form(wanted)}, and was called with {_form(found)}; a game that calls it must pass "
            "batch.given (see gancore.games.calling.call_generator)"
        )


def _form(shape: tuple[int, ...] | None) -> str:
    return "nothing" if shape is None else f"planes [batch, {', '.join(map(str, shape))}]"
