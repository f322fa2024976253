"""One file from the network to a folder: when asked, resumed where it was broken off, checked, whole or not at all."""

from __future__ import annotations

import http.client
import ipaddress
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from rankvqa_cli.errors import ModelError, OutputError, UsageError
from rankvqa_cli.models.files import sha256_of
from rankvqa_cli.version import version

#: Seconds without a byte after which a server counts as gone.
PATIENCE = 30.0
#: No file of a model is larger; a server that sends more is cut off.
MOST_BYTES = 4 << 30
_STEP = 1 << 18


def require_safe(url: str) -> str:
    """``url`` where it may be asked: https, or http to this very machine. Raises UsageError for anything else."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        raise UsageError(f"{url!r} is no address: give https://...") from None
    if (parts.scheme == "https" and host) or (parts.scheme == "http" and _is_loopback(host)):
        return url
    raise UsageError(f"{url!r} is not fetched: only https is, and http from this machine itself")


def fetch_bytes(url: str, most: int = 1 << 22) -> bytes:
    """A small file. Raises UsageError for an address that is not asked, ModelError where it cannot be had."""
    with _opened(url, {}) as response:
        data = _read(response, most + 1, url)
    if len(data) > most:
        raise ModelError(f"{url!r} is larger than {most} bytes: that is no list of models")
    return data


def fetch(
    url: str,
    target: Path,
    sha256: str,
    advance: Callable[[int, int | None], None] = lambda *_: None,
    check: Callable[[Path], None] = lambda _: None,
) -> None:
    """Bring ``url`` to ``target``, which appears when the whole file is there and has the ``sha256`` (hex).

    What came before a break lies beside it, as ``.NAME.SHA.part``, and the next call asks for the rest alone.
    ``advance`` is told (bytes there, bytes in all, None where nobody says); ``check`` may refuse the finished file,
    which is then removed. Raises UsageError, ModelError and OutputError.
    """
    part = target.with_name(f".{target.name}.{sha256[:16]}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with part.open("ab") as file:
            _receive(url, file, advance)
            file.flush()
            os.fsync(file.fileno())
        found = sha256_of(part)
        if found != sha256:
            part.unlink()
            raise ModelError(
                f"{url!r} is not the file that the list names (sha256 {found[:12]}..., expected {sha256[:12]}...): "
                "nothing is kept of it; try again, or ask whoever keeps the list"
            )
        try:
            check(part)
        except Exception:
            part.unlink()
            raise
        os.replace(part, target)
    except OSError as error:
        raise OutputError(
            f"cannot write {str(target)!r}: {error.strerror or error}; set VQA_SCORE_HOME to a folder that can be"
        ) from error


def _receive(url: str, file: IO[bytes], advance: Callable[[int, int | None], None]) -> None:
    """Append to ``file`` what it lacks; a server that cannot go on in the middle is asked for all of it."""
    there = file.tell()
    try:
        response = _opened(url, {"Range": f"bytes={there}-"} if there else {})
    except _PastTheEndError:
        return  # all of it is there already, or too much: the sha256 decides
    with response:
        if there and not _goes_on_at(response, there):
            file.truncate(0)
            there = 0
        rest = response.headers.get("Content-Length", "")
        total = there + int(rest) if rest.isdecimal() else None
        while data := _read(response, _STEP, url):
            there += len(data)
            if there > MOST_BYTES:
                raise ModelError(f"{url!r} sends more than {MOST_BYTES} bytes: given up")
            file.write(data)
            advance(there, total)
        if total is not None and there < total:
            raise ModelError(
                f"{url!r} broke off after {there} of {total} bytes: run the command again, it goes on from there"
            )


class _PastTheEndError(Exception):
    """The server has nothing from there on."""


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows a server only to where it could have been sent in the first place."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        require_safe(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opened(url: str, headers: dict[str, str]) -> http.client.HTTPResponse:
    request = urllib.request.Request(
        require_safe(url), headers={"User-Agent": f"vqa-score/{version()}", **headers}
    )
    opener = urllib.request.build_opener(_SafeRedirects)
    try:
        response: http.client.HTTPResponse = opener.open(request, timeout=PATIENCE)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise _PastTheEndError from None
        raise ModelError(f"{url!r} cannot be fetched: {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise ModelError(f"{url!r} cannot be fetched: {reason}; is there a network?") from error
    return response


def _read(response: http.client.HTTPResponse, size: int, url: str) -> bytes:
    try:
        return response.read(size)
    except (OSError, http.client.HTTPException) as error:
        raise ModelError(
            f"{url!r} broke off ({error}): run the command again, it goes on from there"
        ) from error


def _goes_on_at(response: http.client.HTTPResponse, there: int) -> bool:
    said = response.headers.get("Content-Range", "")
    return response.status == http.HTTPStatus.PARTIAL_CONTENT and said.startswith(f"bytes {there}-")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
