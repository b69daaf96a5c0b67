"""Images from NumPy files: names, layouts, labels, and what is refused."""

from __future__ import annotations

import io
import pickle
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from support.fetching import fetch
from support.shared import SHARED

from gan_image.data.array import Options, glance, open_array
from gan_image.spec import ImageSpec
from gancore.components import DataFacts
from gancore.errors import DataError, UsageError
from gancore.random import Draws

MNIST = SHARED / "mnist" / "mnist.npz"


def pixels(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def save(tmp_path, **arrays):
    path = tmp_path / "data.npz"
    np.savez(path, **arrays)
    return path


def open_(path, **options):
    return open_array(Options(path=path, **options), lambda *_: None)


def test_a_glance_tells_what_the_headers_and_the_labels_say(tmp_path):
    path = save(tmp_path, images=pixels(5, 8, 6, 3), labels=np.array([4, 2, 4, 4, 9]))
    assert glance(Options(path=path)) == DataFacts(count=5, shape=(3, 8, 6), classes=3)
    np.save(tmp_path / "grey.npy", pixels(7, 8, 6))
    assert glance(Options(path=tmp_path / "grey.npy")) == DataFacts(count=7, shape=(1, 8, 6))


@pytest.mark.parametrize("key", ["x_train", "images", "x", "data", "arr_0", "X", "whatever"])
def test_images_are_found_by_usual_names_or_by_being_the_only_array(tmp_path, key):
    data = pixels(5, 8, 6)
    source = open_(save(tmp_path, **{key: data}))
    x, labels = fetch(source, 3, 1)
    assert source.spec == ImageSpec(shape=(1, 8, 6))
    assert np.array_equal(x.numpy(), data[[3, 1]][:, None])
    assert labels is None


@pytest.mark.parametrize("suffix", ["npz", "npy"])
@pytest.mark.parametrize(("shape", "axes"), [((4, 8, 6, 3), (0, 3, 1, 2)), ((4, 2, 8, 6), (0, 1, 2, 3))])
def test_channels_are_found_first_or_last(tmp_path, suffix, shape, axes):
    data = pixels(*shape)
    path = save(tmp_path, x=data) if suffix == "npz" else tmp_path / "x.npy"
    if suffix == "npy":
        np.save(path, data)
    source = open_(path)
    assert source.spec.shape == data.transpose(axes).shape[1:]
    assert np.array_equal(fetch(source, 0, 3)[0].numpy(), data.transpose(axes)[[0, 3]])


@pytest.mark.parametrize("shape", [(5, 3, 8, 3), (5, 8, 8, 8)])
def test_a_layout_that_cannot_be_told_is_asked_for(tmp_path, shape):
    data = pixels(*shape)
    path = save(tmp_path, x=data)
    with pytest.raises(UsageError, match=r"does not tell where the channels are; set layout to hwc \(last\) or chw"):
        open_(path)
    assert open_(path, layout="chw").spec.shape == shape[1:]
    assert open_(path, layout="hwc").spec.shape == (shape[3], shape[1], shape[2])


def test_a_npy_file_is_mapped_and_mapped_again_in_another_process(tmp_path):
    data = pixels(50, 40, 40, 3)
    np.save(tmp_path / "x.npy", data)
    source = open_(tmp_path / "x.npy")
    sent = pickle.dumps(source)
    assert len(sent) < data.nbytes / 20
    assert np.array_equal(fetch(pickle.loads(sent), 7)[0].numpy(), data[[7]].transpose(0, 3, 1, 2))


def test_labels_of_any_values_become_classes_in_rising_order(tmp_path):
    path = save(tmp_path, images=pixels(5, 4, 4), labels=np.array([30, 7, 7, 100, 30], dtype=np.uint8))
    source = open_(path)
    assert source.spec.classes == ("7", "30", "100")
    assert fetch(source, 0, 1, 2, 3, 4)[1].tolist() == [1, 0, 0, 2, 1]


def test_labels_in_one_column_are_taken(tmp_path):
    source = open_(save(tmp_path, x=pixels(3, 4, 4), y=np.array([[1], [0], [1]])))
    assert fetch(source, 0, 1, 2)[1].tolist() == [1, 0, 1]


def test_labels_can_be_left_out(tmp_path):
    source = open_(save(tmp_path, x=pixels(3, 4, 4), y=np.array([1.5, 2, 3])), labels=False)
    assert source.spec.classes == ()
    assert fetch(source, 0)[1] is None


def test_labels_belong_to_the_part_that_was_asked_for(tmp_path):
    path = save(
        tmp_path,
        x_train=pixels(3, 4, 4),
        y_train=np.array([0, 0, 0]),
        x_test=pixels(2, 4, 4),
        y_test=np.array([5, 6]),
    )
    assert open_(path).spec.classes == ("0",)
    assert open_(path, images_key="x_test").spec.classes == ("5", "6")


def test_keys_can_be_given(tmp_path):
    path = save(tmp_path, pictures=pixels(2, 4, 4), kinds=np.array([3, 4]), other=np.zeros(1))
    source = open_(path, images_key="pictures", labels_key="kinds")
    assert source.spec.classes == ("3", "4")
    with pytest.raises(UsageError, match=r"it holds 'pictures', 'kinds', 'other', none of which .*images_key"):
        open_(path)
    with pytest.raises(UsageError, match="labels_key is 'sorts', but it holds 'pictures'"):
        open_(path, images_key="pictures", labels_key="sorts")


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.array([0, 1]), "there are 3 images"),
        (np.array([0.0, 1.0, 2.0]), "integers are needed"),
        (np.array([0, -1, 2]), "hold -1, but must not be negative"),
        (np.eye(3, dtype=int), r"for one-hot rows store labels\.argmax\(1\)"),
        (np.array(["a", "b", "c"]), "integers are needed"),
    ],
)
def test_labels_that_do_not_fit_are_refused_with_a_way_out(tmp_path, labels, words):
    with pytest.raises(DataError, match=words + ".*labels=false"):
        open_(save(tmp_path, x=pixels(3, 4, 4), y=labels))


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (
            np.zeros((3, 4, 4), dtype=np.complex64),
            r"complex64 .* numbers are needed: store them with \.astype\('uint8'\)",
        ),
        (np.full((3, 4, 4), "a"), "numbers are needed"),
        (np.full((3, 4, 4), np.nan), "all have values that are not finite"),
        (np.zeros((3, 16), dtype=np.uint8), r"\[n, height, width\] is needed"),
        (np.zeros((0, 4, 4), dtype=np.uint8), "not a single pixel"),
    ],
)
def test_arrays_that_are_no_images_are_refused(tmp_path, array, words):
    with pytest.raises(DataError, match=words):
        open_(save(tmp_path, x=array))


@pytest.mark.parametrize("suffix", ["npz", "npy"])
@pytest.mark.parametrize(
    ("dtype", "low", "high", "words"),
    [
        ("bool", 0, 1, None),
        ("int16", -1000, 1000, "int16 pictures with values -1,000 to 1,000, scaled to 0 to 255"),
        ("uint16", 0, 4095, "uint16 pictures with values 0 to 4,095, scaled to 0 to 255"),
        ("int64", 0, 255, "int64 pictures with values 0 to 255, scaled to 0 to 255"),
        ("float16", 0, 1, "float16 pictures with values 0 to 1, scaled to 0 to 255"),
        ("float32", -1, 1, "float32 pictures with values -1 to 1, scaled to 0 to 255"),
        ("float64", 0, 255, "float64 pictures with values 0 to 255, scaled to 0 to 255"),
    ],
)
def test_numbers_of_every_type_are_spread_by_the_range_of_all_images(tmp_path, suffix, dtype, low, high, words):
    data = np.full((3, 4, 4), low)
    data[1, 0, 0] = high
    path = tmp_path / f"x.{suffix}"
    np.savez(path, x=data.astype(dtype)) if suffix == "npz" else np.save(path, data.astype(dtype))
    source = open_(path)
    x, _ = fetch(source, 0, 1, 2)
    assert x.dtype is torch.uint8
    assert (x[1, 0, 0, 0], int(x.sum())) == (255, 255)
    assert source.report.notes == (() if words is None else (words,))
    assert source.spec.intensities == (None if words is None else (low, high))


def test_dark_uint8_images_stay_dark(tmp_path):
    source = open_(save(tmp_path, x=np.full((3, 4, 4), 20, dtype=np.uint8)), range="0,20")
    assert fetch(source, 0)[0].unique().tolist() == [20]
    assert source.report.notes == ("data.range has no effect, because values are uint8",)


@pytest.mark.parametrize("suffix", ["npz", "npy"])
def test_given_range_holds_for_arrays(tmp_path, suffix):
    path = tmp_path / f"x.{suffix}"
    data = np.linspace(0, 2, 2 * 16).reshape(2, 4, 4)
    np.savez(path, x=data) if suffix == "npz" else np.save(path, data)
    source = open_(path, range="0,1")
    assert fetch(source, 1)[0].unique().tolist() == [255]
    assert source.spec.intensities == (0, 1)


@pytest.mark.parametrize("suffix", ["npz", "npy"])
def test_images_with_values_that_are_not_finite_are_left_out(tmp_path, suffix):
    data = np.arange(5.0)[:, None, None].repeat(4, 1).repeat(4, 2) / 4
    data[1, 2, 2], data[3, 0, 0] = np.nan, -np.inf
    path = tmp_path / f"x.{suffix}"
    np.savez(path, x=data, y=np.arange(5)) if suffix == "npz" else np.save(path, data)
    source = open_(path)
    x, labels = fetch(source, 0, 1, 2)
    assert x[:, 0, 0, 0].tolist() == [0, 128, 255]
    assert (len(source), source.report.used, source.report.found) == (3, 3, 5)
    assert [s.path for s in source.report.skipped] == ["image 1", "image 3"]
    if suffix == "npz":
        assert [source.spec.classes[label] for label in labels.tolist()] == ["0", "2", "4"]


def header(shape, dtype="|u1"):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": dtype, "fortran_order": False, "shape": shape})
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((10**5, 1000, 1000), "promises 100,000,000,000 bytes, but there are 64"),
        ((3, 4, 4), "promises 48 bytes, but there are 64"),
        ((10**9, 10**9, 10**9), "promises 1,000,000,"),
    ],
)
def test_npz_whose_header_lies_is_refused(tmp_path, shape, words):
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", header(shape) + bytes(64))
    with pytest.raises(DataError, match=words):
        open_(path)


def test_npz_that_unpacks_a_thousandfold_is_refused_before_it_is_unpacked(tmp_path):
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("x.npy", "w") as file:
        file.write(header((100, 1024, 1024)))
        for _ in range(100):
            file.write(bytes(1024 * 1024))
    tracemalloc.start()
    with pytest.raises(DataError, match=r"'x' is packed 1,0\d\d-fold, as nothing but empty data can be"):
        open_(path)
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()


def test_npz_that_needs_more_memory_than_allowed_is_refused(tmp_path):
    path = save(tmp_path, x=np.zeros((300, 64, 64), dtype=np.uint8))
    assert len(open_(path)) == 300
    with pytest.raises(DataError, match=r"'x' needs 1 MiB of memory, more than data\.memory_limit_mb=1; set"):
        open_(path, memory_limit_mb=1)


def test_npy_whose_header_promises_more_than_there_is_is_refused(tmp_path):
    (tmp_path / "x.npy").write_bytes(header((10**5, 1000, 1000)) + bytes(64))
    with pytest.raises(DataError, match="cannot be read"):
        open_(tmp_path / "x.npy")


class Boom:
    def __reduce__(self):
        return (Path.touch, (Path("executed"),))


@pytest.mark.parametrize("suffix", ["npz", "npy", "pkl"])
def test_pickled_objects_are_never_loaded(tmp_path, suffix, monkeypatch):
    monkeypatch.chdir(tmp_path)
    objects = np.array([Boom()], dtype=object)
    path = tmp_path / f"data.{suffix}"
    if suffix == "npz":
        np.savez(path, x=objects)
    elif suffix == "npy":
        np.save(path, objects, allow_pickle=True)
    else:
        path.write_bytes(pickle.dumps(Boom()))
    with pytest.raises(DataError, match="Python objects, which are not read because they could run code"):
        open_(path)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("keep", [0, 50, 400])
@pytest.mark.parametrize("suffix", ["npz", "npy"])
def test_a_truncated_file_is_a_sentence(tmp_path, keep, suffix):
    path = tmp_path / f"data.{suffix}"
    np.savez(path, x=pixels(9, 8, 8)) if suffix == "npz" else np.save(path, pixels(9, 8, 8))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"save arrays with numpy\.savez|promises .* bytes, but there are"):
        open_(path)


def test_a_missing_file_and_a_folder_say_what_was_looked_for(tmp_path):
    with pytest.raises(UsageError, match=r"no such file; a \.npz or \.npy file"):
        open_(tmp_path / "gone.npz")
    with pytest.raises(UsageError, match=r"a folder, not a file; a \.npz or \.npy file"):
        open_(tmp_path)


def test_half_of_the_images_are_flipped_and_always_the_same_ones(tmp_path):
    data = pixels(400, 4, 5)
    path = save(tmp_path, x=data)
    indices = torch.arange(400)
    x, _ = open_(path, flip=True).fetch(indices, Draws(3, indices))
    flipped = (x.numpy()[:, 0] == data[:, :, ::-1]).all(axis=(1, 2))
    kept = (x.numpy()[:, 0] == data).all(axis=(1, 2))
    assert (flipped ^ kept).all()
    assert 150 < flipped.sum() < 250
    part, _ = open_(path, flip=True).fetch(indices[100:110], Draws(3, indices[100:110]))
    assert torch.equal(part, x[100:110])


def test_an_image_spec_knows_its_sides_and_allows_uint8_only():
    spec = ImageSpec(shape=(3, 16, 24))
    assert (spec.channels, spec.height, spec.width, spec.mode) == (3, 16, 24, "RGB")
    assert [ImageSpec(shape=(c, 8, 8)).mode for c in (1, 2, 4)] == ["L", None, "RGBA"]
    for wrong in (
        {"shape": (8, 8)},
        {"shape": (1, 8, 8), "dtype": "float32"},
        {"shape": (1, 8, 8), "value_range": (0, 1)},
    ):
        with pytest.raises(ValidationError):
            ImageSpec(**wrong)


def test_an_image_spec_hardens_what_it_relaxes():
    hard = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    relaxed = ImageSpec(shape=(1, 16, 16)).relax(hard)
    assert (relaxed.min(), relaxed.max()) == (-1.0, 1.0)
    assert torch.equal(ImageSpec(shape=(1, 16, 16)).harden(relaxed), hard)


@pytest.mark.shared_data
@pytest.mark.skipif(not MNIST.is_file(), reason="the real data are absent: ../shared/data/mnist/mnist.npz")
def test_mnist_is_read_with_its_labels():
    source = open_(MNIST)
    assert len(source) == 60_000
    assert source.spec == ImageSpec(shape=(1, 28, 28), classes=tuple("0123456789"))
    # The first labels of the training part, as published with the data: 5, 0, 4, 1, 9.
    assert fetch(source, 0, 1, 2, 3, 4)[1].tolist() == [5, 0, 4, 1, 9]
    test = open_(MNIST, images_key="x_test")
    assert len(test) == 10_000
    assert fetch(test, 0, 1, 2)[1].tolist() == [7, 2, 1]
