"""Doubling in one step equals the two steps that it stands for, and makes no checkerboard."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from gan_image.nets import dcgan
from gan_image.spec import ImageSpec
from gancore.nets.upsampling import Upsampling


def test_upsampling_is_doubling_by_repeated_pixels_and_a_convolution():
    torch.manual_seed(0)
    layer, x = Upsampling(3, 5).double(), torch.randn(2, 3, 4, 6, dtype=torch.float64)
    doubled = F.interpolate(x, scale_factor=2.0, mode="nearest")
    # Transposed convolutions have mirrored kernels, and channels the other way round.
    expected = F.conv2d(doubled, layer.weight.flip(2, 3).transpose(0, 1) / 4, layer.bias, padding=1)
    torch.testing.assert_close(layer(x), expected)


def checkerboard(upsampling: str) -> float:
    """How much pixels of even and odd columns differ in a generator of random weights, of the deviation of neighbours."""
    torch.manual_seed(0)
    spec = ImageSpec(shape=(3, 32, 32))
    options = dcgan.Options(width=8, max_width=32, norm="none", upsampling=upsampling)
    with torch.no_grad():
        x = dcgan.build(options, spec)["generator"](torch.randn(64, 128))[..., 8:-8, 8:-8]
    phases = (x[..., ::2] - x[..., 1::2]).mean(dim=(0, 2, 3)).abs().mean()
    return float(phases / (x[..., 1:] - x[..., :-1]).std())


def test_a_generator_that_was_not_trained_shows_no_checkerboard_with_repeated_pixels():
    assert checkerboard("nearest") < 0.2 * checkerboard("strided")
