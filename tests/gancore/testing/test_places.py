"""Which files count as the plugin's own."""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from pathlib import Path

import pytest
from toys.specimen import install

import gancore
from gancore.testing.places import own_files


def package(name: str) -> str:
    found = find_spec(name)
    assert found is not None
    assert found.origin is not None
    return found.origin


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed packages with the specimen."""
    install(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    return tmp_path


def test_files_of_the_distribution_are_the_plugins_own_and_those_beside_them_are_not(site: Path) -> None:
    own = own_files("specimen", None)
    assert own(str(site / "fake_specimen.py"))
    assert own(str(site / "fake_specimen_parts.py"))
    assert not own(str(site / "neighbour.py"))
    assert not own(gancore.__file__)


def test_a_project_that_is_installed_from_its_folder_owns_it_without_the_environment_in_it(site: Path) -> None:
    project = site / "project"
    told = f'{{"url": "{project.as_uri()}", "dir_info": {{"editable": true}}}}'
    (site / "gan_specimen-1.0.dist-info" / "direct_url.json").write_text(told, encoding="utf-8")
    own = own_files("specimen", None)
    assert own(str(project / "src" / "nets.py"))
    assert not own(str(project / ".venv" / "lib" / "site-packages" / "torch" / "nn.py"))


def test_a_plugin_that_comes_with_gancore_owns_its_package_and_no_other() -> None:
    own = own_files("music", None)
    assert own(package("gan_music"))
    assert not own(package("gan_image"))
    assert not own(gancore.__file__)


def test_a_module_that_is_not_installed_owns_its_file(site: Path) -> None:
    (site / "fake_specimen_alone.py").write_text("", encoding="utf-8")
    module = importlib.import_module("fake_specimen_alone")
    own = own_files("alone", module)
    assert own(str(site / "fake_specimen_alone.py"))
    assert not own(str(site / "fake_specimen.py"))
