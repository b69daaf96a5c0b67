"""What a network, a data set or a game can do beyond what it must: each power a Protocol, found by `isinstance`.

A part has a power by having its attributes, and the engine then uses them; nothing is declared. Methods are found where
`isinstance` finds them: in the class or on the object itself, not among the submodules of an `nn.Module`. Nothing here imports
torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from gancore.components import Augment, OtherGenerator, Prior, ProgressReport
    from gancore.data.classes import Content
    from gancore.data.spec import Given
    from gancore.evaluation.records import Samples
    from gancore.options import Options
    from gancore.random import Draws


# --- generators -----------------------------------------------------------------------------------------------------


@runtime_checkable
class DrawsLatent(Protocol):
    """A generator whose latents are not standard normal.

    The engine calls it wherever it draws latents, in training and for samples; without it they are normal, `[batch, *latent_shape]`.
    """

    def draw_latent(self, draws: Draws) -> Tensor:
        """Latents `[batch, ...]`, floats or int64, for the positions of `draws`, and drawn from it alone."""
        ...


@runtime_checkable
class HasPrior(Protocol):
    """A generator that says which numbers of its latents can be moved by degrees.

    Without this power all can, as those of a standard normal distribution or, where it draws latents itself, along straight lines;
    latents that are integers cannot.
    """

    prior: Prior
    """How latents are drawn, and which of their numbers are more than noise."""


@runtime_checkable
class MapsLatent(Protocol):
    """A generator that first maps latents to codes, one for each of its layers, which can be moved and exchanged one by one.

    `synthesise(map(z, condition), condition)` is bit for bit what a call gives in evaluation mode. Without this power the latent is
    the only code.
    """

    def map(self, z: Tensor, condition: Tensor | None) -> Tensor:
        """Codes `[batch, layers, size]` of latents `z` `[batch, *latent_shape]` and classes `[batch]` int64 or None.

        Classes may be mixed: weights `[batch, classes]`, floats that add up to 1, as `gancore.nets.conditioning.ClassEmbedding` takes.
        """
        ...

    def synthesise(self, w: Tensor, condition: Tensor | None) -> Tensor:
        """Relaxed samples `[batch, *spec.shape]` of codes `[batch, layers, size]`, and of classes as above.

        One that also `takes_given` is called `synthesise(w, condition, given)` where a part is given.
        """
        ...


@runtime_checkable
class HasFirstWeights(Protocol):
    """A generator that shows by which weights its codes come in, for directions that change samples most (Shen & Zhou 2021).

    Without this power they are those of the first linear layer that is called.
    """

    def first_weights(self) -> Sequence[Tensor]:
        """For each layer of codes a matrix `[outputs, size]`."""
        ...


@runtime_checkable
class TakesGiven(Protocol):
    """A generator with a conditioning input: it makes the rest of samples of which a part is given (`spec.given_shape` is not None).

    It is called `generator(z, condition, given)` with `given` `[batch, *spec.given_shape]`, and returns whole samples with that
    part in them unchanged (unless `spec.given_kept` is false: then with one that is near). The engine refuses to train a
    generator without this power on such data.
    """

    takes_given: bool
    """True; False is as good as none."""


@runtime_checkable
class EncodesGiven(Protocol):
    """A generator that shows what it sees in samples that it is given, as the game `cut` needs."""

    def encode(self, given: Tensor, condition: Tensor | None) -> Sequence[Tensor]:
        """Maps `[batch, features, places...]` of `given` `[batch, *given_shape]`, on the way to domains `condition` `[batch]` int64.

        As many maps, of the same features and places, whatever is given, all with a gradient to it. The samples themselves may be one.
        """
        ...


@runtime_checkable
class ReadsStyle(Protocol):
    """A generator that `maps_latent` and finds the code of a sample as well, as the game `stargan` needs."""

    def read(self, x: Tensor, condition: Tensor | None) -> Tensor:
        """Codes `[batch, layers, size]`, as `map` makes them, of relaxed samples `[batch, *shape]` of domains `condition` `[batch]`."""
        ...


@runtime_checkable
class SamplesItself(Protocol):
    """A generator whose final samples are not just `spec.harden` of what a call returns.

    The engine draws sheets, samples and what is evaluated by it; training goes on calling the generator.
    """

    sampling: Options
    """How samples are drawn unless `gan sample` says otherwise: options of a model of its own (temperature, prompt)."""

    def sample(self, z: Tensor, condition: Tensor | None, sampling: Any) -> Tensor:
        """Hard samples `[batch, *hard shape]` of latents `z` `[batch, ...]` and classes `[batch]` int64 or None.

        `sampling` is a changed copy of the attribute, or None for the attribute itself. One that also `takes_given` is called
        `sample(z, condition, sampling, given)` where a part is given.
        """
        ...


@runtime_checkable
class TellsLikelihood(Protocol):
    """A generator that can tell how likely a sample is, for metrics: `Material.log_likelihood`."""

    def log_likelihood(self, hard: Tensor, condition: Tensor | None) -> Tensor:
        """Natural logarithms `[batch]` of the probabilities of hard samples `[batch, ...]`, given their classes `[batch]`."""
        ...


@runtime_checkable
class Exports(Protocol):
    """A generator that can be written as a model of another library, by `gan export`."""

    def export(self, folder: Path, spec: Any, condition: int | None) -> object:
        """Write its files into `folder`; `condition` is the class that the model is to be of, or None without classes."""
        ...


# --- discriminators -------------------------------------------------------------------------------------------------


@runtime_checkable
class MixesBatch(Protocol):
    """A discriminator in which the samples of a batch affect each other (minibatch statistics).

    It then sees real and fake apart, and does not choose between candidates. Batch normalisation is recognised without.
    """

    mixes_batch: bool
    """True; False is as good as none."""


@runtime_checkable
class HasFeatures(Protocol):
    """A discriminator that shows by what it judges: the engine watches for mode collapse there rather than in the samples."""

    def features(self, x: Tensor, condition: Tensor | None) -> Tensor:
        """Features `[batch, features]` of relaxed samples `[batch, *spec.shape]` of classes `[batch]` int64 or None."""
        ...


# --- losses and augmentations ---------------------------------------------------------------------------------------


@runtime_checkable
class HasThreshold(Protocol):
    """A loss under which one logit tells by itself on which side its sample is.

    Without this power only differences of logits count, as under relativistic losses.
    """

    threshold: float
    """The logit of a sample that is as likely real as fake: 0 for the logistic loss."""


@runtime_checkable
class HasStrength(Protocol):
    """An augmentation that can be of any strength, which the engine sets between steps; its options derive from
    `gancore.options.StrengthOptions`."""

    strength: float
    """From 0, where samples stay exactly as they are, to 1. Below 1, no two distributions of samples should become the same."""


@runtime_checkable
class Deceives(Protocol):
    """An augmentation that shows the discriminator fakes in place of real samples (Jiang et al. 2021)."""

    def deceived(self, draws: Draws) -> Tensor | None:
        """Which rows are replaced, `[batch]` bool, for the positions of `draws`, and drawn from it alone; None: not any."""
        ...


# --- data sets ------------------------------------------------------------------------------------------------------


@runtime_checkable
class Grouped(Protocol):
    """A data source whose samples belong together: phrases of one tune, frames of one film.

    What `held_out` keeps from training are then whole groups.
    """

    groups: Tensor | None
    """The number of each sample's group, `[len]` int64; None is as good as none."""


@runtime_checkable
class Labelled(Protocol):
    """A data source that knows all classes without fetching samples; one with classes best has this.

    By these, real samples are shown in the order of generated ones.
    """

    labels: Tensor | None
    """The class of each sample, `[len]` int64; None is as good as none."""


@runtime_checkable
class HasDomains(Protocol):
    """A data source whose samples are of several domains, the sides of a translation.

    Without this power, games that translate take classes for domains. Domains are no classes: each may have samples of all, and then
    networks are told of domains alone. Every batch, and every part of it, holds equally many samples of each, in
    turns: what a game makes pairs of comes from the engine, and from the same part of the data. What `held_out` keeps from training
    is of every domain. `spec.domains` names them.
    """

    domains: Tensor | None
    """The domain of each sample, `[len]` int64; None is as good as none."""


@runtime_checkable
class HasContent(Protocol):
    """A data source that knows what its samples show, whatever their domain: the digit, where domains are kinds of handwriting.

    No network is told; the metric `translation` says how often it is kept. Without this power it is a sample's class, where the source
    has domains beside its classes.
    """

    content: Content | None
    """None is as good as none."""


# --- readers of what is given ---------------------------------------------------------------------------------------


@runtime_checkable
class StreamsGiven(Protocol):
    """A reader of what is given that gives the files of a folder in turn, so that few of them are in memory at a time."""

    def stream(self, path: Path, progress: ProgressReport) -> Iterator[Given] | None:
        """What `read` gives of `path`, in the same order, bit by bit; None where that is one thing, which is read at once.

        Each bit holds one sample or some more with `names`, has no `spec` of its own and is no part of a whole: `join` gives None.
        Nothing is read before it is asked for. What `read` raises is raised where the first bit is asked for; files that cannot be
        used are left out, with a warning at the end. `progress(words, done, total)` is told how many of the files are read.
        """
        ...


# --- penalties ------------------------------------------------------------------------------------------------------


@runtime_checkable
class SharesForward(Protocol):
    """A penalty of how logits change at the real or at the fake samples themselves.

    Where a game allows it, what it needs is then taken from the forward pass in which the discriminator tells real from fake,
    with the points `beside` them in the same pass; elsewhere `penalty` is called, which gives the same.
    """

    side: Literal["real", "fake"]
    """The samples that it is about."""

    def beside(self, x: Tensor, draws: Draws) -> Tensor | None:
        """Points `[batch, ...]` near relaxed samples `x` `[batch, ...]`, to be judged as well, drawn from `draws` alone.

        None where no other points but the gradients at `x` are wanted.
        """
        ...

    def term(self, changes: Tensor) -> Tensor:
        """The unweighted term, a scalar averaged over the batch.

        `changes` are the gradients of the logits with respect to the samples, float32 `[batch, elements]`, differentiable once
        more; or, where there are points beside them, the logits there minus those here, `[batch, 1]`.
        """
        ...


@runtime_checkable
class RegularisesLogits(Protocol):
    """A penalty of the logits that the discriminator's phase has anyway, without a pass of its own; its `penalty` is not called."""

    def of_logits(self, real: Tensor, fake: Tensor) -> Tensor:
        """The unweighted term, a scalar averaged over the batch, of logits `[batch]` with a graph, heads added up."""
        ...


@runtime_checkable
class RegularisesGenerator(Protocol):
    """A penalty of the generator; its `penalty` is not called."""

    def of_generator(self, generate: Callable[[Tensor], Tensor], z: Tensor, draws: Draws) -> Tensor:
        """The unweighted term, a scalar averaged over the batch, of latents `z` `[batch, *latent_shape]`, floats.

        `generate` makes relaxed samples of latents, of the classes and given parts of the batch.
        """
        ...


@runtime_checkable
class Augments(Protocol):
    """A penalty that augments samples for itself; its options derive from `gancore.options.AugmentingOptions`, which name with what."""

    augment: Augment
    """What the engine sets before training: augmentations of the run that nothing else applies. Begin with one that does nothing."""


# --- games ----------------------------------------------------------------------------------------------------------


@runtime_checkable
class KeepsOthers(Protocol):
    """A game that keeps generators beside the one it trains, for `gan evaluate` to show."""

    others: Mapping[str, OtherGenerator]
    """By the name to show: one of the game's networks, and how to sample from it."""


@runtime_checkable
class Judges(Protocol):
    """A game with a network that can choose between samples (`candidates.count`)."""

    judge: str | None
    """The name of one of its networks: called with relaxed samples and classes, its logits are higher for what looks more real.
    None is as good as none."""


# --- phases ---------------------------------------------------------------------------------------------------------


@runtime_checkable
class Weighted(Protocol):
    """A phase of a penalty whose weight can be moved while a run is trained; it is called `PLAYER/PENALTY`."""

    name: str
    """The player and the penalty."""
    weight: float
    """What the term is multiplied by; the engine sets it between steps."""


# --- features ---------------------------------------------------------------------------------------------------------


@runtime_checkable
class FitsTraining(Protocol):
    """Features that depend on the training set, such as its principal components."""

    def fit(self, train: Samples) -> None:
        """Learn from training samples, once, before any features are computed; `fingerprint` is then that of what was learnt."""
        ...


@runtime_checkable
class TellsProgress(Protocol):
    """Features whose `fit` takes more than a moment."""

    progress: ProgressReport
    """What to call meanwhile; the engine sets it before `fit`. Begin with `gancore.data.report.silent`."""


@runtime_checkable
class MeasuresDistance(Protocol):
    """Features with a distance of their own, by which copies of training samples are found; without it, it is Euclidean."""

    near: float
    """Distances below this are those of near copies ..."""
    same: float
    """... and up to this those of copies. Negative where only samples of equal keys are copies."""

    def keys(self, samples: Tensor) -> list[bytes]:
        """Of each of hard `samples` `[n, ...]` what only those have that count as equal to it."""
        ...

    def nearest(self, samples: Tensor, train: Tensor, leave_out: Tensor | None) -> Tensor:
        """Distance float64 `[n]` of each of hard `samples` `[n, ...]` to the nearest of `train` `[m, ...]`; 0 for the same sample.

        `leave_out` int64 `[n]` numbers one of `train` that is not looked at, -1 for none. Infinite where there is none to look at.
        """
        ...


@runtime_checkable
class NamesFigures(Protocol):
    """Features some of whose figures have names of their own, such as FID for the Fréchet distance of one network's features."""

    figure_names: Mapping[str, str]
    """Own names by the engine's, `{"frechet": "fid"}`; the other figures carry the name of the features, `mind-inception`."""


# --- writers ----------------------------------------------------------------------------------------------------------


@runtime_checkable
class WritesCaptions(Protocol):
    """A writer of sheets that can say in words what each sample is.

    `gan evaluate` shows with it which samples are copies and which are best and worst; other writers get these samples in the same
    order, without words.
    """

    def captioned(
        self, samples: Tensor, folder: Path, stem: str, captions: Sequence[str], columns: int, title: str
    ) -> list[Path]:
        """Write hard `samples` `[n, ...]`, `columns` in a row, each with its caption, under `title`, as files that begin with `stem`.

        Words may hold any letters; a writer leaves out what it cannot draw.
        """
        ...


@runtime_checkable
class CarriesText(Protocol):
    """A writer whose files can carry a text beside what they show or sound, such as how they were made.

    Both methods go by what is in the file, whatever its name. `gancore.text_chunks.TextInFiles` has them for PNG, GIF, WAV and
    MIDI files.
    """

    def attach(self, path: Path, text: str) -> None:
        """Put `text` into a file that this writer wrote, in place of what was put there before.

        The text may be JSON of 100 kB, in any script. The file changes at once or not at all, and what it holds otherwise stays.
        """
        ...

    def text_of(self, path: Path) -> str | None:
        """The text that `attach` put into the file at `path`; None where there is none, or it is a damaged or another kind of file.

        The file may come from anywhere: whatever is in it, no error is raised but that it cannot be read, and little memory is taken.
        """
        ...


POWERS: Mapping[str, tuple[type, ...]] = {
    "generator": (
        DrawsLatent,
        HasPrior,
        MapsLatent,
        HasFirstWeights,
        TakesGiven,
        EncodesGiven,
        ReadsStyle,
        SamplesItself,
        TellsLikelihood,
        Exports,
    ),
    "discriminator": (MixesBatch, HasFeatures),
    "loss": (HasThreshold,),
    "penalty": (SharesForward, RegularisesLogits, RegularisesGenerator, Augments),
    "augmentation": (HasStrength, Deceives),
    "dataset": (Grouped, Labelled, HasDomains, HasContent),
    "reader": (StreamsGiven,),
    "game": (KeepsOthers, Judges),
    "features": (FitsTraining, TellsProgress, MeasuresDistance, NamesFigures),
    "writer": (WritesCaptions, CarriesText),
}
"""All powers, by what may have them."""
