"""torchaudio in fresh interpreters: as it is here, with its compiled part, without it, and not at all."""

from __future__ import annotations

import subprocess
import sys

import pytest

PUT_IN = """
import importlib.abc, importlib.machinery, sys

class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path, target=None):
        if name == {name!r}:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        {body}

sys.meta_path.insert(0, Finder())
"""
USE = """
import torch
from gan_audio import torchaudio_loader
transforms, functional = torchaudio_loader.transforms(), torchaudio_loader.functional()
mel = transforms.MelSpectrogram(8000, n_fft=256, n_mels=16)(torch.sin(torch.arange(4000) * 0.5))
assert mel.shape == (16, 32) and mel.isfinite().all()
half = functional.resample(torch.ones(1, 800), 8000, 4000)
assert half.shape == (1, 400) and abs(half[0, 200] - 1) < 1e-2
from torchaudio import _extension
print("its own" if _extension.__spec__ else "stand-in")
"""


def fresh(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)


def extension(body: str, name: str = "torchaudio._extension") -> str:
    return PUT_IN.format(name=name, body=body)


def test_transforms_work_beside_the_torch_that_is_installed() -> None:
    done = fresh(USE)
    assert done.returncode == 0, done.stderr


def test_compiled_part_is_used_where_it_loads() -> None:
    # In place of the library, which loads beside few torches.
    works = "module.__dict__.update(_IS_TORCHAUDIO_EXT_AVAILABLE=False, _IS_ALIGN_AVAILABLE=False, fail_if_no_align=lambda f: f)"
    done = fresh(extension(works) + USE)
    assert done.stdout.strip() == "its own", done.stderr


@pytest.mark.parametrize(
    "error",
    [
        "OSError('libc10_cuda.so: cannot open shared object file')",
        "RuntimeError('compiled with different CUDA versions')",
        "ImportError('Failed to load libtorchaudio')",
    ],
)
def test_stand_in_takes_the_place_of_a_compiled_part_that_does_not_load(error: str) -> None:
    done = fresh(extension(f"raise {error}") + USE)
    assert done.stdout.strip() == "stand-in", done.stderr


def test_error_names_both_causes_where_even_the_stand_in_does_not_help() -> None:
    code = extension("raise OSError('no library')") + extension("raise ValueError('no good')", "torchaudio.functional")
    done = fresh(code + "from gan_audio.torchaudio_loader import functional\nfunctional()")
    assert "gancore.errors.UsageError: torchaudio does not work beside torch" in done.stderr
    assert "no library" in done.stderr
    assert "no good" in done.stderr


def test_error_tells_what_to_type_where_torchaudio_is_missing() -> None:
    missing = extension("raise ModuleNotFoundError(\"No module named 'torchaudio'\", name='torchaudio')", "torchaudio")
    done = fresh(missing + "from gan_audio.torchaudio_loader import functional\nfunctional()")
    assert "pip install torchaudio" in done.stderr


def test_importing_the_plugin_imports_no_torchaudio() -> None:
    code = "import sys, gan_audio, gan_audio.spec, gan_audio.transforms; print('torchaudio' in sys.modules)"
    assert fresh(code).stdout.strip() == "False"
