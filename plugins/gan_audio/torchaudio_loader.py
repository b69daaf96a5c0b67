"""torchaudio, also where its compiled part does not fit the installed torch; nothing else of the plugin imports it.

torchaudio 2.11 opens a shared library while it is imported and fails beside a CPU build of torch or another CUDA version. The
transforms are plain PyTorch and need none of it, so a stand-in takes the place of `torchaudio._extension` there.
"""

from __future__ import annotations

import importlib
import sys
import threading
from types import ModuleType
from typing import Any, NoReturn

from gancore.errors import UsageError

_EXTENSION = "torchaudio._extension"
_LOADING = threading.Lock()
"""Files are decoded in threads, and a stand-in is put into what all of them import from."""


def functional() -> Any:
    """`torchaudio.functional`: `resample`, `melscale_fbanks` and the like.

    Raises:
        UsageError: torchaudio is missing, or does not work beside this torch even without its compiled part.
    """
    return _loaded().functional


def transforms() -> Any:
    """`torchaudio.transforms`; raises as `functional` does."""
    return _loaded().transforms


def _loaded() -> ModuleType:
    with _LOADING:
        return _imported()


def _imported() -> ModuleType:
    if (known := sys.modules.get("torchaudio")) is not None and hasattr(known, "transforms"):
        return known
    try:
        return importlib.import_module("torchaudio")
    except ModuleNotFoundError as error:
        if error.name == "torchaudio":
            raise UsageError("audio needs torchaudio, which is not installed; type: pip install torchaudio") from error
        return _without_compiled_part(error)
    except Exception as error:  # OSError for a missing library, RuntimeError for another CUDA version, ImportError ...
        return _without_compiled_part(error)


def _without_compiled_part(first: Exception) -> ModuleType:
    """torchaudio with a stand-in for what could not be loaded; `first` is why."""
    for name in [name for name in sys.modules if name == "torchaudio" or name.startswith("torchaudio.")]:
        del sys.modules[name]
    sys.modules[_EXTENSION] = _stand_in()
    try:
        return importlib.import_module("torchaudio")
    except Exception as error:
        del sys.modules[_EXTENSION]
        import torch

        raise UsageError(
            f"torchaudio does not work beside torch {torch.__version__}: {first}; and without its compiled part: {error}. "
            "Install the torchaudio that belongs to this torch"
        ) from error


def _stand_in() -> ModuleType:
    """What torchaudio's own modules ask of `torchaudio._extension` when nothing compiled is there."""

    def fail_if_no_align(function: Any) -> Any:
        def refuse(*args: Any, **kwargs: Any) -> NoReturn:
            raise RuntimeError(f"{function.__name__} needs torchaudio's compiled part, which does not fit this torch")

        return refuse

    module = ModuleType(_EXTENSION, "Stands in for the compiled part of torchaudio.")
    module.__dict__.update(
        _IS_TORCHAUDIO_EXT_AVAILABLE=False,
        _IS_ALIGN_AVAILABLE=False,
        fail_if_no_align=fail_if_no_align,
    )
    return module
