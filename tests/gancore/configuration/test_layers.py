"""What a file and `key=value` arguments say, and one layer on top of another."""

from __future__ import annotations

from pathlib import Path

import pytest

from gancore.configuration.layers import merge, nest, parse_assignments, read_file
from gancore.errors import UsageError

# --- key=value --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("3.5", 3.5),
        ("1e-4", 1e-4),
        ("true", True),
        ("[32, 64]", [32, 64]),
        ('"quoted text"', "quoted text"),
        ("plain text", "plain text"),
        ("a=b", "a=b"),
        ("", ""),
        ("C:\\photos", "C:\\photos"),
    ],
)
def test_values_are_toml_where_they_parse_as_it_else_text(text: str, value: object) -> None:
    assert parse_assignments([f"every.key={text}"]) == {"every": {"key": value}}


def test_dots_make_sections_and_assignments_add_up() -> None:
    layer = parse_assignments(["every.log=5", "every.sample=6", "steps=7", "optimizers.generator.lr=0.1"])
    assert layer == {"every": {"log": 5, "sample": 6}, "steps": 7, "optimizers": {"generator": {"lr": 0.1}}}


def test_later_assignment_of_a_key_wins() -> None:
    assert parse_assignments(["steps=1", "steps=2"]) == {"steps": 2}


@pytest.mark.parametrize("text", ["steps", "=5", "", " =5"])
def test_argument_that_is_no_assignment_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="not of the form key=value"):
        parse_assignments([text])


@pytest.mark.parametrize(
    "order", [["architecture.width=32", "architecture=mlp"], ["architecture=mlp", "architecture.width=32"]]
)
def test_order_of_a_choice_and_its_options_does_not_matter(order: list[str]) -> None:
    assert parse_assignments(order) == {"architecture": {"name": "mlp", "width": 32}}


def test_nested_keys_may_stand_beside_dotted_ones() -> None:
    flat = {"every": {"log": 1}, "every.sample": 2, "loss": "least-squares", "loss.real": 0.9}
    assert nest(flat) == {"every": {"log": 1, "sample": 2}, "loss": {"name": "least-squares", "real": 0.9}}


# --- merging ----------------------------------------------------------------------------------------------------------


def test_other_component_drops_the_options_of_the_one_before() -> None:
    base = {"architecture": {"name": "dcgan", "width": 8}}
    assert merge(base, {"architecture": "resnet"}) == {"architecture": {"name": "resnet"}}
    assert merge(base, {"architecture": {"name": "resnet", "depth": 2}})["architecture"] == {
        "name": "resnet",
        "depth": 2,
    }


def test_same_component_keeps_its_options() -> None:
    base = {"architecture": {"name": "dcgan", "width": 8}}
    assert merge(base, {"architecture": "dcgan"}) == base
    assert merge(base, {"architecture": {"latent": 4}}) == {"architecture": {"name": "dcgan", "width": 8, "latent": 4}}


def test_merging_changes_neither_layer() -> None:
    base = {"penalties": {"r1": {"weight": 1}}, "every": {"log": 1}}
    layer = {"penalties": {"r1": {"weight": 2}}, "every": {"log": 2}}
    merge(base, layer)["penalties"]["r1"]["weight"] = 3
    assert base == {"penalties": {"r1": {"weight": 1}}, "every": {"log": 1}}
    assert layer == {"penalties": {"r1": {"weight": 2}}, "every": {"log": 2}}


# --- files ------------------------------------------------------------------------------------------------------------


def test_file_that_is_not_toml_is_told_with_the_line(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text("steps = 5\nloss = = hinge\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"bad\.toml' is not valid TOML: .*line 2"):
        read_file(path)


def test_file_that_is_not_text_is_a_usage_error(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes("steps = 5".encode("utf-16"))
    with pytest.raises(UsageError, match=r"bad\.toml' is not valid text: it is in UTF-16, not UTF-8; save it as UTF-8"):
        read_file(path)
    path.write_bytes(b"steps = 5\nplugin = 'caf\xe9'\n")
    with pytest.raises(UsageError, match="not valid text: line 2 is not UTF-8"):
        read_file(path)


def test_file_that_an_editor_of_windows_saved_is_read(tmp_path: Path) -> None:
    path = tmp_path / "windows.toml"
    path.write_bytes("\ufeffsteps = 5\r\n[data]\r\nname = 'digits'\r\n".encode())
    assert read_file(path) == {"steps": 5, "data": {"name": "digits"}}


@pytest.mark.parametrize("value", ["[" * 3000 + "]" * 3000, "[" * 40 + "]" * 40])
def test_values_that_are_nested_beyond_reason_are_a_usage_error(tmp_path: Path, value: str) -> None:
    path = tmp_path / "deep.toml"
    path.write_text(f"steps = {value}", encoding="utf-8")
    for read in (lambda: read_file(path), lambda: parse_assignments([f"steps={value}"])):
        with pytest.raises(UsageError, match="nested more than 16 deep"):
            read()
    with pytest.raises(UsageError, match="nested more than 16 deep"):
        parse_assignments([f"{'a.' * 3000}b=1"])


def test_file_with_a_number_too_long_for_python_is_a_usage_error(tmp_path: Path) -> None:
    path = tmp_path / "long.toml"
    path.write_text(f"steps = {'9' * 5000}", encoding="utf-8")
    with pytest.raises(UsageError, match="a number of too many digits"):
        read_file(path)


@pytest.mark.parametrize("name", ["2024", "2024-05-01", "1_000", "1e3", "true", "[a]", "nan"])
def test_path_of_data_is_text_whatever_it_looks_like(name: str) -> None:
    assert parse_assignments([f"data.path={name}"]) == {"data": {"path": name}}
    assert parse_assignments(["every.key=2024-05-01"]) == {"every": {"key": "2024-05-01"}}  # no option is a date


@pytest.mark.parametrize("name", ["missing.toml", "."])
def test_file_that_cannot_be_read_is_a_usage_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"cannot be read: (No such file|Is a directory)"):
        read_file(tmp_path / name)


def test_a_path_in_the_place_of_a_setting_is_told_how_data_are_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    with pytest.raises(UsageError, match=r"'photos' is not of the form key=value.*; data are given as --data photos"):
        parse_assignments(["photos"], path_option="--data")
    with pytest.raises(UsageError, match=r"every\.sample=100$"):  # a command without such an option
        parse_assignments(["photos"])
    for text in ("fotos", "~nobody-of-this-name/x", "a" * 5000, "\0"):
        with pytest.raises(UsageError, match=r"every\.sample=100$"):
            parse_assignments([text], path_option="--data")
