"""Options of every data set of sounds: the one place for sample rate, length and the sizes of the transform."""

from __future__ import annotations

from pydantic import Field, model_validator

from gan_audio.spec import AudioSpec, GivenPart, Representation
from gancore.options import Options


class SoundOptions(Options):
    """How long sounds are and what networks see of them."""

    representation: Representation = Field(
        "log-stft",
        description="What networks see: waveform, log-stft (phases are found by Griffin-Lim), stft-if (magnitude and"
        " instantaneous frequency, inverted at once) or log-mel.",
    )
    sample_rate: int = Field(8000, ge=1000, le=384_000, description="Samples a second; sounds are resampled to it.")
    length: int = Field(8192, ge=16, le=2**24, description="Samples in a clip, a multiple of hop.")
    n_fft: int = Field(256, ge=16, le=16_384, description="Samples in a frame of the transform; half as many bins.")
    hop: int = Field(64, ge=1, le=8192, description="Samples from frame to frame.")
    mels: int = Field(64, ge=4, le=1024, description="Bands of log-mel.")
    floor_db: float = Field(
        -80.0,
        ge=-200.0,
        le=-20.0,
        description="Magnitudes below this count as this, where a sine at full scale has 0 dB.",
    )
    iterations: int = Field(32, ge=0, le=1000, description="Iterations of Griffin-Lim.")
    given: GivenPart = Field(
        "none",
        description="What a generator is given of each sound: nothing, or with representation=waveform its log-mel, as a"
        " vocoder is; labels are then left out.",
    )

    @model_validator(mode="after")
    def _fits(self) -> SoundOptions:
        self.spec()
        return self

    def spec(self, classes: tuple[str, ...] = ()) -> AudioSpec:
        """The spec of these sounds; not fitted to any yet."""
        classes = () if self.given == "mel" else classes  # what sounds stands in the mel
        return AudioSpec.of(classes=classes, **{name: getattr(self, name) for name in SoundOptions.model_fields})
