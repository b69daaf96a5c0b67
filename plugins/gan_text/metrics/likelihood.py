"""How likely real texts are to a generator, and how likely its own are."""

from __future__ import annotations

import math
from collections.abc import Mapping

from pydantic import Field

from gan_text.spec import TextSpec
from gancore.evaluation.distances import Floats
from gancore.evaluation.records import Figure, LogLikelihood, Material, Samples
from gancore.options import Options as BaseOptions


class Options(BaseOptions):
    """Options of the metric `likelihood`."""

    limit: int = Field(
        2000, ge=1, le=1_000_000, description="How many texts of each set the generator is asked about, at most."
    )


def build(options: Options, spec: TextSpec) -> Likelihood:
    """The metric; see `Likelihood`."""
    return Likelihood(options, spec)


class Likelihood:
    """Negative log-likelihoods (NLL) in nats under the generator, by teacher forcing; the end of a text is a token too.

    - `tokens`: of a text in the mean, generated and real, the end among them.
    - `real/nll-per-text`, `real/nll-per-token` and `real/perplexity` (the exponential of the second): of real texts. Where these
      are held out this is what is called NLL_gen, which some published tables have of training texts.
    - `real/known`: the share of real texts that these are of. Where no training text has an unknown token, the generator never
      learnt when one comes, so texts with one are left out.
    - `train/nll-per-token`: of texts that were trained on; `overfitting` is by how much that of held-out texts is higher.
    - `own/nll-per-text` and `own/nll-per-token`: of the generator's own texts, NLL_div: an estimate of its entropy, the lower
      the less diverse.

    A figure per token is of all tokens together, not a mean over texts. For a generator that cannot tell how likely a text
    is, only `tokens` is given.
    """

    def __init__(self, options: Options, spec: TextSpec) -> None:
        self.options = options
        self.spec = spec

    def __call__(self, material: Material) -> dict[str, Figure]:
        """The figures by their names."""
        found = {
            "tokens": Figure(
                value=_mean(self._tokens(material.generated)),
                real=_mean(self._tokens(material.real)),
                others={name: _mean(self._tokens(one)) for name, one in material.others.items()},
            )
        }
        if material.log_likelihood is None:
            return found
        known = self._known(material)
        own = self._of(material.log_likelihood, material, known, material.generated)
        others = {
            name: self._of(ask, material, known, material.others[name])
            for name, ask in material.others_log_likelihood.items()
            if name in material.others
        }
        found["real/known"] = Figure(value=len(known) / max(1, len(material.real)))
        return found | {
            name: Figure(value=value, others={other: one[name] for other, one in others.items()})
            for name, value in own.items()
        }

    def _known(self, material: Material) -> Samples:
        """The real texts that the generator can be asked about."""
        unknown, real = self.spec.unknown, material.real
        if unknown is None or bool((material.train.x == unknown).any()):
            return real
        return real.part((real.x != unknown).all(1))

    def _of(self, ask: LogLikelihood, material: Material, known: Samples, samples: Samples) -> Mapping[str, float]:
        """The figures of a generator whose own samples are `samples`, of the real texts `known` as far as there are any."""
        found: dict[str, float] = {}
        if len(known):
            text, token = self._nll(ask, known)
            found = {
                "real/nll-per-text": text,
                "real/nll-per-token": token,
                "real/perplexity": math.exp(min(token, 700.0)),
            }
        if material.held_out:
            _, learnt = self._nll(ask, material.train)
            found["train/nll-per-token"] = learnt
            if len(known):
                found["overfitting"] = token - learnt
        text, own = self._nll(ask, samples)
        return found | {"own/nll-per-text": text, "own/nll-per-token": own}

    def _nll(self, ask: LogLikelihood, samples: Samples) -> tuple[float, float]:
        """The mean NLL of a text, and of a token."""
        some = samples.part(slice(self.options.limit))
        nll = -ask(some).detach().double().cpu().numpy()
        return _mean(nll), float(nll.sum() / max(1.0, self._tokens(some).sum()))

    def _tokens(self, samples: Samples) -> Floats:
        """Tokens of each text, with the end where it has one."""
        lengths = self.spec.lengths(samples.x)
        tokens: Floats = (lengths + 1).clamp(max=self.spec.length).double().numpy()
        return tokens


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else 0.0
