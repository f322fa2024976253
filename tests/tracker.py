"""The process that multiprocessing keeps beside a parent of workers; tests that count children end it first."""

from __future__ import annotations

from multiprocessing import resource_tracker


def stop_tracker() -> None:
    resource_tracker._resource_tracker._stop()  # type: ignore[attr-defined]
