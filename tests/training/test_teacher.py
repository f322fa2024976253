"""The teacher's first stage: what it ranks by, that it learns, resumes, and writes what scores the same."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from rankvqa_cli.errors import ModelError, UsageError
from rankvqa_cli.models import registry
from rankvqa_cli.models.contract import Clip
from rankvqa_cli.models.rankvqa import RankVQA
from rankvqa_cli.training.datasets import BatchOptions, Sampler, load_corpus
from rankvqa_cli.training.held_out import codec_votes, measure_held_out
from rankvqa_cli.training.loop import LoopOptions
from rankvqa_cli.training.planes import AS_THEY_ARE, to_planes
from rankvqa_cli.training.taught import teacher_weights
from rankvqa_cli.training.teacher import (
    TeacherOptions,
    read_teacher,
    teacher_config,
    train_teacher,
)
from rankvqa_cli.training.teacher_task import TeacherModule, TeacherTask, place_distances
from rankvqa_cli.types import FrameFormat

BATCH = BatchOptions(groups=1, slots=4, frames=1, crop=96)
LOOP = LoopOptions(steps=2, rate=1e-3, warmup=1, save_every=1, check_every=2, seed=3)
OPTIONS = TeacherOptions(model=teacher_config(tiny=True), batch=BATCH, loop=LOOP, fold=-1)


def silent(line: str) -> None:
    pass


def module(seed: int = 0) -> TeacherModule:
    from rankvqa_cli.models.pqanet import PQANet
    from rankvqa_cli.models.rankvqa_parts import parts_of

    torch.manual_seed(seed)
    config = teacher_config(tiny=True)
    network = PQANet(config.network)
    network.merge_frames_alike()
    readout = parts_of(config).readout
    assert readout is not None
    return TeacherModule(network, readout, config.input)


@pytest.fixture(scope="module")
def trained(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("teacher") / "teacher.safetensors"
    train_teacher(corpus, out.with_suffix(".run"), out, "rankvqa", OPTIONS, silent)
    return out


def test_the_file_scores_a_patch_as_training_did(corpus: Path, trained: Path) -> None:
    """Training and scoring share one way from pixels to distance."""
    _, config, network, parts, _ = read_teacher(trained)
    assert parts.readout is not None
    shard = load_corpus(corpus)[0]
    made = TeacherModule(network, parts.readout, config.input).eval()
    frames = shard.reference.shape[1]
    with torch.inference_mode():
        found = place_distances(made, shard, 0, frames)
    model = registry.load(str(trained))
    assert isinstance(model, RankVQA)

    def clip(data: np.ndarray) -> Clip:
        luma, chroma = to_planes(data, AS_THEY_ARE)
        form = FrameFormat(256, 256, "yuv420p", 8, (2, 2), full_range=False, matrix="bt709")
        # The corpus has clips of two frames, the network takes twelve: each is shown six times.
        shown = [plane.repeat_interleave(6, dim=0) for plane in (luma, chroma[:, 0], chroma[:, 1])]
        return Clip(*shown, form)

    outputs = model.score_clips(clip(shard.reference[0]), [clip(version[0]) for version in shard.distorted])
    distances = [math.log(output.distance + 1e-3) for output in outputs]
    assert distances == pytest.approx(found.tolist(), abs=2e-3)


def test_a_run_that_was_broken_off_gives_the_same_file(corpus: Path, tmp_path: Path, trained: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "again.safetensors"

    def stop(line: str) -> None:
        if line.startswith("step 1 "):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_teacher(corpus, run, out, "rankvqa", OPTIONS, stop)
    train_teacher(corpus, run, out, "rankvqa", OPTIONS, silent)
    assert out.read_bytes() == trained.read_bytes()


def test_it_learns_the_order_that_holds_by_construction(corpus: Path) -> None:
    shard = load_corpus(corpus)[0]
    task = TeacherTask(module(), [shard], [], BATCH, teacher_weights("order"), 1)
    optimiser = torch.optim.Adam(task.module.parameters(), lr=0.01)

    def order() -> float:
        with torch.no_grad():
            return float(np.mean([float(task.losses(index)["order"]) for index in range(100, 106)]))

    before = order()
    for index in range(12):
        optimiser.zero_grad()
        task.losses(index)["order"].backward()
        optimiser.step()
    assert order() < before


def test_only_what_is_taught_has_a_weight() -> None:
    weights = teacher_weights("order, damage")
    assert (weights.order, weights.label, weights.damage, weights.amount) == (1.0, 0.0, 1.0, 1.0)
    assert teacher_weights(None) == teacher_weights("order,label,damage")
    with pytest.raises(UsageError, match="opinion"):
        teacher_weights("opinion")


def test_damage_ranks_across_sources_and_labels_within(corpus: Path) -> None:
    """With frozen networks' labels, two sources' VMAF is not compared: moving one source's labels changes nothing."""
    shard = load_corpus(corpus)[0]
    damage = {"moving": np.random.default_rng(0).normal(size=shard.distorted.shape[:2]).astype(np.float32)}
    options = BatchOptions(groups=2, slots=3, frames=1, colour=0.0, crop=64)
    task = TeacherTask(module().eval(), [shard], [], options, teacher_weights(None), 1, damage)
    batch = task.sampler.batch(0)
    assert torch.isfinite(batch.damage).all()
    task.sampler.batch = lambda index: batch  # type: ignore[method-assign]
    batch.label[:] = torch.tensor([80.0, 50.0, 30.0, 60.0, 40.0, 20.0])
    usual = task.losses(0)
    batch.label[3:] += 15
    moved = task.losses(0)
    assert float(moved["label"].detach()) == pytest.approx(float(usual["label"].detach()), abs=1e-6)
    assert float(moved["damage"].detach()) == pytest.approx(float(usual["damage"].detach()), abs=1e-6)


def test_crops_lie_at_the_same_place_in_every_version(corpus: Path) -> None:
    shard = load_corpus(corpus)[0]
    sampler = Sampler([shard], BatchOptions(groups=1, slots=4, frames=1, colour=0.0, crop=64), 1)
    batch = sampler.batch(3)
    assert batch.reference[0].shape == (1, 64, 64)
    assert batch.distorted[1].shape == (4, 2, 32, 32)
    differences = (batch.distorted[0].float() - batch.reference[0].float()).abs().mean(dim=(1, 2))
    assert (differences < 40).all()  # another place of this pattern differs by more


def test_held_out_figures_know_a_perfect_and_a_reversed_order(corpus: Path) -> None:
    shard = load_corpus(corpus)[0]
    versions = [list(range(len(shard.versions)))]
    labels = -np.mean([shard.labels[name][:, :2] for name in ("vmaf", "vmaf_v1")], axis=0)
    measure: Callable[[np.ndarray], dict[str, float]] = lambda x: measure_held_out(  # noqa: E731
        [shard], [x], 2, ("vmaf", "vmaf_v1"), versions
    )
    good, bad = measure(labels), measure(-labels)
    assert good["held_srocc"] == pytest.approx(1.0)
    assert bad["held_srocc"] == pytest.approx(-1.0)
    assert good["held_order"] > 0.9 > 0.1 > bad["held_order"]


def test_codec_votes_are_between_single_encodes_of_different_codecs(corpus: Path) -> None:
    shard = load_corpus(corpus)[0]
    votes = codec_votes(shard, 0, range(len(shard.versions)))
    assert votes.any()
    for i, j in np.argwhere(votes):
        pair = shard.versions[i], shard.versions[j]
        assert all(len(version.steps) == 1 for version in pair)
        assert pair[0].steps[0].codec != pair[1].steps[0].codec  # type: ignore[union-attr]
        assert shard.labels["vmaf"][i, 0] > shard.labels["vmaf"][j, 0] - 6


def test_frames_that_do_not_divide_a_clip_are_refused(corpus: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    options = replace(OPTIONS, batch=BatchOptions(groups=1, slots=2, frames=5))
    with pytest.raises(ModelError, match="divisor"):
        train_teacher(corpus, tmp_path / "run", tmp_path / "x.safetensors", "rankvqa", options, silent)


def test_it_goes_on_only_from_a_rankvqa_with_a_readout(tmp_path: Path, tiny_model: Path) -> None:
    with pytest.raises(ModelError, match="patchnet"):
        read_teacher(tiny_model)
