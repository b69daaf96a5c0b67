"""Whose code an unforeseen error came from: every kind of component, in a run as in a command."""

from __future__ import annotations

import re
from types import ModuleType

import pytest
from toys.faults import FAKE_SIDE, JUDGE, LATENT, MAKE, REAL_SIDE, SLOPE
from toys.specimen import ALL_CHOSEN, FALLING, WITH_GIVEN, Change, install

import gancore
from gancore.blame import describe, explain
from gancore.errors import DataError, PluginError
from gancore.plugins import Registry

FELL = r"ZeroDivisionError: it fell, at fake_specimen_parts.py:\d+ in fall"


@pytest.fixture
def fall(toy, tmp_path, monkeypatch, clean_modules):
    """A plugin that fails where it is told to."""
    monkeypatch.syspath_prepend(str(tmp_path))
    install(tmp_path, FALLING)
    return lambda place: monkeypatch.setenv("FALL", place)


@pytest.mark.parametrize(
    ("place", "component", "function"),
    [
        ("dataset", "dataset 'circles'", "open_circles"),
        ("architecture", "architecture 'mlp'", "build"),
        ("network", "architecture 'mlp'", "forward"),
        ("loss", "loss 'logistic'", "discriminator"),
        ("penalty", "penalty 'slope'", "penalty"),
        ("augmentation", "augmentation 'shift'", "__call__"),
        ("game", "game 'witness'", "phases"),
    ],
)
def test_error_of_a_component_names_it_with_its_plugin_and_distribution(fall, tmp_path, place, component, function):
    fall(place)
    with pytest.raises(ZeroDivisionError, match="it fell") as caught:
        gancore.train(plugin="toy", out=tmp_path / "run", options={**ALL_CHOSEN, "steps": 2})
    (note,) = caught.value.__notes__
    assert re.match(
        rf"in {component} of plugin 'specimen', at fake_specimen_parts.py:\d+ in fall, which is not gancore's", note
    )
    assert "tell the author of gan-specimen" in note
    assert function in {entry.name for entry in caught.traceback}


TRAINED = "if self.training else"
"""Networks are tried in evaluation before a training: what they do in it alone is met in its first step."""


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (REAL_SIDE, "return F.softplus(-real) + F.softplus(fake)",
         r"loss 'specimen:logistic': its discriminator gave float32 \[8\], not one number, at {}:\d+ in discriminator"),
        (FAKE_SIDE, "return 0.5",
         r"loss 'specimen:logistic': its generator gave a float, not one number, at {}:\d+ in generator"),
        (FAKE_SIDE, "return F.softplus(-fake).mean().detach()",
         r"loss 'specimen:logistic': its generator gave a number without a gradient; .*, at {}:\d+ in generator"),
        (SLOPE, "return slope.flatten(1).norm(dim=1)",
         r"penalty 'specimen:slope': its penalty gave float32 \[8\], not one number, at {}:\d+ in penalty"),
        ('x + 0.1 * self.strength * draws.normal("shift", *x.shape[1:])', "x[:, :1]",
         r"augmentation 'specimen:shift': it made float32 \[8, 1\] of samples \[8, 2\], at {}:\d+ in __call__"),
        (JUDGE, f"logits: Tensor = self.last(h.tanh()).t() {TRAINED} self.last(h.tanh()).squeeze(1)",
         r"architecture 'specimen:mlp': for 16 samples the discriminator gave logits float32 \[1, 16\], not \[16\] or "
         r"\[16, places\], at {}:\d+ in forward"),
        (JUDGE, f"logits: Tensor = self.last(h.tanh()).squeeze(1).detach() {TRAINED} self.last(h.tanh()).squeeze(1)",
         r"architecture 'specimen:mlp': logits do not depend on the discriminator's weights; .*, at {}:\d+ in forward"),
        (MAKE, f"{MAKE}; points = points[:, :1] {TRAINED} points",
         r"architecture 'specimen:mlp': for 8 latents the generator made float32 \[8, 1\], the spec says \[8, 2\], "
         r"at {}:\d+ in forward"),
        (MAKE, f"{MAKE}; self.seen = torch.cat([self.seen, z[:, 0]]) {TRAINED} self.seen",
         r"architecture 'specimen:mlp': its buffer 'seen' was float32 \[3\] and has become float32 \[11\]; .*, "
         r"at {}:\d+ in forward"),
        (MAKE, f"{MAKE}; self.seen = self.seen[:1] {TRAINED} self.seen",
         r"architecture 'specimen:mlp': its buffer 'seen' was float32 \[3\] and has become float32 \[1\]; .*, "
         r"at {}:\d+ in forward"),
    ],
)  # fmt: skip
def test_what_a_component_gives_in_training_against_its_contract_is_told_with_its_name_and_line(
    toy, tmp_path, monkeypatch, clean_modules, old, new, words
):
    monkeypatch.syspath_prepend(str(tmp_path))
    buffer = Change("parts", LATENT, f"{LATENT}; self.register_buffer('seen', torch.zeros(3))")
    install(tmp_path, [Change("parts", old, new), buffer])
    options = {**ALL_CHOSEN, "game": "gan", "steps": 2, "batch_size": 8}
    with pytest.raises(PluginError, match=f"^{words.format('fake_specimen_parts.py')}$"):
        gancore.train(plugin="toy", out=tmp_path / "run", options=options)


def exiting(tmp_path, monkeypatch, when):
    """The specimen's generator ends the process where `when` is true."""
    monkeypatch.syspath_prepend(str(tmp_path))
    install(tmp_path, [Change("parts", MAKE, f"import sys; sys.exit(0) if {when} else None; {MAKE}")])


EXIT = (
    r"^sys.exit\(0\) was called in architecture 'mlp' of plugin 'specimen', at fake_specimen_parts.py:\d+ in forward, "
    "which is not gancore's: tell the author of gan-specimen"
)


def test_component_that_would_end_the_process_is_told_at_the_start(toy, tmp_path, monkeypatch, clean_modules):
    exiting(tmp_path, monkeypatch, "True")
    with pytest.raises(PluginError, match=EXIT):
        gancore.train(plugin="toy", out=tmp_path / "run", options={**ALL_CHOSEN, "game": "gan", "steps": 2})
    assert not (tmp_path / "run").exists()


def test_component_that_would_end_the_process_later_is_told_with_what_is_saved(
    toy, tmp_path, monkeypatch, clean_modules
):
    class AfterOne:
        @gancore.hookimpl
        def gan_tick(self):
            monkeypatch.setenv("FALL", "now")

    exiting(tmp_path, monkeypatch, "self.training and __import__('os').environ.get('FALL')")
    options = {**ALL_CHOSEN, "game": "gan", "steps": 3, "every.log": 1, "every.checkpoint": 1}
    with pytest.raises(PluginError, match=f"{EXIT}. Step 1 is saved; mend that"):
        gancore.train(plugin="toy", out=tmp_path / "run", options=options, listeners=[AfterOne()])


def test_errors_of_a_writer_and_of_what_reads_given_files_are_told_with_their_line(fall, tmp_path):
    reads = Change("parts", "return Given(", 'fall("given"); return Given(')
    install(tmp_path, (*WITH_GIVEN, *FALLING, reads))
    fall("writer")
    with pytest.warns(UserWarning, match=rf"^writer 'csv' of plugin 'specimen' could not write .*{FELL}"):
        gancore.train(plugin="specimen", preset="half", out=tmp_path / "run", options={"steps": 1})
    generator = gancore.load(tmp_path / "run")
    given = tmp_path / "given.csv"
    given.write_text("0.1,0.2\n")
    samples = generator.sample(2, given=given)
    with pytest.raises(PluginError, match=rf"^writer 'specimen:csv' failed with {FELL}"):
        generator.save(samples, tmp_path / "out.csv")
    fall("given")
    with pytest.raises(PluginError, match=rf"could not read '.*given.csv': {FELL}"):
        generator.sample(2, given=given)


def test_error_that_came_through_no_plugin_is_nobody_elses_fault():
    with pytest.raises(ZeroDivisionError) as caught:
        _ = 1 / 0
    assert explain(caught.value, Registry([])) == ""


def test_module_that_was_registered_here_is_named_too():
    module = ModuleType("my_notebook")
    exec(
        "from gancore import hookimpl\nfrom gancore.components import PluginInfo\n"
        "@hookimpl\ndef gan_plugin_info(): return PluginInfo(summary='S', api_version=1)\n"
        "def work(): raise ValueError('no')\n",
        vars(module),
    )
    registry = Registry([])
    registry.register(module, "mine")
    with pytest.raises(ValueError, match="no") as caught:
        module.work()
    assert "plugin 'mine'" in explain(caught.value, registry)


def test_what_was_told_in_a_sentence_needs_no_explanation():
    assert explain(DataError("no pictures"), Registry([])) == ""


def test_description_has_the_authors_own_line():
    with pytest.raises(ZeroDivisionError) as caught:
        _ = 1 / 0
    line = caught.traceback[-1].lineno + 1
    assert describe(caught.value) == (
        f"ZeroDivisionError: division by zero, at test_blame.py:{line} in test_description_has_the_authors_own_line"
    )
