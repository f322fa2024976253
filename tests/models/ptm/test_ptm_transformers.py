"""The transformers adapter, on small configurations that the library itself saves; nothing is fetched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from rankvqa_cli.errors import ModelError
from rankvqa_cli.models.ptm.adapters import candidates
from rankvqa_cli.models.ptm.transformers import TransformersNetwork

transformers = pytest.importorskip(
    "transformers", reason="NOT TESTED: the extra transformers is not installed"
)

SMALL: dict[str, Any] = {
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 8,
    "image_size": 32,
    "patch_size": 16,
}
MODELS = {
    "clip": lambda t: t.CLIPVisionModel(t.CLIPVisionConfig(**SMALL)),
    "dinov2": lambda t: t.Dinov2Model(t.Dinov2Config(**SMALL)),
    "convnext": lambda t: t.ConvNextModel(t.ConvNextConfig(hidden_sizes=[4, 4, 6, 8], depths=[1, 1, 1, 1])),
    "swin": lambda t: t.SwinModel(
        t.SwinConfig(image_size=32, patch_size=4, embed_dim=8, depths=[1, 1], num_heads=[1, 2], window_size=4)
    ),
    "videomae": lambda t: t.VideoMAEModel(t.VideoMAEConfig(num_frames=4, tubelet_size=2, **SMALL)),
    "timesformer": lambda t: t.TimesformerModel(t.TimesformerConfig(num_frames=3, **SMALL)),
}


def saved(folder: Path, name: str) -> Path:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        MODELS[name](transformers).save_pretrained(folder / name)
    return folder / name


@pytest.mark.parametrize("name", MODELS)
def test_each_family_gives_one_vector(tmp_path: Path, name: str) -> None:
    network = TransformersNetwork(saved(tmp_path, name))
    frames = {"videomae": 4, "timesformer": 3}.get(name, 1)
    assert network.frames == frames
    side = network.least
    shape = (2, 3, side, side) if frames == 1 else (2, frames, 3, side, side)
    found = network.vectors(torch.rand(shape, generator=torch.Generator().manual_seed(1)))
    assert found.shape == (2, network.dimension)
    assert not torch.allclose(found[0], found[1])
    again = TransformersNetwork(tmp_path / name)
    assert again.sha256 == network.sha256


def test_a_changed_model_has_another_digest(tmp_path: Path) -> None:
    folder = saved(tmp_path, "dinov2")
    before = TransformersNetwork(folder).sha256
    config = folder / "preprocessor_config.json"
    config.write_text('{"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}')
    assert TransformersNetwork(folder).sha256 != before
    config.write_text('{"image_std": [0, 1, 1]}')
    with pytest.raises(ModelError, match="preprocessor_config"):
        TransformersNetwork(folder)


def test_folders_are_found_and_absent_models_are_named(tmp_path: Path) -> None:
    folder = saved(tmp_path, "dinov2")
    assert candidates(tmp_path) == [("transformers", folder)]
    with pytest.raises(ModelError, match="nothing is fetched"):
        TransformersNetwork(Path("hub:nobody/nothing-of-this-name"))
    with pytest.raises(ModelError, match="no layer 'deep'"):
        TransformersNetwork(folder, "deep")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"no model\.safetensors"):
        TransformersNetwork(folder)
    with pytest.raises(ModelError, match=r"no config\.json"):
        TransformersNetwork(tmp_path)
