"""Whether composed phrases change their mode when they are translated, and what of them stays.

    gan run --plugin music --preset modes --out RUN
    python benchmarks/translated_modes.py RUN [RUN ...]

Composes phrases that no run has seen (of another seed), translates those in major to minor and those in minor to major, and prints for
each direction, of the translations, of the sources as they are, and of real phrases of the target mode beside the sources:

- `mode`: share of phrases of whose notes more belong to a key of the target mode than to any key of the other. A tie does not count.
  Keys are major and harmonic minor.
- `parallel`: share in whose parallel key, on the same tonic, more notes lie than in any other key.
- `in key`: share of notes that belong to the key of the target mode that most of their phrase belong to.
- onsets: with how many notes of each track begin at each step, of those of the source the share that begin in the result (`recall`), of
  those of the result the share that the source has (`precision`), and F1.
- `moved`: where as many notes of a track begin, ordered by pitch: the share that has another pitch, and by how many semitones these
  moved on average; drums aside.
- `bar`: notes that begin in a bar, and in brackets in a bar of the source.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

import gancore
from gan_music.data.keys import KEYS, MODES
from gan_music.data.theory import key_members, note_classes
from gan_music.data.tunes import Options, open_tunes
from gan_music.spec import ONSET, MusicSpec
from gancore.random import Draws

HALF = len(KEYS) // 2


def phrases(count: int, seed: int, spec: MusicSpec) -> tuple[Tensor, Tensor]:
    """Hard phrases `[count, tracks, time, pitch]` on the grid of `spec`, and their keys `[count]`."""
    options = {"count": count, "seed": seed, "bars": spec.bars, "steps_per_beat": spec.steps_per_beat}
    source = open_tunes(Options(labels="key", **options), lambda *_: None)
    x, keys = source.fetch(torch.arange(count), Draws(0, torch.arange(count)))
    assert keys is not None
    return x, keys


def key_figures(x: Tensor, keys: Tensor, mode: int, spec: MusicSpec) -> str:
    """`mode`, `parallel` and `in key` of phrases that were in `keys` `[n]` of the other mode."""
    classes = note_classes(x, spec)
    inside = classes @ key_members().T.float()
    halves = inside.split(HALF, dim=1)
    own, other = halves[mode].amax(dim=1), halves[1 - mode].amax(dim=1)
    wanted = keys % HALF + HALF * mode
    rest = inside.scatter(1, wanted[:, None], -1.0).amax(dim=1)
    parallel = inside.gather(1, wanted[:, None])[:, 0] > rest
    share = own.sum() / classes.sum()
    said = (own > other).float().mean()
    return f"mode {said:.1%}, parallel {parallel.float().mean():.1%}, in key {share:.1%}"


def note_figures(x: Tensor, source: Tensor, spec: MusicSpec) -> str:
    """What is kept of the onsets of `source` in `x`, both hard, and how far notes have moved."""
    new, old = x >= ONSET, source >= ONSET
    struck, was = new.sum(dim=3), old.sum(dim=3)
    kept = torch.minimum(struck, was).sum()
    recall, precision = kept / was.sum(), kept / struck.sum()
    f1 = 2 * kept / (was.sum() + struck.sum())
    aligned = (struck == was) & torch.tensor([not track.drums for track in spec.tracks])[None, :, None]
    # nonzero goes through cells in order: by phrase, track and step, and then from low to high.
    apart = (new[aligned].nonzero()[:, 1] - old[aligned].nonzero()[:, 1]).abs()
    moved = apart[apart > 0].float()
    far = f"{moved.mean():.2f}" if len(moved) else "0"
    bars = len(x) * spec.bars
    return (
        f"onsets: recall {recall:.1%}, precision {precision:.1%}, F1 {f1:.1%}; moved {len(moved) / max(len(apart), 1):.1%}"
        f" by {far}; bar {struck.sum() / bars:.1f} ({was.sum() / bars:.1f})"
    )


def judge(run: Path, count: int, seed: int) -> None:
    """Print three lines for each direction."""
    generator = gancore.load(run, device="cpu")
    spec = generator.spec
    assert isinstance(spec, MusicSpec)
    x, keys = phrases(count, seed, spec)
    for mode, name in enumerate(MODES):
        of, to = keys // HALF != mode, keys // HALF == mode
        source, known, real = x[of], keys[of], x[to]
        sets = {
            "translated": (generator.translate(source, to=name), source, known),
            "as they are": (source, source, known),
            "real": (real[: len(source)], source[: len(real)], (keys[to][: len(source)] + HALF) % len(KEYS)),
        }
        for words, (made, other, tonics) in sets.items():
            found = f"{key_figures(made, tonics, mode, spec)}; {note_figures(made, other, spec)}"
            print(f"{run} {MODES[1 - mode]} to {name}, {words}: {found}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("-n", type=int, default=1024, help="phrases, about half of which are in each mode (1024)")
    parser.add_argument("--seed", type=int, default=1000, help="decides the phrases (1000); runs have 0")
    arguments = parser.parse_args()
    for run in arguments.runs:
        judge(run, arguments.n, arguments.seed)


if __name__ == "__main__":
    main()
