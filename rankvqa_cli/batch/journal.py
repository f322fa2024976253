"""What a batch has finished so far, on disk as NDJSON: a line a job, there as soon as the job is done."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterable
from types import TracebackType

from rankvqa_cli.errors import ExitCode, OutputError
from rankvqa_cli.results.batch import ScoredJob
from rankvqa_cli.results.batch_files import job_line
from rankvqa_cli.results.files import reason
from rankvqa_cli.results.reading import job_from_json

#: Failures that lie in the files, the models or the options: the same again would fail again.
_LASTING = (ExitCode.USAGE, ExitCode.INPUT, ExitCode.DAMAGED, ExitCode.MODEL)
#: How every line begins: what a killed run left of its first line does so too.
_LINE_START = b'{"schema_version": '


class Journal:
    """The NDJSON file ``path``, to be entered with ``with``: jobs that earlier runs finished, and those of this one.

    ``finished`` maps a job's key to the job; failures that another try could mend are not in it. A line that a killed
    run left unfinished is cut off. Raises OutputError where the file cannot be written, holds something else, or is
    being written by another run.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.finished: dict[str, ScoredJob] = {}
        self._descriptor = -1

    def __enter__(self) -> Journal:
        try:
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._read()
        except BlockingIOError as error:
            self._close()
            raise OutputError(
                f"another run is writing {self.path!r}: wait for it, or write elsewhere with -o"
            ) from error
        except OSError as error:
            self._close()
            raise OutputError(
                f"cannot write {self.path!r}: {reason(error)}; write elsewhere with -o"
            ) from error
        except OutputError:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def add(self, jobs: Iterable[ScoredJob]) -> tuple[ScoredJob, ...]:
        """Write ``jobs`` down, all in one piece; they are on disk when this returns. Raises OutputError.

        Returns them as they were written, rounded: what is made of them is the same as after a resumption.
        """
        lines = [job_line(job) for job in jobs]
        data = "".join(lines).encode()
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
            os.fsync(self._descriptor)
        except OSError as error:
            raise OutputError(
                f"cannot write {self.path!r}: {reason(error)}; free some space and run again"
            ) from error
        return tuple(job_from_json(json.loads(line)) for line in lines)

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _read(self) -> None:
        with open(self._descriptor, "rb", closefd=False) as file:
            data = file.read()
        whole = data.rfind(b"\n") + 1
        lines = data[:whole].splitlines()
        for line in lines:
            with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError, RecursionError):
                job = job_from_json(json.loads(line))
                self.finished[job.key] = job
        if not self.finished and (lines or not data.startswith(_LINE_START[: len(data)])):
            raise OutputError(f"{self.path!r} is not what a batch has written: write elsewhere with -o")
        self.finished = {key: job for key, job in self.finished.items() if _lasts(job)}
        os.ftruncate(self._descriptor, whole)


def _lasts(job: ScoredJob) -> bool:
    return bool(job.key) and (not job.failed or job.exit_code in _LASTING)
