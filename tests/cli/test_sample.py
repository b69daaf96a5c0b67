"""`gan sample`: files from a trained run, never over others."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
import tomli_w
from typer.testing import Result

from gan_cli.sampling import Asked, Session
from gan_cli.waiting import Counting
from gancore.configuration.layers import read_file
from gancore.errors import UsageError
from gancore.latent.saving import write_sidecar
from gancore.latent.steering import Steering
from gancore.sampling.loading import load

Gan = Callable[..., Result]
Refused = Callable[..., str]


def classes(folder: Path) -> list[str]:
    """The class that the toy writer has put into each file."""
    return [p.read_text().split()[2] for p in sorted(folder.glob("sample-*.txt"))]


def test_samples_go_to_a_new_numbered_folder_of_the_run_each_time(gan: Gan, trained: Path) -> None:
    for name in ("001", "002"):
        result = gan("sample", trained, "-n", 3)
        folder = trained / "generated" / name
        assert result.stdout == f"{folder}\n"
        assert sorted(p.name for p in folder.iterdir()) == [
            "recipes.json",
            *(f"sample-{n:05d}.txt" for n in range(3)),
            "sheet.json",
        ]
        assert "3 samples in" in result.stderr


def test_json_names_every_file_the_sheet_last(gan: Gan, trained: Path, tmp_path: Path) -> None:
    told = json.loads(gan("sample", trained, "-n", 2, "--out", tmp_path / "out", "--json").stdout)
    assert told["folder"] == str(tmp_path / "out")
    assert [Path(f).name for f in told["files"]] == ["sample-00000.txt", "sample-00001.txt", "sheet.json"]
    assert all(Path(f).is_file() for f in told["files"])


def test_same_seed_gives_the_same_samples_and_another_seed_others(gan: Gan, trained: Path) -> None:
    sheets = [(trained / "generated" / f"{n:03d}" / "sheet.json") for n in (1, 2, 3)]
    for seed in (7, 7, 8):
        gan("sample", trained, "-n", 4, "--seed", seed)
    assert sheets[0].read_bytes() == sheets[1].read_bytes() != sheets[2].read_bytes()


def test_earlier_checkpoint_is_taken_by_its_step(gan: Gan, trained: Path, refused: Refused) -> None:
    gan("sample", trained, "-n", 4, "--step", 2)
    gan("sample", trained, "-n", 4, "--step", 4)
    gan("sample", trained, "-n", 4)
    two, four, last = ((trained / "generated" / f"{n:03d}" / "sheet.json").read_bytes() for n in (1, 2, 3))
    assert two != four == last
    assert "steps there: 2, 4" in refused("sample", trained, "--step", 3, code=1)


def test_the_best_checkpoint_is_taken_where_figures_were_computed(
    gan: Gan, trained: Path, refused: Refused, tmp_path: Path
) -> None:
    assert "keeps no best checkpoint, because no figures were computed" in refused("sample", trained, "--best", code=1)
    assert "ask for two checkpoints" in refused("sample", trained, "--best", "--step", 2, code=2)
    figures = ("every.evaluate=1", "evaluate.metrics=gap", "evaluate.samples=20")
    done = gan("run", "-p", "toy", "--steps", 4, "--out", tmp_path / "judged", "--json", *figures)
    best = json.loads(done.stdout)["best"]
    gan("sample", tmp_path / "judged", "-n", 4, "--best")
    assert load(tmp_path / "judged", step="best").step == best["best_step"]
    found = json.loads(gan("evaluate", tmp_path / "judged", "--best", "-n", 5, "-m", "gap", "--json").stdout)
    assert found["step"] == best["best_step"]
    assert f"best: {best['metric']} {best['best']:.3g}" in done.stderr


def test_classes_take_turns_unless_one_is_named(gan: Gan, trained: Path) -> None:
    gan("sample", trained, "-n", 4)
    assert classes(trained / "generated" / "001") == ["inner", "outer", "inner", "outer"]


@pytest.mark.parametrize("wanted", ["outer", "1"])
def test_class_is_chosen_by_name_or_index(gan: Gan, trained: Path, wanted: str) -> None:
    gan("sample", trained, "-n", 3, "--class", wanted)
    assert classes(trained / "generated" / "001") == ["outer"] * 3


@pytest.mark.parametrize("wanted", ["outre", "2", "-1"])
def test_unknown_class_is_a_usage_error_and_leaves_nothing_behind(refused: Refused, trained: Path, wanted: str) -> None:
    said = refused("sample", trained, f"--class={wanted}", code=2)
    assert f"unknown class '{wanted}'" in said
    assert ("did you mean 'outer'" in said) == (wanted == "outre")
    assert not (trained / "generated").exists()


def test_something_given_to_a_run_that_is_given_nothing_is_a_usage_error(refused: Refused, trained: Path) -> None:
    said = refused("sample", trained, "--given", "melody.mid", code=2)
    assert "makes whole samples and is given nothing; leave --given" in said
    assert not (trained / "generated").exists()


def test_sixty_four_samples_are_drawn_unless_somebody_says_how_many(gan: Gan, trained: Path) -> None:
    assert len(json.loads(gan("sample", trained, "--json").stdout)["files"]) == 65


def test_run_without_labels_has_no_classes_to_choose_from(gan: Gan, refused: Refused, tmp_path: Path) -> None:
    gan("run", "-p", "toy", "data.labels=false", "--steps", 1, "--out", tmp_path / "run", "--quiet")
    assert "trained without labels" in refused("sample", tmp_path / "run", "--class", "0", code=2)
    gan("sample", tmp_path / "run", "-n", 1)


@pytest.mark.parametrize(
    ("removed", "written"),
    [("text", ["recipes.json", "sheet.json"]), ("json", ["recipes.json", "sample-00000.txt", "sample-00001.txt"])],
)
def test_run_with_one_kind_of_writer_is_sampled_with_that(
    gan: Gan, tmp_path: Path, removed: str, written: list[str]
) -> None:
    gan("run", "-p", "toy", f"writers.{removed}=none", "--steps", 1, "--out", tmp_path / "run", "--quiet")
    gan("sample", tmp_path / "run", "-n", 2)
    assert sorted(p.name for p in (tmp_path / "run" / "generated" / "001").iterdir()) == written


def test_run_without_writers_cannot_be_sampled(gan: Gan, refused: Refused, tmp_path: Path) -> None:
    gan("run", "-p", "toy", "writers=none", "--steps", 1, "--out", tmp_path / "run", "--quiet")
    assert "was trained without writers" in refused("sample", tmp_path / "run", code=2)
    assert not (tmp_path / "run" / "generated").exists()


def test_folder_with_anything_in_it_is_not_written_to(refused: Refused, trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    assert "exists already and nothing is overwritten" in refused("sample", trained, "--out", out, code=1)
    assert "exists already" in refused("sample", trained, "--out", out / "mine.txt", code=1)
    assert [p.name for p in out.iterdir()] == ["mine.txt"]


def test_out_with_a_suffix_is_refused_before_anything_is_drawn(refused: Refused, trained: Path, tmp_path: Path) -> None:
    words = refused("sample", trained, "--out", tmp_path / "sheet.png", code=2)
    assert "names a folder to make" in words
    assert not (tmp_path / "sheet.png").exists()
    assert "leave '.xyz' out" in refused("sample", trained, "--out", tmp_path / "out.xyz", code=2)


def test_number_at_the_end_of_out_is_part_of_the_folders_name(gan: Gan, trained: Path, tmp_path: Path) -> None:
    for out in (tmp_path / "edit-1.5", tmp_path / "there.v2"):
        if out.suffix == ".v2":
            out.mkdir()
        gan("sample", trained, "-n", 2, "--out", out)
        assert (out / "recipes.json").is_file()
        assert [path.name for path in tmp_path.iterdir() if path.is_file()] == []


def test_what_cannot_be_written_is_refused_before_anything_is_drawn(
    refused: Refused, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(Steering, "sample")
    below = trained / "config.toml" / "x"
    for command in (("sample",), ("walk",), ("mix", 0, 1, "--layers", 1), ("explain",)):
        words = refused(command[0], trained, *command[1:], "--out", below, code=1)
        assert f"folder '{below}' cannot be made" in words
    assert "take --each for a file a frame" in refused("walk", trained, "writers=text", code=2)
    assert "have a single layer, so there is nothing to mix" in refused("mix", trained, 0, 1, "--layers", 0, code=2)


def test_out_among_the_data_of_the_run_is_refused_before_anything_is_drawn(
    refused: Refused, trained: Path, tmp_path: Path
) -> None:
    data, config = tmp_path / "data", trained / "config.toml"
    data.mkdir()
    layer = read_file(config) | {"data": {"name": "points", "path": str(data)}}
    config.write_text(tomli_w.dumps(layer))
    assert "lies in" in (words := refused("sample", trained, "--out", data / "new", code=2))
    assert "choose another place" in words
    with pytest.raises(UsageError, match="the data of this run"):
        load(trained).save(load(trained).sample(1), data / "new")
    assert list(data.iterdir()) == []


def test_empty_folder_may_be_used(gan: Gan, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    gan("sample", trained, "-n", 1, "--out", tmp_path / "out")
    assert (tmp_path / "out" / "sheet.json").is_file()


def test_unknown_device_is_a_usage_error(refused: Refused, trained: Path) -> None:
    assert "device 'gpu' is unknown; choose auto" in refused("sample", trained, "--device", "gpu", code=2)


def test_damaged_checkpoint_is_passed_over_with_a_warning(gan: Gan, trained: Path) -> None:
    (trained / "checkpoints" / "step-00000004" / "ema.safetensors").write_bytes(b"")
    result = gan("sample", trained, "-n", 2)
    assert "warning: checkpoint" in result.stderr
    assert "ema.safetensors is not what was written" in result.stderr
    gan("sample", trained, "-n", 2, "--step", 2)
    one, two = ((trained / "generated" / f"{n:03d}" / "sheet.json").read_bytes() for n in (1, 2))
    assert one == two


def test_writers_can_be_changed_and_taken_out_when_sampling(gan: Gan, trained: Path) -> None:
    gan("sample", trained, "-n", 2, "writers.text=none")
    assert {p.name for p in (trained / "generated" / "001").iterdir()} == {"recipes.json", "sheet.json"}
    gan("sample", trained, "writers=text", "-n", 1)
    assert {p.name for p in (trained / "generated" / "002").iterdir()} == {"recipes.json", "sample-00000.txt"}


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("steps=5", "steps: cannot be changed any more; there are the options of writers"),
        ("writers.txt=none", "did you mean 'text'"),
        ("writers.text.size=3", "writer 'text' has no options"),
        ("writers.text", "not of the form key=value"),
    ],
)
def test_other_settings_of_a_trained_run_are_refused(refused: Refused, trained: Path, setting: str, words: str) -> None:
    assert words in refused("sample", trained, setting, code=2)
    assert not (trained / "generated").exists()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("no such font"), "writer 'toy:sheet' failed with ValueError: no such font"),
        (OSError(28, "No space left on device"), "no space is left on the disk"),
    ],
)
def test_samples_that_cannot_be_written_leave_nothing_in_the_way(
    refused: Refused, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    import gan_toy_parts as parts

    def fail(*arguments: object) -> None:
        raise error

    monkeypatch.setattr(parts.JsonWriter, "write", fail)
    told = refused("sample", trained, "-n", 3, "--out", tmp_path / "new" / "out", code=1)
    assert words.split("'toy")[0] in told
    assert words.split(" failed")[-1] in told
    assert not (tmp_path / "new").exists()
    refused("sample", trained, "-n", 3, code=1)
    assert not (trained / "generated").exists()


def test_a_recipe_is_made_again_by_as_many_candidates_as_it_was_chosen_from(
    gan: Gan, trained: Path, tmp_path: Path, refused: Refused
) -> None:
    chosen, again, other = (tmp_path / name for name in ("chosen", "again", "other"))
    gan("sample", trained, "-n", 6, "candidates.count=5", "--out", chosen)
    config = trained / "config.toml"
    config.write_text(tomli_w.dumps(read_file(config) | {"candidates": {"count": 2}}))
    gan("sample", trained, "--recipe", chosen, "--out", again)
    gan("sample", trained, "--recipe", chosen, "candidates.count=2", "--out", other)
    assert (again / "sheet.json").read_bytes() == (chosen / "sheet.json").read_bytes()
    assert (other / "sheet.json").read_bytes() != (chosen / "sheet.json").read_bytes()
    counts = [json.loads((f / "recipes.json").read_text())["sample-00000.txt"]["candidates"] for f in (again, other)]
    assert counts == [{"count": 5, "sharpness": 1.0}, {"count": 2, "sharpness": 1.0}]


def test_samples_of_two_checkpoints_are_taken_together_only_where_one_is_named(
    gan: Gan, trained: Path, tmp_path: Path, refused: Refused
) -> None:
    for step in (2, 4):
        gan("sample", trained, "-n", 1, "--step", step, "--out", tmp_path / f"{step}")
    files = [tmp_path / f"{step}" / "sample-00000.txt" for step in (2, 4)]
    asked = ("walk", trained, "--frames", 2, "--between", f"{files[0]},{files[1]}")
    said = refused(*asked, code=2)
    assert f"'{files[0]}' is of step 2 and '{files[1]}' of step 4; say with --step" in said
    gan(*asked, "--step", 4)


def test_what_samples_follow_from_takes_no_room_of_its_own_for_each(trained: Path, tmp_path: Path) -> None:
    session = Session(Asked(run=trained), "generated")
    count = 4000
    tracemalloc.start()
    try:
        recipes = session.steering.recipes(session.numbered(count, 0))
        write_sidecar(tmp_path, [f"{number}" for number in range(count)], recipes)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 300 * count  # names above take 60 bytes each, and a recipe kept would take 2,000
    assert list(json.loads((tmp_path / "recipes.json").read_text())) == [f"{number}" for number in range(count)]


def test_a_run_without_domains_says_that_it_does_not_translate_and_what_does(
    refused: Callable[..., str], trained: Path, tmp_path: Path
) -> None:
    (tmp_path / "given").mkdir()
    for more in ([], ["--to", "odd"]):
        said = refused("translate", trained, tmp_path / "given", *more, code=2)
        assert f"'{trained}' does not translate between domains: it makes whole samples out of nothing" in said
        assert "game=cycle on a folder that holds a folder of files for each domain" in said
        assert "gan sample" in said
        assert "--given" not in said
    assert not (trained / "translated").exists()


def test_how_many_of_the_files_are_done_is_told_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    clock = [0.0]
    monkeypatch.setattr("gan_cli.waiting.say", lines.append)
    monkeypatch.setattr("gan_cli.waiting.time.monotonic", lambda: clock[0])
    counting = Counting("translating")
    for second in range(1, 41):
        clock[0] = float(second)
        if second <= 6:
            counting.reading("looking at pictures", 1000 * second, 6000)
        else:
            counting.reading("reading pictures", 100 * second, 6000)
            counting.made(100 * (second - 6))
    assert lines == [
        "looking at pictures: 5,000 of 6,000",
        "translating: 900 of 6,000, 51s left",
        "translating: 2,900 of 6,000, 31s left",
    ]
    few = Counting("translating", 10)
    clock[0] += 100
    few.made(10)
    assert lines[-1] == "translating: 10 of 10"
