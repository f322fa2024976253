"""Models on another device than the CPU: nothing of two devices is mixed, nothing is waited for too early, and what a
device says is what the CPU says. The last needs one."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import made
import pytest
import torch
from torch import Tensor
from torch.utils import backend_registration

from rankvqa_cli.errors import DeviceError
from rankvqa_cli.models.compute import Compute
from rankvqa_cli.models.contract import Adapting, Calibration, Clip, OverlappingAlone
from rankvqa_cli.models.patchnet import TINY, Features, PatchNet, Stem
from rankvqa_cli.models.patchnet_model import PatchNetModel
from rankvqa_cli.models.registry import load
from rankvqa_cli.models.store import ModelFile
from rankvqa_cli.scoring.device import computing
from rankvqa_cli.scoring.uploads import uploads_to

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


def tiny_model() -> PatchNetModel:
    torch.manual_seed(0)
    header = ModelFile("tiny", "full-reference", "patchnet", {}, Calibration(0.05, 1.0), 5, "random")
    return PatchNetModel(header, PatchNet(TINY), "0" * 64)


def clips(frames: int, seeds: int = 3) -> list[Clip]:
    return [made.clip(40, 72, frames=frames, seed=seed) for seed in range(seeds)]


def moved(clip: Clip, device: torch.device) -> Clip:
    planes = {
        name: value.to(device) for name in ("luma", "cb", "cr") if (value := getattr(clip, name)) is not None
    }
    return replace(clip, **planes)


@pytest.mark.skipif(
    not hasattr(backend_registration, "_setup_privateuseone_for_python_backend"),
    reason="this PyTorch knows no devices that are made up",
)
def test_no_model_mixes_two_devices() -> None:
    command = [
        sys.executable,
        str(Path(__file__).with_name("far_device.py")),
        "rankvqa-mini",
        "rankvqa",
        "ptm",
    ]
    run = subprocess.run(command, capture_output=True, text=True)
    lines = run.stdout.splitlines()
    assert run.returncode == 0, run.stderr[-2000:]
    assert [line for line in lines if line.startswith("rankvqa-mini")] == [
        f"rankvqa-mini torch.{kind} {depth} far:0 (2,)"
        for kind in ("float32", "bfloat16")
        for depth in (8, 10)
    ]
    assert len(lines) == 12


def test_a_device_is_given_work_and_not_waited_for() -> None:
    """Tensors on ``meta`` have no values: whoever read one while a clip is begun would be told so."""
    model, nowhere = tiny_model(), torch.device("meta")
    with computing(Compute(torch.device("cpu"), torch.float32, 1)):
        assert model.begin_clips(*_split(clips(5))) is None, (
            "the only thread has begun what it would wait for"
        )
    model.to(nowhere, torch.float32)
    wait = model.begin_clips(*_split([moved(clip, nowhere) for clip in clips(5)]))
    assert wait is not None
    with pytest.raises((RuntimeError, NotImplementedError), match="meta"):
        wait()


def test_moments_are_judged_beside_each_other() -> None:
    model, seen = load("ptm"), [[clip] for clip in clips(1)]
    assert isinstance(model, OverlappingAlone)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        assert model.begin_alone(seen[0]) is None, "nothing is beside the only thread"
        expected = [model.score_clips(each)[0].score for each in seen]
        torch.set_num_threads(2)
        waits = [model.begin_alone(each) for each in seen]
        found = [wait()[0].score for wait in waits if wait is not None]
        assert found == pytest.approx(expected, abs=1e-3)
        assert len(set(found)) == 3
        assert model.score_clips(seen[0])[0].score == pytest.approx(expected[0], abs=1e-3)
    finally:
        torch.set_num_threads(before)


def test_fewer_frames_at_a_time_where_memory_runs_out(monkeypatch: pytest.MonkeyPatch) -> None:
    model, seen = tiny_model(), clips(5)
    assert isinstance(model, Adapting)
    with computing(Compute(torch.device("cpu"), torch.float32, 1)):
        expected = [output.distance for output in model.score_clips(*_split(seen))]
        limit(monkeypatch, 2)
        found = [output.distance for output in model.score_clips(*_split(seen))]
        assert found == pytest.approx(expected, rel=1e-5)
        assert model.adapted() == (
            "cpu ran out of memory: tiny takes 3 frames at a time instead of 5, which is slower",
            "cpu ran out of memory: tiny takes 2 frames at a time instead of 3, which is slower",
        )
        assert model.adapted() == ()
        model.score_clips(*_split(seen))
        assert model.adapted() == (), "what was too much once is tried again"
        limit(monkeypatch, 0)
    with (
        pytest.raises(DeviceError, match="out of memory"),
        computing(Compute(torch.device("cpu"), torch.float32, 1)),
    ):
        model.score_clips(*_split(seen))


def limit(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """Memory for so many frames at a time."""
    features = PatchNet.features

    def limited(self: PatchNet, luma: Tensor, chroma: Tensor, stem: Stem | None = None) -> Features:
        if len(luma) > most:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
        return features(self, luma, chroma, stem)

    monkeypatch.setattr(PatchNet, "features", limited)


def test_products_are_whole_while_cuda_scores() -> None:
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = True
    try:
        with computing(Compute(torch.device("cuda"), torch.float32, 1)):
            assert not torch.backends.cudnn.allow_tf32
        assert torch.backends.cudnn.allow_tf32
    finally:
        torch.backends.cudnn.allow_tf32 = before


@pytest.mark.cuda
@needs_cuda
@pytest.mark.parametrize("name", ["rankvqa-mini", "rankvqa"])
@pytest.mark.parametrize(("depth", "chroma"), [(8, (2, 2)), (10, (2, 1)), (8, None)])
def test_cuda_scores_as_the_cpu(name: str, depth: int, chroma: tuple[int, int] | None) -> None:
    device, model = torch.device("cuda", 0), load(name)
    one = made.clip(270, 480, frames=model.clip_frames, bit_depth=depth, chroma=chroma)
    others = [one, made.worse(one, 4 << (depth - 8)), made.worse(one, 20 << (depth - 8))]
    with computing(Compute(torch.device("cpu"), torch.float32, 2)):
        expected = [output.score for output in model.score_clips(one, others)]
    for dtype, tolerance in ((torch.float32, 0.1), (torch.bfloat16, 0.3)):
        with computing(Compute(device, dtype, 2)):
            model.to(device, dtype)
            there = [moved(clip, device) for clip in (one, *others)]
            found = [output.score for output in model.score_clips(*_split(there))]
        assert found == pytest.approx(expected, abs=tolerance)
        assert found[0] == 100.0


@pytest.mark.cuda
@needs_cuda
def test_cuda_judges_without_a_reference_as_the_cpu() -> None:
    device, model = torch.device("cuda", 0), load("ptm")
    one = made.clip(540, 960, frames=model.clip_frames)
    expected = model.score_clips([one])[0].score
    found = model.to(device, torch.float32).score_clips([moved(one, device)])[0].score
    assert found == pytest.approx(expected, abs=0.1)


@pytest.mark.cuda
@needs_cuda
def test_clips_in_flight_keep_to_themselves() -> None:
    """Uploaded beside each other's work from buffers that are used again, they score as one after the other."""
    device, model = torch.device("cuda", 0), load("rankvqa-mini")
    assert isinstance(model, PatchNetModel)
    with computing(Compute(device, torch.float32, 2)):
        model.to(device, torch.float32)
        uploads = uploads_to(device)
        seen = [made.clip(540, 960, frames=model.clip_frames, seed=seed) for seed in range(6)]
        alone = [model.score_clips(moved(a, device), [moved(b, device)])[0].score for a, b in pairwise(seen)]
        size = seen[0].luma[0].numel()
        buffers = [torch.from_numpy(uploads.allocate(model.clip_frames, size)) for _ in range(4)]
        found: list[float] = []
        last = None
        for number, (a, b) in enumerate(pairwise(seen)):
            there = []
            for side, clip in enumerate((a, b)):
                buffer = buffers[2 * (number % 2) + side]
                buffer.copy_(clip.luma.view(len(clip.luma), -1))
                luma = uploads.upload(buffer).view(clip.luma.shape)
                there.append(replace(moved(clip, device), luma=luma))
            wait = model.begin_clips(there[0], there[1:])
            assert wait is not None
            if last is not None:
                found.append(last()[0].score)
            last = wait
        assert last is not None
        found.append(last()[0].score)
    assert found == alone


@pytest.mark.cuda
@needs_cuda
def test_cuda_memory_that_runs_out_is_met_with_fewer_frames() -> None:
    device, model = torch.device("cuda", 0), load("rankvqa-mini")
    assert isinstance(model, PatchNetModel)
    one = moved(made.clip(1080, 1920, frames=model.clip_frames), device)
    with computing(Compute(device, torch.float32, 2)):
        model.to(device, torch.float32)
        expected = model.score_clips(one, [one])[0].score
        held = torch.cuda.memory_reserved(device) // 3
        torch.cuda.empty_cache()
        total = torch.cuda.get_device_properties(device).total_memory
        torch.cuda.set_per_process_memory_fraction(held / total, device)
        try:
            assert model.score_clips(one, [one])[0].score == expected
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0, device)
    assert "frames at a time" in " ".join(model.adapted())


def _split(several: list[Clip]) -> tuple[Clip, list[Clip]]:
    return several[0], several[1:]
