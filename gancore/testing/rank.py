"""The two processes that `step.processes` compares with one: the gradients of some subjects, written by the first of them.

RANK=0 WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=29500 python -m gancore.testing.rank PLUGIN FILE '["SUBJECT"]' [HOST [DATA]]
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import warnings
from typing import Any

import torch

from gancore import distributed
from gancore.testing.check import describe
from gancore.testing.kit import Kit
from gancore.testing.places import authored
from gancore.testing.sharing import FORKS, gradients
from gancore.testing.steps import setting


def main(name: str, file: str, subjects: str, host: str = "", data: str = "") -> None:
    """Both processes do the same in the same order; an error of one would leave the other waiting, so both tell of theirs."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    wanted: list[str] = json.loads(subjects)
    found: dict[str, Any] = {}
    with Kit(name, host=host, data=data or None) as kit, authored(kit.own):
        if FORKS:
            for subject in wanted:  # reads the data once
                with contextlib.suppress(Exception):
                    scene, changes = setting(kit, subject)
                    kit.source(kit.settings(scene, **changes))
            os.environ["RANK"] = "0" if os.fork() else "1"
        with distributed.process_group(torch.device("cpu")):
            main_one = distributed.is_main()
            for subject in wanted:
                try:
                    found[subject] = gradients(kit, subject)
                except Exception as error:
                    found[subject] = describe(error)
        if main_one:
            torch.save(found, file)
        elif FORKS:
            os._exit(0)  # what is on the disk is the first one's to clear away


if __name__ == "__main__":
    main(*sys.argv[1:])
