"""The transformers library in new processes: beside a torchaudio that fails when imported, and not there at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from support import forked

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


def fresh(code: str) -> subprocess.CompletedProcess[str]:
    return forked.run(sys.executable, ["-c", code], cwd=Path.cwd(), env=os.environ)


def test_models_load_when_used_and_beside_a_torchaudio_that_does_not() -> None:
    broken = PUT_IN.format(name="torchaudio", body="raise OSError('libc10_cuda.so is not there')")
    code = """
import gan_text.nets.gpt2
from gancore.nets.transformers_loader import load
print('transformers' in sys.modules)
for name in ('GPT2LMHeadModel', 'BertModel', 'DynamicCache'):
    print(getattr(load(), name).__name__)
print('torchaudio' in sys.modules)
"""
    done = fresh(broken + code)
    assert done.stdout.split() == ["False", "GPT2LMHeadModel", "BertModel", "DynamicCache", "False"], done.stderr


def test_error_tells_what_to_type_where_the_library_is_missing() -> None:
    missing = PUT_IN.format(name="transformers", body="raise ModuleNotFoundError('nothing of that name')")
    done = fresh(missing + "from gancore.nets.transformers_loader import load\nload()")
    assert "gancore.errors.UsageError: this network needs the transformers library" in done.stderr
    assert "pip install transformers" in done.stderr
