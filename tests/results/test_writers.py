from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_reports import report

from rankvqa_cli.errors import OutputError, UsageError
from rankvqa_cli.results import writers
from rankvqa_cli.results.writers import Target, check, existing, target, write


def left_in(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


@pytest.mark.parametrize(
    ("path", "chosen", "format"),
    [
        ("a.json", None, "json"),
        ("A.CSV", None, "csv"),
        ("d.ir/a.ndjson", None, "ndjson"),
        ("a.jsonl", None, "ndjson"),
        ("a.vmaf", None, "vmaf"),
        ("a.json", "vmaf", "vmaf"),
        ("noSuffix", "csv", "csv"),
        ("-", None, "json"),
        ("-", "csv", "csv"),
    ],
)
def test_target(path: str, chosen: str | None, format: str) -> None:
    assert target(path, chosen) == Target(path, format)


@pytest.mark.parametrize(
    ("path", "chosen"), [("a.txt", None), ("a", None), (".json", None), ("a.json", "xml")]
)
def test_target_refuses(path: str, chosen: str | None) -> None:
    with pytest.raises(UsageError, match="format"):
        target(path, chosen)


def test_written_whole_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "with space & 'quote'\n%d.json"
    write(report(), str(path), "json")
    assert json.loads(path.read_text())["results"][0]["input"] == "a.mp4"
    assert left_in(tmp_path) == [path.name]
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask


def test_existing_file_is_kept_unless_overwrite(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    path.write_text("precious")
    path.chmod(0o640)
    with pytest.raises(OutputError, match="file exists; -y overwrites it"):
        write(report(), str(path), "json")
    assert path.read_text() == "precious"
    write(report(), str(path), "json", overwrite=True)
    assert path.read_text().startswith("{")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert left_in(tmp_path) == ["out.json"]


def test_a_link_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "real.json").write_text("old")
    (tmp_path / "link.json").symlink_to("real.json")
    write(report(), str(tmp_path / "link.json"), "json", overwrite=True)
    assert (tmp_path / "link.json").is_symlink()
    assert (tmp_path / "real.json").read_text().startswith("{")


@contextlib.contextmanager
def small_files_only() -> Iterator[None]:
    """No file may grow beyond 100 bytes: what a full disk does, without one.

    Only around the one call: pytest's own output may be a file, too.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_full_disk_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    path.write_text("precious")
    with small_files_only(), pytest.raises(OutputError, match=r"cannot write .*out\.json"):
        write(report(), str(path), "json", overwrite=True)
    assert path.read_text() == "precious"
    assert left_in(tmp_path) == ["out.json"]


def test_full_device() -> None:
    with pytest.raises(OutputError, match="no space left on device; free some space"):
        write(report(), "/dev/full", "json")


def test_pipe_is_written_to_not_replaced(tmp_path: Path) -> None:
    fifo = tmp_path / "pipe.csv"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write(report(), str(fifo), "csv")
        assert os.read(reader, 5) == b"index"
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(fifo.stat().st_mode)


def test_interrupted_while_writing_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(writers.os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write(report(), str(tmp_path / "out.json"), "json")
    assert left_in(tmp_path) == []


def check_one(path: Path | str, inputs: tuple[str, ...] = (), overwrite: bool = False) -> None:
    check([target(str(path), "json")], inputs, inputs_scored=1, overwrite=overwrite)


def test_check_passes_and_leaves_nothing(tmp_path: Path) -> None:
    check_one(tmp_path / "new.json")
    check_one("/dev/null")
    check_one("-")
    assert left_in(tmp_path) == []


def test_check_finds_what_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text("precious")
    with pytest.raises(OutputError, match="no such file or directory; create its folder first"):
        check_one(tmp_path / "missing" / "out.json")
    with pytest.raises(OutputError, match="is a directory"):
        check_one(tmp_path)
    with pytest.raises(OutputError, match="file exists; -y overwrites"):
        check_one(tmp_path / "old.json")
    with pytest.raises(OutputError, match="not a directory"):
        check_one(tmp_path / "old.json" / "out.json")
    with pytest.raises(OutputError, match="shorten the name"):
        check_one(tmp_path / ("x" * 300 + ".json"), overwrite=True)
    check_one(tmp_path / "old.json", overwrite=True)
    assert (tmp_path / "old.json").read_text() == "precious"


def test_check_never_lets_an_input_be_overwritten(tmp_path: Path) -> None:
    video = tmp_path / "a.mp4"
    video.write_bytes(b"video")
    (tmp_path / "b.json").symlink_to(video)
    for path in (video, tmp_path / "b.json", tmp_path / "." / "a.mp4"):
        with pytest.raises(UsageError, match="is one of the inputs"):
            check_one(path, (str(video), "-"), overwrite=True)


def test_check_refuses_one_place_twice(tmp_path: Path) -> None:
    twice = [Target(str(tmp_path / "a.json"), "json"), Target(str(tmp_path / "." / "a.json"), "csv")]
    with pytest.raises(UsageError, match="is given twice"):
        check(twice, [], inputs_scored=1, overwrite=True)
    with pytest.raises(UsageError, match="is given twice"):
        check([Target("-", "json"), Target("-", "csv")], [], inputs_scored=1, overwrite=True)


def test_check_refuses_libvmafs_format_for_several_inputs(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds one input"):
        check([Target(str(tmp_path / "a.vmaf"), "vmaf")], [], inputs_scored=2, overwrite=False)


def test_existing(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("x")
    paths = [str(tmp_path / "a.json"), str(tmp_path / "b.json"), "-", "/dev/null"]
    assert existing(Target(path, "json") for path in paths) == (paths[0],)


def test_stdout(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    write(report(), "-", "csv")
    assert capsysbinary.readouterr().out.startswith(b"index,pts_time,tiny\n")


def test_stdout_that_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/full", "w") as full:
        monkeypatch.setattr("sys.stdout", full)
        with pytest.raises(OutputError, match="cannot write to stdout: no space left on device"):
            write(report(), "-", "csv")
        monkeypatch.undo()
        with pytest.raises(OSError):
            full.close()


def test_stdout_that_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", None)
    with pytest.raises(OutputError, match="stdout: it is closed"):
        write(report(), "-", "csv")
    with pytest.raises(OutputError, match="stdout: it is closed"):
        check_one("-")
