"""A headless Chromium, driven through chromedriver's own protocol: what a page says, asks for, and looks like."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the protocol's name for a reference to an element
KEYS = {"tab": "\ue004", "right": "\ue014", "enter": "\ue007"}


class Browser:
    """A context manager: one page at a time, no network beyond files."""

    def __init__(self, folder: Path) -> None:
        chromium = (
            shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        )
        driver = shutil.which("chromedriver")
        if chromium is None or driver is None:
            pytest.skip("NOT TESTED: there is no Chromium with its chromedriver")
        self._driver = subprocess.Popen(
            [driver, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._chromium, self._folder, self._session = chromium, folder, ""

    def __enter__(self) -> Browser:
        try:
            self._start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self._ask("DELETE", "")
        finally:
            self._end()

    def _start(self) -> None:
        assert self._driver.stdout is not None
        for line in self._driver.stdout:
            if found := re.search(r"started successfully on port (\d+)", line):
                break
        else:
            raise RuntimeError("chromedriver does not start")
        self._base = f"http://127.0.0.1:{found[1]}/session"
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        arguments += ["--disable-dev-shm-usage", "--host-resolver-rules=MAP * ~NOTFOUND"]
        arguments += [f"--user-data-dir={self._folder}", "--no-first-run", "--disable-background-networking"]
        wanted = {
            "browserName": "chrome",
            "goog:chromeOptions": {"binary": self._chromium, "args": arguments},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        made = self._ask("POST", "", {"capabilities": {"alwaysMatch": wanted}})
        self._base += f"/{made['sessionId']}"

    def _end(self) -> None:
        self._driver.kill()
        self._driver.wait()
        if self._driver.stdout is not None:
            self._driver.stdout.close()

    def open(self, page: Path) -> None:
        self.logs()
        self._ask("POST", "/url", {"url": page.absolute().as_uri()})

    def logs(self) -> list[str]:
        """What the console has been told since the last call."""
        return [entry["message"] for entry in self._ask("POST", "/se/log", {"type": "browser"})]

    def requests(self) -> list[str]:
        """Every address that was asked for since the last call."""
        entries = self._ask("POST", "/se/log", {"type": "performance"})
        messages = [json.loads(entry["message"])["message"] for entry in entries]
        return [
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        ]

    def run(self, script: str, *arguments: Any) -> Any:
        """The value that a function's body gives."""
        return self._ask("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def click(self, selector: str) -> None:
        self._ask("POST", f"/element/{self._find(selector)}/click", {})

    def press(self, key: str) -> None:
        """A key, to whatever has the focus."""
        (element,) = self._ask("GET", "/element/active").values()
        self._ask("POST", f"/element/{element}/value", {"text": KEYS[key]})

    def screen(self, width: int, height: int = 900, *, dark: bool = False, media: str = "") -> None:
        """The size of the screen, the colours that the user prefers, and the medium."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self._command("Emulation.setDeviceMetricsOverride", size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._command("Emulation.setEmulatedMedia", {"media": media, "features": [scheme]})

    def shot(self, file: Path, *, whole: bool = True) -> None:
        """A picture of the page, of all of it or of the screen."""
        taken = self._command("Page.captureScreenshot", {"captureBeyondViewport": whole, **self._clip(whole)})
        file.write_bytes(base64.b64decode(taken["data"]))

    def _clip(self, whole: bool) -> dict[str, Any]:
        if not whole:
            return {}
        size = self._command("Page.getLayoutMetrics", {})["cssContentSize"]
        return {"clip": {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}}

    def pdf(self) -> bytes:
        return base64.b64decode(self._command("Page.printToPDF", {"printBackground": True})["data"])

    def _find(self, selector: str) -> str:
        found = self._ask("POST", "/element", {"using": "css selector", "value": selector})
        return str(found[ELEMENT])

    def _command(self, name: str, parameters: dict[str, Any]) -> Any:
        return self._ask("POST", "/goog/cdp/execute", {"cmd": name, "params": parameters})

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self._base + path, data, {"Content-Type": "application/json"}, method=method
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(error.read().decode()) from error
