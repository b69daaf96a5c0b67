"""Which process runs which tests: file by file, as the tests of a file share what is slow to make, and the slowest files first."""

from __future__ import annotations

from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

SLOWEST = (
    "gancore/testing/test_builtins.py",
    "gancore/testing/test_faults.py",
    "e2e/test_tutorial.py",
    "examples/test_tabular.py",
    "e2e/test_interruption.py",
    "e2e/test_powers.py",
    "docs/test_docs.py",
    "cli/test_new_plugin.py",
    "plugins/gan_audio/test_metrics_real.py",
    "plugins/gan_music/test_midi_real.py",
    "plugins/gan_audio/test_metrics_pitch.py",
    "plugins/gan_music/test_accompany.py",
    "plugins/gan_audio/test_vocoder.py",
    "e2e/test_own_texts.py",
    "e2e/test_run_sample_resume.py",
)
"""Files that take longest, in that order, so that at the end no process waits for another that has just begun with one."""
SHARING_NOTHING = ("gancore/testing/test_builtins.py",)
"""Files whose tests may go to any process, each by itself."""


def slowest_first(items: list[pytest.Item]) -> None:
    """Put the tests of the slowest files in front; the others stay in order."""
    places = {Path(__file__).parents[1] / file: place for place, file in enumerate(SLOWEST)}
    items.sort(key=lambda item: places.get(item.path, len(SLOWEST)))


class FileByFile(LoadScopeScheduling):
    """Gives a process the next file when it is nearly through with its own."""

    def schedule(self) -> None:
        """Hand out the files in the order in which they were collected, not by their numbers of tests."""
        self.config.option.loadscopereorder = False
        super().schedule()

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return nodeid if file.endswith(SHARING_NOTHING) else file
