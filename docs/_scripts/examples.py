"""Shows the part `Example:` of a docstring as a block of code."""

from __future__ import annotations

import re
import textwrap
from typing import Any

from griffe import Extension, Object

_EXAMPLE = re.compile(r"^Example:\n((?:[ ]{4}.*\n?|\n)+)", re.MULTILINE)


class Examples(Extension):
    """Puts fences around indented examples before docstrings are parsed."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Called by griffe for everything that it has read."""
        if obj.docstring is not None:
            obj.docstring.value = _EXAMPLE.sub(_fenced, obj.docstring.value)


def _fenced(example: re.Match[str]) -> str:
    return f"```python\n{textwrap.dedent(example[1]).strip()}\n```\n"
