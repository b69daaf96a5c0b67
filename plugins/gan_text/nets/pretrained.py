"""Networks that begin from a model folder of the transformers library, and can be built again when that folder is gone.

What a run needs of the folder is its configuration, which the options keep, and its weights, which are in the run's
checkpoints. So the folder is needed when training begins, and never after.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from pydantic import Field, ValidationInfo, field_validator
from tokenizers import Tokenizer
from torch import Tensor, nn

from gan_text.spec import TextSpec, parsed
from gancore.errors import DataError, UsageError
from gancore.nets.transformers_loader import silence
from gancore.options import Options

CONFIG = "config.json"
FROM = "_folder"
"""Under which a kept configuration names the folder that it was read from."""
DROPPED = ("_name_or_path", "architectures", "dtype", "torch_dtype", "transformers_version", "quantization_config")
"""Entries of a folder's configuration that say nothing about the network."""


class FolderOptions(Options):
    """Options of a network that may begin from a model folder."""

    folder: Path | None = Field(
        None,
        description="A model folder of the transformers library (config.json, model.safetensors) whose weights are the"
        " start, for fine-tuning; sizes are then those of that model. Its vocabulary must be that of the data.",
    )
    folder_config: str = Field(
        "",
        max_length=100_000,
        description="Filled in by itself: the configuration in that folder, with which a run is built again without it.",
    )

    @field_validator("folder", mode="before")
    @classmethod
    def _none(cls, value: Any) -> Any:
        return None if value == "none" else value

    @field_validator("folder")
    @classmethod
    def _anywhere(cls, value: Path | None) -> Path | None:
        """A whole path, as that of data is kept, so that a run can be resumed from another folder."""
        return None if value is None else value.expanduser().absolute()

    @field_validator("folder_config")
    @classmethod
    def _kept(cls, value: str, info: ValidationInfo) -> str:
        """The folder's configuration: as it was kept, or read now where another folder's was kept, or none."""
        folder: Path | None = info.data.get("folder")
        if folder is None:
            return ""
        try:
            kept = json.loads(value) if value else {}
        except ValueError:
            kept = {}
        if isinstance(kept, dict) and kept.get(FROM) == str(folder):
            return value
        return json.dumps(read_config(folder) | {FROM: str(folder)}, sort_keys=True)

    def kept(self) -> dict[str, Any]:
        """The configuration of the model in the folder; empty where none is given."""
        kept: dict[str, Any] = json.loads(self.folder_config) if self.folder_config else {}
        return {key: value for key, value in kept.items() if key != FROM}


def read_config(folder: Path) -> dict[str, Any]:
    """`config.json` of a model folder, without what says nothing about the network.

    Raises:
        ValueError: there is no such file, or it holds something else.
    """
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(
            f"folder '{folder}' has no readable {CONFIG} ({(error.strerror or str(error)).lower()}): give a model folder "
            "as save_pretrained of the transformers library writes it"
        ) from error
    except ValueError as error:
        raise ValueError(f"'{folder / CONFIG}' is no JSON ({error}): give a model folder") from error
    if not isinstance(config, dict) or "model_type" not in config:
        raise ValueError(f"'{folder / CONFIG}' names no model_type: give a model folder of the transformers library")
    return {key: value for key, value in config.items() if key not in DROPPED}


def check_kind(options: FolderOptions, kind: str) -> None:
    """UsageError unless the model in the folder is of model_type `kind`."""
    found = options.kept().get("model_type", kind)
    if found != kind:
        raise UsageError(f"the model in folder '{options.folder}' is of type '{found}'; here '{kind}' is needed")


def check_vocabulary(folder: Path, size: int, spec: TextSpec) -> None:
    """UsageError unless the model in `folder`, with a vocabulary of `size`, has the tokens of `spec` under the same numbers.

    The data may have more tokens than the tokenizer in the folder, behind its own (such as one that ends a text).
    """
    mine = _tokenizer(spec).get_vocab(with_added_tokens=True)
    theirs = _vocabulary(folder)
    if theirs is None:
        if size == spec.vocabulary:
            return
        found = f"a vocabulary of {size:,} tokens"
    else:
        other = next((token for token, number in theirs.items() if mine.get(token) != number), None)
        added = all(number >= len(theirs) for token, number in mine.items() if token not in theirs)
        if other is None and added:
            return
        found = f"other tokens ({len(theirs):,} of them" + (f", among them {other!r})" if other is not None else ")")
    raise UsageError(
        f"the model in folder '{folder}' has {found}, the data have {spec.vocabulary:,}: take the tokenizer of that folder "
        f"for the data, with data.tokens=pretrained and data.tokenizer={folder}"
    )


def token_number(spec: TextSpec, token: str) -> int | None:
    """The number of a token of this name; None where there is none."""
    number: int | None = _tokenizer(spec).token_to_id(token)
    return number


def _tokenizer(spec: TextSpec) -> Any:
    return parsed(spec.tokenizer)


def _vocabulary(folder: Path) -> dict[str, int] | None:
    """The numbers of the tokens of the tokenizer in `folder`; None where it has none of the known forms."""
    try:
        if (folder / "tokenizer.json").is_file():
            return dict(Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab(with_added_tokens=True))
        if (folder / "vocab.json").is_file():
            return dict(json.loads((folder / "vocab.json").read_text(encoding="utf-8")))
        if (folder / "vocab.txt").is_file():
            lines = (folder / "vocab.txt").read_text(encoding="utf-8").split("\n")
            return {token: number for number, token in enumerate(lines) if token}
    except Exception as error:  # tokenizers raises plain Exception
        raise DataError(f"the tokenizer in folder '{folder}' cannot be read: {error}") from error
    return None


def fill(network: nn.Module, model: type, options: FolderOptions, spec: TextSpec) -> bool:
    """Load the weights of the model in `options.folder` into `network`, an instance of `model` for the tokens of `spec`.

    False, and nothing is loaded, where the folder is gone, or holds another model than when training began: then
    `await_checkpoint` is for the part that is used.

    Raises:
        UsageError: the folder has another vocabulary.
        DataError: its weights cannot be read.
    """
    folder = options.folder
    assert folder is not None
    try:
        same = read_config(folder) == options.kept()
    except ValueError:
        same = False
    if not same:
        return False
    check_vocabulary(folder, int(options.kept().get("vocab_size", spec.vocabulary)), spec)
    network.load_state_dict(_fitted(_weights(model, folder), network.state_dict(), folder))
    return True


def _weights(model: type, folder: Path) -> dict[str, Tensor]:
    """The weights in `folder` under the names of `model`, float32; from safetensors alone, which hold no code."""
    try:
        with silence():
            loaded, told = model.from_pretrained(  # type: ignore[attr-defined]
                folder,
                local_files_only=True,
                use_safetensors=True,
                dtype=torch.float32,
                output_loading_info=True,
                **({"add_pooling_layer": False} if model.__name__ == "BertModel" else {}),
            )
    except Exception as error:  # it raises whatever a damaged file brings about
        raise DataError(
            f"the weights in folder '{folder}' cannot be read ({' '.join(str(error).split())[:200]}); "
            "they must be there as model.safetensors"
        ) from error
    if missing := sorted(told["missing_keys"]):
        raise DataError(f"the weights in folder '{folder}' lack {', '.join(missing[:3])}: it holds another model")
    return dict(loaded.state_dict())


def _fitted(weights: dict[str, Tensor], wanted: dict[str, Tensor], folder: Path) -> dict[str, Tensor]:
    """`weights` in the shapes of `wanted`: of tables with a row a token, rows that no token has are left out, new ones kept."""
    fitted = {}
    for name, there in wanted.items():
        new = weights.get(name)
        if new is None or new.shape[1:] != there.shape[1:]:
            raise DataError(f"the weights in folder '{folder}' do not fit its {CONFIG}: {name} differs")
        if new.shape != there.shape:
            rows = min(len(new), len(there))
            new, old = there.clone(), new
            new[:rows] = old[:rows]
            new[rows:] = old.mean(dim=0)  # an average token, as far as the model knows
        fitted[name] = new
    return fitted


def await_checkpoint(network: nn.Module, options: FolderOptions) -> None:
    """Let `network`, which `fill` could not fill, refuse to be used until its weights have been loaded."""
    network.awaited = f"folder '{options.folder}' is gone, or holds another model than when training began"  # type: ignore[assignment]
    network.register_forward_pre_hook(_refuse)
    network.register_load_state_dict_post_hook(_filled)


def _refuse(network: Any, inputs: Any) -> None:
    del inputs
    if network.awaited:
        raise UsageError(
            f"{network.awaited}, so there are no weights to begin from: give the folder again (architecture.folder=...), "
            "or go on from a run that has a checkpoint"
        )


def _filled(network: Any, keys: Any) -> None:
    del keys
    network.awaited = ""
