"""Threads of decoders whose frames are hardly looked at."""

from __future__ import annotations

import os

import pytest

from rankvqa_cli.media.threads import decoding_share, usable_cpus

HD, UHD = 1920 * 1080, 3840 * 2160


def test_a_decoder_has_the_threads_that_it_can_keep_busy_beside_a_model() -> None:
    # Two frames a second are looked at, at 30 and 60 frames a second.
    assert [decoding_share(threads, 15 * HD) for threads in (1, 2, 4, 16)] == [1, 1, 2, 9]
    assert [decoding_share(threads, 30 * HD) for threads in (1, 2, 4, 16)] == [1, 1, 3, 12]
    assert [decoding_share(threads, 30 * UHD) for threads in (1, 2, 4, 16)] == [1, 2, 4, 15]
    assert decoding_share(4, 2 * 64 * 64) == 1


def test_where_nobody_says_how_many_threads_there_is_one_for_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(16)), raising=False)
    assert usable_cpus() == 16
    assert decoding_share(None, 15 * HD) == decoding_share(16, 15 * HD)
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert (usable_cpus(), decoding_share(None, 30 * UHD)) == (1, 1)
