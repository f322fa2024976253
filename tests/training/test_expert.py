"""Experts: what they are shown, what each pretext asks, and a training from a corpus to a member of an ensemble."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from made_onnx import small_network

from rankvqa_cli.errors import InputError, ModelError, UsageError
from rankvqa_cli.models.patchnet import TINY as PATCHNET
from rankvqa_cli.models.patchnet import PatchNet
from rankvqa_cli.models.ptm.adapters import members
from rankvqa_cli.models.ptm.expert import TINY, Expert, ExpertConfig
from rankvqa_cli.models.ptm.native import NativeNetwork
from rankvqa_cli.models.ptm.views import Moment, Views, features
from rankvqa_cli.models.sizes import halved
from rankvqa_cli.models.store import read_model
from rankvqa_cli.training.datasets import SourceShard, load_corpus
from rankvqa_cli.training.expert import ExpertOptions, Pretask, train_expert
from rankvqa_cli.training.expert_data import PLAYS, Shows, Windows, coded_scale, graded, play, zoomed
from rankvqa_cli.training.expert_tasks import (
    CODED,
    KINDS,
    Content,
    Distortion,
    ExpertTask,
    Motion,
    Rank,
    Together,
)
from rankvqa_cli.training.frozen import FrozenNetworks
from rankvqa_cli.training.loop import LoopOptions

GROUPS, SLOTS, CROP = 2, 3, 64


def say(_: str) -> None:
    pass


@pytest.fixture(scope="module")
def shards(corpus: Path) -> list[SourceShard]:
    return load_corpus(corpus)


@pytest.fixture
def shows(shards: list[SourceShard]) -> Shows:
    return Shows(shards, GROUPS, SLOTS, 1, CROP, seed=3)


def test_what_is_shown_depends_on_number_and_seed_alone(shards: list[SourceShard], shows: Shows) -> None:
    other = Shows(shards, GROUPS, SLOTS, 1, CROP, seed=3)
    other.draw(0)
    for index in (4, 5):
        one, same = shows.draw(index), other.draw(index)
        assert torch.equal(one.pictures, same.pictures)
        assert one.pictures.shape[:2] == (GROUPS * SLOTS + GROUPS, 3)
        assert 0 <= float(one.pictures.min()) <= float(one.pictures.max()) <= 1
    assert not torch.equal(shows.draw(4).pictures, shows.draw(6).pictures)


def test_references_come_last_and_have_all_of_their_resolution(shows: Shows) -> None:
    shown = shows.draw(0)
    assert shown.versions[-GROUPS:] == (None, None)
    assert shown.bandwidth[-GROUPS:].tolist() == [0.0, 0.0]
    for version, left in zip(shown.versions[:-GROUPS], shown.bandwidth.tolist(), strict=False):
        assert version is not None
        assert left <= math.log2(coded_scale(version)) + 1e-6
    assert any(float(shows.draw(index).bandwidth.min()) < -1 for index in range(6))


def test_pictures_are_shown_at_half_their_size_where_that_is_asked(
    shards: list[SourceShard], shows: Shows
) -> None:
    half = Shows(shards, GROUPS, SLOTS, 1, CROP, seed=3, half=True)
    for index in (4, 5):
        whole, shown = shows.draw(index), half.draw(index)
        assert torch.equal(shown.pictures, halved(whole.pictures))
        assert torch.equal(shown.bandwidth, whole.bandwidth)


def test_every_other_draw_is_reduced(shards: list[SourceShard]) -> None:
    side = min(shard.side for shard in shards)
    shows = Shows(shards, GROUPS, SLOTS, 1, side, seed=3)
    assert {shows.draw(index).pictures.shape[-1] for index in (0, 2, 4)} == {side}
    reduced = [shows.draw(index) for index in (1, 3, 5)]
    assert all(side / 2 <= shown.pictures.shape[-1] < side for shown in reduced)
    assert Shows(shards, GROUPS, SLOTS, 1, side, seed=3, least=side).draw(1).pictures.shape[-1] == side


def test_a_source_and_its_encodes_are_graded_alike(shows: Shows) -> None:
    batch = shows.draw(0).batch
    same = replace(batch, distorted=tuple(x.repeat_interleave(SLOTS, 0) for x in batch.reference))
    changed = graded(same, np.random.default_rng(5))
    for before, reference, encodes in zip(batch.reference, changed.reference, changed.distorted, strict=True):
        assert torch.equal(reference.repeat_interleave(SLOTS, 0), encodes)
        assert not torch.equal(reference, before)
    spreads = changed.reference[0].float().std(dim=(1, 2)) / batch.reference[0].float().std(dim=(1, 2))
    assert 0.5 < float(spreads.min()) < float(spreads.max()) < 1.2
    assert float(spreads.max() - spreads.min()) > 0.01  # each source its own way


def test_zooming_takes_detail_from_its_slot_alone(shows: Shows, shards: list[SourceShard]) -> None:
    batch = shows.draw(0).batch
    noisy = replace(
        batch,
        distorted=(
            torch.randint(16, 235, batch.distorted[0].shape, dtype=torch.uint8),
            batch.distorted[1],
        ),
    )
    luma = zoomed(noisy, [1.0, 4.0, 1.0]).distorted[0].view(GROUPS, SLOTS, CROP, CROP)
    before = noisy.distorted[0].view(GROUPS, SLOTS, CROP, CROP)
    assert torch.equal(luma[:, 0], before[:, 0])
    assert torch.equal(luma[:, 2], before[:, 2])
    assert float(luma[:, 1].float().std()) < 0.5 * float(before[:, 1].float().std())


def test_windows_are_cut_from_what_was_drawn(shards: list[SourceShard], shows: Shows) -> None:
    """References without versions' damage, the same place of both, at half the size."""
    windows = Windows(shows, 3, 1, (GROUPS, SLOTS), 16, seed=5)
    shown = windows.draw(0)
    assert (shown.pictures.shape, shown.versions[-1], len(shown.versions)) == ((4, 3, 16, 16), None, 4)
    assert torch.equal(windows.draw(0).pictures, shown.pictures)
    assert not torch.equal(windows.draw(1).pictures, shown.pictures)
    kept = [halved(shows.draw(index).pictures).half().float() for index in range(3)]
    found = [
        (own, versions)
        for draw in kept
        for source in range(GROUPS)
        for own in [
            torch.cat([draw[source * SLOTS : (source + 1) * SLOTS], draw[GROUPS * SLOTS + source, None]])
        ]
        for versions in own.unfold(2, 16, 1).unfold(3, 16, 1).flatten(2, 3).unbind(2)
        if torch.equal(versions, shown.pictures) or torch.equal(versions.flip(-1), shown.pictures)
    ]
    assert len(found) == 1
    with pytest.raises(InputError, match="has no patches of 400 pixels"):
        Windows(shows, 1, 1, (GROUPS, SLOTS), 200, seed=5)


@pytest.mark.parametrize("way", PLAYS)
def test_ways_to_play(way: str) -> None:
    clip = (torch.arange(11.0) / 20).view(11, 1, 1, 1).expand(11, 3, 2, 2)
    shown = play(clip, way, np.random.default_rng(0))
    assert shown.shape == (6, 3, 2, 2)
    steps = (shown[:, 0, 0, 0].diff() * 20).round(decimals=3).tolist()
    wanted = {"straight": [1.0] * 5, "fast": [2.0] * 5, "dropped": [0.0, 2.0, 0.0, 2.0, 0.0]}
    if way in wanted:
        assert steps == wanted[way]
    elif way == "frozen":
        assert steps[-2:] == [0.0, 0.0]
    elif way == "shuffled":
        assert min(steps) < 0
    else:
        assert len({round(step, 2) for step in steps}) > 2


def test_distortion_knows_what_was_done(shows: Shows) -> None:
    shown, pretext = shows.draw(0), Distortion()
    found = torch.zeros(len(shown.versions), pretext.outputs)
    for i, version in enumerate(shown.versions):
        found[i, KINDS.index(version.family if version else "pristine")] = 50
        encode = (
            next((step for step in reversed(version.steps) if hasattr(step, "codec")), None)
            if version
            else None
        )
        found[i, len(KINDS) + CODED.index(encode.codec if encode else "none")] = 50
    found[:, -1] = shown.bandwidth
    wanted = pretext.wanted(shown)
    terms = pretext.terms(found, wanted)
    assert max(float(terms[name]) for name in ("kind", "codec", "left")) < 1e-6
    assert float(terms["coarse"]) > 0
    assert float(pretext.terms(found.roll(1, 0), wanted)["kind"]) > 1


def test_rank_wants_what_a_full_reference_network_says(shows: Shows) -> None:
    torch.manual_seed(0)
    pretext, shown = Rank(PatchNet(PATCHNET)), shows.draw(0)
    (wanted,) = pretext.wanted(shown)
    assert float(wanted[-1]) == float(wanted.min())  # references are the best there is
    right = pretext.terms(wanted.unsqueeze(1), (wanted,))
    wrong = pretext.terms(-wanted.unsqueeze(1), (wanted,))
    assert float(right["amount"]) == 0
    assert float(right["rank"].detach()) < float(wrong["rank"].detach())
    assert pretext.measures(wanted.unsqueeze(1), (wanted,))["held_srocc"] == pytest.approx(1)


def test_content_axes_explain_what_they_are(tmp_path: Path, shards: list[SourceShard]) -> None:
    (tmp_path / "net.onnx").write_bytes(small_network(1, channels=6))
    shows = Shows(shards, GROUPS, SLOTS, 1, 224, seed=3)
    pretext = Content(FrozenNetworks([tmp_path / "net.onnx"], 1), shows)
    wanted = torch.cat([pretext.wanted(shows.draw(index))[0] for index in range(2)])
    assert pretext.measures(wanted, (wanted,))["held_explained"] == pytest.approx(1)
    assert pretext.measures(wanted.roll(1, 0), (wanted,))["held_explained"] < 0.5
    assert float(pretext.terms(wanted, (wanted,))["content"]) == 0


def test_motion_is_shown_clips_and_asked_how_they_play(shards: list[SourceShard]) -> None:
    with pytest.raises(InputError, match="have 2 frames, 11 are needed"):
        Shows(shards, GROUPS, SLOTS, 6, CROP, seed=1)
    long = [
        replace(each, reference=each.reference.repeat(6, axis=1), distorted=each.distorted.repeat(6, axis=2))
        for each in shards
    ]
    shown = Shows(long, GROUPS, SLOTS, 6, CROP, seed=1).draw(0)
    assert shown.pictures.shape == (GROUPS * SLOTS + GROUPS, 6, 3, CROP, CROP)
    assert shown.played is not None
    perfect = 50 * torch.nn.functional.one_hot(shown.played, len(PLAYS)).float()
    assert float(Motion().terms(perfect, Motion().wanted(shown))["played"]) < 1e-6
    assert Motion().measures(perfect, Motion().wanted(shown)) == {"held_played": 1.0}
    network = Expert(replace(TINY, frames=6, outputs=len(PLAYS)))
    assert network(shown.pictures).shape == (len(shown.played), len(PLAYS))


def test_together_asks_what_each_asks_by_itself(shows: Shows) -> None:
    torch.manual_seed(0)
    rank, distortion = Rank(PatchNet(PATCHNET)), Distortion()
    both, shown = Together([rank, distortion]), shows.draw(0)
    outputs = torch.randn(len(shown.versions), both.outputs, requires_grad=True)
    found, wanted = both.found(outputs), both.wanted(shown)
    assert (both.outputs, len(found), len(wanted)) == (1 + Distortion.outputs, 2, 5)
    assert torch.equal(torch.cat(found, dim=1), outputs)
    alone = rank.terms(outputs[:, :1], rank.wanted(shown)) | distortion.terms(outputs[:, 1:], wanted[1:])
    terms = both.terms(found, wanted)
    assert {name: float(term.detach()) for name, term in terms.items()} == {
        name: float(term.detach()) for name, term in alone.items()
    }
    seen = [each.detach() for each in found]
    assert both.measures(seen, wanted) == (
        rank.measures(seen[0], wanted[:1]) | distortion.measures(seen[1], wanted[1:])
    )
    assert [name for name, _ in both.module.named_parameters()] == ["0.log_gain"]


def test_what_is_drawn_ahead_is_what_is_asked_for(shows: Shows) -> None:
    task = ExpertTask(
        Expert(replace(TINY, outputs=Distortion.outputs)), Together([Distortion()]), shows, None
    )
    in_order = [task.losses(index) for index in (0, 1, 2)]
    again = [task.losses(index) for index in (2, 0, 1)]
    for index, terms in zip((2, 0, 1), again, strict=True):
        assert {name: float(value.detach()) for name, value in terms.items()} == {
            name: float(value.detach()) for name, value in in_order[index].items()
        }


def test_an_expert_goes_on_from_another(corpus: Path, tmp_path: Path, tiny_model: Path) -> None:
    loop = LoopOptions(steps=1, rate=1e-9, warmup=1, save_every=1, check_every=1)
    first = ExpertOptions(("distortion",), TINY, loop, GROUPS, SLOTS, CROP, fold=-1)
    start = tmp_path / "d.safetensors"
    train_expert(corpus, tmp_path / "d", start, "d", first, say)
    asked = replace(first, tasks=("rank",), labels=tiny_model, start=start)
    train_expert(corpus, tmp_path / "r", tmp_path / "r.safetensors", "r", asked, say)
    old, new = (read_model(tmp_path / name)[1] for name in ("d.safetensors", "r.safetensors"))
    assert new["head.weight"].shape == (1, TINY.vector)
    for name in old:
        if not name.startswith("head."):
            torch.testing.assert_close(old[name], new[name], atol=1e-3, rtol=1e-3)
    with pytest.raises(ModelError, match="not 'expert'"):
        train_expert(
            corpus, tmp_path / "x", tmp_path / "x.safetensors", "x", replace(asked, start=tiny_model), say
        )
    deeper = replace(asked, network=replace(TINY, blocks=(0, 0, 2), vector=7))
    train_expert(corpus, tmp_path / "z", tmp_path / "z.safetensors", "z", deeper, say)
    new = read_model(tmp_path / "z.safetensors")[1]
    torch.testing.assert_close(old["blocks.2.0.weight"], new["blocks.2.0.weight"], atol=1e-3, rtol=1e-3)
    assert new["embed.2.weight"].shape != old["embed.2.weight"].shape
    assert float(new["blocks.2.1.weight"].abs().max()) < 1e-6
    wide = replace(asked, network=replace(TINY, widths=(4, 6, 10)))
    with pytest.raises(ModelError, match="another shape"):
        train_expert(corpus, tmp_path / "y", tmp_path / "y.safetensors", "y", wide, say)


def test_an_expert_is_trained_and_read(corpus: Path, tmp_path: Path, tiny_model: Path) -> None:
    loop = LoopOptions(steps=2, warmup=1, save_every=1, check_every=2)
    options = ExpertOptions(("distortion",), TINY, loop, GROUPS, SLOTS, CROP, fold=-1)
    out = tmp_path / "e.safetensors"
    sha256 = train_expert(corpus, tmp_path / "run", out, "e", options, say)
    network = NativeNetwork(out)
    assert (network.sha256, network.layer, network.frames) == (sha256, "outputs", 1)
    assert network.dimension == Distortion.outputs
    assert NativeNetwork(out, "vector").dimension == TINY.vector + Distortion.outputs
    pictures = torch.rand(2, 3, 70, 101, generator=torch.Generator().manual_seed(0))
    found = network.vectors(pictures)
    torch.testing.assert_close(network.vectors(pictures[1:]), found[1:], atol=1e-4, rtol=1e-4)
    pooled = NativeNetwork(out, "pooled").vectors(pictures)
    assert pooled.shape == (2, TINY.pooled)
    half = network.to(torch.device("cpu"), torch.bfloat16).vectors(pictures)
    torch.testing.assert_close(half, found, atol=0.1, rtol=0.1)
    again = train_expert(corpus, tmp_path / "run", out, "e", options, say)
    assert again == sha256
    with pytest.raises(ModelError, match="other options"):
        train_expert(corpus, tmp_path / "run", out, "e", replace(options, slots=4), say)
    for alone in ("motion", "texture"):
        both: tuple[Pretask, ...] = (alone, "distortion")  # type: ignore[assignment]
        with pytest.raises(UsageError, match=f"{alone} is learned from .* stands alone"):
            train_expert(corpus, tmp_path / "other", out, "e", replace(options, tasks=both), say)
    without: tuple[tuple[Pretask, str], ...] = (
        ("rank", "needs --labels"),
        ("content", "needs --frozen"),
        ("texture", "needs --texture"),
    )
    for task, why in without:
        with pytest.raises(UsageError, match=why):
            train_expert(corpus, tmp_path / "other", out, "e", replace(options, tasks=(task,)), say)


def test_an_expert_of_two_tasks_is_two_members_and_seen_once(
    corpus: Path, tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = LoopOptions(steps=1, warmup=1, save_every=1, check_every=1)
    options = ExpertOptions(
        ("rank", "distortion"), TINY, loop, GROUPS, SLOTS, CROP, labels=tiny_model, fold=-1
    )
    out = tmp_path / "several.safetensors"
    train_expert(corpus, tmp_path / "run", out, "several", options, say)
    found = members("native", out)
    assert {name: each.dimension for name, each in found.items()} == {
        "several-rank": 1,
        "several-distortion": Distortion.outputs,
    }
    pictures = torch.rand(1, 3, 96, 128, generator=torch.Generator().manual_seed(0))
    both = NativeNetwork(out).vectors(pictures)
    torch.testing.assert_close(torch.cat([each.vectors(pictures) for each in found.values()], dim=1), both)

    asked = []
    described = Expert.described
    monkeypatch.setattr(Expert, "described", lambda self, x: asked.append(x.shape) or described(self, x))
    views = Views(crop=64, seen=("half", "half-detail", "crops"))
    moment = Moment(pictures, views)
    rank, distortion = (moment.features(each) for each in found.values())
    assert len(asked) == 3
    torch.testing.assert_close(rank, features(found["several-rank"], pictures, views))
    torch.testing.assert_close(distortion, features(found["several-distortion"], pictures, views))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--model", "expert"), "--task is for --model expert"),
        (("--task", "motion"), "--task is for --model expert"),
        (("--model", "expert", "--task", "rank"), "--labels is for --task rank"),
        (("--model", "expert", "--task", "motion", "--labels", "a"), "--labels is for --task rank"),
        (("--model", "expert", "--task", "motion", "--task", "motion"), "names one task twice"),
        (("--half",), "--half is for --model expert"),
        (("--model", "expert", "--task", "texture"), "--texture is for --task texture"),
        (
            ("--model", "expert", "--task", "texture", "--texture", "a.onnx#b", "--half"),
            "always shows pictures at half",
        ),
        (
            ("--model", "expert", "--task", "motion", "--texture", "a.onnx#b"),
            "--texture is for --task texture",
        ),
        (("--model", "expert", "--task", "texture", "--texture", "a.onnx"), "names a file and a map in it"),
    ],
)
def test_options_of_experts(arguments: tuple[str, ...], said: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rankvqa_cli", "train", "--data", ".", "-o", "a.safetensors", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr


def test_an_expert_of_another_time_is_refused() -> None:
    with pytest.raises(TypeError):
        ExpertConfig.from_json({"widths": [4, 6, 8], "blocks": 3})
    with pytest.raises(ValueError, match="3 widths do not go with 2"):
        replace(TINY, blocks=(0, 1))


def test_outputs_are_all_of_some_task() -> None:
    assert replace(TINY, outputs=3, tasks=(("a", 1), ("b", 2))).parts() == {
        "a": slice(0, 1),
        "b": slice(1, 3),
    }
    with pytest.raises(ValueError, match="are not those of"):
        replace(TINY, outputs=4, tasks=(("a", 1), ("b", 2))).parts()
