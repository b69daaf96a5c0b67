"""A file of sentences as people have it, with a few broken lines; from there to new texts, figures, and a model for transformers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from support.terminal import Terminal

SMALL = (
    "batch_size=16",
    "samples=10",
    "held_out=0.2",
    "every.log=1",
    "game.mle.steps=3",
    "game.mle.every=2",
    "architecture.cnn.channels=4",
)
LSTM = (*SMALL, "architecture.width=8", "architecture.embedding=4")


def sentences() -> list[str]:
    return [
        f"A {colour} {thing} {verb}, {end}"
        for colour in ("red", "blue", "weiß") for thing in ("dog", "猫", "bird")
        for verb in ("sleeps", "runs") for end in ("again.", "slowly!", "…")
    ]  # fmt: skip


@pytest.fixture
def file(terminal: Terminal) -> Path:
    lines = [line.encode() for line in sentences()]
    lines[5:5] = [b"caf\xe9 in another encoding", b"", b"   "]
    path = terminal.folder / "my lines.txt"
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


def test_a_file_of_lines_trains_is_sampled_as_asked_and_evaluated(terminal: Terminal, file: Path) -> None:
    done = terminal.gan("run", "-p", "text", "--data", file, "--steps", 6, "--json", *LSTM)
    run = terminal.folder / json.loads(done.stdout)["folder"]
    report = json.loads((run / "data.json").read_text())
    assert report["used"] + report["held_out"] == len(sentences())
    assert any("UTF-8" in s["reason"] and "6" in s["path"] + s["reason"] for s in report["skipped"])
    real = (run / "samples" / "real" / "real.txt").read_text(encoding="utf-8").splitlines()
    assert set(real) <= set(sentences())
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert ["discriminator/loss" in row for row in rows] == [False] * 3 + [True] * 3
    assert all(row["generator/nll"] > 0 for row in rows[:3])
    assert rows[2]["generator/nll-held-out"] > 0

    terminal.gan("sample", run, "-n", 5, "--out", "new", "--prompt", "A red", "sampling.temperature=0.5")
    texts = [p.read_text(encoding="utf-8") for p in sorted((terminal.folder / "new").glob("sample-*.txt"))]
    assert len(texts) == 5
    assert all(text.startswith("A red") for text in texts)
    sheet = (terminal.folder / "new" / "sheet.txt").read_text(encoding="utf-8")
    assert [line.strip() for line in sheet.splitlines()] == [text.strip() for text in texts]
    refused = terminal.gan("sample", run, "--out", "other", "sampling.temperature=0", code=2)
    assert "sampling.temperature" in refused.stderr

    done = terminal.gan("evaluate", run, "-n", 12, "--json", "-m", "bleu", "-m", "likelihood", "-m", "nearest")
    found = json.loads(done.stdout)
    assert found["others"] == ["mle 0.7", "mle 0.8", "mle 0.9", "mle 1"]
    assert set(found["figures"]["bleu"]["bleu-2"]["others"]) == set(found["others"])
    assert 0.0 <= found["figures"]["nearest"]["nearest-lsa/near"]["value"] <= 1.0
    other = terminal.folder / "other.txt"
    other.write_text("A red dog sleeps, again.\nA green frog waits and waits and waits, quietly.\n", encoding="utf-8")
    done = terminal.gan("evaluate", run, "--data", other, "-n", 4, "--json", "-m", "bleu", "sampling.temperature=0.7")
    elsewhere = json.loads(done.stdout)
    assert elsewhere["protocol"]["reference_size"] == 2
    assert elsewhere["protocol"]["sampling"]["temperature"] == 0.7
    (picture,) = (name for name in found["pictures"] if name.endswith(".png"))
    with Image.open(run / "evaluations" / picture) as plot:
        assert min(plot.size) > 300


def test_a_run_goes_on_over_the_end_of_likelihood_as_if_it_had_not_stopped(terminal: Terminal, file: Path) -> None:
    for name, steps in (("whole", 6), ("half", 2)):
        terminal.gan("run", "-p", "text", "--data", file, "--steps", steps, "--out", name, "every.checkpoint=2", *LSTM)
    terminal.gan("resume", "half", "--steps", 6)
    whole, half = (
        (terminal.folder / name / "checkpoints" / "step-00000006").glob("*.safetensors") for name in ("whole", "half")
    )
    pairs = list(zip(sorted(whole), sorted(half), strict=True))
    assert {a.stem for a, _ in pairs} >= {"generator", "discriminator", "mle", "progress"}
    assert all(a.read_bytes() == b.read_bytes() for a, b in pairs)


def test_gpt2_is_exported_for_transformers(terminal: Terminal, file: Path) -> None:
    small = ("architecture=gpt2", "architecture.layers=1", "architecture.heads=2", "architecture.width=8")
    terminal.gan("run", "-p", "text", "--data", file, "--steps", 2, "--out", "run", *SMALL, *small)
    terminal.gan("export", "run", "--out", "model")
    from gancore.nets.transformers_loader import load

    transformers = load()
    model = transformers.AutoModelForCausalLM.from_pretrained(terminal.folder / "model", local_files_only=True)
    tokenizer = transformers.AutoTokenizer.from_pretrained(terminal.folder / "model", local_files_only=True)
    ids = tokenizer("A red dog", add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids).strip() == "A red dog"
    begin = torch.tensor([[tokenizer.bos_token_id, *ids]])
    assert bool(torch.isfinite(model(begin).logits).all())
    refused = terminal.gan("export", "run", "--out", "model", code=1)
    assert "exists already" in refused.stderr


def test_a_file_without_a_text_is_an_error_that_says_what_was_looked_for(terminal: Terminal) -> None:
    (terminal.folder / "empty.txt").write_text("\n\n  \n")
    failed = terminal.gan("run", "-p", "text", "--data", "empty.txt", *LSTM, code=1)
    assert "empty.txt" in failed.stderr
    assert "text" in failed.stderr
