"""What a phrase of music is to the engine: several tracks on one grid of steps and pitches, onsets told from held notes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from gancore.data.spec import SampleSpec

SILENT, HELD, ONSET = 0, 1, 2
"""Hard values of a cell. With velocities, an onset of the v-th bin is `ONSET + v`."""

MAX_BARS = 65536
"""Bars of phrases, or of phrases that were joined, at most."""
_FOLLOWS = ("shape", "dtype", "value_range")
"""Fields of a spec that follow from the others."""


class Track(BaseModel):
    """One voice of a phrase."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="Name of the track, as written into MIDI files.", min_length=1)
    program: int = Field(0, ge=0, le=127, description="General MIDI program, 0 to 127; without meaning for drums.")
    drums: bool = Field(False, description="Whether pitches are drums (MIDI channel 10), which have onsets only.")
    single: bool = Field(False, description="Whether one note sounds at a time, as in a melody; generators keep to it.")

    @model_validator(mode="after")
    def _check_track(self) -> Track:
        if self.single and self.drums:
            raise ValueError(f"track '{self.name}': drums are not single notes")
        return self


class MusicSpec(SampleSpec):
    """Phrases `[batch, tracks, time, pitch]` uint8 when hard, `[batch, tracks * planes, time, pitch]` when relaxed.

    A hard cell is 0 where nothing sounds, 1 where a note goes on, 2 (or more, with velocities) where one begins, so a note
    that is repeated is not one that is held. Relaxed, each track has two planes in [0, 1], which a generator fills: where
    notes begin, and where they sound; with more than one velocity a third, the velocity of onsets.

    Tracks that are `given` are not made but heard: a generator accompanies them.
    """

    called: ClassVar[str] = "phrases of music"

    dtype: str = Field(default="uint8", description="Always uint8.")
    tracks: tuple[Track, ...] = Field(min_length=1, max_length=64, description="The tracks, in order.")
    lowest: int = Field(24, ge=0, le=127, description="MIDI pitch of the first place on the pitch axis.")
    pitches: int = Field(84, ge=1, le=128, description="How many pitches the axis has.")
    steps_per_beat: int = Field(4, ge=1, le=96, description="Steps of the grid in a beat.")
    beats_per_bar: int = Field(4, ge=1, le=32, description="Beats in a bar: the upper number of the time signature.")
    beat_unit: Literal[1, 2, 4, 8, 16] = Field(4, description="What a beat is: the lower number of the time signature.")
    bars: int = Field(4, ge=1, le=MAX_BARS, description="Bars in a phrase, or in phrases that were joined.")
    tempo: float = Field(120.0, ge=10.0, le=1000.0, description="Quarter notes a minute, for writing files.")
    velocities: int = Field(1, ge=1, le=127, description="How many velocities are told apart; 1: none are kept.")
    given: tuple[str, ...] = Field((), description="Names of the tracks that a generator is given, to make the others.")

    @model_validator(mode="after")
    def _check_music(self) -> MusicSpec:
        if self.lowest + self.pitches > 128:
            raise ValueError(f"pitches {self.lowest} to {self.lowest + self.pitches - 1} go beyond MIDI's 127")
        wanted = (len(self.tracks) * self.planes, self.time, self.pitches)
        if self.shape != wanted:
            raise ValueError(f"shape must be {wanted} for these tracks, bars and pitches, not {self.shape}")
        if self.dtype != "uint8" or self.value_range != (0.0, float(HELD + self.velocities)):
            raise ValueError(f"hard phrases are uint8 in 0..{HELD + self.velocities}")
        names = [track.name for track in self.tracks]
        if unknown := [name for name in self.given if names.count(name) != 1]:
            raise ValueError(f"given: '{unknown[0]}' is not the name of one track; tracks are {', '.join(names)}")
        if len(set(self.given)) != len(self.given):
            raise ValueError(f"given: a track is named twice in {', '.join(self.given)}")
        if len(self.given) == len(names):
            raise ValueError(f"given: {', '.join(self.given)} are all tracks, and none is left to make")
        return self

    @classmethod
    def of(
        cls,
        tracks: tuple[Track, ...],
        *,
        bars: int = 4,
        steps_per_beat: int = 4,
        beats_per_bar: int = 4,
        beat_unit: Literal[1, 2, 4, 8, 16] = 4,
        lowest: int = 24,
        pitches: int = 84,
        tempo: float = 120.0,
        velocities: int = 1,
        classes: tuple[str, ...] = (),
        domains: tuple[str, ...] = (),
        given: tuple[str, ...] = (),
    ) -> MusicSpec:
        """The spec with the shape and range that follow from the rest."""
        planes = 2 if velocities == 1 else 3
        return cls(
            shape=(len(tracks) * planes, bars * beats_per_bar * steps_per_beat, pitches),
            value_range=(0.0, float(HELD + velocities)),
            tracks=tracks,
            bars=bars,
            steps_per_beat=steps_per_beat,
            beats_per_bar=beats_per_bar,
            beat_unit=beat_unit,
            lowest=lowest,
            pitches=pitches,
            tempo=tempo,
            velocities=velocities,
            classes=classes,
            domains=domains,
            given=given,
        )

    @property
    def reading(self) -> Mapping[str, Any]:
        """Other tunes are cut into phrases of the same length and grid, for tracks of the same names."""
        return {
            "bars": self.bars,
            "steps_per_beat": self.steps_per_beat,
            "meter": f"{self.beats_per_bar}/{self.beat_unit}",
            "lowest": self.lowest,
            "highest": self.lowest + self.pitches - 1,
            "velocities": self.velocities,
            "tracks": "name",
            "names": tuple(track.name for track in self.tracks),
        }

    def changed(self, **changes: Any) -> MusicSpec:
        """The same with some arguments of `of` changed, and the shape that follows."""
        kept = {name: getattr(self, name) for name in type(self).model_fields if name not in _FOLLOWS}
        return MusicSpec.of(**(kept | changes))

    @property
    def given_tracks(self) -> list[int]:
        """Numbers of the tracks that are given, in the order of the tracks."""
        return [number for number, track in enumerate(self.tracks) if track.name in self.given]

    def only(self, tracks: Sequence[int]) -> MusicSpec:
        """The spec of the tracks of these numbers alone, none of them given."""
        return self.changed(tracks=tuple(self.tracks[number] for number in tracks), given=())

    @property
    def planes(self) -> int:
        """Relaxed planes a track."""
        return 2 if self.velocities == 1 else 3

    @property
    def steps_per_bar(self) -> int:
        """Steps of the grid in a bar."""
        return self.beats_per_bar * self.steps_per_beat

    @property
    def time(self) -> int:
        """Steps in a phrase."""
        return self.bars * self.steps_per_bar

    def relax(self, hard: Tensor) -> Tensor:
        """Hard `[batch, tracks, time, pitch]` to `[batch, tracks * planes, time, pitch]` float32 in [0, 1]."""
        planes = [(hard >= ONSET).float(), (hard >= HELD).float()]
        if self.velocities > 1:
            planes.append((hard.float() - HELD).clamp(min=0.0) / self.velocities)
        return torch.stack(planes, dim=2).flatten(1, 2)

    def harden(self, relaxed: Tensor) -> Tensor:
        """Relaxed to hard: what is at least 1/2 sounds; a note that sounds where none did begins there."""
        onset, sounding, *velocity = relaxed.float().unflatten(1, (len(self.tracks), self.planes)).unbind(2)
        sounds = sounding >= 0.5
        drums = torch.tensor([t.drums for t in self.tracks], device=relaxed.device)[:, None, None]
        before = torch.nn.functional.pad(sounds, (0, 0, 1, 0))[:, :, :-1]
        begins = sounds & ((onset >= 0.5) | ~before)
        # A drum has no length: it sounds where it is struck.
        begins = torch.where(drums, sounds & (onset >= 0.5), begins)
        sounds = torch.where(drums, begins, sounds)
        value = torch.full_like(onset, float(ONSET))
        if velocity:
            value = HELD + (velocity[0] * self.velocities).round().clamp(1, self.velocities)
        return torch.where(begins, value, sounds.float() * HELD).to(torch.uint8)

    def distance(self, one: Tensor, other: Tensor) -> Tensor:
        """By how much cells of relaxed phrases `[batch, *shape]` differ, as a share of what is in both: `[batch]`, differentiable.

        sum |a - b| / sum (a + b): 0 where they are the same, 1 where they have nothing in common. A mean over all cells, of which
        some in a hundred sound, would say of silence that it is very like any phrase.
        """
        apart = (one - other).abs().flatten(1).sum(dim=1)
        return apart / (one.abs() + other.abs()).flatten(1).sum(dim=1).clamp(min=1.0)

    # --- tracks that are given --------------------------------------------------------------------------------------

    @property
    def given_shape(self) -> tuple[int, ...] | None:
        """`(given tracks * planes, time, pitch)`; without given tracks that of a whole phrase where there are domains, else None."""
        return (len(self.given) * self.planes, *self.shape[1:]) if self.given else super().given_shape

    def given_part(self, relaxed: Tensor) -> Tensor | None:
        """The planes of the given tracks: `[batch, given tracks * planes, time, pitch]`; without such as `given_shape`."""
        if not self.given:
            return super().given_part(relaxed)
        planes = relaxed.split(self.planes, dim=1)
        return torch.cat([planes[number] for number in self.given_tracks], dim=1)
