"""Scores for a rated set: one reference after the other, everything that shares it in one call."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rankvqa_cli.errors import InputError, VqaError
from rankvqa_cli.training.common_size import write_scaled
from rankvqa_cli.training.ratings import Rating, Ratings
from rankvqa_cli.training.score_cache import ScoreCache
from rankvqa_cli.training.sources import STILL_SUFFIXES

#: Scaled copies that lie on the disk at a time.
STILLS_AT_ONCE = 8
VIDEOS_AT_ONCE = 4

#: (distorted files, reference) to one score a name for each file.
Measure = Callable[[Sequence[Path], Path | None], list[dict[str, float]]]


@dataclass(frozen=True)
class Instrument:
    """Measures everything in ``identities`` at once: the name of a metric, and what else its scores depend on."""

    identities: dict[str, str]
    needs_reference: bool
    measure: Measure


def measure_set(
    ratings: Ratings,
    instruments: Sequence[Instrument],
    size: tuple[int, int] | None,
    cache: ScoreCache,
    advance: Callable[[int], None] = lambda _: None,
) -> dict[str, list[float]]:
    """Scores by metric, in the order of the rows. ``advance`` is told how many stimuli have been finished.

    Both files are brought to ``size`` (width, height; see ``common_size``) first, where it is given. Raises InputError
    for a row without the reference that an instrument needs, and what the instruments raise.
    """
    needing = [name for each in instruments if each.needs_reference for name in each.identities]
    for rating in ratings.rows:
        if needing and rating.reference is None:
            raise InputError(
                f"{ratings.where(rating)}: {needing[0]} needs a reference, and the row names none"
            )
    scores: dict[str, dict[int, float]] = {name: {} for each in instruments for name in each.identities}
    for reference, members in _by_reference(ratings.rows):
        for batch in _batches(members):
            for instrument in instruments:
                _measure_batch(instrument, reference, batch, ratings, size, cache, scores)
            advance(len(batch))
    return {name: [found[rating.row] for rating in ratings.rows] for name, found in scores.items()}


def _by_reference(rows: Iterable[Rating]) -> list[tuple[Path | None, list[Rating]]]:
    groups: dict[Path | None, list[Rating]] = {}
    for rating in rows:
        groups.setdefault(rating.reference, []).append(rating)
    return list(groups.items())


def _batches(members: list[Rating]) -> list[list[Rating]]:
    stills = all(rating.distorted.suffix.lower() in STILL_SUFFIXES for rating in members)
    most = STILLS_AT_ONCE if stills else VIDEOS_AT_ONCE
    return [members[start : start + most] for start in range(0, len(members), most)]


def _measure_batch(
    instrument: Instrument,
    reference: Path | None,
    batch: Sequence[Rating],
    ratings: Ratings,
    size: tuple[int, int] | None,
    cache: ScoreCache,
    scores: dict[str, dict[int, float]],
) -> None:
    """Put the scores of ``batch`` by ``instrument`` into ``scores``, the known ones from ``cache``."""
    reference = reference if instrument.needs_reference else None
    missing = []
    for rating in batch:
        keys = {
            name: cache.key(rating.distorted, reference, f"{name} {identity}", size)
            for name, identity in instrument.identities.items()
        }
        known = {name: cache.get(key) for name, key in keys.items()}
        if None in known.values():
            missing.append((rating, keys))
        for name, score in known.items():
            if score is not None:
                scores[name][rating.row] = score
    if not missing:
        return
    with tempfile.TemporaryDirectory(prefix="vqa-evaluate-") as scratch:
        folder = Path(scratch)
        files = [rating.distorted for rating, _ in missing]
        if size is not None:
            files = [write_scaled(file, size, folder / f"{i}.y4m") for i, file in enumerate(files)]
            if reference is not None:
                reference = write_scaled(reference, size, folder / "reference.y4m")
        try:
            measured = instrument.measure(files, reference)
        except VqaError as error:
            raise _with_rows(error, ratings, [rating for rating, _ in missing], files) from error
        for (rating, keys), found in zip(missing, measured, strict=True):
            for name, key in keys.items():
                cache.put(key, found[name])
                scores[name][rating.row] = found[name]


def _with_rows(error: VqaError, ratings: Ratings, batch: Sequence[Rating], files: Sequence[Path]) -> VqaError:
    """The same error about the user's file and its row, where it is about one of ``files`` (perhaps scaled copies)."""
    message = str(error)
    for rating, file in zip(batch, files, strict=True):
        if repr(str(file)) in message:
            message = message.replace(str(file), str(rating.distorted))
            return type(error)(f"{ratings.where(rating)}: {message}")
    return error
