"""Encoders of images in folders: which vector is taken, how images come to it, and which folders are refused."""

from __future__ import annotations

import json

import pytest
import torch
from toys.vision import PREPARING, SMALL, save

from gan_image.features.transformer import Encoder, Options
from gan_image.spec import ImageSpec
from gancore.errors import UsageError
from gancore.nets.transformers_loader import load

COLOUR = ImageSpec(shape=(3, 20, 20))


def images(*shape):
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0)).to(torch.uint8)


def of(folder, x):
    with torch.no_grad():
        return Encoder(Options(path=folder), COLOUR).eval()(x)


def prepared(x):
    """Images of 16 by 16 as `PREPARING` says."""
    mean, deviation = (torch.tensor(PREPARING[f"image_{name}"]).view(3, 1, 1) for name in ("mean", "std"))
    return (x / 255.0 - mean) / deviation


def test_vector_of_dinov2_is_its_pooled_output(tmp_path):
    model = save(tmp_path, "Dinov2Model", load().Dinov2Config(**SMALL))
    x = images(3, 3, 16, 16)
    with torch.no_grad():
        expected = model(prepared(x)).pooler_output
    torch.testing.assert_close(of(tmp_path, x), expected)


def test_vector_of_clip_is_its_embedding(tmp_path):
    library = load()
    text = {n: SMALL[n] for n in ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")}
    text |= {"vocab_size": 10, "max_position_embeddings": 4, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    config = library.CLIPConfig(text_config=text, vision_config=SMALL, projection_dim=6)
    model = save(tmp_path, "CLIPModel", config)
    x = images(3, 3, 16, 16)
    with torch.no_grad():
        expected = model.visual_projection(model.vision_model(prepared(x)).pooler_output)
    torch.testing.assert_close(of(tmp_path, x), expected)


def test_pooled_output_without_weights_gives_way_to_the_first_token(tmp_path):
    config = load().ViTConfig(**SMALL, num_labels=2)
    model = save(tmp_path, "ViTForImageClassification", config)
    x = images(3, 3, 16, 16)
    with torch.no_grad():
        expected = model.vit(prepared(x)).last_hidden_state[:, 0]
    torch.testing.assert_close(of(tmp_path, x), expected)


def test_fingerprint_is_that_of_the_files(tmp_path):
    save(tmp_path, "Dinov2Model", load().Dinov2Config(**SMALL))
    first, again = (Encoder(Options(path=tmp_path), COLOUR).fingerprint for _ in range(2))
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(PREPARING | {"image_mean": [0.0] * 3}))
    assert first == again != Encoder(Options(path=tmp_path), COLOUR).fingerprint


@pytest.mark.parametrize(
    ("said", "size"),
    [
        ({"size": 16}, (16, 16)),
        ({"size": {"shortest_edge": 20}, "crop_size": {"height": 16, "width": 24}, "do_center_crop": True}, (16, 24)),
        ({"size": {"shortest_edge": 16}}, (16, 16)),
    ],
)
def test_images_are_brought_to_the_size_that_the_folder_says(tmp_path, said, size):
    save(tmp_path, "Dinov2Model", load().Dinov2Config(**SMALL), PREPARING | said)
    assert Encoder(Options(path=tmp_path), COLOUR).size == size
    assert of(tmp_path, images(2, 3, 20, 30)).shape == (2, 8)


def test_folders_of_anything_else_are_refused(tmp_path):
    def refusal():
        with pytest.raises(UsageError) as found:
            Encoder(Options(path=tmp_path), COLOUR)
        return str(found.value)

    assert "cannot be loaded" in refusal()
    model = save(tmp_path, "Dinov2Model", load().Dinov2Config(**SMALL), {})
    assert "does not say how images are prepared" in refusal()
    for wrong in (
        {"size": 0},
        {"size": 1 << 30},
        {"image_std": [0.0] * 3},
        {"image_mean": [0.5] * 2},
        {"image_std": "no"},
    ):
        (tmp_path / "preprocessor_config.json").write_text(json.dumps(PREPARING | wrong))
        assert "does not say how images are prepared" in refusal()
    model.config.num_hidden_layers = 2
    model.config.save_pretrained(tmp_path)
    assert "has no weights for" in refusal()
    words = load().BertConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, vocab_size=9
    )
    save(tmp_path, "BertModel", words)
    assert "is a BertModel, which looks at no images" in refusal()
