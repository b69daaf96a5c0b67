"""One of the two processes that `step.processes` starts: the gradients of every subject, written by the first of them.

RANK=0 WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=29500 python -m gancore.testing.rank PLUGIN FILE [HOST [DATA]]
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

import torch

from gancore import distributed
from gancore.testing.check import CHECKS, describe
from gancore.testing.kit import Kit
from gancore.testing.places import authored
from gancore.testing.sharing import gradients


def main(name: str, file: str, host: str = "", data: str = "") -> None:
    """Both processes do the same in the same order; an error of one would leave the other waiting, so both tell of theirs."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    found: dict[str, Any] = {}
    with (
        distributed.process_group(torch.device("cpu")),
        Kit(name, host=host, data=data or None) as kit,
        authored(kit.own),
    ):
        for subject in CHECKS["step.processes"].subjects(kit):
            try:
                found[subject] = gradients(kit, subject)
            except Exception as error:
                found[subject] = describe(error)
        if distributed.is_main():
            torch.save(found, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
