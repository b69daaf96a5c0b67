"""The mixture of Gaussians that normalises a column of numbers (Xu et al. 2019, section 4.2)."""

from __future__ import annotations

import warnings

import numpy as np

from gan_tabular.spec import REACH, Mode

LIGHTEST = 0.005
"""Components of less weight are left out."""

FITTED = 2_000
"""Values that the mixture is fitted to: more make it slower and hardly better."""


def fit_modes(codes: np.ndarray, most: int) -> tuple[Mode, ...]:
    """Modes that between them reach every one of `codes` `[n]` int64, in units of the column's last digit.

    A variational mixture of at most `most` Gaussians with a Dirichlet process prior, which leaves components without use
    empty. It is fitted to evenly spaced quantiles, so the order of the rows does not matter. Where some values are
    further than four standard deviations from every mean, one more mode spans the whole range: no value is cut off.
    """
    values = np.sort(codes.astype(np.float64))
    if len(values) > FITTED:
        values = values[np.linspace(0, len(values) - 1, FITTED).round().astype(np.int64)]
    means, spreads, weights = _mixture(values, most)
    modes = [
        # Rounded, so that the last bits of a library's sums do not make another spec.
        Mode(centre=round(float(m)), spread=float(f"{max(s, 0.25):.4g}"), weight=float(f"{min(w, 1.0):.4g}"))
        for m, s, w in sorted(zip(means, spreads, weights, strict=True))
    ]
    centre = np.array([m.centre for m in modes])
    reach = REACH * np.array([m.spread for m in modes])
    everything = np.unique(codes)
    beyond = (np.abs(everything[:, None] - centre) > reach).all(axis=1)
    if beyond.any():
        low, high = int(everything[0]), int(everything[-1])
        share = max(1.0 / len(codes), float(np.isin(codes, everything[beyond]).mean()))
        middle = (low + high) // 2
        # A touch wider than the range, or rounding would leave out its ends.
        modes.append(
            Mode(centre=middle, spread=float(f"{1.001 * (high - middle) / REACH:.6g}"), weight=float(f"{share:.4g}"))
        )
    return tuple(modes)


def _mixture(values: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means, standard deviations and weights of the components that are in use."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import BayesianGaussianMixture

    centre, scale = values.mean(), values.std()
    distinct = len(np.unique(values))
    if distinct == 1 or most == 1:
        return np.array([centre]), np.array([scale]), np.array([1.0])
    model = BayesianGaussianMixture(
        n_components=min(most, distinct),
        weight_concentration_prior_type="dirichlet_process",
        weight_concentration_prior=0.001,
        max_iter=100,
        random_state=0,
    )
    with warnings.catch_warnings():
        # The bound creeps on for long after the components have found their places.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(((values - centre) / scale)[:, None])
    used = model.weights_ > LIGHTEST
    means = model.means_[used, 0] * scale + centre
    return means, np.sqrt(model.covariances_[used, 0, 0]) * scale, model.weights_[used]
