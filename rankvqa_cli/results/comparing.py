"""From scored encodes to a comparison: curves, Bjøntegaard deltas, means over contents with intervals and tests."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import wilcoxon

from rankvqa_cli.errors import InputError, UsageError
from rankvqa_cli.results.bdrate import NoOverlapError, bd_quality, bd_rate, overlap
from rankvqa_cli.results.comparison import (
    METHODS,
    Average,
    Comparison,
    Curve,
    CurvePoint,
    Delta,
    Method,
    Summary,
)
from rankvqa_cli.version import version

#: Below this share of common range a Bjøntegaard delta speaks of a small part of the curves.
LITTLE_OVERLAP = 0.75
FEW_POINTS = 4


@dataclass(frozen=True)
class Encode:
    """One scored encode by one model, as a comparison takes it."""

    row: int
    distorted: str
    model: str
    content: str
    codec: str
    bitrate_kbps: float
    quality: float


def compare(
    encodes: Sequence[Encode],
    anchor: str,
    *,
    draws: int,
    seed: int,
    source: str = "",
    argv: Sequence[str] = (),
    pool: str = "mean",
    rates: str = "",
    warnings: Sequence[str] = (),
) -> Comparison:
    """Hold every codec against ``anchor``, content by content and over all; ``source``, ``argv``, ``pool``, ``rates``
    and ``warnings`` stand in the comparison as they are given.

    A curve that is not monotone is flagged, and its BD-rates are those of its points that no cheaper one surpasses.
    What cannot be compared is refused with its reason. ``draws`` resamples of contents with ``seed`` make
    the intervals. Raises UsageError for an anchor that is no codec of the encodes, or the only one, and InputError
    naming the rows where two encodes of one curve have the same bitrate and different files.
    """
    models, contents, codecs = (
        tuple(dict.fromkeys(getattr(each, field) for each in encodes))
        for field in ("model", "content", "codec")
    )
    require_anchor(anchor, codecs)
    codecs = (anchor, *(each for each in codecs if each != anchor))
    curves = _curves(encodes, models, contents, codecs)
    said = [*warnings, *(each for curve in curves.values() for each in _about(curve))]
    deltas: list[Delta] = []
    for model, content, codec in itertools.product(models, contents, codecs[1:]):
        pair = [curves.get((model, content, each)) for each in (anchor, codec)]
        if pair[0] is None or pair[1] is None:
            absent = anchor if pair[0] is None else codec
            said.append(f"{content}: no encode in {absent}, so {codec} is not compared on it")
            continue
        deltas += [_delta(pair[0], pair[1], method) for method in METHODS]
    said += _refusals(deltas) + _little_overlap(deltas)
    summaries = [
        _summary(deltas, model, codec, method, draws, seed)
        for model, codec, method in itertools.product(models, codecs[1:], METHODS)
    ]
    return Comparison(
        tool_version=version(),
        argv=tuple(argv),
        source=source,
        anchor=anchor,
        pool=pool,
        rates=rates,
        draws=draws,
        seed=seed,
        models=models,
        contents=contents,
        codecs=codecs,
        curves=tuple(curves.values()),
        deltas=tuple(deltas),
        summaries=tuple(summaries),
        warnings=tuple(dict.fromkeys(said)),
    )


def require_anchor(anchor: str, codecs: Iterable[str]) -> None:
    """UsageError where ``anchor`` is none of ``codecs``, or the only one."""
    known = list(dict.fromkeys(codecs))
    if anchor not in known:
        raise UsageError(
            f"no encode is in the anchor {anchor!r}: there are {', '.join(map(repr, known)) or 'none'}"
        )
    if len(known) == 1:
        raise UsageError(f"every encode is in {anchor!r}: there is nothing to compare it with")


def _curves(
    encodes: Iterable[Encode], models: Sequence[str], contents: Sequence[str], codecs: Sequence[str]
) -> dict[tuple[str, str, str], Curve]:
    by_curve: dict[tuple[str, str, str], list[Encode]] = {}
    for each in encodes:
        by_curve.setdefault((each.model, each.content, each.codec), []).append(each)
    order = itertools.product(models, contents, codecs)
    return {key: make_curve(*key, by_curve[key]) for key in order if key in by_curve}


def make_curve(model: str, content: str, codec: str, encodes: Sequence[Encode]) -> Curve:
    """A curve of ``encodes`` in any order. Raises InputError where two of them have one bitrate."""
    ordered = sorted(encodes, key=lambda each: each.bitrate_kbps)
    for one, other in itertools.pairwise(ordered):
        if one.bitrate_kbps == other.bitrate_kbps:
            raise InputError(
                f"rows {one.row} and {other.row}: both are {content} in {codec} at {one.bitrate_kbps:g} kbit/s, and a "
                "curve has one encode a bitrate: take one out, or tell them apart with --codec-column"
            )
    points: list[CurvePoint] = []
    best = -math.inf
    for each in ordered:
        point = CurvePoint(each.bitrate_kbps, each.quality, each.distorted, each.row, each.quality <= best)
        best = max(best, each.quality)
        points.append(point)
    return Curve(model, content, codec, tuple(points), monotone=not any(point.dominated for point in points))


def _about(curve: Curve) -> list[str]:
    name = f"{curve.content}, {curve.codec}"
    said = []
    if not curve.monotone:
        rows = [str(point.row) for point in curve.points if point.dominated]
        said.append(
            f"{name}: quality by {curve.model} does not rise with bitrate at row {', '.join(rows)}; BD-rate does "
            f"without {'it' if len(rows) == 1 else 'them'}"
        )
    if 1 < len(curve.points) < FEW_POINTS:
        said.append(f"{name}: a curve of {len(curve.points)} points is rough; {FEW_POINTS} or more are usual")
    return said


def _delta(anchor: Curve, test: Curve, method: Method) -> Delta:
    rising = [[point for point in curve.points if not point.dominated] for curve in (anchor, test)]
    whole = [list(curve.points) for curve in (anchor, test)]
    found = Delta(
        model=test.model,
        content=test.content,
        codec=test.codec,
        method=method,
        bd_rate=None,
        bd_quality=None,
        quality_overlap=overlap(*([point.quality for point in points] for points in rising)),
        rate_overlap=overlap(*([math.log10(point.bitrate_kbps) for point in points] for points in whole)),
    )
    names = (anchor.codec, test.codec)
    try:
        found = replace(found, bd_rate=bd_rate(*_columns(rising), method))
    except NoOverlapError as error:
        found = replace(found, refused_rate=_apart_in_quality(names, rising, error))
    except ValueError:
        found = replace(found, refused_rate=_too_few(names, rising))
    try:
        found = replace(found, bd_quality=bd_quality(*_columns(whole), method))
    except NoOverlapError as error:
        found = replace(found, refused_quality=_apart_in_rate(names, whole, error))
    except ValueError:
        found = replace(found, refused_quality=_too_few(names, whole))
    return found


def _columns(
    curves: Sequence[Sequence[CurvePoint]],
) -> tuple[list[float], list[float], list[float], list[float]]:
    (r0, q0), (r1, q1) = (
        ([point.bitrate_kbps for point in points], [point.quality for point in points]) for points in curves
    )
    return r0, q0, r1, q1


def _apart_in_quality(
    names: tuple[str, str], curves: Sequence[Sequence[CurvePoint]], error: NoOverlapError
) -> str:
    below, above = names if curves[0][-1].quality <= curves[1][0].quality else names[::-1]
    return (
        f"no quality in common: {below} ends at {error.low_end:.2f}, {above} begins at {error.high_start:.2f}, "
        f"{error.gap:.2f} points apart"
    )


def _apart_in_rate(
    names: tuple[str, str], curves: Sequence[Sequence[CurvePoint]], error: NoOverlapError
) -> str:
    below, above = names if curves[0][-1].bitrate_kbps <= curves[1][0].bitrate_kbps else names[::-1]
    return (
        f"no bitrate in common: {below} ends at {10**error.low_end:.1f} kbit/s, {above} begins at "
        f"{10**error.high_start:.1f} kbit/s, {(10**error.gap - 1) * 100:.1f} % more"
    )


def _too_few(names: tuple[str, str], curves: Sequence[Sequence[CurvePoint]]) -> str:
    name = names[0] if len(curves[0]) < 2 else names[1]
    return f"{name} has a single point that counts: a curve needs two or more"


def _refusals(deltas: Iterable[Delta]) -> list[str]:
    return [
        f"{each.content}, {each.codec}: no {what}, {reason}"
        for each in deltas
        if each.method == METHODS[0]
        for what, reason in (("BD-rate", each.refused_rate), ("BD-quality", each.refused_quality))
        if reason is not None
    ]


def _little_overlap(deltas: Iterable[Delta]) -> list[str]:
    own = [each for each in deltas if each.method == METHODS[0]]
    rates = [each.quality_overlap for each in own if each.bd_rate is not None]
    gains = [each.rate_overlap for each in own if each.bd_quality is not None]
    said = []
    for what, shares in (("BD-rates", rates), ("BD-qualities", gains)):
        few = sum(share < LITTLE_OVERLAP for share in shares)
        if few:
            said.append(
                f"{few} of {len(shares)} {what} are averages over less than {LITTLE_OVERLAP:.0%} of the range of their "
                f"two curves, the least over {min(shares):.0%}"
            )
    return said


def _summary(
    deltas: Iterable[Delta], model: str, codec: str, method: Method, draws: int, seed: int
) -> Summary:
    own = [each for each in deltas if (each.model, each.codec, each.method) == (model, codec, method)]
    rates = [each.bd_rate for each in own if each.bd_rate is not None]
    gains = [each.bd_quality for each in own if each.bd_quality is not None]
    logarithms = [math.log1p(value / 100) for value in rates]
    return Summary(
        model,
        codec,
        method,
        bd_rate=_average(rates, logarithms, draws, seed),
        bd_quality=_average(gains, gains, draws, seed),
    )


def _average(values: Sequence[float], tested: Sequence[float], draws: int, seed: int) -> Average:
    """Mean of ``values``, one a content, with interval; ``tested`` are what the signed ranks are taken of."""
    count = len(values)
    if count < 2:
        return Average(count, values[0] if values else None, None, None)
    drawn = np.random.default_rng(seed).integers(count, size=(draws, count))
    low, high = np.percentile(np.asarray(values)[drawn].mean(axis=1), [2.5, 97.5])
    p = float(wilcoxon(tested).pvalue) if any(tested) else 1.0
    return Average(count, float(np.mean(values)), (float(low), float(high)), p)
