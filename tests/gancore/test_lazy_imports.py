"""What does not need torch or a plugin does not import it: seen in fresh interpreters."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

HEAVY = (
    "torch",
    "numpy",
    "pydantic",
    "safetensors",
    "PIL",
    "sklearn",
    "transformers",
    "librosa",
    "tensorboard",
)
# typer checks a command's arguments with pydantic; nothing of ours may add to that.
AT_THE_PROMPT = tuple(name for name in HEAVY if name != "pydantic")
PLUGINS = ("gan_image", "gan_tensorboard", "gan_toy", "gan_toy_parts", "gancore.builtin")

Fresh = Callable[[str], str]


def imported(fresh_python: Fresh, source: str, names: tuple[str, ...]) -> set[str]:
    """Which of `names` a new interpreter has imported after it ran `source`."""
    printed = fresh_python(
        f"{source}\nimport json, sys\nprint('\\n' + json.dumps([n for n in {names!r} if n in sys.modules]))"
    )
    return set(json.loads(printed.splitlines()[-1]))


def command(*arguments: str) -> str:
    """Source text that runs `gan` with these arguments in this interpreter."""
    return (
        "import sys\n"
        f"sys.argv = ['gan', *{arguments!r}]\n"
        "import gan_cli\n"
        "try:\n    gan_cli.main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("--help",), id="help"),
        pytest.param(("run", "--help"), id="run help"),
        pytest.param(("sample", "--help"), id="sample help"),
        pytest.param(("plugins",), id="plugins"),
        pytest.param(("plugins", "--json"), id="plugins json"),
    ],
)
def test_help_and_listing_import_nothing_heavy_and_no_plugin(
    toy: str, fresh_python: Fresh, arguments: tuple[str, ...]
) -> None:
    assert imported(fresh_python, command(*arguments), (*AT_THE_PROMPT, *PLUGINS)) == set()


@pytest.mark.parametrize(
    "source",
    [
        "import gancore",
        "from gancore import hookspecs, components, plugins, errors\nfrom gancore.configuration import run_config",
    ],
)
def test_importing_the_contract_imports_no_torch(fresh_python: Fresh, source: str) -> None:
    assert imported(fresh_python, source, ("torch", "numpy", *PLUGINS)) == set()


def test_listing_reads_metadata_only(toy: str, fresh_python: Fresh) -> None:
    source = "from gancore.plugins import Registry\nassert {'toy', 'image'} <= {p.name for p in Registry().installed()}"
    assert imported(fresh_python, source, (*HEAVY, *PLUGINS)) == set()


@pytest.mark.parametrize("name", ["gancore", "image", "tensorboard", "toy"])
def test_loading_a_plugin_imports_its_declarations_and_no_other_plugin(
    toy: str, fresh_python: Fresh, name: str
) -> None:
    own = {"gancore": "gancore.builtin", "toy": "gan_toy"}.get(name, f"gan_{name}")
    source = f"from gancore.plugins import Registry\nRegistry().load('{name}')"
    assert imported(fresh_python, source, (*HEAVY, *PLUGINS)) == {own}


def test_showing_a_plugin_imports_its_declarations_only(toy: str, fresh_python: Fresh) -> None:
    assert imported(fresh_python, command("plugins", "show", "toy"), (*AT_THE_PROMPT, *PLUGINS)) == {"gan_toy"}


def test_listing_options_of_the_engine_imports_no_torch(fresh_python: Fresh) -> None:
    assert imported(fresh_python, command("options", "ema"), ("torch", "numpy", "gan_image")) == set()


def test_public_names_are_found_when_they_are_used(fresh_python: Fresh) -> None:
    source = "import gancore\nassert callable(gancore.train) and callable(gancore.load) and gancore.Generator"
    assert imported(fresh_python, source, ("torch",)) == {"torch"}


def test_name_that_the_package_lacks_is_an_attribute_error() -> None:
    import gancore

    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        gancore.trian  # noqa: B018
