"""A translator of toy pictures, with every power that games of translation ask for."""

from __future__ import annotations

from torch import Tensor, nn

from gancore.components import Prior
from gancore.nets.conditioning import ClassEmbedding
from toys.pictures import LATENT, NetOptions, ToyDiscriminator, ToySpec

DOMAINS = ("left", "right")
SPEC = ToySpec(domains=DOMAINS, classes=DOMAINS)


class ToyTranslator(nn.Module):
    """`given` `[batch, 1, 4, 4]` to pictures of domains `condition` `[batch]`, in styles `[batch, 1, 3]`."""

    takes_given = True
    prior = Prior()

    def __init__(self, domains: int) -> None:
        super().__init__()
        self.latent_shape = (LATENT,)
        self.domains = ClassEmbedding(domains, LATENT)
        self.down = nn.Linear(4, 3)
        self.up = nn.Linear(4 * 3 + LATENT, 16)

    def forward(self, z: Tensor, condition: Tensor | None, given: Tensor) -> Tensor:
        return self.synthesise(self.map(z, condition), condition, given)

    def map(self, z: Tensor, condition: Tensor | None) -> Tensor:
        return (z.to(self.up.weight) * 0.5 + self.domains(condition))[:, None]

    def synthesise(self, w: Tensor, condition: Tensor | None, given: Tensor) -> Tensor:
        seen = self.down(given[:, 0]).tanh().flatten(1)
        return self.up(nn.functional.softplus(_joined(seen, w[:, 0]))).tanh().view(-1, 1, 4, 4)

    def encode(self, given: Tensor, condition: Tensor | None) -> list[Tensor]:
        """The picture, and 3 features of each of its rows."""
        return [given, self.down(given[:, 0]).tanh().transpose(1, 2)]

    def read(self, x: Tensor, condition: Tensor | None) -> Tensor:
        return (self.down(x[:, 0]).mean(dim=1) * 0.7 + self.domains(condition))[:, None]


def _joined(one: Tensor, other: Tensor) -> Tensor:
    return nn.functional.pad(one, (0, other.shape[1])) + nn.functional.pad(other, (one.shape[1], 0))


def networks(domains: int = 2) -> dict[str, nn.Module]:
    """A translator and a discriminator."""
    names = tuple(map(str, range(domains)))
    judge = ToyDiscriminator(NetOptions(), ToySpec(domains=names, classes=names))
    return {"generator": ToyTranslator(domains), "discriminator": judge}


def build(options: NetOptions, spec: ToySpec) -> dict[str, nn.Module]:
    return networks(spec.class_count)
