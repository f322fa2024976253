"""From a name to a model that scores, and what happens where header and tensors do not belong together."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import made
import pytest
import torch

from rankvqa_cli.errors import ModelError, UsageError
from rankvqa_cli.models import registry, store
from rankvqa_cli.models.contract import FullReferenceModel


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    config = made.config()
    path = tmp_path / "made.safetensors"
    store.write_model(path, made.header(config), made.tensors(config))
    return path


def test_a_file_becomes_a_model(model_file: Path) -> None:
    model = registry.load(str(model_file))
    assert isinstance(model, FullReferenceModel)
    assert model.info.name == "made"
    assert model.info.weights_sha256 == store.read_model(model_file)[2]
    assert model.clip_frames == 3


def test_the_tiny_model_loads_and_scores(tiny_model: Path) -> None:
    model = registry.load(str(tiny_model))
    one = made.clip(48, 64, frames=model.clip_frames)
    same, other = model.score_clips(one, [one, made.worse(one, 40)])
    assert same.score == 100.0
    assert 0 < other.score < 100


def test_half_precision_files_load(tmp_path: Path) -> None:
    config = made.config()
    halves = {n: t.half() if t.is_floating_point() else t for n, t in made.tensors(config).items()}
    store.write_model(tmp_path / "half.safetensors", made.header(config), halves)
    one = made.clip(40, 40)
    full = made.model().score_clips(one, [made.worse(one, 20)])[0]
    half = registry.load(str(tmp_path / "half.safetensors")).score_clips(one, [made.worse(one, 20)])[0]
    assert half.distance == pytest.approx(full.distance, rel=1e-2)


def test_names_and_defaults_come_from_the_manifest() -> None:
    config = made.config()
    home = store.home_folder()
    path = home / "mine.safetensors"
    store.write_model(path, made.header(config, "mine"), made.tensors(config))
    store.write_manifest_entry(path, licence="MIT", description="", default_for="full-reference")
    assert "mine" in registry.available()
    assert registry.load("mine").info.name == "mine"
    assert registry.default_model(has_reference=True) in registry.available()
    with pytest.raises(UsageError, match="did you mean 'mine'"):
        registry.load("mime")


def test_without_a_default_there_is_a_clear_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("rankvqa_cli.models.manifest.shipped_folder", lambda: tmp_path)
    with pytest.raises(ModelError, match="no full-reference model"):
        registry.default_model(has_reference=True)


@pytest.mark.parametrize("change", ["architecture", "config", "shape", "missing", "surplus"])
def test_a_header_that_lies_about_the_tensors_is_a_model_error(tmp_path: Path, change: str) -> None:
    config = made.config()
    header, tensors = made.header(config), made.tensors(config)
    name = "lins.0.model.1.weight"
    if change == "architecture":
        header = dataclasses.replace(header, architecture="another")
    elif change == "config":
        header = dataclasses.replace(header, config={"network": 3})
    elif change == "shape":
        tensors[name] = torch.ones(1, 9, 1, 1)
    elif change == "missing":
        del tensors[name]
    else:
        tensors["more"] = torch.ones(1)
    path = tmp_path / "liar.safetensors"
    store.write_model(path, header, tensors)
    with pytest.raises(ModelError, match=r"liar\.safetensors") as caught:
        registry.load(str(path))
    assert "\n" not in str(caught.value)
