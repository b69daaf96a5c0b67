"""Quality and diversity of texts by BLEU: against real texts, of samples with each other, and of real texts against samples."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field

from gan_text.metrics.bleu import Floats, References, Sentences
from gan_text.metrics.curve import Spot, lead
from gan_text.metrics.plot import Mark, Panel, draw
from gan_text.metrics.words import coded, words_of
from gan_text.spec import TextSpec
from gancore.evaluation.records import Figure, Material, Measured
from gancore.options import Options as BaseOptions

ORDERS = (2, 3, 4, 5)

Family = Literal["bleu", "self-bleu", "backward-bleu"]
FAMILIES: tuple[Family, ...] = ("bleu", "self-bleu", "backward-bleu")
_ACROSS: dict[Family, str] = {"self-bleu": "lower is more diverse", "backward-bleu": "higher is more diverse"}
"""What stands below the planes of quality and diversity."""


class Options(BaseOptions):
    """Options of the metric `bleu`."""

    limit: int = Field(
        10_000,
        ge=2,
        le=1_000_000,
        description="How many texts of each set are looked at, at most. BLEU rises with the number of references.",
    )
    backward_limit: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="How many references are hypotheses of backward BLEU, at most; all when not given.",
    )
    references: Literal["real", "train"] = Field(
        "real",
        description="What generated texts are held against: real ones, or those trained on, as in some published tables.",
    )
    order: int = Field(3, ge=2, le=5, description="Length of n-grams in the picture and in the lead over the others.")


def build(options: Options, spec: TextSpec) -> Bleu:
    """The metric; see `Bleu`."""
    return Bleu(options, spec)


class Bleu:
    """BLEU as in Zhu et al. 2018, "Texygen", of the words that `nltk.word_tokenize` finds; n is 2 to 5.

    - `bleu-n`: mean over samples of BLEU with all real texts as references: quality.
    - `self-bleu-n`: mean over samples of BLEU with all other samples as references: lack of diversity.
    - `backward-bleu-n`: mean over real texts of BLEU with all samples as references: what of the real texts is covered.
    - `lead/self-bleu` and `lead/backward-bleu`, where the run keeps other generators: by how many standard errors the
      generator is better than their curve of BLEU over diversity, 0 where the curve does not reach so far and nothing can be
      said; `gan_text.metrics.curve.lead` says how. More than 2 is a win over the others, less than -2 a loss.
    - `standard-error/...` of the figures of the first three kinds: the deviation over sentences, by the root of their number.

    All of them depend on how many texts there are, of references most: only figures of equal numbers can be compared.
    Real figures are those of as many training texts as there are samples, against the same references. Where real texts are
    not held out, they are those of the real texts among themselves, each without itself.

    Standard errors take the references as given. Those of self-BLEU, whose sentences are each other's references, do as if
    they were independent; over disjoint sets of 500 captions the means deviated 0.8 to 1.3 times as much. Those of backward
    BLEU are over the real sentences, and drawing 500 other samples moved it 0.8 to 1.7 times as much.

    The picture `quality-diversity` has BLEU over self-BLEU and over backward BLEU, with bars of two standard errors.
    """

    def __init__(self, options: Options, spec: TextSpec) -> None:
        self.options = options
        self.spec = spec

    def __call__(self, material: Material) -> Measured:
        """Figures by their names, and the picture."""
        theirs, rest = material.real, material.train
        if self.options.references == "train":
            theirs, rest = rest, theirs
        limit, names = self.options.limit, list(material.others)
        among = min(limit, len(material.generated))
        sets = [words_of(material.generated.x, self.spec, limit), words_of(theirs.x, self.spec, limit)]
        sets += [words_of(material.others[name].x, self.spec, limit) for name in names]
        if material.held_out:
            sets.append(words_of(rest.x, self.spec, among))
        generated, references, *more = coded(*sets)
        table = References(references, max(ORDERS))
        ours = self._score(generated, table)
        others = {name: self._score(one, table) for name, one in zip(names, more, strict=False)}
        real: dict[Family, Floats] = {}
        if material.held_out:
            real = self._score(more[-1], table)
        elif len(references) > 1:
            real = dict.fromkeys(FAMILIES, table.score_selves())
        found: dict[str, Figure | float] = {}
        errors: dict[str, Figure | float] = {}
        for family, scores in ours.items():
            for n in ORDERS:
                of = {name: one[family][:, n - 1] for name, one in others.items() if family in one}
                row = real[family][:, n - 1] if family in real else None
                found[f"{family}-{n}"] = Figure(
                    value=float(scores[:, n - 1].mean()),
                    real=None if row is None else float(row.mean()),
                    others={name: float(values.mean()) for name, values in of.items()},
                )
                errors[f"standard-error/{family}-{n}"] = Figure(
                    value=standard_error(scores[:, n - 1]),
                    real=None if row is None else standard_error(row),
                    others={name: standard_error(values) for name, values in of.items()},
                )
        return self._with_planes(found, errors, ours, real, others)

    def _score(self, samples: Sentences, table: References) -> dict[Family, Floats]:
        """BLEU-1 to BLEU-5 of each sentence, by family; without self-BLEU where there is one sample alone."""
        own = References(samples, max(ORDERS))
        backward = self.options.backward_limit or len(table.sentences)
        scores: dict[Family, Floats] = {"bleu": table.score(samples)}
        if len(samples) > 1:
            scores["self-bleu"] = own.score_selves()
        scores["backward-bleu"] = own.score(table.sentences.head(backward))
        return scores

    def _with_planes(
        self,
        found: Mapping[str, Figure | float],
        errors: Mapping[str, Figure | float],
        ours: Mapping[Family, Floats],
        real: Mapping[Family, Floats],
        others: Mapping[str, Mapping[Family, Floats]],
    ) -> Measured:
        """The figures with the leads over the others, and the picture of both planes."""
        leads: dict[str, Figure | float] = {}
        panels = []
        for family, words in _ACROSS.items():
            if family not in ours:
                continue
            mine = self._spot(ours, family)
            curve = {name: self._spot(one, family) for name, one in others.items() if family in one}
            if curve:
                value = lead(mine, list(curve.values()), rising=family == "backward-bleu")
                leads[f"lead/{family}"] = Figure(value=value)
            marks = [Mark("generated", "star", (mine,))]
            if family in real:
                marks.append(Mark("real", "diamond", (self._spot(real, family),)))
            if curve:
                marks.append(Mark(_common(list(curve)), "curve", tuple(curve.values()), tuple(curve)))
            n = self.options.order
            name = "Self-BLEU" if family == "self-bleu" else "Backward BLEU"
            panels.append(Panel(f"{name}-{n} ({words})", f"BLEU-{n} (quality)", tuple(marks)))
        return Measured({**found, **leads, **errors}, {"quality-diversity": draw(panels)})

    def _spot(self, scores: Mapping[Family, Floats], family: Family) -> Spot:
        x, y = (scores[one][:, self.options.order - 1] for one in (family, "bleu"))
        return Spot(float(x.mean()), float(y.mean()), standard_error(x), standard_error(y))


def _common(names: Sequence[str]) -> str:
    """The first word of all names where they have the same."""
    first = {name.split()[0] for name in names if name.split()}
    return first.pop() if len(first) == 1 else "others"


def standard_error(values: Floats) -> float:
    """Of the mean of values `[n]`; 0 for fewer than two."""
    return float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else 0.0
