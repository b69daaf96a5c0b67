"""Files of texts."""

import pytest


@pytest.fixture
def file(tmp_path):
    """Write a file with this content; its path."""

    def write(content, name="texts.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write
