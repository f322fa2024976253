"""Files that name other files get none of them opened, whatever their own name says they are."""

from __future__ import annotations

import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import MakeClip

from rankvqa_cli.errors import InputError
from rankvqa_cli.media.reader import reader_argv

from .reading import DEFAULTS, alone, look, read_all


@pytest.fixture
def requests() -> Iterator[tuple[str, list[str]]]:
    """(address, paths asked for) of a web server."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", asked
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("name", ["list.m3u8", "list.mp4"])
def test_playlists_are_refused(
    tmp_path: Path, make_clip: MakeClip, requests: tuple[str, list[str]], name: str
) -> None:
    address, asked = requests
    make_clip("secret.ts")
    path = tmp_path / name
    for target in (f"{address}/secret.ts", "secret.ts", f"file:{tmp_path}/secret.ts"):
        head = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXTINF:2.0,\n"
        path.write_text(f"{head}{target}\n#EXT-X-ENDLIST\n")
        with pytest.raises(InputError):
            look(path)
    assert asked == []


@pytest.mark.parametrize("name", ["list.ffconcat", "list.mp4", "list.txt"])
def test_concat_scripts_are_refused(tmp_path: Path, make_clip: MakeClip, name: str) -> None:
    make_clip("secret.mp4")
    (tmp_path / name).write_text("ffconcat version 1.0\nfile secret.mp4\n")
    with pytest.raises(InputError):
        look(tmp_path / name)


def test_addresses_are_taken_for_file_names(requests: tuple[str, list[str]]) -> None:
    address, asked = requests
    for name in (f"{address}/x.mp4", "concat:/etc/passwd", "lavfi:testsrc", "pipe:0", "/dev/zero"):
        with pytest.raises(InputError):
            look(name)
    assert asked == []


def test_the_decoder_is_told_the_demuxer_and_the_protocols(make_clip: MakeClip) -> None:
    argv = reader_argv(alone(look(make_clip("x.mkv"))), DEFAULTS)
    before = argv[: argv.index("-i")]
    assert before[before.index("-f") + 1] == "matroska"
    assert before[before.index("-protocol_whitelist") + 1] == "file,pipe"


def test_a_name_may_hold_bytes_that_are_no_text(make_clip: MakeClip) -> None:
    clip = make_clip("x.mkv", "-c:v", "ffv1", frames=3)
    odd = clip.with_name(os.fsdecode(b"caf\xe9.mkv"))
    clip.rename(odd)
    assert len(read_all(alone(look(odd))).frames) == 3
