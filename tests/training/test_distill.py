"""Distillation: nothing to learn from oneself, every kind of student, adapters that no file holds, runs that resume."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from rankvqa_cli.errors import ModelError, UsageError
from rankvqa_cli.models import registry
from rankvqa_cli.models.contract import Calibration
from rankvqa_cli.training.datasets import BatchOptions, load_corpus
from rankvqa_cli.training.distill import DistillOptions, distill, weights_from
from rankvqa_cli.training.distill_task import DistillTask, DistillWeights, adapters_between
from rankvqa_cli.training.loop import LoopOptions
from rankvqa_cli.training.trainable import Trainable, open_trainable

from .tiny_networks import CASES, RANKVQA, SMALL, clip, write

BATCH = BatchOptions(groups=2, slots=3, frames=1, colour=0.5)
LOOP = LoopOptions(steps=4, warmup=1, save_every=2, check_every=4, rate=0.01)
OPTIONS = DistillOptions(batch=BATCH, loop=LOOP, places=2, fold=-1)
NARROW = replace(RANKVQA, network=replace(SMALL, widths=(2, 4, 4, 6, 6, 8), dim=4, hidden=4), stanet=False)
CONFIG = {"architecture": "patchnet", "config": {"luma": 4, "chroma": 2, "pyramid": [4, 6, 8], "mixed": 3}}


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("networks")
    for name, made in {**CASES, "narrow": NARROW}.items():
        write(folder / f"{name}.safetensors", made, seed=len(name))
    (folder / "new.json").write_text(json.dumps(CONFIG))
    return folder


def opened(networks: Path, name: str) -> Trainable:
    return open_trainable(str(networks / f"{name}.safetensors"))[0]


def task(corpus: Path, teacher: Trainable, student: Trainable, places: int = 2) -> DistillTask:
    shards = load_corpus(corpus)
    made = DistillTask(
        teacher, Calibration(2.0, 1.5), student, shards, [], BATCH, DistillWeights(), places, 3
    )
    made.module.eval()
    return made


def train(
    teacher: Path, student: Path, corpus: Path, folder: Path, options: DistillOptions = OPTIONS
) -> Path:
    out = folder / "out.safetensors"
    distill(str(teacher), str(student), corpus, folder / "run", out, "d", options, lambda line: None)
    return out


@pytest.mark.parametrize("case", ["rankvqa", "plain", "patchnet"])
def test_a_copy_of_the_teacher_has_nothing_to_learn(corpus: Path, networks: Path, case: str) -> None:
    terms = task(corpus, opened(networks, case), opened(networks, case)).losses(0)
    # With gradients oneDNN may take another kernel than without, so not to the bit.
    assert [terms[name].item() for name in ("maps", "patch", "pooled")] == pytest.approx([0.0] * 3, abs=1e-9)


@pytest.mark.parametrize("student", ["narrow", "patchnet"])
def test_every_term_teaches_the_student_alone(corpus: Path, networks: Path, student: str) -> None:
    teacher, learner = opened(networks, "rankvqa"), opened(networks, student)
    terms = task(corpus, teacher, learner).losses(1)
    assert set(terms) == {"maps", "patch", "pooled", "pairs", "order", "scale"}
    for name in ("maps", "patch", "pooled", "pairs"):
        parameters = [p for p in learner.module.parameters() if p.requires_grad]
        gradients = torch.autograd.grad(terms[name], parameters, retain_graph=True, allow_unused=True)
        assert sum(float(g.abs().sum()) for g in gradients if g is not None) > 0, name
    assert all(parameter.grad is None for parameter in teacher.module.parameters())


def test_unlabelled_clips_get_the_teacher_s_labels(corpus: Path, networks: Path) -> None:
    made = task(corpus, opened(networks, "rankvqa"), opened(networks, "narrow"))
    made.sampler.options = replace(BATCH, colour=1.0)
    assert made.sampler.batch(0).label[1:3].isnan().all()
    unlabelled = replace(made.sampler.batch(0), label=torch.full((6,), torch.nan))
    before = made.losses(0)
    made.sampler.batch = lambda index: unlabelled  # type: ignore[method-assign]
    after = made.losses(0)
    assert {name: float(value.detach()) for name, value in after.items()} == {
        name: float(value.detach()) for name, value in before.items()
    }
    assert float(after["pairs"].detach()) > 0


def test_pooled_score_of_one_place_is_its_patch_score(corpus: Path, networks: Path) -> None:
    teacher, learner = opened(networks, "rankvqa"), opened(networks, "narrow")
    one, two = task(corpus, teacher, learner, places=1), task(corpus, teacher, learner)
    single, several = one._clip(5), two._clip(5)
    assert (single.groups, several.groups) == (1, 2)
    with torch.no_grad():
        seen = teacher.observe(single)
        patch = teacher.distance(seen.energy, seen.reserve)
        assert torch.equal(one._pooled(teacher, single).exp() - 1e-3, patch.add(1e-3).log().exp() - 1e-3)
        assert two._pooled(teacher, several).shape == (3,)


def test_adapters_join_levels_that_differ() -> None:
    adapters = adapters_between({3: 4, 4: 5, 5: 6}, {2: 9, 3: 4, 4: 7, 5: 8})
    assert sorted(adapters) == ["4", "5"]
    assert adapters["4"](torch.zeros(1, 5, 2, 2)).count_nonzero() == 0
    assert adapters["5"](torch.ones(1, 6, 2, 3)).shape == (1, 8, 2, 3)


class BrokenOffError(Exception):
    pass


@pytest.mark.parametrize("student", ["narrow.safetensors", "new.json"])
def test_student_is_trained_broken_off_and_scores(
    corpus: Path, networks: Path, tmp_path: Path, student: str
) -> None:
    teacher = networks / "rankvqa.safetensors"
    unbroken = train(teacher, networks / student, corpus, tmp_path / "a")

    def stop(line: str) -> None:
        if line.startswith("step 4"):
            raise BrokenOffError

    arguments = (
        str(teacher),
        str(networks / student),
        corpus,
        tmp_path / "b" / "run",
        tmp_path / "b" / "out",
    )
    with pytest.raises(BrokenOffError):
        distill(*arguments, "d", OPTIONS, stop)
    assert not arguments[-1].exists()
    distill(*arguments, "d", OPTIONS, lambda line: None)
    assert arguments[-1].read_bytes() == unbroken.read_bytes()
    model = registry.load(str(unbroken))  # the file holds what the architecture has: no adapter
    frames = model.clip_frames
    same, worse = model.score_clips(clip(frames, 3), [clip(frames, 3), clip(frames, 3, 30)])
    assert same.score == 100.0
    assert worse.score < 100.0
    with (tmp_path / "a" / "run" / "curve.csv").open(newline="") as file:
        row = list(csv.DictReader(file))[-1]
    assert {"maps", "patch", "pooled", "pairs", "order", "scale"} <= row.keys()


def test_training_brings_the_student_to_the_teacher(corpus: Path, networks: Path, tmp_path: Path) -> None:
    options = replace(
        OPTIONS,
        batch=replace(BATCH, groups=1),
        loop=replace(LOOP, steps=20, save_every=5, check_every=20, rate=0.02),
    )
    train(networks / "rankvqa.safetensors", networks / "narrow.safetensors", corpus, tmp_path, options)
    with (tmp_path / "run" / "curve.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    first, last = ([float(row[name]) for name in ("maps", "patch", "pooled")] for row in (rows[0], rows[-1]))
    assert last[0] < 0.8 * first[0]
    assert sum(last) < 0.8 * sum(first)


def test_weights_are_named() -> None:
    assert weights_from(["maps=2", "order=0"]) == replace(DistillWeights(), maps=2.0, order=0.0)
    for wrong in ("map=1", "maps", "maps=", "maps=-1", "maps=inf", "maps=nan", "width=0"):
        with pytest.raises(UsageError, match="--weight"):
            weights_from([wrong])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "no configuration"),
        ("[]", "no configuration"),
        ('{"architecture": "patchnet"}', "no configuration"),
        ('{"architecture": "ptm", "config": {}}', "rankvqa and patchnet can be"),
        ('{"architecture": "patchnet", "config": {"pyramid": [4, 4]}}', "configures no patchnet"),
        (
            '{"architecture": "patchnet", "config": {"pyramid": [4, 4, 4], "depth": 3}}',
            "configures no patchnet",
        ),
        ('{"architecture": "rankvqa", "config": {"network": {"widths": [4]}}}', "configures no rankvqa"),
    ],
)
def test_bad_configurations(networks: Path, tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(ModelError, match=message) as caught:
        train(networks / "rankvqa.safetensors", tmp_path / "c.json", tmp_path, tmp_path)
    assert "c.json" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bad_pairs(networks: Path, tmp_path: Path) -> None:
    teacher = networks / "rankvqa.safetensors"
    with pytest.raises(ModelError, match="same model"):
        train(teacher, teacher, tmp_path, tmp_path)
    with pytest.raises(UsageError, match=r"--frames 5: the teacher"):
        train(
            teacher,
            networks / "new.json",
            tmp_path,
            tmp_path,
            replace(OPTIONS, batch=replace(BATCH, frames=5)),
        )
