"""What the documentation says is true: commands parse, settings and TOML files validate, code compiles."""

from __future__ import annotations

import importlib.util
import inspect
import itertools
import re
import shlex
import sys
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from types import ModuleType

import pytest
import typer
from typer.testing import CliRunner

from gan_cli.app import app
from gancore import components, hookspecs
from gancore.configuration.configure import configure
from gancore.configuration.layers import parse_assignments
from gancore.configuration.run_config import MAPS
from gancore.configuration.settings import ALL_KINDS, KIND_OF, Settings
from gancore.plugins import BUILTIN, Registry
from gancore.targets import options_model
from gancore.testing.check import CHECKS
from gancore.testing.suite import check_plugin

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHELL = {"bash", "console", "sh", "shell"}


@dataclass(frozen=True)
class Block:
    """A fenced block of code of one page."""

    page: str
    language: str
    title: str
    text: str


def _blocks() -> list[Block]:
    return [
        Block(page.relative_to(ROOT).as_posix(), found[1], found[2], found[3])
        for page in PAGES
        for found in FENCE.finditer(page.read_text(encoding="utf-8"))
    ]


def _gan_arguments(line: str) -> list[str] | None:
    """What follows `gan` in a line of shell; None for other lines."""
    words = shlex.split(line.removeprefix("$ "), comments=True)
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words = words[1:]
    if words and words[0] == "torchrun" and "gan_cli" in words:
        return words[words.index("gan_cli") + 1 :]
    return [w for w in words[1:] if w != "--debug"] if words and words[0] == "gan" else None


BLOCKS = _blocks()
COMMANDS = [
    (block.page, arguments)
    for block in BLOCKS
    if block.language in SHELL
    for line in block.text.replace("\\\n", " ").splitlines()
    if (arguments := _gan_arguments(line)) is not None
]
RUNS = [(page, arguments) for page, arguments in COMMANDS if arguments[:1] == ["run"]]
CHEAP = sorted({tuple(a) for _, a in COMMANDS if a[:1] in (["options"], ["plugins"]) or a[-1:] == ["--help"]})
TOML = [block for block in BLOCKS if block.language == "toml"]


def _named(cases: list[tuple[str, list[str]]]) -> list[str]:
    return [f"{page}: gan {' '.join(arguments)}" for page, arguments in cases]


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry()


@pytest.fixture
def with_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which the data that the pages speak of exist; nothing is read from them."""
    for name in {"photos", *(Path(p).name for _, a in RUNS for p in _values(a, "--data", "-d"))}:
        place = tmp_path / name
        place.touch() if place.suffix else place.mkdir()
    for model in {
        a.partition("=")[2] for _, arguments in RUNS for a in arguments if a.startswith("architecture.folder=")
    }:
        (tmp_path / model).mkdir()
        (tmp_path / model / "config.json").write_text('{"model_type": "gpt2"}', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _values(arguments: list[str], *flags: str) -> list[str]:
    return [value for flag, value in itertools.pairwise(arguments) if flag in flags]


def _settings(arguments: list[str], registry: Registry) -> Settings:
    """What a `gan run` of the pages would train with, but for its `--config`."""
    plugin, data, preset = (
        next(iter(_values(arguments, *f)), None) for f in (("--plugin", "-p"), ("--data", "-d"), ("--preset",))
    )
    assignments = [a for a in arguments if re.match(r"[a-z][\w.-]*=", a)]
    return configure(
        registry, plugin=plugin or "image", data=data, preset=preset, layers=[parse_assignments(assignments)]
    )


def test_pages_show_commands_and_files() -> None:
    assert len(RUNS) > 20
    assert len(CHEAP) > 5
    assert TOML


@pytest.mark.parametrize("arguments", CHEAP, ids=[" ".join(a) for a in CHEAP])
def test_listing_commands_succeed(arguments: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, list(arguments), prog_name="gan")
    assert result.exit_code == 0, result.output


def test_every_command_and_flag_exists() -> None:
    group = typer.main.get_command(app)
    for _, arguments in COMMANDS:
        command, rest = group, list(arguments)
        while rest and rest[0] in getattr(command, "commands", {}):
            command, rest = command.commands[rest[0]], rest[1:]  # type: ignore[attr-defined]
        if "--help" not in rest and (rest or command is not group):
            command.make_context("gan", rest)  # raises for an unknown flag, a missing argument, an impossible value


def test_page_of_commands_has_each_of_them() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    text = (ROOT / "docs/reference/cli.md").read_text(encoding="utf-8")
    assert set(commands) == {name.partition(" ")[0] for name in re.findall(r"^## gan (\S.*)$", text, re.MULTILINE)}


@pytest.mark.parametrize(("page", "arguments"), RUNS, ids=_named(RUNS))
def test_settings_of_a_run_validate(page: str, arguments: list[str], with_data: Path, registry: Registry) -> None:
    _settings(arguments, registry)


@pytest.mark.parametrize("section", MAPS)
def test_sections_that_a_command_names_hold_these_and_no_others(
    section: str, with_data: Path, registry: Registry
) -> None:
    for page, arguments in RUNS:
        named = [a.partition("=")[2] for a in arguments if a.startswith(f"{section}=")]
        if named:
            wanted = {n for n in named[-1].split(",") if n != "none"}
            assert set(getattr(_settings(arguments, registry), section)) == wanted, f"{page}: gan {' '.join(arguments)}"


@pytest.mark.parametrize("block", TOML, ids=[b.page for b in TOML])
def test_toml_is_valid(block: Block, with_data: Path, registry: Registry) -> None:
    layer = tomllib.loads(block.text)
    if "pyproject.toml" not in block.title:
        configure(registry, plugin=layer.get("plugin", "image"), layers=[layer])


def test_python_compiles() -> None:
    for block in BLOCKS:
        if block.language == "python":
            compile(block.text, block.page, "exec")


# --- parts that the code itself knows ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_pages", ROOT / "docs/_scripts/pages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_parts_are_up_to_date(hooks: ModuleType) -> None:
    texts = {page: page.read_text(encoding="utf-8") for page in PAGES}
    old = [page.relative_to(ROOT).as_posix() for page, text in texts.items() if hooks.renewed(text) != text]
    assert old == [], "write them anew: python docs/_scripts/pages.py"


def test_site_shows_what_is_of_code_by_its_own_means_and_no_mark(hooks: ModuleType) -> None:
    for page in PAGES:
        assert "<!--" not in hooks.on_page_markdown(page.read_text(encoding="utf-8")), page


def test_outline_has_signatures_and_first_paragraphs_and_nothing_private(
    hooks: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = '''
        """A module."""
        LIMIT = 3
        """At most."""
        _hidden = 4
        """Nobody's concern."""

        class Wave(Base):
            """A wave.

            More of it.
            """

            rate: int = Field(8, ge=1, description="Per second.")
            _state: int = 0

            def __init__(self, rate: int = 8, *, loud=True) -> None:
                self.rate = rate

            @property
            def silent(self) -> bool:
                """Whether none is heard."""

            def play(self, *times: float, **how: str) -> None:
                """Play it.

                Raises:
                    ValueError: it is out.
                """
    '''
    (tmp_path / "waves_for_a_page.py").write_text(dedent(source), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    limit = "### LIMIT\n\n```python\nLIMIT = 3\n```\n\nAt most.\n\n"
    wave = (
        "```python\nclass Wave(Base):\n    def __init__(rate: int = 8, *, loud=True) -> None: ...\n```\n\nA wave.\n\n"
    )
    members = "- `rate: int = 8`: Per second.\n- `silent: bool`: Whether none is heard.\n"
    assert hooks.module_of("waves_for_a_page") == (
        f"{limit}### Wave\n\n{wave}{members}- `play(*times: float, **how: str) -> None`: Play it."
    )
    whole = hooks.object_of("waves_for_a_page.Wave whole")
    assert "A wave.\n\nMore of it." in whole
    assert whole.endswith("Play it.\n\n  Raises:\n\n  - ValueError: it is out.")
    with pytest.raises(ValueError, match="has nothing called _hidden"):
        hooks.object_of("waves_for_a_page._hidden")


def test_outline_keeps_decorators_and_shows_what_is_read_like_a_field_as_one(
    hooks: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = """
        @dataclass(frozen=True)
        class Tide:
            @cached_property
            def level(self) -> float: ...

            @classmethod
            @contextmanager
            def measured(cls) -> Iterator[Tide]: ...

        @hookspec(firstresult=True)
        def gan_tide() -> str: ...
    """
    (tmp_path / "tides_for_a_page.py").write_text(dedent(source), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    assert hooks.module_of("tides_for_a_page") == (
        "### Tide\n\n```python\n@dataclass(frozen=True)\nclass Tide: ...\n```\n\n"
        "- `level: float`\n- `@classmethod @contextmanager measured() -> Iterator[Tide]`\n\n"
        "### gan_tide\n\n```python\ndef gan_tide() -> str: ...\n```"
    )


def test_listing_of_a_file_has_its_name_above_it_and_in_the_site_as_title_alone(hooks: ModuleType) -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        shown = hooks.on_page_markdown(text)
        for above, name in re.findall(r'^([^\n]*)\n\n```\w+ title="([^"\n]+\.\w+)"', text, re.MULTILINE):
            assert above == f"**`{name}`**", (page, name)
            assert f"**`{name}`**" not in shown


def test_options_page_has_every_option_of_every_component(registry: Registry, hooks: ModuleType) -> None:
    text = (ROOT / "docs/reference/options.md").read_text(encoding="utf-8")
    parts = dict(re.findall(r"^## ([^\n]+)$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    headings = {"data": "Data sets", "architecture": "Architectures", "game": "The game", "loss": "Losses"}
    for section, kind in ALL_KINDS.items():
        heading = headings.get(section, section.capitalize())
        for owner in (BUILTIN, *hooks.PLUGINS):
            for name, record in registry.load(owner).of_kind(kind).items():
                part = parts[heading if owner == BUILTIN else f"{heading} of the {owner} plugin"]
                model = options_model(record)
                _, found, own = part.partition(f"\n### {name}\n")
                assert found or (not model and f"`{name}`" in part), (owner, section, name)
                own = own.partition("\n### ")[0]
                assert all(f"| `{option}" in own for option in (model.model_fields if model else ())), (section, name)


def test_section_that_a_plugin_has_nothing_of_is_an_error(hooks: ModuleType) -> None:
    with pytest.raises(ValueError, match="music brings nothing of penalties"):
        hooks.section("music penalties")


def test_losses_page_explains_every_loss_penalty_and_augmentation(registry: Registry) -> None:
    text = (ROOT / "docs/reference/losses.md").read_text(encoding="utf-8")
    for section in ("loss", "penalties"):
        for name in registry.load(BUILTIN).of_kind(KIND_OF[section]):
            assert f"\n### {name}\n" in text
    for name in registry.load(BUILTIN).of_kind(KIND_OF["augmentations"]):
        assert f"`{name}`" in text


def test_architectures_page_explains_every_architecture(registry: Registry, hooks: ModuleType) -> None:
    text = (ROOT / "docs/reference/architectures.md").read_text(encoding="utf-8")
    for owner in hooks.PLUGINS:
        for name in registry.load(owner).of_kind(KIND_OF["architecture"]):
            assert f"\n### {name}\n" in text


def test_metrics_pages_explain_every_metric(registry: Registry, hooks: ModuleType) -> None:
    for owner in hooks.PLUGINS:
        for name in registry.load(owner).of_kind(components.Metric):
            text = (ROOT / f"docs/reference/{owner}-metrics.md").read_text(encoding="utf-8")
            assert f"\n## {name}\n" in text, (owner, name)


def test_metrics_pages_explain_every_attribute(registry: Registry, hooks: ModuleType) -> None:
    for owner in hooks.PLUGINS:
        text = (ROOT / f"docs/reference/{owner}-metrics.md").read_text(encoding="utf-8")
        for name in registry.load(owner).of_kind(components.Attribute):
            assert f"\n| `{name}` |" in text, (owner, name)


def test_sounds_and_pictures_of_the_music_pages_are_there_and_small() -> None:
    folder = ROOT / "docs/assets/music"
    named = set()
    for page in (ROOT / "docs/reference").glob("music-samples*.md"):
        links = set(re.findall(r"(?:\]\(|src=\")(\.\./assets/[^)\"]+)", page.read_text(encoding="utf-8")))
        assert sum(link.endswith(".mp3") for link in links) == sum(link.endswith(".png") for link in links) > 0
        named |= {(page.parent / link).resolve() for link in links}
    assert named == {file.resolve() for file in folder.rglob("*.*")}
    assert sum(file.stat().st_size for file in named) < 600_000


def test_pictures_and_sounds_of_the_instrument_tutorial_are_there_and_small() -> None:
    page = ROOT / "docs/tutorials/instrument.md"
    links = set(re.findall(r"(?:\]\(|src=\")(\.\./assets/[^)\"]+)", page.read_text(encoding="utf-8")))
    files = set((ROOT / "docs/assets/instrument").iterdir())
    assert {(page.parent / link).resolve() for link in links} == {file.resolve() for file in files}
    assert sum(file.stat().st_size for file in files) < 600_000


# --- the pages of the hooks -------------------------------------------------------------------------------------------

HOOKS = {name: hook for name, hook in vars(hookspecs).items() if name.startswith("gan_")}
HOOK_PAGES = {name: ROOT / f"docs/reference/hooks/{name}.md" for name in HOOKS}
NOUNS = [name for name, hook in HOOKS.items() if not inspect.signature(hook).parameters]
LISTENERS = [name for name in HOOKS if name not in NOUNS]


def _listings(page: Path) -> dict[str, str]:
    """The listings of a page that have a file's name as title."""
    path = page.relative_to(ROOT).as_posix()
    return {m[1]: b.text for b in BLOCKS if b.page == path and (m := re.search(r'title="(.+?\.py)"', b.title))}


def test_every_hook_has_a_page_that_the_site_and_its_overview_lead_to(hooks: ModuleType) -> None:
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    overview = (ROOT / "docs/reference/hooks/index.md").read_text(encoding="utf-8")
    pages = {p.stem for p in (ROOT / "docs/reference/hooks").glob("*.md")}
    assert pages == {*HOOKS, "index"}
    for name, page in HOOK_PAGES.items():
        assert f"      - {name}: reference/hooks/{name}.md\n" in nav
        assert f"]({name}.md)" in overview
        assert f"\n::: gancore.hookspecs.{name}\n" in hooks.on_page_markdown(page.read_text(encoding="utf-8"))


def test_every_check_of_the_kit_is_in_the_table_of_its_hook_and_of_no_other() -> None:
    found: Counter[tuple[str, str]] = Counter()
    for name, page in HOOK_PAGES.items():
        text = page.read_text(encoding="utf-8")
        assert "\n## Checks\n" in text
        found.update((row, name) for row in re.findall(r"^\| `([\w.-]+)` \|", text, re.MULTILINE) if row in CHECKS)
    assert found == Counter((check.name, check.hook) for check in CHECKS.values())


def test_table_of_all_checks_has_each_of_them_once() -> None:
    text = (ROOT / "docs/reference/testing.md").read_text(encoding="utf-8")
    assert [row for row in re.findall(r"^\| `([\w.-]+)` \|", text, re.MULTILINE) if row in CHECKS] == list(CHECKS)


def test_mark_for_a_hook_that_nothing_checks_is_an_error(hooks: ModuleType) -> None:
    with pytest.raises(ValueError, match="no check looks at gan_nothing"):
        hooks.checks("gan_nothing")


def test_modules_that_the_contract_calls_public_can_be_imported() -> None:
    text = (ROOT / "docs/explanation/plugin-contract.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| (`gancore.*?) \|", text.partition("## What is public")[2].partition("\n## ")[0], re.MULTILINE
    )
    modules = re.findall(r"`(gancore[\w.]*)`", " ".join(rows))
    assert len(modules) > 15
    for name in modules:
        importlib.import_module(name)


@pytest.mark.slow
def test_plugin_of_the_hook_pages_passes_every_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the pages list, and where they list no declaration the docstring's example, is one plugin."""
    records = [*(kind.__name__ for kind in components.KINDS), "PluginInfo"]
    parts = ["from gancore import hookimpl", f"from gancore.components import {', '.join(records)}"]
    module = tmp_path / "gan_rows"
    module.mkdir()
    for name in NOUNS:
        files = _listings(HOOK_PAGES[name])
        example = dedent((inspect.getdoc(HOOKS[name]) or "").partition("Example:\n")[2])
        parts.append(files.pop("gan_rows/__init__.py", example))
        for file, text in files.items():
            (tmp_path / file).write_text(text, encoding="utf-8")
    (module / "__init__.py").write_text("\n".join(parts), encoding="utf-8")
    info = tmp_path / "gan_rows-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: gan-rows\nVersion: 0.1.0\nSummary: Rows\nRequires-Dist: gancore\n"
    )
    (info / "entry_points.txt").write_text("[gancore]\nrows = gan_rows\n")
    monkeypatch.syspath_prepend(tmp_path)
    try:
        report = check_plugin("rows")
    finally:
        for name in [m for m in sys.modules if m.partition(".")[0] == "gan_rows"]:
            del sys.modules[name]
    passed = {r.check for r in report.results if r.outcome == "passed"}
    others = [r for r in report.results if r.outcome != "passed"]
    # Of presets that differ in numbers alone one is tried; no networks here are given a part of samples, the generator says nothing
    # more of its latents, the augmentation has no strength, and CSV files carry no texts.
    latents = {"powers.map", "powers.weights", "powers.prior"}
    without = {*passed, *latents, "networks.given", "augmentation.strength", "writer.carries"}
    fine = [r for r in others if r.outcome == "skipped" and r.check in without]
    assert [str(r) for r in others if r not in fine] == []
    # But for files of a writer for a run's progress, for listeners and for a reader of conditioning inputs, every promise has
    # something to look at there.
    unseen = {c for c in CHECKS if c not in {r.check for r in report.results}}
    assert unseen == {"writer.progress", "listener.hears", "data.given"}


@pytest.mark.parametrize("name", LISTENERS)
def test_listener_of_a_hook_page_hears_a_run(name: str, tmp_path: Path) -> None:
    [(file, text)] = _listings(HOOK_PAGES[name]).items()
    module = ModuleType(Path(file).stem)
    exec(text, vars(module))
    registry = Registry()
    registry.register(module, "listener")
    report = check_plugin("listener", registry=registry, only="listener.*")
    assert report.ok, [str(r) for r in report.of("failed")]
    assert [r.subject for r in report.of("passed")] == [name]
