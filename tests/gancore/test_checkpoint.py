"""What was saved is read back bit for bit, or is passed over; never a part of it, and never a pickle."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from support.limits import no_file_above
from torch import Tensor, nn

from gancore import checkpoint
from gancore.checkpoint import BEST, MANIFEST, STATE, Checkpoint, clean, keep_best, newest, save, verify
from gancore.errors import CheckpointError, WriteError
from gancore.filling import load_module

FILES = ("generator.safetensors", "generator.optimizer.pt", STATE)


class Net(nn.Module):
    """Parameters, buffers, a scalar, an integer, an odd layout and odd values."""

    def __init__(self, seed: int = 0, width: int = 3) -> None:
        super().__init__()
        draws = torch.Generator().manual_seed(seed)
        self.conv = nn.Parameter(torch.randn(2, width, 4, 4, generator=draws).to(memory_format=torch.channels_last))
        self.linear = nn.Linear(width, 2)
        self.low = nn.Parameter(torch.randn(5, generator=draws).bfloat16())
        self.register_buffer("count", torch.tensor(seed))
        self.register_buffer("odd", torch.tensor([float("nan"), float("inf"), -0.0, 1e-42]))
        self.register_buffer("flags", torch.tensor([True, False]))


class Touch:
    """Unpickling it creates the file `marker`: what a malicious pickle could do."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return Path.touch, (self.marker,)


def bits(tensors: dict[str, Tensor]) -> dict[str, tuple[torch.dtype, tuple[int, ...], bytes]]:
    return {
        k: (v.dtype, tuple(v.shape), v.detach().contiguous().flatten().view(torch.uint8).numpy().tobytes())
        for k, v in tensors.items()
    }


def optimizer_state(module: nn.Module) -> dict[str, Any]:
    optimizer = torch.optim.Adam(module.parameters(), lr=0.1)
    for p in module.parameters():
        p.grad = torch.ones_like(p)
    optimizer.step()
    return optimizer.state_dict()


def save_step(folder: Path, step: int, keep: int = 2) -> Path:
    module = Net(step)
    return save(folder, step, {"generator": module}, {"generator": optimizer_state(module)}, {"seconds": 1.5}, keep)


def steps(folder: Path) -> list[int]:
    return sorted(int(p.name.removeprefix("step-")) for p in folder.glob("step-*") if p.suffix != ".tmp")


def make_manifest_match(path: Path) -> None:
    """Let whoever changes a checkpoint change its manifest as well."""
    files = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in path.iterdir() if p.name != MANIFEST}
    manifest = json.loads((path / MANIFEST).read_text()) | {"sha256": files}
    (path / MANIFEST).write_text(json.dumps(manifest))


# --- saving and reading back ------------------------------------------------------------------------------------------


def test_modules_optimizers_and_state_come_back_bit_for_bit(tmp_path: Path) -> None:
    module = Net(7)
    state = optimizer_state(module)
    save(tmp_path, 12, {"generator": module}, {"generator": state}, {"seconds": 0.1, "spec": {"shape": [2]}}, 2)
    found, problems = newest(tmp_path)
    assert (found.step, problems) == (12, [])
    assert found.state == {"step": 12, "seconds": 0.1, "spec": {"shape": [2]}}
    assert bits(found.tensors("generator")) == bits(module.state_dict())
    back = found.optimizer("generator")
    assert back["param_groups"] == state["param_groups"]
    for number, values in state["state"].items():
        assert bits(back["state"][number]) == bits(values)
    fresh = Net(8)
    load_module(fresh, found.tensors("generator"), "generator")
    assert bits(dict(fresh.state_dict())) == bits(dict(module.state_dict()))


def test_tensors_that_share_memory_are_saved_each_for_itself(tmp_path: Path) -> None:
    tied = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Linear(2, 2)})
    tied["b"].weight = tied["a"].weight
    save(tmp_path, 1, {"tied": tied}, {}, {}, 2)
    tensors = newest(tmp_path)[0].tensors("tied")
    assert torch.equal(tensors["a.weight"], tensors["b.weight"])


def test_network_without_tensors_can_be_saved(tmp_path: Path) -> None:
    save(tmp_path, 1, {"none": nn.Identity()}, {}, {}, 2)
    assert newest(tmp_path)[0].tensors("none") == {}


def test_saving_does_not_touch_what_is_saved(tmp_path: Path) -> None:
    module = Net(3)
    before = bits(dict(module.state_dict()))
    save(tmp_path, 1, {"generator": module}, {}, {}, 2)
    assert bits(dict(module.state_dict())) == before
    assert module.conv.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_the_newest_are_kept(tmp_path: Path, keep: int) -> None:
    for step in (1, 5, 20, 100_000_000):
        assert save_step(tmp_path, step, keep).is_dir()
    assert steps(tmp_path) == [1, 5, 20, 100_000_000][-keep:]
    assert newest(tmp_path)[0].step == 100_000_000


def test_nothing_else_in_the_folder_is_deleted(tmp_path: Path) -> None:
    (tmp_path / "step-mine").mkdir()
    (tmp_path / "notes.txt").touch()
    for step in (1, 2, 3):
        save_step(tmp_path, step, 1)
    assert {p.name for p in tmp_path.iterdir()} == {"step-00000003", "step-mine", "notes.txt"}


# --- damage -----------------------------------------------------------------------------------------------------------


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [truncate, flip_a_bit, empty, Path.unlink])
@pytest.mark.parametrize("name", [*FILES, MANIFEST])
def test_damaged_checkpoint_is_passed_over_for_the_one_before(
    tmp_path: Path, name: str, damage: Callable[[Path], None]
) -> None:
    save_step(tmp_path, 1)
    damage(save_step(tmp_path, 2) / name)
    if name == MANIFEST and damage is flip_a_bit:
        text = (tmp_path / "step-00000002" / MANIFEST).read_text(errors="replace")
        assert "sha256" in text  # the flip is in a digest or a name
    found, problems = newest(tmp_path)
    assert found.step == 1
    assert len(problems) == 1
    assert "step-00000002" in str(problems[0])
    if name != MANIFEST:
        assert name in str(problems[0])


@pytest.mark.parametrize("name", ["discriminator.optimizer.pt", "ema.safetensors", "folder"])
def test_file_that_was_added_later_is_not_trusted(tmp_path: Path, name: str) -> None:
    save_step(tmp_path, 1)
    path = save_step(tmp_path, 2)
    (path / name).mkdir() if name == "folder" else (path / name).write_bytes(b"x")
    found, problems = newest(tmp_path)
    assert found.step == 1
    assert f"not written with it: {name}" in str(problems[0])


def test_hidden_files_of_a_file_manager_do_no_harm(tmp_path: Path) -> None:
    (save_step(tmp_path, 1) / ".DS_Store").write_bytes(b"x")
    assert newest(tmp_path)[0].step == 1


@pytest.mark.parametrize(
    "manifest",
    [
        "[]",
        "5",
        "{}",
        '{"format": 1, "step": "x", "sha256": {}}',
        '{"format": 1, "step": 2, "sha256": [1]}',
        '{"format": 1, "step": 2, "sha256": {}}',
        '{"format": 1, "step": 2, "sha256": {"../step-00000001/state.json": "0"}}',
    ],
)
def test_manifest_that_makes_no_sense_is_passed_over(tmp_path: Path, manifest: str) -> None:
    save_step(tmp_path, 1)
    (save_step(tmp_path, 2) / MANIFEST).write_text(manifest)
    assert newest(tmp_path)[0].step == 1


def test_manifest_cannot_point_outside_its_folder(tmp_path: Path) -> None:
    save_step(tmp_path, 1)
    path = save_step(tmp_path, 2)
    digest = hashlib.sha256((tmp_path / "step-00000001" / STATE).read_bytes()).hexdigest()
    manifest = json.loads((path / MANIFEST).read_text())
    manifest["sha256"][f"../step-00000001/{STATE}"] = digest
    (path / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(CheckpointError, match="lacks"):
        verify(path)


def test_step_in_the_manifest_must_be_that_of_the_state(tmp_path: Path) -> None:
    path = save_step(tmp_path, 1)
    manifest = json.loads((path / MANIFEST).read_text()) | {"step": 3}
    (path / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(CheckpointError, match="its manifest is of step 3, its state of 1"):
        verify(path)


def test_newer_format_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = save_step(tmp_path, 1)
    manifest = json.loads((path / MANIFEST).read_text()) | {"format": 2}
    (path / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(CheckpointError, match="of format 2, this gancore reads 1; upgrade"):
        verify(path)


def test_when_none_verifies_every_problem_is_told(tmp_path: Path) -> None:
    truncate(save_step(tmp_path, 1) / STATE)
    (save_step(tmp_path, 2) / MANIFEST).unlink()
    with pytest.raises(CheckpointError, match=r"can be used: .*step-00000002.*manifest.*step-00000001.*state\.json"):
        newest(tmp_path)


@pytest.mark.parametrize("name", ["empty", "missing"])
def test_folder_without_checkpoints_is_an_error_that_says_so(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match="there is no checkpoint in"):
        newest(tmp_path / name)


def test_damaged_checkpoint_is_replaced_when_its_step_comes_again(tmp_path: Path) -> None:
    save_step(tmp_path, 1)
    truncate(save_step(tmp_path, 2) / STATE)
    save_step(tmp_path, 2)
    assert newest(tmp_path)[0].step == 2
    assert {p.name for p in tmp_path.iterdir()} == {"step-00000001", "step-00000002"}


def test_damaged_later_checkpoints_do_not_push_out_the_one_that_is_saved(tmp_path: Path) -> None:
    save_step(tmp_path, 1, keep=5)
    for step in (8, 9):
        truncate(save_step(tmp_path, step, keep=5) / STATE)
    assert save_step(tmp_path, 2).is_dir()
    assert newest(tmp_path)[0].step == 2
    save_step(tmp_path, 3)
    assert steps(tmp_path) == [2, 3, 8, 9]


# --- pickles ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("matched", [False, True])
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("how", ["pickle", "torch.save"])
def test_pickle_in_place_of_any_file_is_refused_and_never_run(
    tmp_path: Path, name: str, matched: bool, how: str
) -> None:
    marker = tmp_path / "marker"
    path = save_step(tmp_path / "run", 1)
    bomb = {"param_groups": [], "state": Touch(marker)}
    if how == "pickle":
        (path / name).write_bytes(pickle.dumps(bomb))
    else:
        torch.save(bomb, path / name)
    if matched:
        make_manifest_match(path)

    def read_all() -> None:
        found = verify(path)
        found.tensors("generator")
        found.optimizer("generator")

    with pytest.raises(CheckpointError) as caught:
        read_all()
    assert name in str(caught.value)
    assert not marker.exists()
    pickle.loads(pickle.dumps(bomb))
    assert marker.exists()  # the same bytes do harm where a pickle is loaded


def test_optimizer_file_of_a_foreign_class_is_refused_in_one_line(tmp_path: Path) -> None:
    path = save_step(tmp_path, 1)
    torch.save({"state": nn.Linear(1, 1)}, path / "generator.optimizer.pt")
    make_manifest_match(path)
    with pytest.raises(
        CheckpointError, match=r"generator\.optimizer\.pt was refused; .*tensors and plain values"
    ) as caught:
        verify(path).optimizer("generator")
    assert "\n" not in str(caught.value)
    # torch's own words say how to read it all the same, which nobody should.
    assert str(caught.value).endswith("(it holds something else, which is never read because it could run code)")


def test_optimizer_file_that_holds_no_state_is_refused(tmp_path: Path) -> None:
    path = save_step(tmp_path, 1)
    torch.save([1, 2], path / "generator.optimizer.pt")
    with pytest.raises(CheckpointError, match="holds a list, not a state"):
        Checkpoint(path, 1, {}).optimizer("generator")


def test_arbitrary_bytes_are_always_refused_in_words(tmp_path: Path) -> None:
    path = save_step(tmp_path, 1)
    chance = random.Random(0)
    good = (path / "generator.optimizer.pt").read_bytes()
    legacy = tmp_path / "legacy.pt"
    torch.save({"a": torch.ones(3)}, legacy, _use_new_zipfile_serialization=False)
    samples = [chance.randbytes(chance.randrange(200)) for _ in range(60)]
    samples += [bytes([0x80, chance.randrange(6)]) + chance.randbytes(20) for _ in range(60)]
    for source in (good, legacy.read_bytes()):
        samples += [source[: chance.randrange(len(source))] for _ in range(30)]
    for data in samples:
        (path / "generator.optimizer.pt").write_bytes(data)
        (path / "generator.safetensors").write_bytes(data)
        with pytest.raises(CheckpointError):
            Checkpoint(path, 1, {}).optimizer("generator")
        with pytest.raises(CheckpointError):
            Checkpoint(path, 1, {}).tensors("generator")


@pytest.mark.parametrize("kind", ["tensors", "optimizer"])
def test_part_that_is_not_there_is_a_checkpoint_error(tmp_path: Path, kind: str) -> None:
    save_step(tmp_path, 1)
    with pytest.raises(CheckpointError, match="ema"):
        getattr(newest(tmp_path)[0], kind)("ema")


# --- filling networks -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda t: t | {"conv": torch.zeros(2, 9, 4, 4)},
            r"of another shape: conv is \(2, 9, 4, 4\), expected \(2, 3, 4, 4\)",
        ),
        (lambda t: {k: v for k, v in t.items() if k != "linear.bias"}, r"missing: linear\.bias"),
        (lambda t: t | {"extra": torch.zeros(1)}, "not expected: extra"),
    ],
)
def test_tensors_that_do_not_fit_are_refused_and_the_network_stays_as_it_was(
    change: Callable[[dict[str, Tensor]], dict[str, Tensor]], words: str
) -> None:
    module, tensors = Net(1), change(dict(Net(2).state_dict()))
    before = bits(dict(module.state_dict()))
    with pytest.raises(CheckpointError, match=f"the saved generator does not fit.*{words}"):
        load_module(module, tensors, "generator")
    assert bits(dict(module.state_dict())) == before


def test_network_of_another_width_is_refused(tmp_path: Path) -> None:
    save(tmp_path, 1, {"generator": Net(width=3)}, {}, {}, 2)
    with pytest.raises(CheckpointError, match="does not fit the network of this configuration"):
        load_module(Net(width=4), newest(tmp_path)[0].tensors("generator"), "generator")


# --- interruption -----------------------------------------------------------------------------------------------------


class PowerCut(BaseException):
    """Nothing catches it, as nothing catches a power cut."""


def cut_power_at(monkeypatch: pytest.MonkeyPatch, moment: int) -> Callable[[], int]:
    """Fail at the `moment`-th call that changes the disk; the function tells how many there have been."""
    calls = 0

    def failing(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == moment:
                raise PowerCut
            return real(*args, **kwargs)

        return call

    def half_written(path: Path, text: str, **how: Any) -> int:
        nonlocal calls
        calls += 1
        if calls == moment:
            path.write_bytes(text.encode()[: len(text) // 2])
            raise PowerCut
        return path.write_bytes(text.encode())

    for owner, name in ((Path, "rename"), (Path, "mkdir"), (shutil, "rmtree"), (os, "fsync"), (torch, "save")):
        monkeypatch.setattr(owner, name, failing(getattr(owner, name)))
    monkeypatch.setattr(checkpoint, "save_file", failing(save_file))
    monkeypatch.setattr(Path, "write_text", half_written)
    return lambda: calls


def moments(prepare: Callable[[Path], None], step: int, keep: int, tmp_path: Path) -> int:
    """How many calls that change the disk a save makes."""
    prepare(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        count = cut_power_at(patch, -1)
        save_step(tmp_path, step, keep)
        return count()


def two_good(folder: Path) -> None:
    save_step(folder, 1)
    save_step(folder, 2)


def one_good(folder: Path) -> None:
    save_step(folder, 2)


def good_and_damaged(folder: Path) -> None:
    save_step(folder, 2)
    truncate(save_step(folder, 3) / STATE)


@pytest.mark.parametrize(
    ("prepare", "step", "keep"),
    [
        pytest.param(two_good, 3, 2, id="the third"),
        pytest.param(two_good, 3, 1, id="keeping one"),
        pytest.param(one_good, 3, 1, id="the second"),
        pytest.param(good_and_damaged, 3, 2, id="over a damaged one"),
    ],
)
def test_save_that_is_cut_off_at_any_moment_leaves_the_one_before_or_is_complete(
    tmp_path: Path, prepare: Callable[[Path], None], step: int, keep: int
) -> None:
    total = moments(prepare, step, keep, tmp_path / "dry")
    assert total > 10
    for moment in range(1, total + 1):
        folder = tmp_path / str(moment)
        prepare(folder)
        with pytest.MonkeyPatch.context() as patch:
            cut_power_at(patch, moment)
            with pytest.raises(PowerCut):
                save_step(folder, step, keep)
        found, _ = newest(folder)
        assert found.step in {2, step}
        assert bits(found.tensors("generator")).keys() == bits(dict(Net().state_dict())).keys()
        # The next session cleans up, goes on from there and saves again.
        clean(folder)
        assert not list(folder.glob("*.tmp"))
        save_step(folder, step, keep)
        assert newest(folder)[0].step == step


def test_saving_a_step_again_that_is_on_the_disk_already_puts_nothing_at_risk(tmp_path: Path) -> None:
    module, inodes = Net(2), []
    state = optimizer_state(module)
    for seconds in (1.5, 2.5):
        path = save(tmp_path, 2, {"generator": module}, {"generator": state}, {"seconds": seconds}, 2)
        inodes.append(path.stat().st_ino)
    assert inodes[0] == inodes[1]
    assert [p.name for p in tmp_path.iterdir()] == ["step-00000002"]


def test_whole_checkpoint_with_other_weights_is_replaced_when_its_step_comes_again(tmp_path: Path) -> None:
    path = save_step(tmp_path, 2)
    save_file({"a": torch.zeros(1)}, path / "generator.safetensors")
    make_manifest_match(path)
    module = Net(3)
    save(tmp_path, 2, {"generator": module}, {}, {}, 2)
    assert bits(newest(tmp_path)[0].tensors("generator")) == bits(dict(module.state_dict()))


@pytest.mark.parametrize("mask", [0o022, 0o002])
def test_files_have_the_mode_that_the_umask_leaves(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        path = save_step(tmp_path, 1)
    finally:
        os.umask(before)
    assert {p.stat().st_mode & 0o777 for p in path.iterdir()} == {0o666 & ~mask}


def test_leftovers_are_never_taken_for_a_checkpoint_and_are_cleaned_away(tmp_path: Path) -> None:
    path = save_step(tmp_path, 1)
    shutil.copytree(path, tmp_path / "step-00000009.tmp")
    shutil.copytree(path, tmp_path / "step-00000008.old.tmp")
    assert newest(tmp_path)[0].step == 1
    clean(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["step-00000001"]


def test_a_best_checkpoint_that_a_full_disk_cuts_short_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the disk has no hard links."""
    save_step(tmp_path, 1)
    keep_best(tmp_path, 1)
    save_step(tmp_path, 2)

    def no_links(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", no_links)
    with no_file_above(10), pytest.raises(WriteError, match=r"the best checkpoint, of step 2, .*could not be written"):
        keep_best(tmp_path, 2)
    assert [path.name for path in (tmp_path / BEST).iterdir()] == ["step-00000001"]


def test_cleaning_a_folder_that_is_not_there_is_no_error(tmp_path: Path) -> None:
    clean(tmp_path / "none")


def test_manifest_is_written_last_and_everything_reaches_the_disk_before_the_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log: list[str] = []
    real_sync, real_rename = checkpoint.sync, Path.rename
    monkeypatch.setattr(checkpoint, "sync", lambda path: (log.append(path.name), real_sync(path)))
    monkeypatch.setattr(Path, "rename", lambda self, to: (log.append("rename"), real_rename(self, to))[1])
    save_step(tmp_path, 1)
    assert log == [*sorted(FILES), MANIFEST, "step-00000001.tmp", "rename", tmp_path.name, tmp_path.parent.name]
