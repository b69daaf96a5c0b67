"""`gan new-plugin`: names, files, and that what it writes is a plugin that works."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support import forked
from typer.testing import Result

import gancore
from gan_cli.new_plugin import LONGEST, check_name, create, module_of, suggestion
from gancore.components import Component
from gancore.configuration.configure import configure
from gancore.errors import UsageError
from gancore.plugins import GROUP, Registry
from gancore.targets import options_model, resolve

ROOT = Path(__file__).resolve().parents[2]
MODALITIES = ("continuous", "discrete")
UNUSED_OF_TORCH = (
    "_decomp", "_dynamo", "_export", "_functorch", "_higher_order_ops", "_inductor", "_numpy", "_prims", "_refs",
    "_subclasses", "ao", "distributed", "export", "fx", "onnx", "testing",
)  # fmt: skip
NAMES = st.from_regex(r"[a-z][a-z0-9]{0,5}(-[a-z0-9]{1,5}){0,4}", fullmatch=True).filter(
    lambda name: not name.startswith("gan-") and name not in ("none", "gancore")
)

Gan = Callable[..., Result]
Refused = Callable[..., str]
Fresh = Callable[[str], str]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


# --- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["waves", "x", "tide-levels", "midi2", "a-1-b", "gans", "x" * LONGEST])
def test_names_of_letters_digits_and_single_hyphens_are_taken(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Gan Waves!", "begin with a letter; try 'waves'"),
        ("gan_waves", "single hyphens, and begin with a letter; try 'waves'"),
        ("gan-waves", "'gan-' comes before it in the package's name anyway; try 'waves'"),
        ("tide_levels", "try 'tide-levels'"),
        ("tide--levels", "try 'tide-levels'"),
        ("waves-", "try 'waves'"),
        ("2waves", "try 'waves'"),
        ("Größe", "try 'grosse'"),
        ("波", "choose another, such as 'waves'"),
        ("", "choose another, such as 'waves'"),
        ("../waves", "try 'waves'"),
        ("gancore", "that is the engine's own name"),
        ("none", "that is the word that takes a component out"),
        ("x" * (LONGEST + 1), f"it has {LONGEST + 1} characters, more than {LONGEST}; try"),
    ],
)
def test_other_names_are_refused_with_a_better_one(here: Path, refused: Refused, name: str, words: str) -> None:
    assert words in refused("new-plugin", name, code=2)
    assert not list(here.iterdir())


@given(st.text() | st.from_regex(r"(gan[-_ ])?[A-Za-z0-9 _-]{0,50}", fullmatch=True))
def test_a_suggestion_is_a_good_name_or_none(text: str) -> None:
    name = suggestion(text)
    assert not name or re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name)
    assert len(name) <= LONGEST
    assert not name.startswith("gan-")
    assert name not in ("none", "gancore")


@given(NAMES)
def test_a_good_name_is_its_own_suggestion(name: str) -> None:
    assert suggestion(name) == name


@given(NAMES)
def test_module_is_importable_and_tells_the_name(name: str) -> None:
    module = module_of(name)
    assert module.isidentifier()
    assert module.removeprefix("gan_").replace("_", "-") == name


def test_name_of_an_installed_plugin_is_refused_with_its_package(
    here: Path, refused: Refused, fake_dist: Callable[..., None]
) -> None:
    fake_dist("rows", "raise RuntimeError('nothing is imported')", dist="some-rows", version="2.5")
    assert "'rows' is taken by the installed package some-rows 2.5" in refused("new-plugin", "rows", code=2)


def test_name_of_a_module_that_can_be_imported_is_refused(here: Path, refused: Refused) -> None:
    assert "would be the module gan_cli" in refused("new-plugin", "cli", code=2)


def test_an_unknown_modality_is_refused_with_the_nearest(here: Path, refused: Refused) -> None:
    assert "did you mean 'discrete'?" in refused("new-plugin", "waves", "--modality", "diskrete", code=2)
    assert not list(here.iterdir())


# --- the folder -------------------------------------------------------------------------------------------------------


def test_folder_goes_to_stdout_and_what_to_do_next_to_stderr(here: Path, gan: Gan) -> None:
    result = gan("new-plugin", "tide-levels")
    assert result.stdout == "gan-tide-levels\n"
    assert "pip install -e '.[test]'" in result.stderr
    assert "gan plugins check tide-levels" in result.stderr
    assert (here / "gan-tide-levels" / "gan_tide_levels" / "__init__.py").is_file()
    assert (here / "gan-tide-levels" / "tests" / "test_tide_levels.py").is_file()


def test_json_names_everything_that_was_written(here: Path, gan: Gan) -> None:
    made = json.loads(gan("new-plugin", "waves", "--modality", "discrete", "--out", "a/b", "--json").stdout)
    files = made.pop("files")
    assert made == {"name": "waves", "package": "gan-waves", "module": "gan_waves", "folder": "a/b"}
    assert sorted(files) == sorted(p.relative_to(here).as_posix() for p in here.rglob("*") if p.is_file())
    assert {"a/b/.gitignore", "a/b/.github/workflows/test.yml", "a/b/gan_waves/spec.py"} <= set(files)


def test_a_folder_with_something_in_it_is_left_alone(here: Path, refused: Refused) -> None:
    (here / "gan-waves").mkdir()
    (here / "gan-waves" / "notes").write_text("mine")
    assert "'gan-waves' exists already and nothing is overwritten" in refused("new-plugin", "waves", code=1)
    assert [p.name for p in here.rglob("*")] == ["gan-waves", "notes"]


def test_a_file_in_the_place_of_the_folder_is_left_alone(here: Path, refused: Refused) -> None:
    (here / "mine").write_text("mine")
    assert "exists already" in refused("new-plugin", "waves", "--out", "mine", code=1)
    assert (here / "mine").read_text() == "mine"


def test_an_empty_folder_is_filled(here: Path, gan: Gan) -> None:
    (here / "gan-waves").mkdir()
    gan("new-plugin", "waves")
    assert (here / "gan-waves" / "pyproject.toml").is_file()


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_nothing_half_done_stays_where_writing_fails(
    here: Path, monkeypatch: pytest.MonkeyPatch, gan: Gan, error: BaseException
) -> None:
    write, written = Path.write_text, []

    def failing(path: Path, *arguments: Any, **more: Any) -> int:
        written.append(path)
        if len(written) == 5:
            raise error
        return write(path, *arguments, **more)

    monkeypatch.setattr(Path, "write_text", failing)
    result = gan("new-plugin", "waves", "--out", "new/waves", code=1 if isinstance(error, OSError) else 130)
    assert len(written) == 5
    assert not isinstance(error, OSError) or "cannot be written (No space left on device)" in result.stderr
    assert not list(here.iterdir())


def test_help_reads_no_template_and_the_command_imports_no_torch(toy: str, fresh_python: Fresh) -> None:
    def modules(*arguments: str) -> list[str]:
        printed = fresh_python(
            f"import sys, json\nsys.argv = ['gan', *{arguments!r}]\nimport gan_cli\n"
            "try:\n    gan_cli.main()\nexcept SystemExit as end:\n    assert not end.code\n"
            "print('\\n' + json.dumps([m for m in ('torch', 'gan_cli.new_plugin') if m in sys.modules]))"
        )
        return json.loads(printed.splitlines()[-1])  # type: ignore[no-any-return]

    assert modules("--help") == modules("new-plugin", "--help") == []
    assert modules("new-plugin", "waves") == ["gan_cli.new_plugin"]


# --- what is written --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Written:
    """A new package, importable and installed as far as this process can tell."""

    name: str
    module: str
    folder: Path
    registry: Registry

    def texts(self) -> dict[Path, str]:
        return {p: p.read_text(encoding="utf-8") for p in self.folder.rglob("*") if p.suffix not in (".pyc", "")}


@pytest.fixture(scope="module", params=MODALITIES)
def package(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Written]:
    name = f"new-{request.param}"
    made = create(name, request.param, tmp_path_factory.mktemp("new") / "package")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(made.folder))
        registry = Registry([*entry_points(group=GROUP), EntryPoint(name, made.module, GROUP)])
        yield Written(name, made.module, made.folder, registry)
    for loaded in [m for m in sys.modules if m.partition(".")[0] == made.module]:
        del sys.modules[loaded]


def test_every_file_is_filled_in_and_compiles(package: Written) -> None:
    for path, text in package.texts().items():
        assert "$" not in text, path
        if path.suffix == ".py":
            compile(text, str(path), "exec")
    project = tomllib.loads((package.folder / "pyproject.toml").read_text())["project"]
    assert project["name"] == f"gan-{package.name}"
    assert project["entry-points"][GROUP] == {package.name: package.module}


def test_declarations_import_no_torch(package: Written, fresh_python: Fresh) -> None:
    source = f"import sys; sys.path.insert(0, {str(package.folder)!r}); import {package.module}; print('torch' in sys.modules)"
    assert fresh_python(source) == "False\n"


def test_every_target_resolves_and_every_preset_validates(package: Written) -> None:
    plugin = package.registry.load(package.name)
    records = [record for several in plugin.records.values() for record in several.values()]
    components = [record for record in records if isinstance(record, Component)]
    assert {c.kind for c in components} == {"dataset", "architecture", "loss", "writer"}
    for record in components:
        assert callable(resolve(record.target))
        options_model(record)
    assert set(plugin.records["preset"]) == {"demo", "own"}
    assert configure(package.registry, plugin=package.name).loss.name == next(iter(plugin.records["loss"]))


def test_it_trains_and_what_it_samples_is_data_to_it(package: Written, tmp_path: Path) -> None:
    quick = {"batch_size": 8, "samples": 4}
    run = gancore.train(plugin=package.name, steps=3, out=tmp_path / "demo", options=quick, registry=package.registry)
    assert run.outcome == "completed"
    assert list((run.folder / "samples").glob("step-00000003.*"))
    generator = gancore.load(run.folder, registry=package.registry, device="cpu")
    files = generator.save(generator.sample(6), tmp_path / "each")
    assert len(files) == 6
    again = gancore.train(
        plugin=package.name,
        data=tmp_path / "each",
        steps=3,
        out=tmp_path / "own",
        options=quick,
        registry=package.registry,
    )
    report = json.loads((again.folder / "data.json").read_text())
    assert (report["used"], report["skipped"]) == (6, [])


def test_its_runs_are_steered_by_commands_without_a_line_of_its_own(
    package: Written, tmp_path: Path, gan: Gan, distribution: Callable[..., None]
) -> None:
    distribution(f"gan-{package.name}", {}, "1.0", plugins={package.name: package.module})
    quick = {"batch_size": 4, "samples": 2}
    run = gancore.train(
        plugin=package.name, steps=1, out=tmp_path / "run", options=quick, registry=package.registry
    ).folder

    def made(*arguments: object) -> list[bytes]:
        told = json.loads(gan(*arguments, "--device", "cpu", "--json").stdout)
        return [Path(file).read_bytes() for file in told["files"]]

    assert len(set(made("walk", run, "--between", "0,1", "--frames", 3, "--each"))) == 1 + 3
    typical = made("sample", run, "-n", 2, "--truncation", 0, "--out", tmp_path / "typical")
    assert typical[0] == typical[1]
    assert made("sample", run, "--recipe", tmp_path / "typical") == typical
    [one, _] = made("sample", run, "-n", 1, "--seed", 3, "--out", tmp_path / "one")
    assert made("sample", run, "-n", 1, "--around", tmp_path / "one", "--spread", 0)[0] == one
    assert made("sample", run, "-n", 1, "--around", tmp_path / "one", "--spread", 1)[0] != one


@pytest.mark.slow
def test_the_demo_learns(package: Written, tmp_path: Path) -> None:
    def right(steps: int) -> float:
        """How well samples follow the rule of the demo: 1 is as well as the data."""
        options = {"every.sample": 0, "every.health": 0, "listeners": "none"}
        run = gancore.train(
            plugin=package.name, steps=steps, out=tmp_path / str(steps), options=options, registry=package.registry
        )
        samples = gancore.load(run.folder, registry=package.registry, device="cpu").sample(500)
        data = resolve(f"{package.module}.data:__dict__")
        if "in_order" in data:
            texts = resolve(f"{package.module}.spec:SymbolsSpec").of(data["make_texts"](2000, 8)).decode(samples)
            return sum(map(data["in_order"], texts)) / len(texts)
        return 1.0 - float(data["misfit"](samples).mean())

    torch.set_num_threads(1)
    assert right(1) < 0.2
    assert right(700) > 0.9


def test_ruff_finds_nothing_in_it(package: Written) -> None:
    pytest.importorskip("ruff", reason="ruff comes with the extra `dev`")
    config = ["--config", str(ROOT / "pyproject.toml"), "--no-cache", "."]
    for words in (["check"], ["format", "--diff"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *words, *config], cwd=package.folder, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_mypy_finds_nothing_in_any(tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="mypy comes with the extra `dev`")
    made = [create(f"typed-{modality}", modality, tmp_path / modality) for modality in MODALITIES]
    strict = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]
    lines = [f"{key} = {value}" for key, value in strict.items() if isinstance(value, bool)]
    # Of torch's 700 modules, those that no type of a template comes from would take half of the time.
    unused = ",".join(f"torch.{name}.*" for name in UNUSED_OF_TORCH)
    skipped = [f"[mypy-{unused}]", "follow_imports = skip"]
    (tmp_path / "mypy.ini").write_text("\n".join(["[mypy]", "plugins = pydantic.mypy", *lines, *skipped]))
    command = [
        "-m",
        "mypy",
        "--config-file",
        "mypy.ini",
        "--cache-dir",
        "cache",
        *(str(m.folder / m.module) for m in made),
    ]
    paths = os.pathsep.join(map(str, [ROOT, *(m.folder for m in made)]))
    done = subprocess.run(
        [sys.executable, *command], cwd=tmp_path, env=os.environ | {"MYPYPATH": paths}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_its_own_tests_pass(tmp_path: Path) -> None:
    # Those of a continuous one are run by the test of the tutorial.
    made = create("new-words", "discrete", tmp_path / "package")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path]
    subprocess.run(build, cwd=made.folder, check=True, capture_output=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        wheel.extractall(tmp_path / "installed")
    installed = str(tmp_path / "installed")
    found = f"import os, sys; sys.path.insert(0, {installed!r}); os.environ['PYTHONPATH'] = {installed!r}"
    command = f"{found}; import pytest; sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider']))"
    variables = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"OMP_NUM_THREADS": "1"}
    done = forked.run(sys.executable, ["-c", command], cwd=made.folder, env=variables)
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(re.findall(r"(\d+) passed", done.stdout)[0]) > 50


def test_a_taken_name_is_refused_before_anything_is_written(tmp_path: Path, fake_dist: Callable[..., None]) -> None:
    fake_dist("rows", "")
    with pytest.raises(UsageError, match="is taken"):
        create("rows", "continuous", tmp_path / "rows")
    assert not (tmp_path / "rows").exists()


def test_templates_are_no_python_modules() -> None:
    spec = importlib.util.find_spec("gan_cli")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    skeleton = Path(spec.submodule_search_locations[0]) / "skeleton"
    assert {p.suffix for p in skeleton.rglob("*") if p.is_file()} == {".tmpl"}
