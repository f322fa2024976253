"""Importing released checkpoints: what is taken, what is refused, and that nothing in them runs."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from rankvqa_cli.errors import ModelError, OutputError, UsageError
from rankvqa_cli.models import registry, store
from rankvqa_cli.models.convert import import_checkpoint
from rankvqa_cli.models.pqanet import PQANet, PQANetConfig


@pytest.fixture(scope="module")
def released() -> dict[str, Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(6)
        return {
            name: value.bfloat16() if value.is_floating_point() else value
            for name, value in PQANet(PQANetConfig()).state_dict().items()
        }


@pytest.mark.parametrize(
    "form", ["safetensors", "pth", "old", "nested", "deep", "module.", "net.", "module.net."]
)
def test_every_form_of_the_checkpoint_is_taken(
    tmp_path: Path, released: dict[str, Tensor], form: str
) -> None:
    path = tmp_path / "FR_model.pth"
    if form == "safetensors":
        path.write_bytes(safetensors.torch.save(released))
    elif form == "nested":
        torch.save({"epoch": 3, "state_dict": released}, path)
    elif form == "deep":
        torch.save({"model": {"state_dict": released}}, path)
    else:
        prefix = form if form.endswith(".") else ""
        prefixed = {prefix + name: value for name, value in released.items()}
        torch.save(prefixed, path, _use_new_zipfile_serialization=form != "old")
    entry = import_checkpoint(path)
    assert entry.name == "FR_model"
    _, tensors, _ = store.read_model(*store.locate("FR_model"))
    assert tensors.keys() == released.keys()
    assert all(torch.equal(tensors[name], value) for name, value in released.items())


def test_an_imported_model_scores_as_published(tmp_path: Path, released: dict[str, Tensor]) -> None:
    path = tmp_path / "a b.safetensors"
    path.write_bytes(safetensors.torch.save(released))
    import_checkpoint(path, "mine")
    model = registry.load("mine")
    assert (model.info.name, model.clip_frames) == ("mine", 12)
    assert "as published" in model.info.provenance
    assert "not calibrated" in model.info.scale


@pytest.mark.shared
def test_the_shared_checkpoint_is_taken(shared: Path) -> None:
    entry = import_checkpoint(shared / "parity" / "pqanet_random.safetensors")
    assert registry.load(entry.name).info.weights_sha256 == entry.sha256


class _Attack:
    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[object, tuple[str, ...]]:
        return os.mkdir, (str(self.witness),)


@pytest.mark.parametrize("kind", ["torch", "pickle"])
def test_code_in_a_pickle_is_refused_and_not_run(tmp_path: Path, kind: str) -> None:
    witness, path = tmp_path / "witness", tmp_path / "evil.pth"
    if kind == "torch":
        torch.save({"state_dict": _Attack(witness)}, path)
    else:
        path.write_bytes(pickle.dumps(_Attack(witness), protocol=2))
    with pytest.raises(ModelError, match=r"evil\.pth.*refused"):
        import_checkpoint(path)
    assert not witness.exists()
    assert not list(store.home_folder().iterdir())


def test_a_whole_module_is_refused(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2), tmp_path / "module.pth")
    with pytest.raises(ModelError, match="state_dict"):
        import_checkpoint(tmp_path / "module.pth")


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"PK\x03\x04" + b"x" * 50, b"\x80\x02", b"\x80", b"{" * 20]
)
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.pth"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"bad\.pth") as caught:
        import_checkpoint(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("form", ["safetensors", "pth"])
@pytest.mark.parametrize("keep", [0.1, 0.6, 0.99])
def test_a_truncated_checkpoint_is_refused(
    tmp_path: Path, released: dict[str, Tensor], form: str, keep: float
) -> None:
    path = tmp_path / f"cut.{form}"
    if form == "pth":
        torch.save(released, path)
    else:
        path.write_bytes(safetensors.torch.save(released))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(ModelError, match=r"cut\."):
        import_checkpoint(path)


@pytest.mark.parametrize(
    "change", ["missing", "surplus", "shape", "type", "index", "nan", "list", "number", "empty"]
)
def test_another_architecture_is_refused(tmp_path: Path, released: dict[str, Tensor], change: str) -> None:
    name = "lins.0.model.1.weight"
    index = next(key for key in released if key.endswith("relative_position_index"))
    tensors: object = {
        "missing": {key: value for key, value in released.items() if key != name},
        "surplus": {**released, "classifier.weight": torch.ones(2)},
        "shape": {**released, name: torch.ones(1, 16, 1, 1)},
        "type": {**released, name: torch.ones(1, 32, 1, 1, dtype=torch.int64)},
        "index": {**released, index: released[index].flip(0)},
        "nan": {**released, name: torch.full((1, 32, 1, 1), float("nan"))},
        "list": [torch.ones(1)],
        "number": {**released, "epoch": 3},
        "empty": {},
    }[change]
    path = tmp_path / "other.pth"
    torch.save(tensors, path)
    with pytest.raises(ModelError, match=r"other\.pth") as caught:
        import_checkpoint(path)
    assert "\n" not in str(caught.value)
    assert not list(store.home_folder().iterdir())


def test_names(tmp_path: Path, released: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "-odd name%d.pth"
    torch.save(released, path)
    assert import_checkpoint(path).name == "odd-name-d"
    with pytest.raises(UsageError, match="-y"):
        import_checkpoint(path)
    assert import_checkpoint(path, overwrite=True).name == "odd-name-d"
    with pytest.raises(UsageError, match="cannot be a model's name"):
        import_checkpoint(path, "../up")
    with pytest.raises(ModelError, match="absent"):
        import_checkpoint(tmp_path / "absent.pth")
    (tmp_path / "file").touch()
    monkeypatch.setenv("VQA_SCORE_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(OutputError, match="VQA_SCORE_HOME"):
        import_checkpoint(path, "other")


def test_a_shipped_name_is_taken(
    tmp_path: Path, released: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.pth"
    torch.save(released, path)
    import_checkpoint(path, "mine")
    home = store.home_folder()
    monkeypatch.setattr("rankvqa_cli.models.manifest.shipped_folder", lambda: home)
    with pytest.raises(UsageError, match="shipped"):
        import_checkpoint(path, "mine", overwrite=True)
