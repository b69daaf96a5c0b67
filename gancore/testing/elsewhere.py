"""Finding tensors that stay on the CPU, without another device at hand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gancore.testing.check import Mismatch, NotApplicable, describe


@contextmanager
def elsewhere(what: str) -> Iterator[None]:
    """Run code on tensors of the meta device, which has shapes and no values, and refuses tensors of another device.

    Raises:
        Mismatch: `what` keeps or makes a tensor on the CPU.
        NotApplicable: it looks at values, which there are none of.
    """
    try:
        yield
    except NotImplementedError as error:
        raise NotApplicable(f"{what} asks for values while it runs ({describe(error)})") from error
    except RuntimeError as error:
        if "device" not in str(error).lower():
            raise NotApplicable(f"{what} cannot be run without values ({describe(error)})") from error
        raise Mismatch(
            f"{what} keeps or makes a tensor on the CPU ({describe(error)}); use register_buffer, or device=x.device"
        ) from error
