"""Sources of pairs that are given to a generator which makes images to go with them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from torch import Tensor

from gan_image.data.given import each_picture, pictures_at
from gan_image.pairs.spec import PairSpec
from gancore.components import ProgressReport
from gancore.data.files import is_lone
from gancore.data.spec import Given


class Reader:
    """Reads sources for `gan sample --given`: a picture, or a folder or archive of them in the order of their names."""

    def __init__(self, spec: PairSpec) -> None:
        self.spec = spec

    def read(self, path: Path) -> Given:
        """The sources at `path`, brought to the size and channels of the run's; see `gan_image.data.given.pictures_at`."""
        x, names = pictures_at(path, self.spec.given_shape, self.spec.fit, self.spec.source_intensities)
        return Given(self.spec.of_source(x), names=names)

    def stream(self, path: Path, progress: ProgressReport) -> Iterator[Given] | None:
        """The sources of a folder or archive in turn, as `read` gives them; None for a single one."""
        if is_lone(path):
            return None
        spec = self.spec
        each = each_picture(path, spec.given_shape, spec.fit, spec.source_intensities, progress)
        return (Given(spec.of_source(picture[None]), names=(name,)) for name, picture in each)

    def join(self, samples: Tensor, given: Given) -> None:
        """None: a pair is whole."""
