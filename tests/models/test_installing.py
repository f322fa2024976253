"""Pulling from a server on this machine, and importing from files: whole and checked, or not at all."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from made_ensemble import make_ensemble
from made_onnx import small_network

from rankvqa_cli.errors import ModelError, UsageError
from rankvqa_cli.models import download, members, registry
from rankvqa_cli.models.installing import import_file, pull
from rankvqa_cli.models.manifest import NETWORKS, home_folder, manifest


class Server:
    """Serves ``files``; breaks off after ``break_after`` bytes, once; knows no ranges where ``ranges`` is False."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[tuple[str, str | None]] = []
        self.break_after: int | None = None
        self.ranges = True
        self.moved: dict[str, str] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        name, given = request.path.lstrip("/"), request.headers.get("Range")
        self.asked.append((name, given))
        if name in self.moved:
            request.send_response(302)
            request.send_header("Location", self.moved[name])
            request.end_headers()
            return
        if name not in self.files:
            request.send_error(404)
            return
        data = self.files[name]
        first = int(given.removeprefix("bytes=").rstrip("-")) if given and self.ranges else 0
        if first and first >= len(data):
            request.send_error(416)
            return
        request.send_response(206 if first else 200)
        if first:
            request.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
        request.send_header("Content-Length", str(len(data) - first))
        request.end_headers()
        rest = data[first:]
        if self.break_after is not None and name != "manifest.json":
            rest, self.break_after = rest[: self.break_after], None
            request.close_connection = True
        request.wfile.write(rest)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VQA_SCORE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("http_proxy", raising=False)
    return tmp_path / "home"


def listed(server: Server, name: str, data: bytes, **more: object) -> str:
    """Offer a network called ``name`` in a list; returns the list's address."""
    server.files[f"{name}.onnx"] = data
    entry = {"name": name, "file": f"{name}.onnx", "sha256": hashlib.sha256(data).hexdigest(), **more}
    server.files["manifest.json"] = json.dumps({"about": "a pool", "models": [entry]}).encode()
    return f"{server.address}/manifest.json"


def test_a_network_of_anybodys_list_is_pulled_checked_and_listed(server: Server) -> None:
    address = listed(server, "net", small_network(1), licence="MIT", pretext_task="shapes")
    entry = pull("net", address)
    assert entry.path == home_folder() / NETWORKS / "net.onnx"
    assert entry.path.read_bytes() == small_network(1)
    found = {each.name: each for each in manifest()}["net"]
    assert (found.kind, found.licence, found.url) == ("network", "MIT", f"{server.address}/net.onnx")
    assert members.checked("net") == entry.sha256
    entry.path.unlink()
    with pytest.raises(ModelError, match="vqa-score models pull net"):
        members.checked("net")
    assert pull("net").path.is_file()  # where it came from is remembered


def test_what_was_broken_off_goes_on_where_it_was(server: Server) -> None:
    data = small_network(1)
    address = listed(server, "net", data)
    server.break_after = 100
    with pytest.raises(ModelError, match=r"100 of \d+ bytes: run the command again"):
        pull("net", address)
    folder = home_folder() / NETWORKS
    assert [path.stat().st_size for path in folder.iterdir()] == [100]
    assert "net" not in {entry.name for entry in manifest()}
    assert pull("net", address).path.read_bytes() == data
    assert server.asked[-1] == ("net.onnx", "bytes=100-")
    assert sorted(path.name for path in folder.iterdir()) == ["manifest.json", "net.onnx"]


def test_a_server_without_ranges_is_asked_for_all(server: Server) -> None:
    data = small_network(1)
    address = listed(server, "net", data)
    server.break_after = 100
    with pytest.raises(ModelError, match="broke off"):
        pull("net", address)
    server.ranges = False
    assert pull("net", address).path.read_bytes() == data


def test_all_of_a_file_may_be_there_before_the_break(server: Server) -> None:
    data = small_network(1)
    address = listed(server, "net", data)
    sha256 = hashlib.sha256(data).hexdigest()
    folder = home_folder() / NETWORKS
    folder.mkdir(parents=True)
    (folder / f".net.onnx.{sha256[:16]}.part").write_bytes(data)
    assert pull("net", address).path.read_bytes() == data


def test_another_file_than_the_list_names_is_not_kept(server: Server) -> None:
    address = listed(server, "net", small_network(1))
    server.files["net.onnx"] = small_network(2)
    with pytest.raises(ModelError, match="is not the file that the list names"):
        pull("net", address)
    assert list((home_folder() / NETWORKS).iterdir()) == []


@pytest.mark.parametrize("data", [b"\x80\x04\x95 a pickle", b"PK\x03\x04 a zip", b"", b"text"])
def test_what_is_no_network_is_refused_and_removed(server: Server, data: bytes) -> None:
    address = listed(server, "net", data)
    with pytest.raises(ModelError):
        pull("net", address)
    assert list((home_folder() / NETWORKS).iterdir()) == []
    assert "net" not in {entry.name for entry in manifest()}


@pytest.mark.parametrize("file", ["net.pth", "net.pt", "net.bin", "net.pkl"])
def test_other_kinds_of_file_are_not_even_fetched(server: Server, file: str) -> None:
    address = listed(server, "net", b"x", file=file)
    with pytest.raises(UsageError, match="never as pickles"):
        pull("net", address)
    assert [name for name, _ in server.asked] == ["manifest.json"]


@pytest.mark.parametrize("file", ["../net.onnx", "/net.onnx", "a/net.onnx"])
def test_a_list_cannot_write_elsewhere(server: Server, file: str) -> None:
    with pytest.raises(ModelError, match="points out of the folder"):
        pull("net", listed(server, "net", small_network(1), file=file))


def test_only_safe_addresses_are_asked(server: Server) -> None:
    for address in ("http://example.org/manifest.json", "ftp://example.org/m.json", "file:///etc/passwd"):
        with pytest.raises(UsageError, match="is not fetched"):
            download.require_safe(address)
    address = listed(server, "net", small_network(1))
    server.moved["net.onnx"] = "http://example.org/net.onnx"
    with pytest.raises(UsageError, match="is not fetched"):
        pull("net", address)
    server.moved["net.onnx"] = "file:///etc/passwd"
    with pytest.raises(ModelError, match="is not allowed"):
        pull("net", address)


def test_faults_of_lists_are_one_line(server: Server, tmp_path: Path) -> None:
    address = listed(server, "net", small_network(1))
    with pytest.raises(UsageError, match="has no 'met': it has net"):
        pull("met", address)
    with pytest.raises(UsageError, match="--from"):
        pull("net")
    with pytest.raises(ModelError, match="404"):
        pull("net", f"{server.address}/nothing.json")
    server.files["manifest.json"] = b"[]"
    with pytest.raises(ModelError, match="no list of models"):
        pull("net", address)
    with pytest.raises(ModelError, match="cannot read the list"):
        pull("net", str(tmp_path / "none.json"))


def test_an_ensemble_comes_with_all_of_its_files(server: Server, tmp_path: Path) -> None:
    folder = tmp_path / "made"
    folder.mkdir()
    path = make_ensemble(folder)
    for each in folder.iterdir():
        server.files[each.name] = each.read_bytes()
    item = {
        "name": "small",
        "file": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "kind": "no-reference",
        "architecture": "ptm",
        "clip_frames": 1,
    }
    server.files["manifest.json"] = json.dumps({"models": [item]}).encode()
    lost = server.files.pop("two.onnx")
    with pytest.raises(ModelError, match="404"):
        pull("small", f"{server.address}/manifest.json")
    assert "small" not in registry.available()
    server.files["two.onnx"] = lost
    entry = pull("small", f"{server.address}/manifest.json")
    assert registry.load("small").info.weights_sha256 == entry.sha256
    assert [name for name, _ in server.asked].count("one.onnx") == 1  # it was there already


def test_import_takes_networks_and_ensembles_with_their_files(tmp_path: Path, tiny_model: Path) -> None:
    folder = tmp_path / "made"
    folder.mkdir()
    path = make_ensemble(folder)
    assert import_file(path, "mine", licence="MIT").path == home_folder() / "mine.json"
    assert registry.load("mine").info.kind == "no-reference"
    network = import_file(folder / "one.onnx")
    assert (network.kind, network.path.parent.name) == ("network", NETWORKS)
    with pytest.raises(ModelError, match="scores nothing by itself"):
        registry.load("one")
    with pytest.raises(ModelError, match="scores nothing by itself"):
        registry.load("expert-motion")
    assert import_file(tiny_model, "again").kind == "full-reference"
    registry.load("again")
    with pytest.raises(UsageError, match="there is a model called 'mine'"):
        import_file(path, "mine")
    with pytest.raises(UsageError, match="a shipped model is called 'rankvqa-mini'"):
        import_file(tiny_model, "rankvqa-mini")


@pytest.mark.parametrize("fault", ["missing", "changed", "headless", "dimension"])
def test_an_ensemble_that_could_not_score_leaves_nothing_behind(tmp_path: Path, fault: str) -> None:
    folder = tmp_path / "made"
    folder.mkdir()
    path = make_ensemble(folder)
    said = json.loads(path.read_text())
    if fault == "missing":
        (folder / "two.onnx").unlink()
    elif fault == "changed":
        (folder / "two.onnx").write_bytes(small_network(9))
    elif fault == "headless":
        said["head"] = None
    else:
        said["members"][0]["dimension"] += 1
    path.write_text(json.dumps(said))
    expected = {
        "missing": r"member 'two'.*does not exist",
        "changed": r"member 'two'.*is not the file that the ensemble was made with",
        "headless": "no head yet",
        "dimension": "do not belong together",
    }
    with pytest.raises(ModelError, match=expected[fault]):
        import_file(path, "mine")
    assert not home_folder().exists()
    import_file(make_ensemble(folder), "mine")
    registry.load("mine")


def test_a_file_in_the_way_is_named_before_anything_is_copied(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    folder.mkdir()
    path = make_ensemble(folder)
    home_folder().mkdir()
    (home_folder() / "two.onnx").write_bytes(b"mine")
    with pytest.raises(UsageError, match=r"two\.onnx' is another file: overwrite it with -y"):
        import_file(path, "mine")
    assert [each.name for each in home_folder().iterdir()] == ["two.onnx"]
    import_file(path, "mine", overwrite=True)
    registry.load("mine")


def test_a_pulled_ensemble_that_could_not_score_goes_again(server: Server, tmp_path: Path) -> None:
    folder = tmp_path / "made"
    folder.mkdir()
    path = make_ensemble(folder)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"head": None}))
    for each in folder.iterdir():
        server.files[each.name] = each.read_bytes()
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    item = {"name": "small", "file": path.name, "sha256": sha256, "kind": "no-reference"}
    item |= {"architecture": "ptm", "clip_frames": 1}
    server.files["manifest.json"] = json.dumps({"models": [item]}).encode()
    with pytest.raises(ModelError, match="no head yet"):
        pull("small", f"{server.address}/manifest.json")
    assert list(home_folder().iterdir()) == []


def test_what_an_installed_ensemble_lacks_is_brought_again(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    folder.mkdir()
    path = make_ensemble(folder)
    entry = import_file(path, "mine")
    (entry.folder / "two.onnx").unlink()
    with pytest.raises(ModelError, match="does not exist"):
        registry.load("mine")
    import_file(path, "mine", overwrite=True)
    registry.load("mine")


def test_what_never_ends_is_not_read(tmp_path: Path) -> None:
    endless = tmp_path / "endless.onnx"
    endless.symlink_to("/dev/zero")
    with pytest.raises(ModelError, match="is not a file"):
        import_file(endless)
