"""``ensemble.json``: read as it was written, and every way in which it and its files can be wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from made_ensemble import add_head, make_ensemble
from made_onnx import small_network

from rankvqa_cli.errors import ModelError
from rankvqa_cli.models import registry
from rankvqa_cli.models.manifest import ManifestEntry, put_entry
from rankvqa_cli.models.ptm.ensemble import open_members, read_ensemble, write_ensemble
from rankvqa_cli.models.ptm.model import load_ptm


def changed(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))
    return path


def test_an_ensemble_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = make_ensemble(tmp_path)
    ensemble, sha256 = read_ensemble(path)
    write_ensemble(tmp_path / "again.json", ensemble)
    again, same = read_ensemble(tmp_path / "again.json")
    assert (again, same) == (ensemble, sha256)
    assert [network.dimension for network in open_members(path, ensemble)] == [4, 5]
    assert ensemble.lengths == [8, 10]


def test_a_member_is_shown_what_it_says(tmp_path: Path) -> None:
    path = make_ensemble(tmp_path, head=False)
    theirs, _ = read_ensemble(path)
    own = ["half", "half-detail"]
    mixed, _ = read_ensemble(changed(path, lambda d: d["members"][1].update(seen=own)))
    assert [network.seen for network in open_members(path, mixed)] == [theirs.views.seen, tuple(own)]
    assert set(mixed.seen) == {*theirs.views.seen, *own}
    assert mixed.lengths == theirs.lengths
    write_ensemble(path, mixed)
    assert read_ensemble(path)[0] == mixed


def test_it_is_loaded_by_its_path_and_by_a_registered_name(tmp_path: Path) -> None:
    path = make_ensemble(tmp_path, "mine")
    model = registry.load(str(path))
    assert (model.info.kind, model.info.clip_frames) == ("no-reference", 1)
    sha256 = model.info.weights_sha256
    entry = ManifestEntry(
        "mine", path.name, sha256, "no-reference", "ptm", 1, default_for="no-reference", folder=tmp_path
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rankvqa_cli.models.manifest.shipped_folder", lambda: tmp_path / "nothing")
        patch.setenv("VQA_SCORE_HOME", str(tmp_path))
        with pytest.raises(ModelError, match="no no-reference model is installed"):
            registry.default_model(has_reference=False)
        put_entry(entry)
        assert registry.default_model(has_reference=False) == "mine"
        assert registry.load("mine").info.weights_sha256 == sha256
        path.write_text(path.read_text() + " ")
        with pytest.raises(ModelError, match="not the one that was registered"):
            registry.load("mine")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d.update(schema=2), "schema 2"),
        (lambda d: d.pop("members"), "members"),
        (lambda d: d.update(members=[]), "no members"),
        (lambda d: d.update(unknown=1), "unknown"),
        (lambda d: d["members"][0].update(weight=float("nan")), "weight"),
        (lambda d: d["members"][0].update(weight=0.5), "add up to 1"),
        (lambda d: d["members"][0].update(sha256="ab"), "64 hexadecimal"),
        (lambda d: d["members"][0].update(adapter="pickle"), "no adapter"),
        (lambda d: d["members"][0].update(dimension=True), "whole numbers"),
        (lambda d: d["members"][0].update(name="two"), "one name"),
        (lambda d: d["views"].update(soften=0), "soften"),
        (lambda d: d["members"][0].update(seen=["haf"]), "what is seen must be some of"),
        (lambda d: d["members"][1].update(seen=["half"]), "'two'.*another number of views"),
        (lambda d: d.update(views={}), "seen"),
        (lambda d: d.update(scale=5), "scale"),
        (lambda d: d.update(name=["x"]), "name"),
        (lambda d: d.update(head={"file": 5, "sha256": "0" * 64}), "head's file"),
    ],
)
def test_a_damaged_ensemble_is_refused_by_name(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], said: str
) -> None:
    path = changed(make_ensemble(tmp_path, head=False), change)
    with pytest.raises(ModelError, match=said) as caught:
        read_ensemble(path)
    assert "small.json" in str(caught.value)


def test_what_no_parser_can_hold_is_no_ensemble(tmp_path: Path) -> None:
    path = tmp_path / "deep.json"
    path.write_text(100_000 * "[")
    with pytest.raises(ModelError, match=r"deep\.json.* is no ensemble"):
        read_ensemble(path)


def test_a_member_that_is_missing_or_changed_is_named(tmp_path: Path) -> None:
    path = make_ensemble(tmp_path)
    member = tmp_path / "two.onnx"
    member.write_bytes(small_network(99, channels=5))
    with pytest.raises(ModelError, match=r"member 'two'.*two\.onnx' is not the file"):
        load_ptm(path)
    member.unlink()
    with pytest.raises(ModelError, match=r"member 'two'.*does not exist"):
        load_ptm(path)


def test_a_member_of_another_dimension_is_refused(tmp_path: Path) -> None:
    path = changed(make_ensemble(tmp_path, head=False), lambda d: d["members"][0].update(dimension=7))
    with pytest.raises(ModelError, match="member 'one': 4 elements in a vector, the ensemble says 7"):
        open_members(path, read_ensemble(path)[0])


def test_a_head_that_is_absent_changed_or_of_other_members_is_refused(tmp_path: Path) -> None:
    path = make_ensemble(tmp_path, head=False)
    with pytest.raises(ModelError, match="has no head yet"):
        load_ptm(path)
    add_head(path)
    load_ptm(path)
    changed(path, lambda d: d["views"].update(seen=["crops"]))
    with pytest.raises(ModelError, match="trained on features of"):
        load_ptm(path)
    head = tmp_path / "small.safetensors"
    head.write_bytes(head.read_bytes()[:-4] + bytes(4))
    with pytest.raises(ModelError, match="not the one that was registered"):
        load_ptm(path)


def test_opinions_hold_each_members_own_and_lie_on_the_scale(tmp_path: Path) -> None:
    from rankvqa_cli.models.contract import Clip
    from rankvqa_cli.types import FrameFormat

    model = load_ptm(make_ensemble(tmp_path))
    form = FrameFormat(256, 232, "yuv420p", 8, (2, 2), False, "bt709")
    made = torch.Generator().manual_seed(0)

    def clip(low: int, high: int) -> Clip:
        def plane(h: int, w: int) -> torch.Tensor:
            return torch.randint(low, high, (1, h, w), generator=made, dtype=torch.uint8)

        return Clip(plane(232, 256), plane(116, 128), plane(116, 128), form)

    opinions = model.score_clips([clip(16, 17), clip(16, 235)])
    assert len({opinion.score for opinion in opinions}) == 2
    for opinion in opinions:
        assert 0 <= opinion.score <= 100
        assert len(opinion.members) == len(model.members) == 2
        assert all(0 <= view <= 100 for view in opinion.members)
