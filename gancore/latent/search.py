"""The search for directions of a generator: worked out by some samples, chosen by others, and judged by others again."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from gancore.components import ProgressReport
from gancore.data.report import silent
from gancore.errors import UsageError
from gancore.evaluation.attributes import Attributes
from gancore.latent.curves import Curve, Predictor, fit
from gancore.latent.directions import Course, Direction, Effects
from gancore.latent.methods import Whitened, apart, gradient, of_components, of_weights, whiten
from gancore.latent.probing import (
    POSITIONS,
    RANDOM,
    Probe,
    Response,
    centred,
    labels_of,
    random_steps,
    response,
    thirds,
)
from gancore.latent.space import Codes
from gancore.random import derive

SAMPLES = 8000
"""Samples by which directions are worked out, unless somebody says how many."""
CHOSEN_BY = 48
"""Samples by which the length of a step is set, and the better of several ways is chosen."""
JUDGED_BY = 64
"""Samples by which directions are judged."""
COMPONENTS = 5
"""Directions of each kind that are found without attributes."""
FEWEST = 20
"""Samples that must have an attribute, at least."""
OF_CLASS = 0.01
"""An attribute whose variance is mostly between classes, but for this share, follows from the class."""
STRENGTHS = (0.0, 3.0, 30.0, 1e6)
"""How strongly the changes of other attributes are taken out of a direction, from not at all to all."""
ENOUGH = 0.5
"""Of several ways the one with least side effects is taken that changes its attribute by this share of what the best one does."""
CURVED = (1.0, 10.0)
"""How strongly they are taken out of directions that turn from code to code."""
LOOKED_AT = (-2.0, -1.0, 1.0, 2.0)
"""Edits by which a curve is held against a straight direction; the one that is steadier, by so much, is taken ..."""
FASTER = 1.5
"""A curve rises faster by so much, at most, than it would by what is predicted."""
STEADIER = 0.02
"""... else the one with less side effects."""
LONGEST = 1.5
"""Length of a step, in standard deviations of codes, at most; for codes of k numbers a quarter of the root of k where that is more."""
ABOVE_RANDOM = 2.0
"""A direction does something to its attribute where it changes it by so many times what random ones do, as few of them would ..."""
MANY_ABOVE_RANDOM = 3.0
"""... one that is held against all attributes by so many times, for one of them is easily met by chance ..."""
OF_POSSIBLE = 0.6
"""... codes of k numbers by this share of the root of k, where that is less, for no direction does more than that root ..."""
LEAST = 0.1
"""... by so much of a standard deviation ..."""
STEADY = 0.3
"""... and with at least this rank correlation."""
AGAIN = 0.95
"""Cosine from which on two directions are one."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Attributes that vary: their columns among all that are measured, names and deviations within classes `[attributes]`."""

    columns: list[int]
    names: list[str]
    deviations: Tensor

    def response(self, probe: Probe, codes: Codes, steps: Tensor | Curve, amounts: Sequence[float]) -> Response:
        """That of these attributes to `steps` `[n, layers, size]` from `codes`, or along a curve, in their deviations."""
        values = probe.along(codes, steps if isinstance(steps, Curve) else steps.to(codes.w), amounts)
        return response(values[..., self.columns] / self.deviations, amounts)


@dataclass(frozen=True, slots=True)
class Judged:
    """What a step does to attribute number `own` and others, and whether that is more than what random steps do that are as long."""

    own: int
    effects: Effects
    does: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """Directions and their steps `[layers, size]`, or curves, by name, and why others are none."""

    directions: Mapping[str, Direction]
    steps: Mapping[str, Tensor | Curve]
    left_out: Mapping[str, str]


class Search:
    """Finds the directions along which samples of `probe` change."""

    def __init__(
        self,
        probe: Probe,
        *,
        samples: int = SAMPLES,
        seed: int = 0,
        judged_by: int = JUDGED_BY,
        progress: ProgressReport = silent,
    ) -> None:
        self.probe, self.progress, self.seed = probe, progress, seed
        self.names = short_names(probe.attributes)
        self.left_out: dict[str, str] = {}
        self.directions: dict[str, Direction] = {}
        self.steps: dict[str, Tensor | Curve] = {}
        self.codes_seed = derive(seed, "directions", "found by")
        self.codes = probe.codes(samples, self.codes_seed)
        self.whitened = whiten(probe.space, self.codes)
        if not len(self.whitened.basis):
            raise UsageError("all codes of this generator are the same, so there are no directions to find")
        self.chosen_by = probe.codes(CHOSEN_BY, derive(seed, "directions", "chosen by"))
        self.judged_by = probe.codes(judged_by, derive(seed, "directions", "judged by"))

    def run(self) -> Outcome:
        """All of them, named ones first, in the order of attributes; those that do nothing are left out."""
        scale, standard = self.scale(self.probe.measure(self.codes, "measuring samples"))
        gradients = self._gradients(standard)
        self.predictor = self._predictor(standard, gradients)
        weights = of_weights(self.probe, self.codes, COMPONENTS)
        components = of_components(self.probe, self.codes, self.whitened, COMPONENTS)
        kinds: list[tuple[Literal["sefa", "pca"], list[Tensor]]] = [("sefa", weights), ("pca", components)]
        total = len(scale.names) + len(weights) + len(components)
        for own, name in enumerate(scale.names):
            self.progress("trying directions", own + 1, total)
            step, strength, layers = self._tuned(scale, gradients, own)
            straight = Direction(kind="named", layers=layers, apart=strength)
            self._keep(name, scale, [self._steadier(scale, straight, step, own), (straight, step)], own)
        done, named = len(scale.names), len(self.steps)
        for kind, found in kinds:
            if not found:
                self.left_out[kind] = "the generator has no linear or convolutional layers to look at"
            for number, step in enumerate(found, 1):
                done += 1
                self.progress("trying directions", done, total)
                others = list(self.steps.items())[named:]
                if same := [name for name, other in others if isinstance(other, Tensor) and alike(other, step)]:
                    self.left_out[f"{kind}-{number}"] = f"it is {same[0]} again"
                else:
                    direction = Direction(kind=kind, layers=(0, len(step) - 1))
                    self._keep(f"{kind}-{number}", scale, [(direction, step)], None)
        return Outcome(self.directions, self.steps, self.left_out)

    def _keep(self, name: str, scale: Scale, ways: Sequence[tuple[Direction, Tensor | Curve]], own: int | None) -> None:
        """Keep the first of `ways` that does something to attribute `own`, or the one that it changes most, with what that is."""
        direction, step = ways[0]
        if scale.names:
            seed = derive(self.seed, "directions", "random", name)
            for direction, step in ways:  # noqa: B007
                known = judge(self.probe, self.judged_by, self.whitened, scale, step, own, seed)
                if known.does:
                    break
            if not known.does:
                what = "no direction was found that changes it" if own is not None else "it changes no attribute"
                self.left_out[name] = f"{what} more than random directions do"
                return
            own, effects = known.own, known.effects
            if effects.change < 0.0 and isinstance(step, Tensor):
                effects, step = turned(effects), -step
            qualified = list(self.probe.attributes.measures)[scale.columns[own]]
            record = self.probe.attributes.records[qualified]
            direction = direction.model_copy(
                update={
                    "attribute": qualified,
                    "less": record.less,
                    "more": record.more,
                    "unit": record.unit,
                    "deviation": float(scale.deviations[own]),
                    "effects": effects,
                }
            )
        self.directions[name], self.steps[name] = direction, step

    def scale(self, values: Tensor) -> tuple[Scale, Tensor]:
        """Which attributes vary, and their standardised `values` `[n, attributes]`, both without what follows from the class."""
        labels = labels_of(self.codes)
        own = centred(values, labels)
        columns: list[int] = []
        for column, name in enumerate(self.names):
            known = values[:, column][~values[:, column].isnan()]
            spread = own[:, column].square().nanmean()
            if len(known) < FEWEST:
                self.left_out[name] = f"only {len(known):,} of {len(values):,} samples have it"
            elif float(known.std()) <= 1e-6 * max(1.0, float(known.abs().max())):
                self.left_out[name] = "it is the same in all samples"
            elif labels is not None and float(spread / known.var()) < OF_CLASS:
                self.left_out[name] = "it follows from the class"
            else:
                columns.append(column)
        deviations = own[:, columns].square().nanmean(dim=0).sqrt()
        scale = Scale(columns, [self.names[column] for column in columns], deviations)
        return scale, own[:, columns] / deviations

    def _gradients(self, standard: Tensor) -> Tensor:
        """How each of standardised attributes depends on whitened codes: `[attributes, k]`."""
        rows = [gradient(self.whitened.u, y) for y in standard.T]
        return torch.stack(rows) if rows else torch.zeros(0, self.whitened.u.shape[1], dtype=torch.float64)

    def _predictor(self, standard: Tensor, gradients: Tensor) -> Predictor | None:
        if not len(gradients):
            return None
        seed, classes = derive(self.seed, "directions", "predictor"), self.codes.classes
        known = None if classes is None else classes.cpu()
        u, basis = self.whitened.u, self.whitened.basis
        return fit(u, known, standard, gradients, basis, seed=seed, progress=self.progress)

    def _steadier(self, scale: Scale, direction: Direction, step: Tensor, own: int) -> tuple[Direction, Tensor | Curve]:
        """The straight `direction`, or one that turns from code to code if attribute `own` follows it better."""
        longest = max(LONGEST, len(self.whitened.basis) ** 0.5 / 4.0)
        assert self.predictor is not None
        tried: list[tuple[Direction, Tensor | Curve]] = [(direction, step)]
        for strength in CURVED if len(scale.names) > 1 else CURVED[:1]:
            curve = Curve(self.predictor, own, strength, 1.0, longest)
            course = Course(own=own, rate=1.0, longest=longest)
            tried.append((Direction(kind="named", layers=direction.layers, apart=strength, curve=course), curve))
        found = []
        for _, way in tried:
            steps = way if isinstance(way, Curve) else way.expand(len(self.chosen_by), -1, -1)
            response = scale.response(self.probe, self.chosen_by, steps, LOOKED_AT)
            found.append((float(response.change[own]), float(response.spearman[own]), beside(response.effect, own)))
        most = max(change for change, _, _ in found)
        steadiest = max(spearman for change, spearman, _ in found if change >= ENOUGH * most) if most > 0.0 else 0.0
        good = [
            number
            for number, (change, spearman, _) in enumerate(found)
            if change >= max(ENOUGH * most, 1e-12) and spearman >= steadiest - STEADIER
        ]
        best = min(good or [0], key=lambda number: found[number][2] / max(found[number][0], 1e-12))
        chosen, way = tried[best]
        if not isinstance(way, Curve) or chosen.curve is None:
            return chosen, way
        # What was measured rather than predicted makes an edit of 1 a change of one deviation.
        rate = min(FASTER, 1.0 / found[best][0])
        return chosen.model_copy(update={"curve": chosen.curve.model_copy(update={"rate": rate})}), replace(
            way, rate=rate
        )

    def _tuned(self, scale: Scale, gradients: Tensor, own: int) -> tuple[Tensor, float, tuple[int, int]]:
        """The step of attribute `own` that does least else, how strongly others were taken out, and the layers that it moves."""
        longest = max(LONGEST, len(self.whitened.basis) ** 0.5 / 4.0)
        whole = (0, self.probe.space.layers - 1)
        tried: list[tuple[Tensor, float, tuple[int, int], float, float]] = []

        def attempt(step: Tensor, strength: float, layers: tuple[int, int]) -> None:
            steps = step.expand(len(self.chosen_by), -1, -1)
            found = scale.response(self.probe, self.chosen_by, steps, (-1.0, 1.0))
            tried.append((step, strength, layers, float(found.change[own]), beside(found.effect, own)))

        def best() -> tuple[Tensor, float, tuple[int, int], float, float]:
            most = max(change for *_, change, _ in tried)
            good = [one for one in tried if one[3] >= ENOUGH * most] if most > 0.0 else tried[:1]
            return min(good, key=lambda one: one[4] / max(one[3], 1e-12))

        for strength in STRENGTHS if len(gradients) > 1 else STRENGTHS[:1]:
            direction = apart(gradients, own, strength)
            slope = float(direction @ gradients[own])
            if slope > 0.0:
                attempt(self.whitened.steps(direction * min(longest, 1.0 / slope)), strength, whole)
        if not tried:
            return torch.zeros(whole[1] + 1, self.probe.space.size, dtype=torch.float64), 0.0, whole
        everywhere, strength = best()[:2]
        for first, last in thirds(self.probe.space.layers):
            only = torch.zeros_like(everywhere)
            only[first : last + 1] = everywhere[first : last + 1]
            attempt(only, strength, (first, last))
        step, strength, layers, change, _ = best()
        # What was measured rather than expected makes an edit of 1 a change of one deviation.
        reach = longest * float(self.whitened.basis.flatten(1).norm(dim=1).square().mean().sqrt())
        most = max(1.0, reach / max(float(step.norm()), 1e-12))
        return step * (min(1.0 / change, most) if change > 0.0 else 1.0), strength, layers


def judge(
    probe: Probe, codes: Codes, whitened: Whitened, scale: Scale, step: Tensor | Curve, own: int | None, seed: int
) -> Judged:
    """What `step`, or a curve, does to attribute `own` of samples of `codes`, or to the one that it changes most."""
    which = torch.arange(len(codes)) % RANDOM
    if isinstance(step, Curve):
        ones = torch.ones(len(codes), device=codes.w.device)
        lengths = step.step(codes, probe.space.mean(codes.classes), ones).flatten(1).norm(dim=1)
        as_long = torch.full_like(whitened.basis[0], 1.0)
        random = random_steps(whitened.basis, as_long * (float(lengths.mean()) / float(as_long.norm())), seed)[which]
        steps: Tensor | Curve = step
    else:
        random = random_steps(whitened.basis, step, seed)[which]
        steps = step.expand_as(random)
    found, null = (scale.response(probe, codes, each, POSITIONS) for each in (steps, random))
    groups = [Response(null.slopes[which == one], null.ranks[which == one]) for one in which.unique()]
    random_change = torch.stack([group.change for group in groups]).square().mean(dim=0).sqrt()
    random_spearman = torch.stack([group.spearman for group in groups]).abs().mean(dim=0)
    times = min(MANY_ABOVE_RANDOM if own is None else ABOVE_RANDOM, OF_POSSIBLE * len(whitened.basis) ** 0.5)
    does = (found.change.abs() > (times * random_change).clamp_min(LEAST)) & (found.spearman.abs() > STEADY)
    if own is None:
        own = int(torch.where(does, found.change.abs() * found.spearman.abs(), -1.0).argmax())
    else:
        does &= found.change > 0.0
    effects = Effects(
        change=float(found.change[own]),
        spearman=float(found.spearman[own]),
        others=beside(found.effect, own),
        random_change=float(random_change[own]),
        random_spearman=float(random_spearman[own]),
        random_others=beside(null.effect, own),
        changes=dict(zip(scale.names, found.change.tolist(), strict=True)),
    )
    return Judged(own, effects, bool(does[own]))


def turned(effects: Effects) -> Effects:
    """What the opposite step does."""
    changes = {name: -change for name, change in effects.changes.items()}
    return effects.model_copy(update={"change": -effects.change, "spearman": -effects.spearman, "changes": changes})


def beside(effect: Tensor, own: int) -> float:
    """The mean `effect` on all attributes but `own`; 0 where there are no others."""
    others = effect[torch.arange(len(effect)) != own]
    return float(others.mean()) if len(others) else 0.0


def alike(one: Tensor, other: Tensor) -> bool:
    """Whether two steps have the same direction, or opposite ones."""
    cosine = torch.nn.functional.cosine_similarity(one.flatten(), other.flatten(), dim=0)
    return float(cosine.abs()) > AGAIN


def short_names(attributes: Attributes) -> list[str]:
    """What directions of attributes are called: by the attribute alone, with the plugin where two have one name; no name twice."""
    short = [name.rpartition(":")[2] for name in attributes.measures]
    taken = [
        s if short.count(s) == 1 and not re.fullmatch(r"(sefa|pca)-\d+", s) else q
        for s, q in zip(short, attributes.measures, strict=True)
    ]
    return [name.replace("=", "-") for name in taken]
