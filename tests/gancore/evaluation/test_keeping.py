"""Names of what is kept of evaluations, when several processes keep theirs at once, and when one of them is killed."""

from __future__ import annotations

import os
import signal

import pytest

from gancore.evaluation.keeping import reserved


def test_two_that_keep_an_evaluation_at_once_have_names_of_their_own(tmp_path):
    with reserved(tmp_path, "step-1", ".json") as one, reserved(tmp_path, "step-1", ".json") as other:
        one.write_text("one")
        other.write_text("other")
    with reserved(tmp_path, "step-1", ".json") as third:
        pass
    assert [path.name for path in (one, other, third)] == ["step-1.json", "step-1-2.json", "step-1-3.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-1-2.json", "step-1.json"]


def test_a_name_that_was_not_used_is_free_again(tmp_path):
    with pytest.raises(OSError, match="full"), reserved(tmp_path, "step-1", ".json"):
        raise OSError("full")
    assert [*tmp_path.iterdir()] == []


def test_nothing_is_added_to_what_a_killed_process_began(tmp_path):
    child = os.fork()
    if not child:
        with reserved(tmp_path, "step-1", ".json") as path:
            path.with_suffix(".png").write_bytes(b"half")
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    with reserved(tmp_path, "step-1", ".json") as path:
        assert path.name == "step-1-2.json"
