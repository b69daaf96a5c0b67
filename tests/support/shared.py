"""Real data in the folder beside the repository."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).parents[3] / "shared" / "data"


def marks(path: Path) -> list[pytest.MarkDecorator]:
    """What marks tests of the data at `path`: they are skipped where those are absent."""
    absent = pytest.mark.skipif(not path.exists(), reason=f"the real data are absent: {path.relative_to(SHARED)}")
    return [pytest.mark.shared_data, absent]
