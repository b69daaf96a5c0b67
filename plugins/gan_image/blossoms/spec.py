"""What a picture of a blossom is: an image of which metrics know that its factors can be read."""

from __future__ import annotations

from typing import ClassVar

from gan_image.spec import ImageSpec


class BlossomSpec(ImageSpec):
    """Images of the data set `blossoms`."""

    called: ClassVar[str] = "pictures of blossoms"
