"""A linear classifier of features: which class a sample is of, and how clearly."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor


class LinearClassifier:
    """Multinomial logistic regression on features `[n, size]` that are brought to mean 0 and deviation 1.

    It learns `classes` `[n]` int64, of which there are at least two. `strength` is the inverse weight of the penalty on squared
    weights. `learnt` are the classes that it knows, rising.
    """

    def __init__(self, features: Tensor, classes: Tensor, strength: float) -> None:
        from sklearn.exceptions import ConvergenceWarning  # slow to import
        from sklearn.linear_model import LogisticRegression

        self.mean, self.deviation = features.mean(dim=0), features.std(dim=0, correction=0)
        self.model = LogisticRegression(C=strength, max_iter=100)
        with warnings.catch_warnings():
            # What matters are classes, which hardly change any more after a hundred steps.
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.model.fit(self._scaled(features).numpy(), classes.numpy())
        self.learnt: list[int] = self.model.classes_.tolist()

    def __call__(self, features: Tensor) -> Tensor:
        """The most probable class of each of `features` `[n, size]`: int64 `[n]`."""
        return torch.from_numpy(self.model.predict(self._scaled(features).numpy()))

    def log_odds(self, features: Tensor) -> Tensor:
        """Logarithm of p / (1 - p) for the probability p of each class of `learnt`: float32 `[n, classes]`."""
        logits = torch.from_numpy(self.model.decision_function(self._scaled(features).numpy())).double()
        if logits.dim() == 1:
            return torch.stack([-logits, logits], dim=1).float()
        own = torch.eye(len(self.learnt), dtype=torch.bool)
        return (logits - logits[:, None].masked_fill(own, -torch.inf).logsumexp(dim=2)).float()

    def _scaled(self, features: Tensor) -> Tensor:
        return (features - self.mean) / self.deviation.clamp(min=1e-6)
