"""The loop with a toy task: killed and resumed, split over processes, in bf16, and its files when they are damaged."""

from __future__ import annotations

import csv
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from rankvqa_cli.errors import ModelError, OutputError
from rankvqa_cli.training.loop import CHECKPOINT_NAME, fit

from .toy import OPTIONS, ToyTask

TOY = [str(Path(__file__).with_name("toy.py"))]
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def quiet(line: str) -> None:
    pass


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "curve.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def run(*argv: str) -> int:
    done = subprocess.run([sys.executable, *argv], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode in (0, -9), done.stderr
    return done.returncode


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a training that nothing disturbed."""
    folder = tmp_path_factory.mktemp("unbroken")
    torch.save(fit(ToyTask(), OPTIONS, folder, quiet), folder / "average-0.pt")
    return folder


def test_a_group_with_a_share_of_the_rate_moves_as_much_less(tmp_path: Path) -> None:
    """The first step of Adam is as long as the rate, whatever the gradient."""
    task = ToyTask()
    fast, slow = task.module[0].weight, task.module[3].weight
    before = fast.detach().clone(), slow.detach().clone()
    groups = [{"params": [fast, task.module[0].bias]}, {"params": [slow], "share": 0.1}]
    one = replace(OPTIONS, steps=1, warmup=1, weight_decay=0.0)
    fit(task, one, tmp_path, quiet, optimiser=lambda: torch.optim.AdamW(groups, lr=1.0, weight_decay=0.0))
    moved, less = ((now - then).abs().median() for now, then in zip((fast, slow), before, strict=True))
    assert float(moved.detach()) == pytest.approx(one.rate, rel=0.01)
    assert float(less.detach()) == pytest.approx(0.1 * one.rate, rel=0.01)


# Between two checkpoints, and right after one with a validation.
@pytest.mark.parametrize("kill_at", [5, 8])
def test_killed_and_started_again_is_the_same_to_the_bit(
    tmp_path: Path, unbroken: Path, kill_at: int
) -> None:
    assert run(*TOY, str(tmp_path), "1", str(kill_at)) == -9
    assert int(rows(tmp_path)[-1]["step"]) == kill_at // 2 * 2
    assert run(*TOY, str(tmp_path), "1", "-1") == 0
    there, here = (torch.load(f / "average-0.pt", weights_only=True) for f in (unbroken, tmp_path))
    assert same(there, here)
    for name in ("curve.csv", "curve.png"):
        assert (tmp_path / name).read_bytes() == (unbroken / name).read_bytes()


def test_curve_follows_the_checkpoint(tmp_path: Path, unbroken: Path) -> None:
    """Whatever lies in the curve's file: after a resume it says what the checkpoint knows, each step once."""
    data = (unbroken / CHECKPOINT_NAME).read_bytes()
    (tmp_path / CHECKPOINT_NAME).write_bytes(data)
    text = (unbroken / "curve.csv").read_text()
    (tmp_path / "curve.csv").write_text(text + text.splitlines()[-1] + "\n")
    fit(ToyTask(), OPTIONS, tmp_path, quiet)
    assert (tmp_path / "curve.csv").read_text() == text
    assert [int(row["step"]) for row in rows(tmp_path)] == [2, 4, 6, 8, 10, 12]
    assert [bool(row["at_one"]) for row in rows(tmp_path)] == [False, True] * 3


def test_two_processes_train_what_one_does_with_accumulation(tmp_path: Path) -> None:
    accumulated = replace(OPTIONS, accumulate=4)
    alone = fit(ToyTask(), accumulated, tmp_path / "alone", quiet)
    assert run(*TORCHRUN, *TOY, str(tmp_path / "together"), "2", "-1") == 0
    first, second = (
        torch.load(tmp_path / "together" / f"average-{rank}.pt", weights_only=True) for rank in (0, 1)
    )
    assert same(first, second)
    for name, value in alone.items():
        torch.testing.assert_close(first[name], value, rtol=1e-5, atol=1e-5)
    for one, two in zip(rows(tmp_path / "alone"), rows(tmp_path / "together"), strict=True):
        assert {k: float(v) for k, v in one.items() if v} == pytest.approx(
            {k: float(v) for k, v in two.items() if v}, abs=1e-5
        )
    # A run may be taken up by another number of processes, as long as a step stays the same.
    assert same(fit(ToyTask(), accumulated, tmp_path / "together", quiet), first)


def test_accumulation_applies_the_mean_gradient(tmp_path: Path) -> None:
    """One step of plain arithmetic: Adam's first update is the rate along the sign of the mean gradient."""
    options = replace(OPTIONS, steps=1, warmup=0, accumulate=3, weight_decay=0.0, clip=1e9, average=0.0)
    start, after = ToyTask(), ToyTask()
    start.module.eval()
    after.module[2] = torch.nn.Identity()
    fit(after, options, tmp_path, quiet)
    assert after.seen == [0, 1, 2]
    torch.stack([sum(start.losses(i).values(), torch.zeros(())) for i in range(3)]).mean().backward()  # type: ignore[no-untyped-call]
    for mine, theirs in zip(start.module.parameters(), after.module.parameters(), strict=True):
        if mine.grad is None:
            assert torch.equal(mine, theirs)
        else:
            torch.testing.assert_close(theirs, mine - options.rate * mine.grad.sign(), rtol=1e-4, atol=1e-5)


def test_frozen_parameters_and_whole_numbers_stay(tmp_path: Path) -> None:
    before = ToyTask().module.state_dict()
    average = fit(ToyTask(), OPTIONS, tmp_path, quiet)
    assert torch.equal(average["index"], before["index"])
    assert torch.equal(average["1.weight"], before["1.weight"])
    assert not torch.equal(average["0.weight"], before["0.weight"])


def test_bf16_is_for_the_losses_alone(tmp_path: Path) -> None:
    task = ToyTask()
    average = fit(task, replace(OPTIONS, precision="bf16"), tmp_path, quiet)
    assert task.dtypes == {torch.bfloat16}
    assert {value.dtype for value in average.values()} == {torch.float32, torch.int64}
    assert {p.dtype for p in task.module.parameters()} == {torch.float32}
    plain = ToyTask()
    fit(plain, OPTIONS, tmp_path / "fp32", quiet)
    assert plain.dtypes == {torch.float32}


def test_loss_that_is_not_finite(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"not finite at step 3; .* --rate") as caught:
        fit(ToyTask(poison_at=3), OPTIONS, tmp_path, quiet)
    assert str(tmp_path) in str(caught.value)
    kept = torch.load(tmp_path / CHECKPOINT_NAME, weights_only=True)
    assert all(bool(value.isfinite().all()) for value in kept["model"].values())


def test_curve_is_a_picture(unbroken: Path) -> None:
    import matplotlib.image

    picture = matplotlib.image.imread(unbroken / "curve.png")
    assert picture.shape[0] > 200
    assert picture.shape[1] > 400
    assert picture[..., :3].min() < 0.5 < picture[..., :3].max()  # lines on paper


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.9, 0.999])
def test_truncated_checkpoint(tmp_path: Path, unbroken: Path, share: float) -> None:
    data = (unbroken / CHECKPOINT_NAME).read_bytes()
    (tmp_path / CHECKPOINT_NAME).write_bytes(data[: int(len(data) * share)])
    refused(tmp_path, ToyTask(), "no checkpoint of this model")


def test_checkpoint_of_another_model(tmp_path: Path, unbroken: Path) -> None:
    (tmp_path / CHECKPOINT_NAME).write_bytes((unbroken / CHECKPOINT_NAME).read_bytes())
    refused(tmp_path, ToyTask(width=9), "no checkpoint of this model")


@pytest.mark.parametrize("content", [[1, 2], {"model": {}}, {"identity": 3}])
def test_checkpoint_of_something_else(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / CHECKPOINT_NAME)
    refused(tmp_path, ToyTask(), "no checkpoint of this model")


def test_checkpoint_of_other_options(tmp_path: Path, unbroken: Path) -> None:
    (tmp_path / CHECKPOINT_NAME).write_bytes((unbroken / CHECKPOINT_NAME).read_bytes())
    with pytest.raises(ModelError, match=r"other options \(rate: 0.02, now 0.01\)"):
        fit(ToyTask(), replace(OPTIONS, rate=0.01), tmp_path, quiet)
    with pytest.raises(ModelError, match=r"other options \(patch: None, now 64\)"):
        fit(ToyTask(), OPTIONS, tmp_path, quiet, {"patch": 64})


def refused(folder: Path, task: ToyTask, why: str) -> None:
    with pytest.raises(ModelError, match=why) as caught:
        fit(task, OPTIONS, folder, quiet)
    assert str(folder / CHECKPOINT_NAME) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert task.seen == []


def test_run_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file/run"):
        fit(ToyTask(), OPTIONS, tmp_path / "file" / "run", quiet)


def test_what_a_killed_write_left_is_cleared(tmp_path: Path) -> None:
    left = tmp_path / f".{CHECKPOINT_NAME}.123.tmp"
    left.write_bytes(b"half")
    fit(ToyTask(), OPTIONS, tmp_path, quiet)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint.pt", "curve.csv", "curve.png"]
