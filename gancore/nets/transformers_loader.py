"""The transformers library, also beside a torchaudio that does not fit torch; nothing else imports it.

gancore installs no torchaudio, but an environment may have one for other things. Models import the library's helpers for
sound, and these import torchaudio wherever that is installed, which fails beside many builds of torch. Texts and images need no
sound: there alone, and once, the helpers are imported as if torchaudio were absent.
"""

from __future__ import annotations

import hashlib
import importlib
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from gancore.errors import UsageError

_LOADING = threading.Lock()
_FILES = (".safetensors", ".json", ".txt", ".model")
"""Endings of what a model and its tokenizer are read from."""


def load() -> Any:
    """The module `transformers`, whose models can be imported.

    Raises:
        UsageError: it is missing, or does not work beside what is installed.
    """
    with _LOADING:
        try:
            library = importlib.import_module("transformers")
            if "transformers.audio_utils" not in sys.modules:
                _load_sound()
            importlib.import_module("transformers.modeling_utils")
        except ImportError as error:
            raise UsageError(
                f"this network needs the transformers library, which does not load: {error}; type: pip install transformers"
            ) from error
        return library


def _load_sound() -> None:
    try:
        importlib.import_module("transformers.audio_utils")
    except Exception:  # OSError for a missing library, RuntimeError for another CUDA version ...
        with mock.patch("transformers.utils.is_torchaudio_available", return_value=False):
            importlib.import_module("transformers.audio_utils")


@contextmanager
def silence() -> Iterator[None]:
    """No progress bars of the library, and no words but for errors, while files are read or written."""
    logging = load().utils.logging
    bars, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def encoder(folder: Path, files: str = "config.json and model.safetensors") -> Any:
    """The model in `folder`, without a head, in evaluation mode; nothing is loaded from elsewhere, and no code of the folder is run.

    A pooling layer that the folder has no weights for is None.

    Raises:
        UsageError: the folder holds no such model. `files` says what it takes, for the message.
    """
    library = load()
    if not folder.is_dir():
        raise UsageError(f"'{folder}' is not a folder; give one that holds a model of the transformers library")
    try:
        with silence():
            model, found = library.AutoModel.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, output_loading_info=True
            )
    except Exception as error:
        raise UsageError(
            f"the model in '{folder}' cannot be loaded: {error}. It takes {files}, as save_pretrained writes them"
        ) from error
    missing = set(found["missing_keys"])
    if unlearnt := {name for name in missing if name.startswith("pooler.")}:
        model.pooler = None
    if rest := sorted(missing - unlearnt):
        raise UsageError(
            f"the model in '{folder}' has no weights for {len(rest)} parts of a {type(model).__name__}, such as {rest[0]}; its "
            "config.json and model.safetensors are of two models"
        )
    return model.eval()


def digest(folder: Path) -> str:
    """SHA-256 of the files that a model in `folder`, and what prepares its inputs, is read from."""
    whole = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        if file.suffix in _FILES:
            with file.open("rb") as content:
                whole.update(f"{file.name} {hashlib.file_digest(content, 'sha256').hexdigest()}".encode())
    return whole.hexdigest()
