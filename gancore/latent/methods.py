"""Directions of codes, worked out: by regression of what is measured, from a generator's weights, and from its activations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from gancore.errors import PluginError
from gancore.latent.probing import Probe, centred, codes_at, labels_of
from gancore.latent.space import Codes, Space, moved
from gancore.powers import HasFirstWeights
from gancore.random import Draws
from gancore.sampling.drawing import CHUNK

STRENGTHS = tuple(10.0 ** (number / 2) for number in range(-12, 5))
"""Of the ridge penalty per sample, of which generalised cross-validation chooses one."""
SMALLEST = 1e-4
"""Principal components of codes count whose deviation is at least this share of the largest one's."""
WIDEST = 512
"""Activations are projected at random onto so many dimensions where they have more, which keeps distances."""
BASES = 4
"""Codes about which the first layer is looked at."""


@dataclass(frozen=True, slots=True)
class Whitened:
    """Codes in coordinates of unit variance that do not correlate, `u` `[n, k]` float64 with the means of classes taken out.

    `basis` `[k, layers, size]` float64 are the steps of one standard deviation along each; of mapped codes the first are the largest.
    """

    u: Tensor
    basis: Tensor

    def steps(self, directions: Tensor) -> Tensor:
        """Steps `[..., layers, size]` of directions `[..., k]`."""
        return torch.einsum("...k,kls->...ls", directions, self.basis)


def whiten(space: Space, codes: Codes) -> Whitened:
    """`codes` whitened: by their principal components where they are mapped, else by the one deviation that their numbers have."""
    rows = centred(codes.w.flatten(1).double().cpu(), labels_of(codes))
    if not space.maps:
        deviation = rows.square().mean().sqrt().clamp_min(1e-12)
        return Whitened(rows / deviation, deviation * torch.eye(space.size, dtype=torch.float64)[:, None])
    left, values, right = torch.linalg.svd(rows, full_matrices=False)
    kept = values > SMALLEST * values[0]
    root = len(rows) ** 0.5
    basis = (values[kept, None] / root * right[kept]).view(-1, space.layers, space.size)
    return Whitened(left[:, kept] * root, basis)


def gradient(u: Tensor, y: Tensor) -> Tensor:
    """How `y` `[n]`, NaN where it is unknown, depends on whitened codes `u` `[n, k]`: coefficients `[k]` of ridge regression.

    Of a `y` of two values they point in the direction of Fisher's discriminant. The penalty is that of the smallest error by
    generalised cross-validation (Golub, Heath & Wahba 1979).
    """
    known = ~y.isnan()
    x, t = u[known], y[known] - y[known].mean()
    values, vectors = torch.linalg.eigh(x.T @ x)
    values, projected = values.clamp_min(0.0), vectors.T @ (x.T @ t)
    best, chosen = torch.inf, torch.zeros_like(projected)
    for strength in STRENGTHS:
        shrunk = 1.0 / (values + len(t) * strength)
        fitted = projected * shrunk
        error = t @ t - 2.0 * (projected * fitted).sum() + (values * fitted**2).sum()
        freedom = len(t) - float((values * shrunk).sum())
        if freedom > 1.0 and (score := float(error.clamp_min(1e-9 * (t @ t))) / freedom**2) < best:
            best, chosen = score, fitted
    return vectors @ chosen


def apart(gradients: Tensor, own: int, strength: float) -> Tensor:
    """A unit direction `[k]` that changes attribute `own` and the others less: a ridge of `strength` on what it does to them.

    With strength 0 it is its own gradient; with a very large one it is orthogonal to all other `gradients` `[attributes, k]`.
    """
    others = gradients[torch.arange(len(gradients)) != own]
    inner = torch.eye(len(others), dtype=gradients.dtype) + strength * (others @ others.T)
    # By Woodbury's identity, with a matrix as large as there are attributes rather than codes.
    direction = gradients[own] - strength * others.T @ torch.linalg.solve(inner, others @ gradients[own])
    return direction / direction.norm().clamp_min(1e-12)


def of_weights(probe: Probe, codes: Codes, count: int) -> list[Tensor]:
    """SeFa (Shen & Zhou 2021): `count` steps `[layers, size]` of one deviation of codes along eigenvectors of the first weights."""
    weights = _first_weights(probe, codes)
    if weights is None:
        return []
    rows = weights / weights.norm(dim=1, keepdim=True).clamp_min(1e-12)
    vectors = torch.linalg.eigh(rows.T @ rows).eigenvectors.flip(1)[:, :count]
    w = centred(codes.w.double().cpu().flatten(1), labels_of(codes)).view(codes.w.shape)
    deviations = torch.einsum("nls,sc->nlc", w, vectors).square().mean(dim=(0, 1)).sqrt()
    return [
        (vector * deviation).expand(codes.w.shape[1], -1)
        for vector, deviation in zip(vectors.T, deviations, strict=True)
    ]


def of_components(probe: Probe, codes: Codes, whitened: Whitened, count: int) -> list[Tensor]:
    """GANSpace (Härkönen et al. 2020): `count` steps `[layers, size]` of one deviation along principal components.

    Those of codes where they are mapped; else of the activations of the middle one of the layers with weights, brought back to codes
    by least squares.
    """
    if probe.space.maps:
        return list(whitened.basis[:count])
    activations = _middle(probe, codes)
    if activations is None:
        return []
    y = centred(activations, labels_of(codes))
    _, vectors = torch.linalg.eigh(y.T @ y)
    directions = (whitened.u.T @ (y @ vectors.flip(1)[:, :count])).T
    return list(whitened.steps(directions / directions.norm(dim=1, keepdim=True).clamp_min(1e-12)))


def _first_weights(probe: Probe, codes: Codes) -> Tensor | None:
    """`[outputs, size]` float64 of all layers of codes, one after another; None where the generator has no layer with weights."""
    space = probe.space
    if isinstance(space.generator, HasFirstWeights):
        own = [weights.detach().double().cpu() for weights in space.generator.first_weights()]
        if len(own) != space.layers or any(w.dim() != 2 or w.shape[1] != space.size for w in own):
            raise PluginError(
                f"{type(space.generator).__name__}.first_weights gave matrices of {[list(w.shape) for w in own]}; codes of "
                f"{space.layers} layers of {space.size} need [outputs, {space.size}] for each layer"
            )
        return torch.cat(own)
    found: list[Tensor] = []
    for number in range(min(BASES, len(codes))):
        changes = _changes(probe, codes_at(codes, torch.tensor([number])), number)
        found += [] if changes is None else [changes.T]
    return torch.cat(found) if found else None


def _changes(probe: Probe, one: Codes, number: int) -> Tensor | None:
    """How the outputs of the first layer that depends on codes change with each of their numbers: `[size, outputs]`."""
    space = probe.space
    rows: list[Tensor] = []
    place: int | None = None
    for numbers in torch.arange(space.size).split(CHUNK):
        moves = torch.zeros(len(numbers) + 1, space.layers, space.size, device=space.device)
        moves[torch.arange(len(numbers)) + 1, :, numbers] = 1.0
        many = moved(codes_at(one, torch.zeros(len(moves), dtype=torch.int64)), one.w + moves)
        outputs = _outputs(probe, many, torch.full((len(moves),), number))
        depends = [at for at, out in enumerate(outputs) if bool((out != out[:1]).any())]
        if place is None:
            place = depends[0] if depends else None
        if place is None or place >= len(outputs):
            return None
        rows.append(outputs[place][1:] - outputs[place][:1])
    return torch.cat(rows)


def _middle(probe: Probe, codes: Codes) -> Tensor | None:
    """Activations `[n, at most WIDEST]` float64 of the middle layer with weights; None where there is none."""
    rows: list[Tensor] = []
    projection: Tensor | None = None
    for numbers in torch.arange(len(codes)).split(CHUNK):
        outputs = _outputs(probe, codes_at(codes, numbers.to(codes.w.device)), numbers)
        if not outputs:
            return None
        found = outputs[len(outputs) // 2]
        if found.shape[1] > WIDEST:
            if projection is None:
                projection = Draws(0, torch.arange(found.shape[1])).normal("projection", WIDEST).double()
            found = found @ projection
        rows.append(found)
    return torch.cat(rows)


@torch.no_grad()
def _outputs(probe: Probe, codes: Codes, numbers: Tensor) -> list[Tensor]:
    """What each linear and convolutional layer gives for `codes`, `[n, outputs]` float64 in the order of calls."""
    found: list[Tensor] = []

    def keep(module: nn.Module, inputs: object, output: Tensor) -> None:
        if isinstance(output, Tensor) and len(output) == len(codes):
            found.append(output.detach().flatten(1).double().cpu())

    layers: Sequence[nn.Module] = [m for m in probe.space.generator.modules() if isinstance(m, nn.Linear | _ConvNd)]
    hooks = [layer.register_forward_hook(keep) for layer in layers]
    try:
        probe.space.synthesise(codes, probe.part(numbers))
    finally:
        for hook in hooks:
            hook.remove()
    return found
