"""A trained generator as a value: the same samples for the same seed, classes in every spelling, files, no data needed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from toys import pictures as toys
from toys.runs import begin, load

import gancore
from gancore import checkpoint
from gancore.api import resume, train
from gancore.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    GanError,
    RunFolderError,
    UnknownNameError,
    UsageError,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A conditional toy run of four steps with checkpoints at 3 and 4."""
    path = tmp_path_factory.mktemp("trained") / "run"
    begin(path, 4, data={"name": "toy", "labels": True}, architecture={"name": "pair", "norm": "batch"})
    return path


@pytest.fixture(scope="module")
def generator(folder):
    return load(folder)


def test_it_is_the_average_in_evaluation_mode(generator, folder):
    saved = checkpoint.verify(folder / "checkpoints" / "step-00000004").tensors("ema")
    assert all(torch.equal(v, saved[k]) for k, v in generator.module.state_dict().items())
    assert not generator.module.training
    assert generator.step == 4
    assert generator.spec == toys.ToySpec(classes=toys.CLASSES)


def test_samples_are_hard_and_as_many_as_asked_for(generator):
    samples = generator.sample(5)
    assert samples.shape == (5, 1, 4, 4)
    assert samples.dtype == torch.float32
    assert samples.min() >= -1
    assert samples.max() <= 1
    assert not samples.requires_grad


def test_a_seed_gives_the_same_samples_each_time_and_another_seed_others(generator, folder):
    first = generator.sample(4, seed=3)
    assert torch.equal(generator.sample(4, seed=3), first)
    assert torch.equal(load(folder).sample(4, seed=3), first)
    assert not torch.isclose(generator.sample(4, seed=4), first).all(dim=(1, 2, 3)).any()


def test_sampling_leaves_the_global_random_state_alone(generator):
    before = torch.get_rng_state()
    generator.sample(2)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("n", [1, 2, 63, 64, 65, 130])
def test_a_sample_does_not_depend_on_how_many_are_drawn(generator, n):
    many = generator.sample(200, seed=1)
    torch.testing.assert_close(generator.sample(n, seed=1), many[:n], rtol=1e-5, atol=1e-6)


def test_one_class_by_index_name_list_or_tensor_is_the_same(generator):
    expected = generator.sample(3, condition=[1, 1, 1])
    for spelt in (1, "odd", "1", ["odd", 1, "1"], (1, "odd", 1), torch.tensor(1), torch.tensor([1, 1, 1])):
        assert torch.equal(generator.sample(3, condition=spelt), expected), spelt


def test_classes_make_a_difference_and_take_turns_without_a_condition(generator):
    assert torch.equal(generator.sample(4), generator.sample(4, condition=["even", "odd", "zero", "even"]))
    assert generator.labels(4).tolist() == [0, 1, 2, 0]
    assert not torch.equal(generator.sample(1, condition=0), generator.sample(1, condition=2))


@pytest.mark.parametrize("condition", [[0], ["odd"] * 4, torch.tensor([0, 1]), []])
def test_as_many_classes_as_samples_are_needed(generator, condition):
    with pytest.raises(UsageError, match=rf"condition names {len(condition)} classes for 3 samples"):
        generator.sample(3, condition=condition)


@pytest.mark.parametrize("condition", [3, -1, "od", [0, 1, 9], torch.tensor([0, 1, 3])])
def test_classes_that_do_not_exist_are_an_error_with_those_that_do(generator, condition):
    with pytest.raises(UnknownNameError, match="known: even, odd, zero"):
        generator.sample(3, condition=condition)


@pytest.mark.parametrize("n", [0, -2])
def test_fewer_than_one_sample_is_a_usage_error(generator, n):
    with pytest.raises(UsageError, match="at least 1"):
        generator.sample(n)


def read(path):
    _, *lines = path.read_text().splitlines()
    return torch.tensor([[float(v) for v in line.split()] for line in lines])


def test_a_path_with_a_suffix_becomes_one_sheet(generator, tmp_path):
    samples = generator.sample(3)
    (written,) = generator.save(samples, tmp_path / "new" / "out.txt")
    assert written == tmp_path / "new" / "out.txt"
    torch.testing.assert_close(read(written), samples.flatten(1))


def test_a_sheet_has_the_very_name_that_was_asked_for_or_is_refused(generator, tmp_path):
    samples = generator.sample(3)
    (tmp_path / "out.json").write_text("mine")
    assert generator.save(samples, tmp_path / "out.TXT") == [tmp_path / "out.TXT"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.TXT", "out.json"]
    with pytest.raises(UsageError, match=r"no sheet can be written as 'y\.jpg'.* make .*\.txt"):
        generator.save(samples, tmp_path / "y.jpg")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.TXT", "out.json"]
    assert {p.suffix for p in generator.save(samples, tmp_path / "all.any")} >= {".txt"}


@pytest.mark.parametrize("name", ["out", "v1.2"])
def test_a_path_without_a_suffix_or_with_a_number_becomes_a_folder_with_a_file_a_sample(generator, tmp_path, name):
    samples = generator.sample(3)
    written = generator.save(samples, tmp_path / name, labels=[0, 1, 2])
    assert [p.parent for p in written] == [tmp_path / name] * 3
    torch.testing.assert_close(torch.cat([read(p) for p in written]), samples.flatten(1))


def test_saving_without_a_writer_is_a_usage_error(folder, tmp_path, monkeypatch):
    generator = load(folder)
    monkeypatch.setattr(generator, "settings", __import__("dataclasses").replace(generator.settings, writers={}))
    with pytest.raises(UsageError, match="no writer of role 'each'"):
        generator.save(generator.sample(1), tmp_path / "out")


def test_an_earlier_checkpoint_can_be_loaded_by_its_step(folder):
    earlier = load(folder, step=3)
    assert earlier.step == 3
    assert not torch.equal(earlier.sample(1), load(folder).sample(1))
    with pytest.raises(CheckpointError, match=r"step 99 .*steps there: 3, 4"):
        load(folder, step=99)


def test_only_writers_can_be_changed_when_loading(folder):
    kept = load(folder).settings.writers
    name = next(iter(kept))
    assert list(load(folder, options={f"writers.{name}": "none"}).settings.writers) == [n for n in kept if n != name]
    with pytest.raises(ConfigError, match=r"architecture: cannot be changed any more"):
        load(folder, options={"architecture.width": 9})


def test_what_is_no_run_is_an_error(tmp_path):
    with pytest.raises(RunFolderError, match="is not a run"):
        load(tmp_path / "nowhere")


def test_a_damaged_newest_checkpoint_is_passed_over_aloud(folder, tmp_path):
    import shutil

    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / "checkpoints" / "step-00000004" / "ema.safetensors").write_bytes(b"rubbish")
    with pytest.warns(UserWarning, match=r"step-00000004'.*taking step 3"):
        assert load(copy).step == 3


def test_an_unlabelled_generator_has_no_classes(tmp_path):
    begin(tmp_path / "run", 1)
    generator = load(tmp_path / "run")
    assert generator.labels(3) is None
    with pytest.raises(UsageError, match="without labels"):
        generator.sample(2, condition=0)


def test_a_generator_needs_its_data_no_longer_but_training_on_does(tmp_path):
    data = tmp_path / "pictures.npz"
    np.savez(data, images=np.random.default_rng(0).integers(0, 256, (20, 8, 8), dtype=np.uint8))
    options = {
        **toys.SMALL, "preset": "none", "architecture": {"name": "dcgan", "width": 4, "latent": 4},
        "data": {"name": "array", "path": str(data)},
    }  # fmt: skip
    train(plugin="image", out=tmp_path / "run", steps=2, options=options)
    before = gancore.load(tmp_path / "run", device="cpu").sample(2)
    data.unlink()
    samples = gancore.load(tmp_path / "run", device="cpu").sample(2)
    assert torch.equal(samples, before)
    assert samples.dtype == torch.uint8
    assert samples.shape == (2, 1, 8, 8)
    with pytest.raises(GanError, match=r"pictures\.npz"):
        resume(tmp_path / "run", steps=4)
    assert issubclass(DataError, GanError)
