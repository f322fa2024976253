"""Stage two: STANet's weights, what is learned from opinions, and that a content left out is."""

from __future__ import annotations

import csv
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from rankvqa_cli.errors import InputError
from rankvqa_cli.models import registry
from rankvqa_cli.models.compute import choose
from rankvqa_cli.models.contract import Calibration
from rankvqa_cli.models.rankvqa import RankVQA
from rankvqa_cli.models.reserve import Readout
from rankvqa_cli.models.stanet import STANet
from rankvqa_cli.training.datasets import BatchOptions
from rankvqa_cli.training.loop import LoopOptions
from rankvqa_cli.training.observations import Observations
from rankvqa_cli.training.pooling import (
    SLOW,
    PoolingData,
    PoolingModule,
    PoolingOptions,
    optimiser_of,
    train_pooling,
)
from rankvqa_cli.training.scored import load_scored
from rankvqa_cli.training.teacher import TeacherOptions, teacher_config, train_teacher

LOOP = LoopOptions(steps=3, rate=1e-3, warmup=1, save_every=3, check_every=3, seed=3)
SMALL = PoolingOptions(stimuli=4, groups=1, places=1)


def silent(line: str) -> None:
    pass


def observations(count: int = 5, rows: int = 2, columns: int = 3, seed: int = 0) -> Observations:
    made = torch.Generator().manual_seed(seed)
    sizes = ((count, 7, rows, columns), (count, 7, rows, columns), (count, 4, rows, columns))
    return Observations(*(torch.rand(size, generator=made) for size in sizes))


def taught(stanet: STANet) -> STANet:
    """As if it had learned: a new one weighs all places alike."""
    torch.nn.init.normal_(stanet.get_parameter("conv3d_block2.2.weight"))
    return stanet


def module(stanet: bool) -> PoolingModule:
    torch.manual_seed(1)
    pooling = taught(STANet(4)) if stanet else None
    return PoolingModule(pooling, Readout((5, 2)), Calibration())


def test_weights_add_up_to_one_and_differ_between_places() -> None:
    weights = module(stanet=True).weights(observations())
    assert torch.allclose(weights.sum(dim=(1, 2)), torch.ones(5))
    assert all(len(picture.unique()) > 1 for picture in weights)
    plain = module(stanet=False).weights(observations())
    assert torch.allclose(plain, torch.full((5, 2, 3), 1 / 6))


def test_a_weight_on_the_damaged_place_raises_the_distance() -> None:
    seen = observations(1)
    hurt = replace(seen, energy=torch.zeros_like(seen.energy))
    hurt.energy[:, :, 0, 0] = 1.0
    made = module(stanet=False)
    plain = float(made(hurt).detach())
    made.weights = lambda seen: torch.tensor([[[0.5, 0.1, 0.1], [0.1, 0.1, 0.1]]])  # type: ignore[method-assign]
    assert float(made(hurt).detach()) > plain


def test_stanet_moves_at_a_tenth_of_the_rate() -> None:
    made = module(stanet=True)
    assert made.stanet is not None
    groups = optimiser_of(made, LOOP).param_groups
    share = {id(p): group.get("share", 1.0) for group in groups for p in group["params"]}
    assert {share[id(p)] for p in made.stanet.parameters()} == {SLOW}
    assert {share[id(p)] for p in made.readout.parameters()} == {1.0}
    assert len(share) == len(list(made.parameters()))
    assert len(optimiser_of(module(stanet=False), LOOP).param_groups) == 1


@pytest.fixture(scope="module")
def scored(ffmpeg: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two contents, three qualities each."""
    folder = tmp_path_factory.mktemp("scored")
    rows = []
    for content in ("testsrc2", "mandelbrot"):
        for name, blur in (("source", 0), ("fine", 0.7), ("fair", 2), ("poor", 6)):
            out = folder / f"{content}-{name}.png"
            graph = f"{content}=size=320x180" + (f",gblur=sigma={blur}" if blur else "")
            argv = [ffmpeg, "-v", "error", "-f", "lavfi", "-i", graph, "-frames:v", "1", str(out)]
            subprocess.run(argv, check=True, timeout=60)
        for name, mos in (("fine", 4.5), ("fair", 3.0), ("poor", 1.5)):
            rows.append([f"{content}-{name}.png", f"{content}-source.png", mos, content])
    with (folder / "scores.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["distorted", "reference", "mos", "content"], *rows])
    return folder / "scores.csv"


@pytest.fixture(scope="module")
def start(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("start") / "start.safetensors"
    batch = BatchOptions(groups=1, slots=4, frames=1, crop=64)
    options = TeacherOptions(model=teacher_config(tiny=True), batch=batch, loop=LOOP, fold=-1)
    train_teacher(corpus, out.with_suffix(".run"), out, "rankvqa", options, silent)
    return out


def train(corpus: Path, data: PoolingData, folder: Path) -> Path:
    out = folder / "out.safetensors"
    train_pooling(corpus, data, folder / "run", out, "rankvqa", LOOP, silent)
    return out


def test_the_file_scores_what_the_run_said_of_the_content_left_out(
    corpus: Path, scored: Path, start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From cached observations in training, and from pixels in scoring: the same scores."""
    small = load_scored(scored, tmp_path / "cache", (320, 180))
    monkeypatch.setattr("rankvqa_cli.training.pooling.load_scored", lambda path, cache: small)
    data = PoolingData(scored, start, tmp_path / "cache", "mandelbrot", fold=-1, options=SMALL)
    out = train(corpus, data, tmp_path)
    with (tmp_path / "run" / "left_out.csv").open() as file:
        said = list(csv.DictReader(file))
    assert [Path(row["distorted"]).stem for row in said] == [
        f"mandelbrot-{q}" for q in ("fine", "fair", "poor")
    ]
    compute = choose("cpu")  # as the run observed
    model = registry.load(str(out)).to(compute.device, compute.dtype)
    assert isinstance(model, RankVQA)
    assert model.stanet is not None

    from rankvqa_cli.training.planes import as_clip
    from rankvqa_cli.training.scored import planes_of

    left = small.only("mandelbrot")
    for row, reference, distorted in zip(said, left.reference_at, left.distorted_at, strict=True):
        clips = [as_clip(*planes_of(left, at)) for at in (reference, distorted)]
        score = model.score_clips(clips[0], [clips[1]])[0].score
        assert score == pytest.approx(float(row["score"]), abs=0.3)  # the file is float16


def test_the_content_left_out_has_no_say(
    corpus: Path, scored: Path, start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other opinions of the content left out, the same file."""
    small = load_scored(scored, tmp_path / "cache", (320, 180))
    stimuli = tuple(replace(s, mos=5.5 - s.mos) if s.content == "mandelbrot" else s for s in small.stimuli)
    data = PoolingData(scored, start, tmp_path / "cache", "mandelbrot", fold=-1, options=SMALL)
    files = []
    for number, each in enumerate((small, replace(small, stimuli=stimuli))):
        monkeypatch.setattr("rankvqa_cli.training.pooling.load_scored", lambda path, cache, each=each: each)
        folder = tmp_path / str(number)
        folder.mkdir()
        files.append(train(corpus, data, folder).read_bytes())
    assert files[0] == files[1]


def test_a_content_that_is_not_there_cannot_be_left_out(
    corpus: Path, scored: Path, start: Path, tmp_path: Path
) -> None:
    data = PoolingData(scored, start, tmp_path / "cache", "nobody", fold=-1, options=SMALL)
    with pytest.raises(InputError, match="nobody"):
        train(corpus, data, tmp_path)
