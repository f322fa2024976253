"""A folder that is watched: encodes are scored when they are finished, and not before."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from rankvqa_cli.batch.watch import Watch, is_being_written, watch
from rankvqa_cli.batch.workers import InTurn
from rankvqa_cli.errors import ExitCode, InputError
from rankvqa_cli.results.batch import ScoredJob
from rankvqa_cli.scoring.options import ScoreOptions


@pytest.fixture
def options(tiny_model: Path) -> ScoreOptions:
    return ScoreOptions(models=(str(tiny_model),), align=0, device="cpu", precision="fp32", threads=1)


def test_encodes_are_scored_as_they_are_finished(media: Path, tmp_path: Path, options: ScoreOptions) -> None:
    folder = tmp_path / "encodes"
    folder.mkdir()
    (folder / "x264_30.mp4").write_bytes((media / "one_x264_30.mp4").read_bytes())
    (folder / "x264_99.mp4").write_text("no video")
    (folder / "notes.txt").write_text("not called so")
    seen: list[str] = []
    slow = (media / "one_x264_42.mp4").read_bytes()
    started = threading.Event()

    def encode() -> None:
        with (folder / "x264_42.mp4").open("wb") as file:
            file.write(slow[:100])
            file.flush()
            started.wait(60)
            time.sleep(0.8)  # longer than a file has to settle: it is still being written
            file.write(slow[100:])

    encoder = threading.Thread(target=encode)
    encoder.start()

    def say(job: ScoredJob, done: int, total: int) -> None:
        seen.append(Path(job.distorted).name)
        started.set()

    watched = Watch(str(folder), "{codec}_{crf}.mp4", str(media / "one.mp4"), idle_s=2.5, settle_s=0.3)
    batch = watch(watched, options, str(tmp_path / "j.ndjson"), InTurn(), say=say)
    encoder.join()
    assert sorted(seen) == ["x264_30.mp4", "x264_42.mp4", "x264_99.mp4"]
    assert seen[-1] == "x264_42.mp4"
    assert sorted(job.row for job in batch.jobs) == [1, 2, 3]
    by_crf = {job.columns["crf"]: job for job in batch.jobs}
    assert by_crf["99"].exit_code == batch.exit_code == ExitCode.INPUT
    assert by_crf["30"].results[0].score > by_crf["42"].results[0].score
    assert by_crf["42"].columns == {"codec": "x264", "crf": "42"}


def test_it_ends_when_asked_to_and_keeps_what_it_has(
    media: Path, tmp_path: Path, options: ScoreOptions
) -> None:
    folder = tmp_path / "encodes"
    folder.mkdir()
    (folder / "a.mp4").write_bytes((media / "one_x264_30.mp4").read_bytes())

    def interrupt(job: ScoredJob, done: int, total: int) -> None:
        raise KeyboardInterrupt

    watched = Watch(str(folder), None, str(media / "one.mp4"), idle_s=None, settle_s=0.1)
    batch = watch(watched, options, str(tmp_path / "j.ndjson"), InTurn(), say=interrupt)
    assert [Path(job.distorted).name for job in batch.jobs] == ["a.mp4"]
    assert batch.exit_code == ExitCode.OK


@pytest.mark.parametrize("idle_s", [0.0, 0.2])
def test_what_is_there_is_scored_however_short_the_wait(
    media: Path, tmp_path: Path, options: ScoreOptions, idle_s: float
) -> None:
    folder = tmp_path / "encodes"
    folder.mkdir()
    (folder / "a.mp4").write_bytes((media / "one_x264_30.mp4").read_bytes())
    watched = Watch(str(folder), None, str(media / "one.mp4"), idle_s=idle_s, settle_s=0.5)
    batch = watch(watched, options, str(tmp_path / "j.ndjson"), InTurn())
    assert [Path(job.distorted).name for job in batch.jobs] == ["a.mp4"]


def test_a_folder_that_is_not_there(tmp_path: Path, options: ScoreOptions) -> None:
    with pytest.raises(InputError, match="is no folder"):
        watch(Watch(str(tmp_path / "no"), None, "r", None, 1.0), options, str(tmp_path / "j"), InTurn())


def test_is_being_written(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    if not Path("/proc/self/fdinfo").is_dir():
        pytest.skip("NOT TESTED: this system does not say who writes a file")
    with path.open("wb"):
        assert is_being_written(str(path))
    assert not is_being_written(str(path))
    with path.open("rb"):
        assert not is_being_written(str(path))
