"""The architecture `translator` for sounds: spectrograms of one domain to spectrograms of another, such as voice to voice."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor, nn

from gan_audio.nets.frequency import SpectrogramOutput
from gancore.data.spec import SampleSpec
from gancore.nets import translator


class Options(translator.Options):
    """Options of translators of spectrograms and of their discriminator."""

    edits: bool = Field(
        True,
        description="Have the network say how what is given changes, so that it begins by leaving it as it is; false: make all of it"
        " anew.",
    )


class Ending(nn.Module):
    """What makes spectrograms of the last layer's outputs `[batch, planes, rows, frames]`, and of what is given, if that is edited.

    Silence is one exact value of each row, and what follows a short sound is silent. By a hyperbolic tangent it is never reached, so
    a discriminator had only to look there, and hiss was heard.
    """

    def __init__(self, spec: SampleSpec, edits: bool) -> None:
        super().__init__()
        self.output, self.edits = SpectrogramOutput(spec), edits

    def forward(self, outputs: Tensor, given: Tensor) -> Tensor:
        relaxed: Tensor = self.output(outputs + self.output.before(given) if self.edits else outputs)
        return relaxed


def build(options: Options, spec: SampleSpec) -> dict[str, nn.Module]:
    """Generator and discriminator between the domains of `spec`, both on `[batch, planes, rows, frames]`.

    Raises:
        UsageError: samples are waveforms, or have no domains, or options do not go together.
    """
    return translator.build(options, spec, lambda: Ending(spec, options.edits))
