"""What the game `sequence` asks of networks of texts beside the contract, found by `isinstance`."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor

from gancore.random import Draws


@runtime_checkable
class Writes(Protocol):
    """A generator that writes token by token: it can be taught by likelihood, and relaxed as the game says."""

    def nll(self, hard: Tensor, condition: Tensor | None) -> Tensor:
        """Negative log-likelihoods `[batch, length]` in nats of texts `[batch, length]`.

        Where the game noises texts, it also takes by name what is read and what is to be foreseen, `read` and `goal`.
        """
        ...

    def gumbel(self, z: Tensor, condition: Tensor | None) -> Tensor:
        """Relaxed texts `[batch, length, vocabulary]`; takes `temperature`, `hard`, `noise` and `noise_per_nat` by name."""
        ...

    def draw_latent(self, draws: Draws) -> Tensor:
        """Latents `[batch, length]` int64."""
        ...


@runtime_checkable
class Calibrates(Protocol):
    """A generator whose logits can be scaled, for `mle.calibrate`."""

    def last(self) -> list[Tensor]:
        """The parameters in which logits are linear, all of them together."""
        ...

    def soften(self, temperature: float) -> None:
        """Divide all logits by `temperature`, for good."""
        ...


@runtime_checkable
class JudgesEmbeddings(Protocol):
    """A discriminator that can be differentiated by what it reads, for `penalties_on=embeddings`."""

    def embed(self, x: Tensor) -> Tensor:
        """Relaxed texts `[batch, length, vocabulary]` to vectors `[batch, length, dim]`."""
        ...

    def logits(self, embedded: Tensor, condition: Tensor | None, mask: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Logits `[batch]`, or one such tensor a head, of embedded texts."""
        ...

    def mask(self, x: Tensor) -> Tensor:
        """1 at places `[batch, length]` that count, else 0; float32."""
        ...
