"""A batch of scored jobs: what travels between the runner, the writers, the comparison and the report.

Bitrates are kilobits (1000 bits) a second, scores 0 to 100 (higher is better).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rankvqa_cli.errors import ExitCode
from rankvqa_cli.results.report import JSON
from rankvqa_cli.types import Environment, GateResult, ModelInfo, Result


@dataclass(frozen=True)
class ScoredJob:
    """One job of a batch and what came of it.

    ``row`` is where it stands in the list of jobs (the header of a CSV is row 1; files of a folder count from 1).
    ``distorted`` and ``reference`` can be opened from where the batch ran; ``columns`` are all other cells of the row,
    as they were given. ``key`` says what was measured: a hash of the contents of both files, models and options.

    ``results`` holds one Result a model, in the batch's order, and is empty where the job failed: then ``exit_code`` is
    what scoring it alone would have exited with, and ``error`` why. ``bitrate_kbps`` is that of the distorted file's
    video stream, None where it could not be read. ``reference_decodes`` counts how often the reference was decoded to
    score the jobs that this one was scored with, without attempts that one of them ended in vain, ``plan`` is the
    comparison plan of this job alone in the JSON of ``results.report.plan_json``, ``environment`` is where it was
    scored; all three are None for a failed one.
    """

    row: int
    distorted: str
    reference: str | None
    columns: dict[str, str]
    key: str
    results: tuple[Result, ...] = ()
    bitrate_kbps: float | None = None
    reference_decodes: int | None = None
    plan: JSON = field(default=None, repr=False)
    environment: Environment | None = None
    exit_code: int = ExitCode.OK
    error: str | None = None

    @property
    def failed(self) -> bool:
        return self.exit_code != ExitCode.OK


@dataclass(frozen=True)
class Batch:
    """Everything one batch says, jobs in the order of their list. ``source`` is that list: a file or a folder."""

    tool_version: str
    argv: tuple[str, ...]
    source: str
    pool: str
    models: tuple[ModelInfo, ...]
    jobs: tuple[ScoredJob, ...]
    gates: tuple[GateResult, ...] = ()

    @property
    def results(self) -> tuple[Result, ...]:
        """Those of all jobs, in their order."""
        return tuple(result for job in self.jobs for result in job.results)

    @property
    def environment(self) -> Environment | None:
        """That of the first job that was scored, None where none was."""
        return next((job.environment for job in self.jobs if job.environment is not None), None)

    @property
    def exit_code(self) -> int:
        """0 where every job was scored, else the highest exit code of a job that was not."""
        return max((job.exit_code for job in self.jobs), default=int(ExitCode.OK))
