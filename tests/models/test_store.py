"""Model files and their manifest: what is written is read back, nothing damaged or swapped is ever loaded."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor

from rankvqa_cli.errors import ModelError, OutputError, UsageError
from rankvqa_cli.models import registry, store
from rankvqa_cli.models.contract import Calibration
from rankvqa_cli.models.manifest import put_entry, read_manifest
from rankvqa_cli.models.store import ModelFile, read_model, restored, write_manifest_entry, write_model

HEADER = ModelFile(
    name="little",
    kind="full-reference",
    architecture="patchnet",
    config={"width": 4, "deep": [1, 2]},
    calibration=Calibration(0.5, 1.25),
    clip_frames=12,
    provenance="made in a test",
)


def tensors() -> dict[str, Tensor]:
    return {
        "a": torch.arange(6, dtype=torch.float32).reshape(2, 3).t(),  # not contiguous on purpose
        "b": torch.tensor([1.5, -2.0], dtype=torch.bfloat16),
        "c": torch.tensor([0.25], dtype=torch.float16),
        "index": torch.arange(3),
    }


@pytest.fixture
def little(tmp_path: Path) -> Path:
    path = tmp_path / "little.safetensors"
    write_model(path, HEADER, tensors())
    return path


def test_what_is_written_is_read_back(little: Path) -> None:
    header, read, sha256 = read_model(little)
    assert header == HEADER
    assert len(sha256) == 64
    for name, tensor in tensors().items():
        assert read[name].dtype == tensor.dtype
        assert torch.equal(read[name], tensor)


def test_a_header_whose_length_looks_like_a_pickle_is_read(tmp_path: Path) -> None:
    path = tmp_path / "little.safetensors"
    for length in range(1, 1200, 4):
        write_model(path, dataclasses.replace(HEADER, provenance="x" * length), tensors())
        if path.read_bytes()[:2] in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"):
            break
    else:
        pytest.fail("no such length came up")
    assert read_model(path)[0].provenance == "x" * length


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    shas = {write_model(tmp_path / f"{i}.safetensors", HEADER, tensors()) for i in range(8)}
    assert len(shas) == 1


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "taken.safetensors").mkdir()
    with pytest.raises(OutputError, match="taken"):
        write_model(tmp_path / "taken.safetensors", HEADER, tensors())
    with pytest.raises(OutputError, match="nowhere"):
        write_model(tmp_path / "nowhere" / "x.safetensors", HEADER, tensors())
    assert os.listdir(tmp_path) == ["taken.safetensors"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_values_that_are_not_finite_are_refused(tmp_path: Path, value: float, dtype: torch.dtype) -> None:
    damaged = torch.linspace(-3, 3, 1000).to(dtype)
    damaged[617] = value
    with pytest.raises(ModelError, match="not finite"):
        write_model(tmp_path / "x.safetensors", HEADER, {"a": damaged})
    header = json.dumps({"format_version": 1, **dataclasses.asdict(HEADER)})
    data = safetensors.torch.save({"a": damaged}, metadata={"vqa-score": header})
    (tmp_path / "y.safetensors").write_bytes(data)
    with pytest.raises(ModelError, match="not finite"):
        read_model(tmp_path / "y.safetensors")


def test_a_network_is_restored_as_it_was_and_stands_by_itself() -> None:
    def make(channels: int) -> torch.nn.Module:
        return torch.nn.Conv2d(3, channels, 3)

    kept = make(4).state_dict()
    network = restored(make, 4, kept)
    assert all(
        parameter.device.type == "cpu" and parameter.requires_grad for parameter in network.parameters()
    )
    assert all(torch.equal(value, kept[name]) for name, value in network.state_dict().items())
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    assert all(value.abs().max() > 0 for value in kept.values())


@pytest.mark.parametrize("name", ["0.weight", "0.bias"])
def test_what_does_not_fit_a_network_is_refused(name: str) -> None:
    def make(channels: int) -> torch.nn.Module:
        return torch.nn.Sequential(torch.nn.Conv2d(3, channels, 3))

    right = {own: value.half() for own, value in make(4).state_dict().items()}
    assert restored(make, 4, right)(torch.zeros(1, 3, 5, 5)).dtype == torch.float32
    for wrong in (right | {name: torch.zeros(5)}, {own: right[own] for own in right if own != name}):
        with pytest.raises(RuntimeError, match=name):
            restored(make, 4, wrong)


@pytest.mark.parametrize("keep", [0.0, 0.01, 0.3, 0.6, 0.999])
def test_a_truncated_file_is_refused(little: Path, keep: float) -> None:
    data = little.read_bytes()
    little.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(ModelError, match=r"little\.safetensors.*get it again"):
        read_model(little)


def test_a_flipped_bit_is_found_by_the_sha256(little: Path) -> None:
    _, _, sha256 = read_model(little)
    data = bytearray(little.read_bytes())
    data[-9] ^= 1
    little.write_bytes(data)
    with pytest.raises(ModelError, match=r"little\.safetensors.*damaged or was replaced"):
        read_model(little, sha256)


def test_every_flipped_header_byte_is_a_model_error_or_harmless(little: Path) -> None:
    data = little.read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    refused = 0
    for at in range(end):
        little.write_bytes(data[:at] + bytes([data[at] ^ 0x11]) + data[at + 1 :])
        try:
            read_model(little)
        except ModelError:
            refused += 1
    assert refused > end // 4


@pytest.mark.parametrize(
    "change",
    [
        {"format_version": 2},
        {"format_version": None},
        {"kind": "half-reference"},
        {"name": ""},
        {"name": 3},
        {"architecture": ""},
        {"config": [1]},
        {"clip_frames": 0},
        {"clip_frames": True},
        {"clip_frames": "12"},
        {"calibration": {"midpoint": 0.0, "slope": 1.0}},
        {"calibration": {"midpoint": "1", "slope": 1.0}},
        {"calibration": 5},
        {"provenance": None},
        {"surplus": 1},
    ],
)
def test_a_header_with_a_fault_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    data = {"format_version": 1, **dataclasses.asdict(HEADER), **change}
    path = tmp_path / "x.safetensors"
    path.write_bytes(safetensors.torch.save(tensors_saveable(), metadata={"vqa-score": json.dumps(data)}))
    with pytest.raises(ModelError, match=r"x\.safetensors"):
        read_model(path)


def tensors_saveable() -> dict[str, Tensor]:
    return {"a": torch.ones(2)}


@pytest.mark.parametrize("text", ["", "[]", "null", "{", '"x"'])
def test_a_header_that_is_no_object_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(safetensors.torch.save(tensors_saveable(), metadata={"vqa-score": text}))
    with pytest.raises(ModelError, match="header"):
        read_model(path)


def test_foreign_files_are_refused_with_the_way_out(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.safetensors"
    foreign.write_bytes(safetensors.torch.save(tensors_saveable()))
    with pytest.raises(ModelError, match="models import"):
        read_model(foreign)
    for name, new in (("zip.pth", True), ("old.pth", False)):
        torch.save(tensors(), tmp_path / name, _use_new_zipfile_serialization=new)
        with pytest.raises(ModelError, match=rf"{name}.*models import"):
            read_model(tmp_path / name)
    (tmp_path / "text.txt").write_text("not a model at all, but a longer text")
    with pytest.raises(ModelError, match=r"text\.txt"):
        read_model(tmp_path / "text.txt")
    with pytest.raises(ModelError, match="is not a file"):
        read_model(tmp_path)
    with pytest.raises(ModelError, match="does not exist"):
        read_model(tmp_path / "absent.safetensors")


def test_messages_are_one_line_whatever_the_file_is_called(tmp_path: Path) -> None:
    path = tmp_path / "a\nb %d.safetensors"
    path.write_bytes(b"x" * 40)
    with pytest.raises(ModelError) as caught:
        read_model(path)
    assert "\n" not in str(caught.value)


# --- the manifest -----------------------------------------------------------------------------------------


@pytest.fixture
def home() -> Path:
    """The user's folder of models, which conftest points at a temporary one."""
    return store.home_folder()


def add(folder: Path, name: str, **entry: str) -> Path:
    path = folder / f"{name}.safetensors"
    write_model(path, dataclasses.replace(HEADER, name=name), tensors())
    write_manifest_entry(path, licence="MIT", description="a test", **entry)  # type: ignore[arg-type]
    return path


def test_a_registered_model_is_found_by_name_with_its_sha256(home: Path) -> None:
    path = add(home, "mine-1.0")
    found, sha256 = store.locate("mine-1.0")
    assert found == path
    assert read_model(found, sha256)[0].name == "mine-1.0"
    assert "mine-1.0" in [entry.name for entry in store.manifest()]


def test_an_unknown_name_is_a_usage_error_with_a_suggestion(home: Path) -> None:
    add(home, "mine")
    with pytest.raises(UsageError, match="did you mean 'mine'"):
        store.locate("mien")
    with pytest.raises(UsageError, match="known models"):
        store.locate("quite-another")
    with pytest.raises(UsageError):
        store.locate("x" * 5000)
    with pytest.raises(UsageError):
        store.locate("a\0b")


def test_a_path_is_taken_as_it_is_and_a_missing_one_is_a_model_error(little: Path) -> None:
    assert store.locate(str(little)) == (little, None)
    with pytest.raises(ModelError, match="does not exist"):
        store.locate(str(little.with_name("gone.safetensors")))
    with pytest.raises(ModelError, match="does not exist"):
        store.locate("gone.pth")


def test_a_missing_or_swapped_file_of_the_manifest_is_a_model_error(home: Path) -> None:
    first, second = add(home, "first"), add(home, "second")
    first.write_bytes(second.read_bytes())
    with pytest.raises(ModelError, match="replaced"):
        read_model(*store.locate("first"))
    first.unlink()
    with pytest.raises(ModelError, match=r"first\.safetensors.*missing"):
        store.locate("first")


def test_a_new_default_displaces_the_old_one(home: Path) -> None:
    add(home, "first", default_for="full-reference")
    add(home, "second", default_for="full-reference")
    assert [(e.name, e.default_for) for e in read_manifest(home)] == [
        ("first", None),
        ("second", "full-reference"),
    ]


def test_an_entry_of_the_same_name_is_replaced(home: Path) -> None:
    add(home, "first")
    add(home, "first", card="first.md")
    assert [(e.name, e.card) for e in read_manifest(home)] == [("first", "first.md")]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"schema": 2, "models": []}',
        '{"schema": 1, "models": [{}]}',
        '{"schema": 1, "models": [3]}',
        "\udcff",
    ],
)
def test_a_damaged_manifest_is_a_model_error(home: Path, text: str) -> None:
    (home / "manifest.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ModelError, match=r"manifest\.json"):
        store.manifest()


@pytest.mark.parametrize(
    "change",
    [{"file": "../x"}, {"file": "/etc/passwd"}, {"sha256": "0"}, {"kind": "none"}, {"clip_frames": 0}],
)
def test_a_manifest_entry_cannot_lie(home: Path, change: dict[str, object]) -> None:
    add(home, "first")
    path = home / "manifest.json"
    data = json.loads(path.read_text())
    data["models"][0].update(change)
    path.write_text(json.dumps(data))
    with pytest.raises(ModelError, match="damaged"):
        store.manifest()


@pytest.mark.parametrize("name", ["", "-x", "a/b", "a b", "x.safetensors", "..", "n" * 65, "a\n"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be a model's name"):
        store.check_name(name)


def test_the_shipped_manifest_names_files_that_are_whole() -> None:
    for entry in read_manifest(store.shipped_folder()):
        info = registry.load(entry.name).info  # held against the manifest's sha256
        assert (info.name, info.kind, info.clip_frames) == (entry.name, entry.kind, entry.clip_frames)
        if entry.path.suffix == ".safetensors":
            assert read_model(entry.path, entry.sha256)[0].architecture == entry.architecture
        assert entry.licence
        assert (entry.folder / entry.card).is_file()


def test_put_entry_says_where_it_cannot_write(tmp_path: Path, home: Path) -> None:
    add(home, "first")
    entry = dataclasses.replace(read_manifest(home)[0], folder=tmp_path / "nowhere")
    with pytest.raises(OutputError, match="nowhere"):
        put_entry(entry)
