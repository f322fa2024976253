"""``ensemble.json``: an ensemble is data. It names its members and its head, and pins each of their files by sha256."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from rankvqa_cli.errors import ModelError
from rankvqa_cli.models.files import read_whole, write_atomically
from rankvqa_cli.models.ptm.adapters import HUB, open_network
from rankvqa_cli.models.ptm.contract import Adapter, FrozenNetwork, View
from rankvqa_cli.models.ptm.views import Views

SCHEMA = 1
SCALE = "0 to 100, higher is better, 25 x (MOS - 1)"
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Member:
    """A frozen network by its file (relative to the ensemble's, or ``hub:ID``), and what it counts.

    ``layer`` is what its vector of ``dimension`` elements is read from; ``frames`` is 1 for a network of pictures.
    ``seen`` is what it is shown of a picture, None where that is what the ensemble's views say.
    ``dbi`` is its Davies-Bouldin index and ``srocc`` its own agreement with people, where they were measured.
    """

    name: str
    adapter: Adapter
    file: str
    sha256: str
    layer: str
    dimension: int
    frames: int
    weight: float
    dbi: float | None = None
    srocc: float | None = None
    seen: tuple[View, ...] | None = None


@dataclass(frozen=True)
class Head:
    """The trained part's file, relative to the ensemble's."""

    file: str
    sha256: str


@dataclass(frozen=True)
class Ensemble:
    """Members, what they see, and the head that was trained for them; None before ``vqa-score train``.

    The members' weights add up to 1. ``provenance`` says what chose and trained it.
    """

    name: str
    members: tuple[Member, ...]
    views: Views = field(default_factory=Views)
    head: Head | None = None
    provenance: str = ""
    scale: str = SCALE

    @property
    def clip_frames(self) -> int:
        """How many frames a moment has: as many as the member that needs most."""
        return max(member.frames for member in self.members)

    @property
    def lengths(self) -> list[int]:
        """How long each member's features are."""
        return [member.dimension * self.blocks for member in self.members]

    @property
    def blocks(self) -> int:
        """In how many views each member is shown a picture."""
        return len(self.shown_to(self.members[0]))

    @property
    def seen(self) -> tuple[View, ...]:
        """All that any of the members is shown."""
        return tuple(dict.fromkeys(view for member in self.members for view in self.shown_to(member)))

    def shown_to(self, member: Member) -> tuple[View, ...]:
        return self.views.seen if member.seen is None else member.seen


def read_ensemble(path: Path) -> tuple[Ensemble, str]:
    """The ensemble and the sha256 of its file. Raises ModelError naming what is wrong in it."""
    data, sha256 = read_whole(path, "ensemble")
    try:
        found: dict[str, Any] = json.loads(data.decode("utf-8"))
        schema = found.pop("schema")
        if schema != SCHEMA:
            raise ValueError(f"schema {schema!r} instead of {SCHEMA}")
        members = tuple(_member(**member) for member in found.pop("members"))
        views = found.pop("views")
        head = found.pop("head")
        ensemble = Ensemble(
            members=members,
            views=Views(**{**views, "seen": tuple(views["seen"])}),
            head=None if head is None else Head(**head),
            **found,
        )
        _check(ensemble)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ModelError(f"{str(path)!r} is no ensemble: {type(error).__name__}: {error}") from error
    return ensemble, sha256


def write_ensemble(path: Path, ensemble: Ensemble) -> None:
    """Write ``ensemble`` whole or not at all. Raises ValueError for one that could not be read, and OutputError."""
    _check(ensemble)
    text = json.dumps({"schema": SCHEMA, **dataclasses.asdict(ensemble)}, indent=2, allow_nan=False)
    write_atomically(path, (text + "\n").encode())


def open_members(path: Path, ensemble: Ensemble, threads: int | None = None) -> tuple[FrozenNetwork, ...]:
    """The networks of the ensemble in the file ``path``, in order.

    Raises ModelError for one that is missing, is not the file that the ensemble was made with, or gives vectors of
    another length.
    """
    networks: list[FrozenNetwork] = []
    opened: dict[tuple[Adapter, str], FrozenNetwork] = {}
    for member in ensemble.members:
        network = _open(path, member, opened.get((member.adapter, member.file)), threads)
        opened[member.adapter, member.file] = network
        networks.append(network.shown(ensemble.shown_to(member)))
    return tuple(networks)


def member_path(path: Path, file: str) -> Path:
    """Where a file is that the ensemble in ``path`` names."""
    return Path(file) if file.startswith(HUB) else path.parent / file


def relative_file(path: Path, file: Path) -> str:
    """``file`` as the ensemble in ``path`` should name it."""
    return str(file) if str(file).startswith(HUB) else os.path.relpath(file, path.parent)


def _member(seen: list[View] | None = None, **fields: Any) -> Member:
    """Of JSON, which has no tuples."""
    return Member(**fields, seen=None if seen is None else tuple(seen))


def _open(path: Path, member: Member, opened: FrozenNetwork | None, threads: int | None) -> FrozenNetwork:
    """The member's network; of one that was ``opened`` for another member, another layer."""
    where = f"{str(path)!r}, member {member.name!r}"
    try:
        network = open_network(member.adapter, member_path(path, member.file), member.layer, threads, opened)
    except ModelError as error:
        raise ModelError(f"{where}: {error}") from error
    if network.sha256 != member.sha256:
        raise ModelError(
            f"{where}: {str(network.file)!r} is not the file that the ensemble was made with (sha256 "
            f"{network.sha256[:12]}..., expected {member.sha256[:12]}...): put that one back, or select anew"
        )
    for what, found, expected in (
        ("elements in a vector", network.dimension, member.dimension),
        ("frames a clip", network.frames, member.frames),
    ):
        if found != expected:
            raise ModelError(f"{where}: {found} {what}, the ensemble says {expected}; select and train anew")
    return network


def _check(ensemble: Ensemble) -> None:
    if not ensemble.name or not all(
        isinstance(text, str) for text in (ensemble.name, ensemble.provenance, ensemble.scale)
    ):
        raise ValueError("it has no name, or its name, provenance or scale is no text")
    if not ensemble.members:
        raise ValueError("it has no members")
    names = [member.name for member in ensemble.members]
    if len(set(names)) < len(names):
        raise ValueError("two members have one name")
    for member in ensemble.members:
        _check_member(member)
        if len(ensemble.shown_to(member)) != ensemble.blocks:
            raise ValueError(f"member {member.name!r}: shown in another number of views than the first")
    if abs(sum(member.weight for member in ensemble.members) - 1) > 1e-6:
        raise ValueError("the members' weights do not add up to 1")
    if ensemble.head is not None and not isinstance(ensemble.head.file, str):
        raise ValueError("the head's file is no text")
    if ensemble.head is not None and not _SHA256.fullmatch(ensemble.head.sha256):
        raise ValueError("the head's sha256 is not 64 hexadecimal digits")


def _check_member(member: Member) -> None:
    where = f"member {member.name!r}"
    if not all(isinstance(text, str) and text for text in (member.name, member.file, member.layer)):
        raise ValueError(f"{where}: name, file and layer must be texts")
    if member.adapter not in get_args(Adapter):
        raise ValueError(f"{where}: no adapter is called {member.adapter!r}")
    if member.seen is not None:
        Views(seen=member.seen)
    if not isinstance(member.sha256, str) or not _SHA256.fullmatch(member.sha256):
        raise ValueError(f"{where}: sha256 is not 64 hexadecimal digits")
    for number in (member.dimension, member.frames):
        if not isinstance(number, int) or isinstance(number, bool) or number < 1:
            raise ValueError(f"{where}: dimension and frames must be positive whole numbers")
    if not isinstance(member.weight, (int, float)) or not math.isfinite(member.weight) or member.weight < 0:
        raise ValueError(f"{where}: the weight must be a number of at least 0")
