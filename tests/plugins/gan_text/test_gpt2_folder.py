"""Model folders of the transformers library: fine-tuned from, done without, and written."""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from toys.transformers import (
    LENGTH,
    TEXTS,
    bert_folder,
    change_config,
    gpt2_folder,
    small,
    spec_of,
    writer,
)

from gan_text.data.tokenizers import characters, pretrained
from gan_text.nets import gpt2
from gan_text.nets.transformer import TransformerOptions, build_discriminator
from gan_text.spec import TextSpec
from gancore.errors import DataError, UsageError
from gancore.nets.transformers_loader import load
from gancore.random import Draws

ROOT = Path(__file__).resolve().parents[3]


def built(options: gpt2.Options, spec: TextSpec) -> Any:
    return gpt2.build(options, spec)["generator"].eval()


def test_fine_tuning_begins_with_the_probabilities_of_the_folder(tmp_path: Path) -> None:
    spec = spec_of()
    model = gpt2_folder(tmp_path / "m", spec)
    generator = built(small(folder=tmp_path / "m"), spec)
    hard = spec.encode(TEXTS[:3])
    # A GPT-2 begins a text after its end token.
    ids = torch.cat([torch.full((3, 1), spec.end), hard.long()], dim=1)
    with torch.no_grad():
        logits = model(ids[:, :-1]).logits
        torch.testing.assert_close(generator.logits(hard), logits, atol=1e-5, rtol=1e-5)
    assert float(logits.std()) > 0.1


@pytest.mark.parametrize("part", ["transformer", "all"])
def test_folder_of_the_body_alone_is_as_good(tmp_path: Path, part: str, capfd: pytest.CaptureFixture[str]) -> None:
    spec = spec_of()
    model = gpt2_folder(tmp_path / "m", spec)
    (model if part == "all" else model.transformer).save_pretrained(tmp_path / "m")
    capfd.readouterr()
    generator = built(small(folder=tmp_path / "m"), spec)
    assert capfd.readouterr() == ("", "")
    for name, weight in model.transformer.state_dict().items():
        assert torch.equal(generator.body.state_dict()[name], weight), name


def test_untied_weights_of_a_folder_are_taken(tmp_path: Path) -> None:
    spec = spec_of()
    model = gpt2_folder(tmp_path / "m", spec, tie_word_embeddings=False)
    generator = built(small(folder=tmp_path / "m"), spec)
    hard = spec.encode(TEXTS[:1])
    ids = torch.cat([torch.full((1, 1), spec.end), hard.long()], dim=1)
    with torch.no_grad():
        torch.testing.assert_close(generator.logits(hard), model(ids[:, :-1]).logits, atol=1e-5, rtol=1e-5)


def test_checkpoint_is_loaded_where_the_folder_is_gone(tmp_path: Path) -> None:
    spec = spec_of()
    gpt2_folder(tmp_path / "m", spec, n_inner=20, activation_function="relu")
    options = small(folder=tmp_path / "m")
    trained = built(options, spec)
    with torch.no_grad():
        trained.begin.add_(1.0)
    kept = options.model_dump(mode="json", exclude_none=True)
    shutil.rmtree(tmp_path / "m")
    again = built(gpt2.Options.model_validate(kept), spec)
    again.load_state_dict(trained.state_dict())
    z = trained.draw_latent(Draws(1, torch.arange(6)))
    hard = spec.encode(TEXTS)
    with torch.no_grad():
        assert torch.equal(again.sample(z), trained.sample(z))
        assert torch.equal(again.nll(hard), trained.nll(hard))


@pytest.mark.parametrize("change", ["gone", "other"])
def test_weights_are_not_made_up_where_the_folder_is_no_longer_what_it_was(tmp_path: Path, change: str) -> None:
    spec = spec_of()
    gpt2_folder(tmp_path / "m", spec)
    options = small(folder=tmp_path / "m")
    if change == "gone":
        shutil.rmtree(tmp_path / "m")
    else:
        gpt2_folder(tmp_path / "m", spec, n_embd=8)
    generator = built(options, spec)
    z = generator.draw_latent(Draws(1, torch.arange(2)))
    for use in (lambda: generator(z), lambda: generator.sample(z), lambda: generator.nll(spec.encode(TEXTS))):
        with pytest.raises(UsageError, match=r"no weights to begin from: give the folder again"):
            use()


def test_folder_that_is_not_there_is_a_mistake_in_the_options(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=r"has no readable config\.json"):
        small(folder=tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ValidationError, match="names no model_type"):
        small(folder=tmp_path)


def test_configuration_of_another_folder_is_not_kept(tmp_path: Path) -> None:
    spec = spec_of()
    gpt2_folder(tmp_path / "a", spec)
    gpt2_folder(tmp_path / "b", spec, n_embd=8)
    first = small(folder=tmp_path / "a")
    second = gpt2.Options.model_validate(first.model_dump() | {"folder": tmp_path / "b"})
    assert (first.kept()["n_embd"], second.kept()["n_embd"]) == (16, 8)
    assert gpt2.Options.model_validate(first.model_dump() | {"folder": "none"}).folder_config == ""


def test_model_of_another_kind_is_refused(tmp_path: Path) -> None:
    spec = spec_of()
    bert_folder(tmp_path / "m", spec)
    with pytest.raises(UsageError, match="is of type 'bert'; here 'gpt2' is needed"):
        built(small(folder=tmp_path / "m"), spec)


def test_other_vocabulary_is_refused_with_what_to_do(tmp_path: Path) -> None:
    made = characters([TEXTS])
    other = TextSpec.of(made.tokenizer, length=LENGTH, tokens="characters")
    gpt2_folder(tmp_path / "m", spec_of())
    with pytest.raises(UsageError, match=r"data\.tokens=pretrained and data\.tokenizer=.*m"):
        built(small(folder=tmp_path / "m"), other)


def test_tokens_that_the_data_have_more_begin_as_an_average_one(tmp_path: Path) -> None:
    spec = spec_of()
    model = gpt2_folder(tmp_path / "m", spec, vocab_size=spec.vocabulary - 1)
    (tmp_path / "m" / "tokenizer.json").write_text(_without_last(spec), encoding="utf-8")
    weight = built(small(folder=tmp_path / "m"), spec).token_weight()
    theirs = model.transformer.wte.weight
    assert torch.equal(weight[:-1], theirs)
    torch.testing.assert_close(weight[-1], theirs.mean(0))


def _without_last(spec: TextSpec) -> str:
    content = json.loads(spec.tokenizer)
    vocabulary = content["model"]["vocab"]
    del vocabulary[max(vocabulary, key=vocabulary.get)]
    return json.dumps(content)


def test_texts_that_are_too_long_for_the_folder_are_refused(tmp_path: Path) -> None:
    gpt2_folder(tmp_path / "m", spec_of())
    with pytest.raises(UsageError, match=r"writes up to 12 tokens: texts of 13 are too long; set data\.length=12"):
        built(small(folder=tmp_path / "m"), spec_of(length=13))


def test_damaged_weights_are_told(tmp_path: Path) -> None:
    spec = spec_of()
    gpt2_folder(tmp_path / "m", spec)
    (tmp_path / "m" / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"the weights in folder .* cannot be read"):
        built(small(folder=tmp_path / "m"), spec)


def test_encoder_in_a_folder_is_taken_for_the_discriminator(tmp_path: Path) -> None:
    spec = spec_of()
    model = bert_folder(tmp_path / "m", spec)
    options = TransformerOptions(folder=tmp_path / "m", pooling="mean")
    discriminator = build_discriminator(options, spec).eval()
    hard = spec.encode(TEXTS[3:])
    with torch.no_grad():
        wanted = model(hard.long()).last_hidden_state.mean(1)
        torch.testing.assert_close(discriminator.features(spec.relax(hard)), wanted, atol=1e-5, rtol=1e-5)
    kept = options.model_dump(mode="json", exclude_none=True)
    shutil.rmtree(tmp_path / "m")
    again = build_discriminator(TransformerOptions.model_validate(kept), spec).eval()
    with pytest.raises(UsageError, match="no weights to begin from"):
        again(spec.relax(hard))
    again.load_state_dict(discriminator.state_dict())
    assert torch.equal(again(spec.relax(hard)), discriminator(spec.relax(hard)))


# --- export -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("classes", [(), ("x", "y")])
def test_exported_model_gives_the_same_probabilities(tmp_path: Path, classes: tuple[str, ...]) -> None:
    spec = spec_of(classes)
    generator = writer(spec)
    condition = torch.ones(1, dtype=torch.int64) if classes else None
    generator.export(tmp_path / "out", spec, condition=1 if classes else None)
    model = load().AutoModelForCausalLM.from_pretrained(tmp_path / "out", local_files_only=True).eval()
    tokenizer = load().AutoTokenizer.from_pretrained(tmp_path / "out", local_files_only=True)
    for text in TEXTS:
        ids = torch.tensor([tokenizer(text)["input_ids"]])
        with torch.no_grad():
            logs = torch.log_softmax(model(ids).logits[0], dim=1)
            mine = generator.log_likelihood(spec.encode([text]), condition)
        theirs = logs[:-1].gather(1, ids[0, 1:, None]).sum()
        if ids.shape[1] - 1 < LENGTH:  # a text that fills all places has no end
            theirs = theirs + logs[-1, spec.end]
        assert float(theirs) == pytest.approx(float(mine), abs=1e-3)
        assert tokenizer.decode(ids[0], skip_special_tokens=True) == text


def test_exported_model_continues_as_the_generator_does(tmp_path: Path) -> None:
    spec = spec_of()
    generator = writer(spec)
    generator.export(tmp_path / "out", spec)
    model = load().AutoModelForCausalLM.from_pretrained(tmp_path / "out", local_files_only=True)
    tokenizer = load().AutoTokenizer.from_pretrained(tmp_path / "out", local_files_only=True)
    start = tokenizer("the cat", return_tensors="pt")
    continued = model.generate(**start, do_sample=False, max_length=LENGTH + 1)[0, 1:]
    with torch.no_grad():
        hard = spec.encode(["the cat"])
        for place in range(2, LENGTH):
            hard[0, place] = generator.logits(hard)[0, place].argmax()
    wanted = spec.harden(spec.relax(hard))[0]
    assert continued.tolist() == wanted[: len(continued)].tolist()
    assert (wanted[len(continued) :] == spec.end).all()


def test_snippet_of_the_docs_reads_the_folder_without_this_project(tmp_path: Path, torch_python: Any) -> None:
    page = (ROOT / "docs" / "how-to" / "own-text.md").read_text(encoding="utf-8")
    snippet = page.partition("## To transformers")[2].partition("```python\n")[2].partition("```")[0]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    installs = {re.split(r"\W", one)[0] for one in project["dependencies"]}
    # What is installed here for other things is not there where only this project was installed.
    strange = {"torchaudio", "torchvision", "torchcodec"} - installs
    writer(spec_of()).export(tmp_path / "captions-model")
    hidden = f"import sys\nsys.modules |= dict.fromkeys({sorted(strange)})\n"
    ours = "\nassert not [name for name in sys.modules if name.startswith('gan')]"
    printed = torch_python(hidden + snippet + ours)
    # It draws at random, so which words follow is open.
    found = printed.replace(",", " ").split()
    assert found[0] == "a"
    assert set(found) <= {word for text in TEXTS for word in text.replace(",", " ").split()}


def test_exported_folder_can_be_fine_tuned(tmp_path: Path) -> None:
    spec = spec_of()
    generator = writer(spec)
    generator.export(tmp_path / "out", spec)
    made = pretrained(tmp_path / "out")
    again = TextSpec.of(made.tokenizer, length=LENGTH, tokens="pretrained", end=made.end, unknown=made.unknown)
    tuned = built(small(folder=tmp_path / "out"), again)
    hard = spec.encode(TEXTS)
    assert torch.equal(again.encode(TEXTS), hard)
    with torch.no_grad():
        torch.testing.assert_close(tuned.nll(hard), generator.nll(hard), atol=1e-4, rtol=1e-4)


def test_one_class_must_be_chosen_for_an_export(tmp_path: Path) -> None:
    spec = spec_of(("x", "y"))
    for condition in (None, 2):
        with pytest.raises(UsageError, match="knows no classes, and this generator has 2: choose one"):
            writer(spec).export(tmp_path / "out", spec, condition=condition)
    with pytest.raises(UsageError, match="has no classes"):
        writer(spec_of()).export(tmp_path / "out", condition=0)


def test_export_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        writer(spec_of()).export(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_generator_is_unchanged_by_an_export(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    generator = writer(spec_of())
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    capfd.readouterr()
    generator.export(tmp_path / "out")
    assert capfd.readouterr() == ("", "")
    assert all(torch.equal(value, before[name]) for name, value in generator.state_dict().items())


def test_positions_of_a_folder_are_at_most_those_of_the_encoder(tmp_path: Path) -> None:
    spec = spec_of(length=12)
    bert_folder(tmp_path / "m", spec)
    with pytest.raises(UsageError, match=r"reads up to 12 tokens, .* set data\.length=11 or less"):
        build_discriminator(TransformerOptions(folder=tmp_path / "m"), spec)
    change_config(tmp_path / "m", hidden_size=32)
    with pytest.raises(DataError, match="the weights in folder"):
        build_discriminator(TransformerOptions(folder=tmp_path / "m"), spec_of())
