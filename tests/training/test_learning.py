"""Losses, batches and the loop: right signs, one batch a step in any order, a resumed run equal in every bit."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from rankvqa_cli.errors import InputError, ModelError
from rankvqa_cli.models import registry
from rankvqa_cli.models.patchnet import TINY
from rankvqa_cli.training.datasets import BatchOptions, Sampler, load_corpus, split_by_content
from rankvqa_cli.training.held_out import HELD_PLACES
from rankvqa_cli.training.loop import LoopOptions, learning_rate
from rankvqa_cli.training.losses import log_distance, ranking_loss, scale_loss
from rankvqa_cli.training.orders import SURE
from rankvqa_cli.training.planes import as_clip, shift_colour
from rankvqa_cli.training.student import StudentOptions, above_floor, train_student
from rankvqa_cli.training.tasks import VALIDATED_FRAMES, RankedModule, RankingTask, score_place
from rankvqa_cli.training.taught import student_weights

BATCH = BatchOptions(groups=2, slots=3, frames=2, colour=0.5)


def test_ranking_loss_wants_the_better_label_nearer() -> None:
    label = torch.tensor([90.0, 50.0, float("nan")])
    none = torch.zeros(3, 3, dtype=torch.bool)
    right, wrong = torch.tensor([-2.0, 0.0, 5.0]), torch.tensor([0.0, -2.0, 5.0])
    gain = torch.tensor(1.0)
    good = ranking_loss(right, label, none, gain, width=5.0)
    bad = ranking_loss(wrong, label, none, gain, width=5.0)
    # One usable pair: softplus(-2) where right, softplus(2) where wrong, and a wish of sigmoid(8) = 0.99966.
    assert float(good["pairs"]) == pytest.approx(math.log1p(math.exp(-2.0)), abs=2e-3)
    assert float(bad["pairs"]) == pytest.approx(math.log1p(math.exp(2.0)), abs=2e-3)
    assert float(good["order"]) == 0.0


def test_constructed_order_needs_no_label() -> None:
    label = torch.full((2,), float("nan"))
    better = torch.tensor([[False, True], [False, False]])
    loss = ranking_loss(torch.tensor([-1.0, 1.0]), label, better, torch.tensor(1.0), 5.0)
    assert float(loss["order"]) == pytest.approx(math.log1p(math.exp(-2.0)))
    assert float(loss["pairs"]) == 0.0


def test_saturated_labels_say_nothing() -> None:
    none = torch.zeros(2, 2, dtype=torch.bool)
    loss = ranking_loss(torch.tensor([-1.0, 1.0]), torch.tensor([99.5, 100.0]), none, torch.tensor(1.0), 5.0)
    assert float(loss["pairs"]) == 0.0


def test_scale_loss_leaves_out_what_has_no_label() -> None:
    assert float(scale_loss(torch.tensor([50.0, 10.0]), torch.tensor([50.0, float("nan")]))) == 0.0
    assert float(scale_loss(torch.tensor([50.0]), torch.tensor([80.0]))) == pytest.approx(2.5)


def test_batches_depend_on_seed_and_step_alone(corpus: Path) -> None:
    shards = load_corpus(corpus)
    a, b = Sampler(shards, BATCH, seed=3), Sampler(shards, BATCH, seed=3)
    b.batch(1)
    for left, right in zip(a.batch(7).distorted, b.batch(7).distorted, strict=True):
        assert torch.equal(left, right)
    assert not torch.equal(a.batch(7).distorted[0], a.batch(8).distorted[0])


def test_batch_layout(corpus: Path) -> None:
    batch = Sampler(load_corpus(corpus), BATCH, seed=0).batch(0)
    assert batch.reference[0].shape == (4, 256, 256)
    assert batch.distorted[1].shape == (12, 2, 128, 128)
    assert batch.label.shape == (6,)
    assert not (batch.better & batch.better.T).any()


def test_colour_errors_grow_and_are_ordered(corpus: Path) -> None:
    batch = Sampler(load_corpus(corpus), replace(BATCH, colour=1.0), seed=0).batch(0)
    assert batch.better[0, 1]
    assert batch.better[1, 2]
    assert torch.isnan(batch.label[1:3]).all()
    assert torch.equal(batch.distorted[0][0:2], batch.distorted[0][4:6])
    for kind in range(3):
        coarse = torch.randint(40, 220, (1, 2, 4, 4), generator=torch.Generator().manual_seed(kind)).float()
        chroma = torch.nn.functional.interpolate(coarse, scale_factor=8, mode="bilinear").byte()
        errors = [
            float((shift_colour(chroma, kind, s).float() - chroma.float()).abs().mean())
            for s in (0.1, 0.3, 0.5)
        ]
        assert 0 < errors[0] < errors[1] < errors[2]


def test_split_never_parts_a_content(corpus: Path) -> None:
    shard = load_corpus(corpus)[0]
    shards = [replace(shard, name=f"s{i}", content=f"c{i // 2}") for i in range(40)]
    seen = []
    for fold in range(5):
        training, held_out = split_by_content(shards, fold, 5)
        assert not {s.content for s in training} & {s.content for s in held_out}
        seen += [s.name for s in held_out]
    assert sorted(seen) == sorted(s.name for s in shards)


def test_corpus_without_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a finished corpus"):
        load_corpus(tmp_path)


def test_learning_rate_rises_and_falls() -> None:
    options = LoopOptions(steps=100, warmup=10, rate=1.0)
    assert learning_rate(0, options) == pytest.approx(0.1)
    assert learning_rate(10, options) == pytest.approx(1.0)
    assert learning_rate(55, options) == pytest.approx(0.5)
    assert learning_rate(99, options) < 0.001


def _options(steps: int) -> StudentOptions:
    loop = LoopOptions(steps=6, warmup=1, save_every=3, check_every=3)
    # This corpus has one content, which cannot be split.
    return StudentOptions(network=TINY, batch=BATCH, loop=replace(loop, steps=steps), fold=-1)


def _train(corpus: Path, run: Path, out: Path, options: StudentOptions) -> str:
    return train_student(corpus, run, out, "tiny", options, lambda line: None)


class BrokenOffError(Exception):
    pass


def test_resumed_training_equals_unbroken(corpus: Path, tmp_path: Path) -> None:
    unbroken = _train(corpus, tmp_path / "a", tmp_path / "a.safetensors", _options(6))

    def stop_at_three(line: str) -> None:
        if line.startswith("step 6"):
            raise BrokenOffError

    # Killed while the second checkpoint is due: the first one, at step 3, is what is resumed.
    with pytest.raises(BrokenOffError):
        train_student(corpus, tmp_path / "b", tmp_path / "b.safetensors", "tiny", _options(6), stop_at_three)
    assert not (tmp_path / "b.safetensors").exists()
    assert _train(corpus, tmp_path / "b", tmp_path / "b.safetensors", _options(6)) == unbroken
    assert (tmp_path / "a" / "curve.csv").read_text() == (tmp_path / "b" / "curve.csv").read_text()
    assert registry.load(str(tmp_path / "a.safetensors")).info.weights_sha256 == unbroken


def test_training_moves_the_loss(corpus: Path, tmp_path: Path) -> None:
    # With all contents held out of nothing, thirty steps on one source must fit it better than the start.
    lines: list[str] = []
    options = replace(
        _options(30), loop=LoopOptions(steps=30, warmup=1, rate=1e-2, save_every=10, check_every=30)
    )
    train_student(corpus, tmp_path / "run", tmp_path / "m.safetensors", "tiny", options, lines.append)
    totals = [float(line.split("total ")[1].split()[0]) for line in lines if "total" in line]
    assert totals[-1] < totals[0]


def test_a_student_without_colour_does_not_see_it(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "grey.safetensors"
    _train(corpus, tmp_path / "run", out, replace(_options(3), colour=False))
    model = registry.load(str(out))
    luma = torch.full((2, 32, 32), 90, dtype=torch.uint8)
    grey, pink = (torch.full((2, 2, 16, 16), value, dtype=torch.uint8) for value in (128, 160))
    turned = model.score_clips(as_clip(luma, grey), [as_clip(luma, pink), as_clip(luma + 9, grey)])
    assert turned[0].distance == 0
    assert turned[1].distance > 0


def test_what_is_not_taught_does_not_move_a_student(corpus: Path) -> None:
    """Where pairs are ranked by construction alone, other labels move the curve and leave the network."""
    from rankvqa_cli.models.patchnet import PatchNet

    shard = load_corpus(corpus)[0]

    def gradients(teach: str, label: float) -> list[torch.Tensor]:
        torch.manual_seed(0)
        task = RankingTask(PatchNet(TINY), [shard], [], BATCH, student_weights(teach), 1)
        batch = task.sampler.batch(0)
        task.sampler.batch = lambda index: replace(batch, label=batch.label * 0 + label)  # type: ignore[method-assign]
        torch.stack(list(task.losses(0).values())).sum().backward()
        network = [p.grad for p in task.module.network.parameters() if p.grad is not None]
        assert task.module.log_slope.grad is not None
        return [*network, task.module.log_slope.grad]

    *network, curve = gradients("order", 0)
    *as_before, moved = gradients("order", 100)
    assert any(each.abs().sum() > 0 for each in network)
    assert all(torch.equal(one, other) for one, other in zip(network, as_before, strict=True))
    assert not torch.equal(curve, moved)
    *taught, _ = gradients("order,label", 0)
    *retaught, _ = gradients("order,label", 100)
    assert not all(torch.equal(one, other) for one, other in zip(taught, retaught, strict=True))


def test_validation_measures_scores_labels_and_orders(corpus: Path) -> None:
    from rankvqa_cli.models.patchnet import PatchNet

    shards = load_corpus(corpus)[:2]
    torch.manual_seed(0)
    task = RankingTask(PatchNet(TINY), shards, shards, BATCH, student_weights("order,label"), 1)
    with torch.no_grad():
        found = task.validate(task.module)
        squares, kept = [], []
        for shard in shards:
            seen = shard.usable(VALIDATED_FRAMES)
            for place in range(min(HELD_PLACES, len(shard.reference))):
                logs = score_place(task.module, shard, place, VALIDATED_FRAMES)
                label = sum(shard.labels[name][:, place] for name in BATCH.labels) / len(BATCH.labels)
                error = task.module.score(logs).numpy() - label
                squares += [error[v] ** 2 for v in seen if shard.labels_hold[v]]
                sure = [(i, j) for i in seen for j in seen if shard.better[i, j, place] >= SURE]
                kept += [bool(logs[i] < logs[j]) for i, j in sure]
    assert set(found) == {"held_srocc", "held_order", "held_codecs", "held_rmse"}
    assert found["held_order"] == pytest.approx(sum(kept) / len(kept))
    assert found["held_rmse"] == pytest.approx(math.sqrt(sum(squares) / len(squares)), rel=1e-5)


def test_checkpoint_of_another_run_is_refused(corpus: Path, tmp_path: Path) -> None:
    _train(corpus, tmp_path / "run", tmp_path / "m.safetensors", _options(3))
    with pytest.raises(ModelError, match="other options"):
        _train(corpus, tmp_path / "run", tmp_path / "m.safetensors", _options(6))
    (tmp_path / "run" / "checkpoint.pt").write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(ModelError, match="no checkpoint"):
        _train(corpus, tmp_path / "run", tmp_path / "m.safetensors", _options(3))


def test_calibration_is_the_curve_that_was_trained() -> None:
    from rankvqa_cli.models.patchnet import PatchNet

    module = RankedModule(PatchNet(TINY))
    with torch.no_grad():
        module.log_midpoint.fill_(0.3)
        module.log_slope.fill_(0.5)
    calibration = above_floor(module.calibration)
    for distance in (0.05, 1.0, 7.0):
        trained = module.score(log_distance(torch.tensor(distance))).item()
        assert calibration(distance) == pytest.approx(trained, abs=0.5)
    assert calibration(0.0) == 100.0
