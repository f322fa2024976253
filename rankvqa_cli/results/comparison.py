"""A comparison of codecs: what travels between the arithmetic, the writers and the report.

Bitrates are kilobits (1000 bits) a second, quality is a model's score of 0 to 100 (higher is better). A BD-rate is in
percent: -10 means that a codec needs 10 % less bitrate than the anchor for the same quality. A BD-quality is in points
of the score: +2 means 2 points more at the same bitrate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rankvqa_cli.types import GateResult

Method = Literal["pchip", "akima"]
METHODS: tuple[Method, ...] = ("pchip", "akima")


@dataclass(frozen=True)
class CurvePoint:
    """One encode. ``row`` is its place in the list of jobs. ``dominated``: another point of its curve costs no more and
    is no worse, so BD-rates do without it."""

    bitrate_kbps: float
    quality: float
    distorted: str
    row: int
    dominated: bool = False


@dataclass(frozen=True)
class Curve:
    """Quality by rate of one content in one codec as ``model`` sees it; ``points`` by ascending bitrate.

    ``monotone``: quality rises strictly with bitrate.
    """

    model: str
    content: str
    codec: str
    points: tuple[CurvePoint, ...]
    monotone: bool


@dataclass(frozen=True)
class Delta:
    """``codec`` against the anchor on one content, by one interpolation.

    ``bd_rate`` (percent) and ``bd_quality`` (points) are None where they were refused; ``refused_rate`` and
    ``refused_quality`` then say why, and by how much the ranges miss each other. ``quality_overlap`` and
    ``rate_overlap`` are the shares (0 to 1) of the range of both curves that both cover: of quality, in which a
    BD-rate is an average, and of the logarithm of the bitrate, in which a BD-quality is one.
    """

    model: str
    content: str
    codec: str
    method: Method
    bd_rate: float | None
    bd_quality: float | None
    quality_overlap: float
    rate_overlap: float
    refused_rate: str | None = None
    refused_quality: str | None = None


@dataclass(frozen=True)
class Average:
    """The mean over ``contents`` contents, its 95 % bootstrap interval over contents, and the two-sided p-value of the
    paired test (Wilcoxon's signed ranks) that codec and anchor do not differ. ``mean`` and ``ci95`` are None where no
    content has a value, ``ci95`` and ``p`` where a single one has."""

    contents: int
    mean: float | None
    ci95: tuple[float, float] | None
    p: float | None


@dataclass(frozen=True)
class Summary:
    """``codec`` against the anchor over all contents, by one interpolation."""

    model: str
    codec: str
    method: Method
    bd_rate: Average
    bd_quality: Average


@dataclass(frozen=True)
class Comparison:
    """Everything one comparison says. ``pool`` says which pool of the frames' scores is the quality, ``rates`` where
    bitrates come from, ``warnings`` what a reader has to know (flagged curves, refused values, little overlap).

    ``models``, ``contents`` and ``codecs`` (the anchor first) are in the order of the jobs.
    """

    tool_version: str
    argv: tuple[str, ...]
    source: str
    anchor: str
    pool: str
    rates: str
    draws: int
    seed: int
    models: tuple[str, ...]
    contents: tuple[str, ...]
    codecs: tuple[str, ...]
    curves: tuple[Curve, ...]
    deltas: tuple[Delta, ...]
    summaries: tuple[Summary, ...]
    warnings: tuple[str, ...] = ()
    gates: tuple[GateResult, ...] = ()
