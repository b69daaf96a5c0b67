"""The page on samples of several parts: its plugin keeps the contract, and its first listing prints what it says."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.environments import ROOT, packages, write_files

import gancore
from gancore.plugins import Registry
from gancore.testing.suite import check_plugin

PAGE = ROOT / "docs" / "how-to" / "parts.md"


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """That with the plugin of the page, as its listings are."""
    write_files(tmp_path, packages(PAGE)["gan-weather"])
    monkeypatch.syspath_prepend(tmp_path)
    import gan_weather

    registry = Registry()
    registry.register(gan_weather, "weather")
    yield registry
    for name in [m for m in sys.modules if m.partition(".")[0] == "gan_weather"]:
        del sys.modules[name]


def test_first_listing_prints_what_its_comments_say(capsys: pytest.CaptureFixture[str]) -> None:
    listing = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert listing is not None
    exec(listing[1], {})
    said = re.findall(r"print\(.*\)  # (.+)", listing[1])
    assert len(said) == 3
    assert capsys.readouterr().out.splitlines() == said


def test_plugin_of_parts_of_three_kinds_meets_the_contract(registry: Registry) -> None:
    report = check_plugin("weather", registry=registry)
    assert report.ok, [str(result) for result in report.of("failed")]
    passed = {result.check for result in report.of("passed")}
    assert {"data.relaxes", "data.device", "networks.shapes", "step.scene", "run.seeded"} <= passed


def test_wet_days_alone_have_rain_in_data_and_parts_of_samples_have_their_types(
    registry: Registry, tmp_path: Path
) -> None:
    from gan_weather.data import Days

    source = Days(300)
    days = source.spec.split(source.days)
    assert ((days["rain"] > 0) == (days["sky"] == 2)).all()
    run = gancore.train(plugin="weather", steps=2, out=tmp_path / "run", registry=registry, options={"samples": 4})
    generator = gancore.load(run.folder, registry=registry)
    assert generator.spec == source.spec
    made = generator.spec.split(generator.sample(50))  # type: ignore[attr-defined]
    assert [(name, str(part.dtype), list(part.shape)) for name, part in made.items()] == [
        ("degrees", "torch.float32", [50, 24]),
        ("rain", "torch.uint8", [50]),
        ("sky", "torch.int64", [50]),
    ]
    assert set(made["sky"].tolist()) == {0, 1, 2}
