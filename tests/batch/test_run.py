"""A batch in one process: shared decoding, failures as rows, and nothing done twice."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from rankvqa_cli.batch.joblist import read_jobs
from rankvqa_cli.batch.run import run_batch
from rankvqa_cli.batch.scoring import Task
from rankvqa_cli.batch.workers import InTurn, Work
from rankvqa_cli.errors import ExitCode, InputError, UsageError
from rankvqa_cli.results.batch import Batch, ScoredJob
from rankvqa_cli.results.batch_files import RENDERERS
from rankvqa_cli.results.report import result_json
from rankvqa_cli.scoring.options import ScoreOptions

Rows = list[dict[str, str]]
Listing = Callable[[Rows], Path]


class Counted(Work):
    """Work in this process, remembering which rows were asked for, and how many jobs were announced."""

    def __init__(self, *, tasks: int = 1000) -> None:
        self.rows: list[list[int]] = []
        self.announced: list[int] = []
        self._left = tasks

    def begin(self, options: ScoreOptions, jobs: int) -> None:
        self.announced.append(jobs)

    def __call__(self, tasks: Sequence[Task]) -> Iterator[tuple[ScoredJob, ...]]:
        for task in tasks:
            if not self._left:
                raise KeyboardInterrupt
            self._left -= 1
            self.rows.append([each.job.row for each in task.jobs])
            yield from InTurn()([task])


@pytest.fixture
def options(tiny_model: Path) -> ScoreOptions:
    return ScoreOptions(models=(str(tiny_model),), align=0, device="cpu", precision="fp32", threads=1)


def run(
    listed: Path, options: ScoreOptions, work: Counted | None = None, *, keep_going: bool = False
) -> Batch:
    journal = str(listed.parent / "scores.ndjson")
    return run_batch(read_jobs(str(listed)), options, journal, work or Counted(), keep_going=keep_going)


def test_jobs_of_one_reference_share_its_decoding_and_score_as_alone(
    rows: Rows, listing: Listing, options: ScoreOptions
) -> None:
    from rankvqa_cli.scoring.engine import score

    work = Counted()
    batch = run(listing(rows), options, work)
    assert work.rows == [[2, 3, 4, 5], [6, 7, 8, 9]]
    assert (batch.exit_code, [job.row for job in batch.jobs]) == (0, list(range(2, 10)))
    assert {job.reference_decodes for job in batch.jobs} == {1}
    for job in (batch.jobs[1], batch.jobs[6]):
        (alone,) = score(
            job.distorted,
            job.reference,
            models=options.models,
            align=0,
            device="cpu",
            precision="fp32",
            threads=1,
        ).results
        assert [result_json(job.results[0])[name] for name in ("score", "frames", "ci95", "pooled")] == [
            result_json(alone)[name] for name in ("score", "frames", "ci95", "pooled")
        ]
    assert batch.jobs[0].columns == {"codec": "x264", "crf": "30"}
    sizes = [Path(job.distorted).stat().st_size * 8 / 1000 / (14 / 25) for job in batch.jobs]
    for job, whole in zip(batch.jobs, sizes, strict=True):
        assert job.bitrate_kbps is not None
        assert 0.1 * whole < job.bitrate_kbps < whole  # the container's own bytes do not count


def test_what_was_broken_off_is_gone_on_with_and_the_csv_is_the_same(
    rows: Rows, listing: Listing, options: ScoreOptions, tmp_path: Path
) -> None:
    listed = listing(rows)
    with pytest.raises(KeyboardInterrupt):
        run(listed, options, Counted(tasks=1))
    journal = tmp_path / "scores.ndjson"
    assert len(journal.read_bytes().splitlines()) == 4
    with journal.open("ab") as file:
        file.write(b'{"schema_version": "1.0", "row": 6, "dist')  # as a kill leaves it
    work = Counted()
    resumed = run(listed, options, work)
    assert (work.rows, work.announced) == ([[6, 7, 8, 9]], [4])
    (tmp_path / "whole").mkdir()
    shutil.copy(listed, tmp_path / "whole" / "jobs.csv")
    unbroken = run(tmp_path / "whole" / "jobs.csv", options)
    assert RENDERERS["csv"](resumed) == RENDERERS["csv"](unbroken)
    assert len(journal.read_bytes().splitlines()) == 8
    again = Counted()
    assert RENDERERS["csv"](run(listed, options, again)) == RENDERERS["csv"](unbroken)
    assert again.rows == again.announced == []


def test_work_is_known_by_contents_models_and_options(
    rows: Rows, listing: Listing, options: ScoreOptions, tmp_path: Path, media: Path
) -> None:
    moved = tmp_path / "moved.mp4"
    shutil.copy(media / "one_x264_30.mp4", moved)
    first = run(listing(rows[:1]), options)
    same = [rows[0] | {"distorted": str(moved), "crf": "other"}]
    work = Counted()
    (job,) = run(listing(same), options, work).jobs
    assert work.rows == []  # the same contents under another name
    assert (job.distorted, job.columns["crf"], job.results[0].input) == (str(moved), "other", str(moved))
    assert job.key == first.jobs[0].key
    shutil.copy(media / "one_x264_42.mp4", moved)
    work = Counted()
    (changed,) = run(listing(same), options, work).jobs
    assert work.rows == [[2]]
    assert changed.key != job.key
    work = Counted()
    run(listing(same), ScoreOptions(**{**options.__dict__, "frames": 12}), work)
    assert work.rows == [[2]]
    work = Counted()
    run(listing(same), ScoreOptions(**{**options.__dict__, "clip_stride": 2}), work)
    assert work.rows == [[2]]
    work = Counted()
    run(listing(same), ScoreOptions(**{**options.__dict__, "threads": 2}), work)
    assert work.rows == []  # how fast it is scored changes no score


def test_equal_contents_are_scored_once(
    rows: Rows, listing: Listing, options: ScoreOptions, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.mp4"
    shutil.copy(rows[0]["distorted"], copy)
    work = Counted()
    batch = run(listing([rows[0], rows[0] | {"distorted": str(copy)}]), options, work)
    assert work.rows == [[2]]
    assert batch.jobs[1].results[0].score == batch.jobs[0].results[0].score
    assert batch.jobs[1].distorted == str(copy)


def test_a_job_that_fails_is_a_row_and_the_rest_goes_on(
    rows: Rows, listing: Listing, options: ScoreOptions, tmp_path: Path, ffmpeg: str, media: Path
) -> None:
    damaged = tmp_path / "damaged.ts"
    argv = [ffmpeg, "-v", "error", "-i", str(media / "one.mp4"), "-c:v", "libx264", "-g", "1", str(damaged)]
    subprocess.run(argv, check=True, timeout=60)
    data = bytearray(damaged.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 400] = bytes(400)
    damaged.write_bytes(data)
    rows[2]["distorted"] = str(damaged)
    batch = run(listing(rows), options)
    bad = batch.jobs[2]
    assert (bad.exit_code, bad.results, bad.reference_decodes) == (ExitCode.DAMAGED, (), None)
    assert bad.error is not None
    assert "damaged.ts" in bad.error
    assert batch.exit_code == ExitCode.DAMAGED
    good = [job for job in batch.jobs if job is not bad]
    assert all(job.results for job in good)
    assert {job.reference_decodes for job in good[:3]} == {1}  # as without it
    csv_rows = RENDERERS["csv"](batch).splitlines()
    assert len(csv_rows) == 9
    assert ",4," in csv_rows[3]
    work = Counted()
    assert run(listing(rows), options, work).jobs[2].exit_code == ExitCode.DAMAGED
    assert work.rows == []  # it would fail again


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("missing", r"jobs.csv' row 7: .*nowhere.mp4' cannot be read \(no such file"),
        ("text", "jobs.csv' row 7: .*text.mp4' is not a video"),
        ("short", "jobs.csv' row 7: .*has 14 frames.*8|jobs.csv' row 7: .*8.*14"),
        ("none", "jobs.csv' row 7: the model 'tiny' compares with a reference, and the job has none"),
    ],
)
def test_what_can_be_known_before_any_work_stops_it_with_its_row(
    rows: Rows,
    listing: Listing,
    options: ScoreOptions,
    tmp_path: Path,
    ffmpeg: str,
    media: Path,
    fault: str,
    message: str,
) -> None:
    if fault == "missing":
        rows[5]["distorted"] = str(tmp_path / "nowhere.mp4")
    elif fault == "text":
        (tmp_path / "text.mp4").write_text("no video")
        rows[5]["distorted"] = str(tmp_path / "text.mp4")
    elif fault == "short":
        cut = tmp_path / "cut.mp4"
        argv = [ffmpeg, "-v", "error", "-i", str(media / "two.mp4"), "-frames:v", "8", str(cut)]
        subprocess.run(argv, check=True, timeout=60)
        rows[5]["reference"] = str(cut)
    else:
        rows[5]["reference"] = ""
    listed = listing(rows)
    work = Counted()
    with pytest.raises((InputError, UsageError), match=message):
        run(listed, options, work)
    assert work.rows == []
    batch = run(listed, options, work, keep_going=True)
    assert sorted(row for task in work.rows for row in task) == [2, 3, 4, 5, 6, 8, 9]
    assert [job.row for job in batch.jobs if job.failed] == [7]
    assert batch.exit_code == batch.jobs[5].exit_code != 0


def test_a_deeper_encode_shares_the_decoding_and_changes_no_other_score(
    rows: Rows, listing: Listing, options: ScoreOptions, tmp_path: Path, ffmpeg: str, media: Path
) -> None:
    deep = tmp_path / "deep.mkv"
    argv = [
        ffmpeg,
        "-v",
        "error",
        "-i",
        str(media / "one.mp4"),
        "-pix_fmt",
        "yuv420p10le",
        "-c:v",
        "ffv1",
        str(deep),
    ]
    subprocess.run(argv, check=True, timeout=60)
    alone = run(listing(rows[:2]), options).jobs
    work = Counted()
    other = ScoreOptions(**{**options.__dict__, "sample": 0.25})  # another key: everything is scored anew
    together = run(listing([*rows[:2], rows[0] | {"distorted": str(deep)}]), other, work).jobs
    assert work.rows == [[2, 3, 4]]
    assert [job.results[0].frames for job in together[:2]] == [job.results[0].frames for job in alone]


def test_a_model_that_is_none(rows: Rows, listing: Listing) -> None:
    with pytest.raises(UsageError, match="unknown model 'nosuch'"):
        run(listing(rows), ScoreOptions(models=("nosuch",)))
