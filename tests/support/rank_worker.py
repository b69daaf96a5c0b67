"""What each of two processes does for `test_distributed.py`: everything in one go, since starting them is what takes long.

RANK=0 WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=29500 python rank_worker.py FOLDER
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1]))

from toys import one_step
from toys import pictures as toys

import gancore
from gancore import distributed
from gancore.api import resume, train

SIZE = 8
LOSSES = ("non-saturating", "minimax", "hinge", "least-squares", "wasserstein", "rpgan", "ragan")
PENALTIES = ("r1", "r2", "gradient-penalty", "dragan")

CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
"""By name: options of the networks, options of the game."""
for _parts in (1, 2):
    for _loss in LOSSES:
        CASES[f"{_loss} in {_parts}"] = ({}, {"loss": _loss, "micro_batches": _parts})
    for _penalty in PENALTIES:
        _game = {"loss": "rpgan", "penalties": {_penalty: {"weight": 3.0}}, "micro_batches": _parts}
        CASES[f"{_penalty} in {_parts}"] = ({}, _game)
    for _loss in ("hinge", "ragan"):
        _game = {"loss": _loss, "penalties": {"r1": {}}, "augment": True, "micro_batches": _parts}
        CASES[f"conditional {_loss} in {_parts}"] = ({"labels": True}, _game)
    CASES[f"heads in {_parts}"] = ({"heads": 2}, {"loss": "ragan", "micro_batches": _parts})
for _reuse in (True, False):
    for _loss in ("rpgan", "ragan"):
        _game = {"loss": _loss, "penalties": {"r2": {}}, "reuse_fakes": _reuse}
        CASES[f"batch norm {_loss} {'reused' if _reuse else 'anew'}"] = ({"norm": "batch", "labels": True}, _game)
CASES["batch norm in both"] = ({"norm": "batch", "discriminator_norm": "batch"}, {"loss": "ragan"})

TRAINING = {
    **toys.SMALL, "architecture": {"name": "pair", "norm": "batch"}, "data": {"name": "toy", "labels": True},
    "loss": "ragan", "penalties": {"r1": {"weight": 1.0, "every": 2}}, "seed": 3, "every.health": 2,
    # Not Adam: it would blow up the rounding errors that are all the gradient of a bias in a relativistic loss.
    "optimizers": {n: {"name": "sgd", "lr": 0.1, "beta1": 0.5} for n in ("generator", "discriminator")},
}  # fmt: skip

IMPATIENT = {
    **TRAINING, "every.evaluate": 2, "evaluate.features": "points", "evaluate.samples": 20, "stop.patience": 1,
    # So slow that no figure ever gets better.
    "optimizers": {n: {"name": "sgd", "lr": 1e-30} for n in ("generator", "discriminator")},
}  # fmt: skip


def gradients(case: str) -> dict[str, Any]:
    """Gradients, scalars and buffers of one case, from this rank's rows, or from all where there is one process."""
    for_networks, for_game = CASES[case]
    networks = one_step.double_networks(**for_networks)
    whole = one_step.double_batch(SIZE, labels=for_networks.get("labels", False))
    share = SIZE // distributed.world_size()
    mine = slice(distributed.rank() * share, (distributed.rank() + 1) * share)
    condition = None if whole.condition is None else whole.condition[mine]
    batch = replace(whole, hard=whole.hard[mine], positions=whole.positions[mine], condition=condition)
    grads, scalars = one_step.game_gradients(networks, batch, **for_game)
    figures = distributed.mean_scalars({n: float(v) for n, v in scalars.items()})
    buffers = {f"{n} {k}": b.clone() for n, m in networks.items() for k, b in m.named_buffers()}
    return {"gradients": grads, "scalars": figures, "buffers": buffers}


def reduced_with_gaps(bucket_bytes: int) -> list[Tensor]:
    """Gradients after the reduction when each rank lacks other ones: rank r's are r + 1, times the parameter's number + 1."""
    old, distributed.BUCKET_BYTES = distributed.BUCKET_BYTES, bucket_bytes
    shapes = [(3,), (2, 5), (1,), (4, 4), (7,)]
    parameters = [nn.Parameter(torch.zeros(s, dtype=torch.float64 if len(s) > 1 else None)) for s in shapes]
    for number, p in enumerate(parameters):
        # The first on both, the second on rank 0 only, the third on rank 1 only, the fourth on none, the fifth on both.
        if (number, distributed.rank()) not in {(1, 1), (2, 0), (3, 0), (3, 1)}:
            p.grad = torch.full_like(p, (distributed.rank() + 1.0) * (number + 1.0))
    distributed.reduce_gradients(parameters)
    distributed.BUCKET_BYTES = old
    return [p.grad for p in parameters]


def through_gather(x: Tensor) -> tuple[Tensor, Tensor]:
    """All rows, and this rank's part of the gradient of the mean over ranks of sum(row^3)."""
    x = x.clone().requires_grad_()
    everything = distributed.gather(x)
    (everything**3).sum().backward()
    return everything.detach(), x.grad


def through_sum(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """s = sum over ranks; each rank's objective is s^3 * w_r; first and second derivative by this rank's x."""
    x = x.clone().requires_grad_()
    weight = float(distributed.rank() + 1)
    total = distributed.sum_over_ranks(x)
    (first,) = torch.autograd.grad((total**3).sum() * weight, x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    return total.detach(), first.detach(), second


def everything(folder: Path) -> dict[str, Any]:
    rank = distributed.rank()
    result: dict[str, Any] = {
        "identity": (distributed.active(), rank, distributed.world_size(), distributed.is_main()),
        "cases": {case: gradients(case) for case in CASES},
        "gaps": {size: reduced_with_gaps(size) for size in (1, 64, 1 << 20)},
        "means": distributed.mean_scalars({"b": 1.0 + rank, "a": 10.0 * rank} if rank else {"a": 0.0, "b": 1.0}),
        "value": distributed.broadcast_value(["from", rank]),
        "gather": through_gather(torch.tensor([[1.0], [2.0]], dtype=torch.float64) + 10 * rank),
        "sum": through_sum(torch.tensor([1.0, 2.0], dtype=torch.float64) + rank),
    }
    torch.manual_seed(rank)
    module = nn.Sequential(nn.Conv2d(2, 3, 2).to(memory_format=torch.channels_last), nn.BatchNorm2d(3))
    module[1].running_mean.fill_(rank + 5.0)
    distributed.broadcast_module(module)
    result["module"] = module.state_dict()
    registry = toys.new_registry()
    heard = Heard()
    run = train(plugin="toy", registry=registry, out=folder / "run", steps=5, options=TRAINING, listeners=[heard])
    result["run"] = (run.folder, run.step, run.outcome, dict(run.scalars))
    result["ticks"] = heard.ticks
    on = resume(folder / "run", registry=toys.new_registry(), steps=7)
    result["resumed"] = (on.step, on.outcome, dict(on.scalars))
    ended = train(plugin="toy", registry=toys.new_registry(), out=folder / "ended", steps=9, options=IMPATIENT)
    result["ended"] = (ended.step, ended.outcome, ended.reason, ended.evaluated and ended.evaluated.best_step)
    return result


class Heard:
    """Counts ticks."""

    ticks = 0

    @gancore.hookimpl
    def gan_tick(self, event: Any) -> None:
        self.ticks += 1


def main() -> None:
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    with distributed.process_group(torch.device("cpu")):
        result = everything(folder)
        torch.save(result, folder / f"rank-{distributed.rank()}.pt")
    if distributed.active():
        raise SystemExit("the process group was left behind")


if __name__ == "__main__":
    main()
