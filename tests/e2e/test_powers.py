"""What third parties can do, with real wheels in a fresh environment: everything that a built-in plugin can, and no harm to others.

The packages are those of docs/how-to/extend-gancore.md, as it shows them, the one that `gan new-plugin` writes, and some that are at
fault. All of them are installed beside one another, so each test of one that works also shows that the faulty ones harm no other.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.environments import (
    ROOT,
    Environment,
    build_wheel,
    listings,
    make_environment,
    packages,
    single_modules,
    write_files,
)
from support.terminal import DIGITS

PAGE = ROOT / "docs" / "how-to" / "extend-gancore.md"

TINY = (
    "--quiet",
    "architecture.width=8",
    "batch_size=16",
    "samples=10",
    "every.health=0",
    "every.sample=0",
    "listeners=none",
)
INFO = """
    from gancore import hookimpl
    from gancore.components import PluginInfo

    @hookimpl
    def gan_plugin_info():
        return PluginInfo(summary="For a test", api_version={version})
"""
FAULTY = {
    "gan-crooked": single_modules(
        "gan-crooked",
        {"gan_crooked": "raise RuntimeError('no licence')"},
        plugins={"crooked": "gan_crooked"},
        commands={"crooked": "gan_crooked:app"},
    ),
    "gan-future": single_modules(
        "gan-future",
        {"gan_future": INFO.format(version=2) + "\n    @hookimpl\n    def gan_dreams():\n        yield 1\n"},
        plugins={"future": "gan_future"},
    ),
    "gan-twice": single_modules(
        "gan-twice",
        {"gan_twice": INFO.format(version=1)},
        plugins={"twice": "gan_twice"},
        commands={"again": "gan_twice:app"},
    ),
    "better-twice": single_modules(
        "better-twice",
        {"better_twice": INFO.format(version=1)},
        plugins={"twice": "better_twice"},
        commands={"again": "better_twice:app"},
    ),
    "gan-stumble": single_modules(
        "gan-stumble",
        {
            "gan_stumble": INFO.format(version=1)
            + """
    @hookimpl
    def gan_tick(event):
        if event.step >= 4:
            raise OSError("disk quota exceeded")
"""
        },
        plugins={"stumble": "gan_stumble"},
    ),
    "gan-impostor": single_modules(
        "gan-impostor",
        {"gan_impostor": INFO.format(version=1)},
        plugins={"gancore": "gan_impostor"},
        commands={"runs": "gan_impostor:app"},
    ),
}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """gancore's own wheel, the packages of the page, a new modality, and the faulty ones."""
    root = tmp_path_factory.mktemp("powers")
    made = make_environment(root / "venv")
    (dist := root / "dist").mkdir()
    sources = [write_files(root / name, files) for name, files in {**packages(PAGE), **FAULTY}.items()]
    made.install(build_wheel(ROOT, dist), *(build_wheel(source, dist) for source in sources))
    made.run("gan", "new-plugin", "tides", cwd=root)  # by the script that is installed
    made.install(build_wheel(root / "gan-tides", dist))
    return made


@pytest.fixture
def gan(environment: Environment, tmp_path: Path) -> Callable[..., str]:
    """`gan(...)`, run in a folder of its own: what it printed on stdout, or on stderr where it is to fail."""

    def run(*arguments: object, code: int = 0, **variables: str) -> str:
        done = environment.gan(*arguments, cwd=tmp_path, code=code, **variables)
        return done.stderr if code else done.stdout

    return run


@pytest.fixture(scope="module")
def trained(environment: Environment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run of the image demo, with the journal listening."""
    folder = tmp_path_factory.mktemp("trained")
    environment.gan(*DIGITS, "--steps", 4, "--out", "run", *TINY, "listeners=journal", cwd=folder)
    return folder / "run"


def figures(run: Path) -> dict[str, float]:
    """The last line of a run's metrics."""
    return json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])


def test_environment_runs_its_own_installation(environment: Environment, tmp_path: Path) -> None:
    source = "import gancore, gan_cli, gan_image; print(gancore.__file__, gan_cli.__file__, gan_image.__file__)"
    for file in environment.run("python", "-c", source, cwd=tmp_path).stdout.split():
        assert Path(file).is_relative_to(environment.site_packages)


# --- what packages may bring ------------------------------------------------------------------------------------------


def test_new_modality_trains_resumes_and_is_drawn_from(gan: Callable[..., str], tmp_path: Path) -> None:
    gan("run", "--plugin", "tides", "--steps", 3, "--out", "run", "--quiet", "listeners=none")
    gan("resume", "run", "--steps", 5, "--quiet")
    assert figures(tmp_path / "run")["step"] == 5
    written = json.loads(gan("sample", "run", "-n", 3, "--json"))["files"]
    assert written
    assert all(Path(tmp_path, file).stat().st_size for file in written)


def test_loss_of_a_package_trains_the_image_plugin(gan: Callable[..., str], tmp_path: Path) -> None:
    gan(*DIGITS, "--steps", 4, "--out", "run", "loss=hellinger:hellinger", "loss.limit=8", *TINY)
    assert 'name = "hellinger:hellinger"\nlimit = 8.0' in (tmp_path / "run" / "config.toml").read_text()
    assert -2.0 < figures(tmp_path / "run")["discriminator/loss"] < 2.0
    assert "cost linearly" in gan("options", "--plugin", "image", "loss.hellinger:hellinger")


def test_loss_of_the_page_is_the_formula_of_its_paper(environment: Environment, tmp_path: Path) -> None:
    source = """
import math, torch
from gan_hellinger.loss import Hellinger, Options
from gancore.data.spec import SampleSpec
loss, two = Hellinger(Options(limit=5), SampleSpec(shape=(1,))), math.log(2)
print(float(loss.discriminator(torch.tensor([two, 0.0]), torch.tensor([0.0, -2 * two]))))
print(float(loss.generator(torch.tensor([two, 2 * two]))))
print(float(loss.generator(torch.tensor([-7.0]))))
"""
    printed = environment.fork("-c", source, cwd=tmp_path).stdout.split()
    # E[exp(-v)] of real logits is (1/2 + 1) / 2, E[exp(v)] of fake ones (1 + 1/4) / 2; the last goes on along the tangent at 5.
    expected = [0.75 + 0.625 - 2.0, (0.5 + 0.25) / 2 - 1.0, math.exp(5) * (1 + 7 - 5) - 1.0]
    assert [float(p) for p in printed] == pytest.approx(expected, rel=1e-6)


def test_networks_of_a_package_train_pictures_of_any_sides(gan: Callable[..., str], tmp_path: Path) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (40, 3, 21, 13), dtype=np.uint8)
    np.savez(tmp_path / "odd.npz", images=pictures, labels=np.arange(40) % 2)
    networks = "architecture=resize:resize-conv"
    gan("run", "--plugin", "image", "--data", "odd.npz", "--steps", 2, "--out", "run", networks, *TINY)
    [folder] = [Path(gan("sample", "run", "-n", 2).strip())]
    with Image.open(sorted((tmp_path / folder).glob("*.png"))[0]) as picture:
        assert (picture.mode, picture.size) == ("RGB", (13, 21))


@pytest.mark.slow
def test_infogan_learns_what_the_code_says_and_only_by_its_information_term(
    environment: Environment, gan: Callable[..., str], tmp_path: Path
) -> None:
    game = ("game=infogan:infogan", "game.width=16", "data.labels=false", "batch_size=64", "architecture.width=16")
    for weight, out, steps in ((1, "runs/codes", 200), (0, "runs/control", 120)):
        more = ("samples=10", "every.sample=0", "listeners=none", "--quiet", f"game.weight={weight}")
        gan(*DIGITS, "--steps", steps, "--out", out, *game, *more)
    assert {p.name.partition(".")[0] for p in tmp_path.glob("runs/codes/checkpoints/*/*.safetensors")} == {
        "discriminator", "generator", "recogniser", "ema",
    }  # fmt: skip
    learnt, control = (figures(tmp_path / "runs" / name) for name in ("codes", "control"))
    # The entropy of the code, log 10 = 2.30 nats, is the most that there can be; guessing is right in one of ten cases.
    assert 1.0 < learnt["recogniser/information"] < math.log(10)
    assert learnt["recogniser/accuracy"] > 0.9
    assert control["recogniser/information"] < 0.3
    assert control["recogniser/accuracy"] < 0.3

    # The saved generator, the moving average, on latents that it has never seen, and the recogniser that was saved with it.
    source = """
import json, math, pathlib, torch, gancore
from gan_infogan.game import Recogniser
from gancore.random import Draws
from safetensors.torch import load_file

coded = gancore.load("runs/codes", device="cpu").module
[saved] = pathlib.Path("runs/codes/checkpoints").glob("step-00000200/recogniser.safetensors")
recogniser = Recogniser((1, 8, 8), 10, 16)
recogniser.load_state_dict(load_file(saved))
z = coded.draw_latent(Draws(1, torch.arange(4000)))
code = coded.code_of(z)
assert z[:, :10].sum(1).eq(1).all() and z[:, :10].max(1).values.eq(1).all()
with torch.no_grad():
    logits = recogniser(coded(z, None))
right = (logits.argmax(1) == code).float().mean()
bound = math.log(10) - torch.nn.functional.cross_entropy(logits, code)
print(json.dumps([float(right), float(bound), torch.bincount(code, minlength=10).tolist()]))
"""
    right, bound, counts = json.loads(environment.fork("-c", source, cwd=tmp_path).stdout)
    assert right > 0.9
    assert 1.0 < bound < math.log(10)
    assert all(abs(count - 400) < 100 for count in counts)  # five standard deviations of a fair draw

    environment.fork("-c", listings(PAGE)["codes.py"], cwd=tmp_path)
    with Image.open(tmp_path / "codes.png") as sheet:
        assert sheet.width == sheet.height >= 80


def test_game_of_a_package_resumes_to_the_same_bits(
    gan: Callable[..., str], tmp_path: Path, digests: Callable[[Path], dict[str, str]]
) -> None:
    game = ("game=infogan:infogan", "game.width=8", "every.checkpoint=2", "data.labels=false", *TINY)
    gan(*DIGITS, "--steps", 4, "--out", "whole", *game)
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    shutil.rmtree(tmp_path / "cut" / "checkpoints" / "step-00000004")
    shutil.rmtree(tmp_path / "cut" / "samples")
    gan("resume", "cut", "--quiet")
    whole, cut = digests(tmp_path / "whole"), digests(tmp_path / "cut")
    names = [f"checkpoints/step-00000004/recogniser.{end}" for end in ("safetensors", "optimizer.pt")]
    assert all(whole[name] == cut[name] for name in names)
    assert {n: d for n, d in whole.items() if n in cut} == cut


def test_translation_of_a_package_is_trained_and_translates(
    gan: Callable[..., str], environment: Environment, tmp_path: Path
) -> None:
    gan("run", "--plugin", "curves", "--steps", 4, "--out", "runs/curves", *TINY)
    sheet = np.loadtxt(tmp_path / "runs/curves/samples/step-00000004.csv", delimiter=",")
    assert sheet.shape == (10, 64)  # five curves, each followed by what became of it
    assert not np.allclose(sheet[::2], sheet[1::2])
    gan("run", "--plugin", "curves", "--steps", 2, "--out", "runs/cut", "game=cut", *TINY)
    said = environment.fork("-c", listings(PAGE)["translate.py"], cwd=tmp_path)
    assert 0.0 < float(said.stdout) < 2.0
    report = gan("plugins", "check", "curves", "--only", "step.*")
    assert " 0 failed" in report


def test_command_of_a_package_is_listed_explained_and_run(
    gan: Callable[..., str], trained: Path, tmp_path: Path
) -> None:
    own, _, others = gan("--help").partition("Commands of other packages:\n")
    assert "  pack " not in own
    assert "pack     gan-pack 0.1.0: Write samples of a run" in others
    text = gan("pack", "--help")
    assert "Usage: gan pack [OPTIONS]" in text
    assert "--install-completion" not in text
    gan("pack", trained, "samples.npz", "-n", 20)
    with np.load(tmp_path / "samples.npz") as written:
        assert (written["images"].shape, written["images"].dtype) == ((20, 1, 8, 8), np.uint8)
        assert written["labels"].tolist() == [*range(10)] * 2
    gan("run", "--plugin", "image", "--data", "samples.npz", "--dry-run")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nowhere", "new.npz"), "error: 'nowhere' is not a run: it does not exist"),
        (("nowhere", "there.npz"), "error: 'there.npz' exists already and nothing is overwritten"),
    ],
)
def test_command_of_a_package_fails_as_the_built_in_ones_do(
    gan: Callable[..., str], tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    (tmp_path / "there.npz").touch()
    said = gan("pack", *arguments, code=1)
    assert said.startswith(words)
    assert len(said.splitlines()) == 1


def test_listener_of_a_package_writes_its_file(trained: Path) -> None:
    lines = [line.partition("  ")[2] for line in (trained / "journal.txt").read_text().splitlines()]
    assert lines[0].startswith("step 0: began, up to step 4, on cpu; digits: 1,797 samples")
    assert lines[1:] == ["step 4: saved step-00000004", "step 4: completed: reached step 4"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "checks"), [("hellinger", "loss.*"), ("resize", "networks.*"), ("infogan", "step.game")]
)
def test_recipe_meets_the_contract_of_its_kind(gan: Callable[..., str], name: str, checks: str) -> None:
    results = json.loads(gan("plugins", "check", name, "--with", "image", "--only", checks, "--json"))["results"]
    assert results
    assert {r["outcome"] for r in results if r["check"] != "networks.given"} == {"passed"}


# --- packages at fault ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        pytest.param(
            ("run", "--plugin", "crooked"),
            1,
            "plugin 'crooked' (gan_crooked) is broken; importing it raised RuntimeError: no licence",
            id="fails on import",
        ),
        pytest.param(
            ("crooked",),
            1,
            "command 'crooked' of gan-crooked is broken; importing gan_crooked:app raised RuntimeError: no licence",
            id="command fails on import",
        ),
        pytest.param(
            ("run", "--plugin", "image", "loss=future:dream"),
            1,
            "plugin 'future' was written for version 2 of the plugin contract, this gancore speaks version 1; upgrade gancore",
            id="future version",
        ),
        pytest.param(
            ("run", "--plugin", "twice"),
            1,
            "plugin name 'twice' is claimed by better-twice (better_twice) and gan-twice (gan_twice); uninstall one of them",
            id="claimed twice",
        ),
        pytest.param(
            ("again",),
            1,
            "command 'again' is claimed by better-twice (better_twice:app) and gan-twice (gan_twice:app); "
            "uninstall one of them",
            id="command claimed twice",
        ),
    ],
)
def test_package_at_fault_is_an_error_in_one_sentence_for_who_asks_for_it(
    gan: Callable[..., str], tmp_path: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    assert gan(*arguments, code=code) == f"error: {words}\n"
    assert list(tmp_path.iterdir()) == []


def test_debug_shows_where_a_package_failed(gan: Callable[..., str]) -> None:
    said = gan("--debug", "run", "--plugin", "crooked", code=1)
    assert "Traceback" in said
    assert "no licence" in said


def test_hook_that_raises_in_the_middle_of_a_run_is_one_warning_and_the_run_completes(
    environment: Environment, tmp_path: Path
) -> None:
    settings = ("--steps", 8, "--out", "run", *TINY, "listeners=stumble", "every.log=2")
    said = environment.gan(*DIGITS, *settings, cwd=tmp_path).stderr
    warned = [line for line in said.splitlines() if line.startswith("warning:")]
    cause = (
        "plugin 'stumble': its hook gan_tick raised OSError: disk quota exceeded; it is not called again in this run"
    )
    assert warned == [f"warning: {cause}"]
    assert figures(tmp_path / "run")["step"] == 8
    assert (tmp_path / "run" / "checkpoints" / "step-00000008" / "manifest.json").exists()
    assert (tmp_path / "run" / "report.html").exists()


def test_everything_installed_is_listed_with_what_keeps_it_from_being_used(gan: Callable[..., str]) -> None:
    rows = json.loads(gan("plugins", "--json"))
    found = sorted(
        (r["kind"], r["name"], r["distribution"], r["state"]) for r in rows if r["distribution"] != "gancore"
    )
    claimed, reserved = "name claimed twice: uninstall one", "reserved name: it cannot be used"
    assert found == [
        ("command", "again", "better-twice", claimed),
        ("command", "again", "gan-twice", claimed),
        ("command", "crooked", "gan-crooked", ""),
        ("command", "pack", "gan-pack", ""),
        ("command", "runs", "gan-impostor", "name of a built-in command: the built-in wins"),
        ("plugin", "crooked", "gan-crooked", ""),
        ("plugin", "curves", "gan-curves", ""),
        ("plugin", "future", "gan-future", ""),
        ("plugin", "gancore", "gan-impostor", reserved),
        ("plugin", "hellinger", "gan-hellinger", ""),
        ("plugin", "infogan", "gan-infogan", ""),
        ("plugin", "journal", "gan-journal", ""),
        ("plugin", "resize", "gan-resize", ""),
        ("plugin", "stumble", "gan-stumble", ""),
        ("plugin", "tides", "gan-tides", ""),
        ("plugin", "twice", "better-twice", claimed),
        ("plugin", "twice", "gan-twice", claimed),
    ]


def test_loading_says_of_each_whether_it_works_and_why_not(gan: Callable[..., str]) -> None:
    rows = json.loads(gan("plugins", "--load", "--json", GAN_DISABLE_PLUGINS="journal"))
    states = {(r["kind"], r["name"]): r["state"] for r in rows}
    works = {name for (kind, name), state in states.items() if kind == "plugin" and state == "ok"}
    assert works >= {"image", "tensorboard", "tides", "hellinger", "resize", "infogan", "stumble"}
    assert states["command", "pack"] == "ok"
    assert states["plugin", "crooked"] == "broken: importing it raised RuntimeError: no licence"
    assert states["command", "crooked"] == "broken: importing gan_crooked:app raised RuntimeError: no licence"
    assert states["plugin", "future"].startswith("broken: was written for version 2 of the plugin contract")
    assert states["plugin", "twice"] == states["command", "again"] == "name claimed twice: uninstall one"
    assert states["plugin", "gancore"] == "reserved name: it cannot be used"
    assert states["plugin", "journal"] == "disabled"


def test_names_of_the_engine_and_of_its_commands_stay_its_own(environment: Environment, tmp_path: Path) -> None:
    assert "loss.hinge" in environment.gan("options", "--plugin", "gancore", "loss", cwd=tmp_path).stdout
    done = environment.gan("runs", "--json", cwd=tmp_path)
    assert json.loads(done.stdout) == []
    assert done.stderr == "warning: 'runs' is the built-in command; that of gan-impostor 1.0 is not used\n"
