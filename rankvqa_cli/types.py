"""Frozen dataclasses for everything that travels between modules. Imports nothing from the package but errors.

Times are seconds, frame indices count from 0 in presentation order, scores are 0 to 100 (higher is better).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

ModelKind = Literal["full-reference", "no-reference"]
Severity = Literal["info", "warning"]


# --- what the user asked for -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RawFormat:
    """Layout of headerless video, as given by ``-f rawvideo -s WxH -pix_fmt F -framerate R``."""

    width: int
    height: int
    pix_fmt: str = "yuv420p"
    frame_rate: Fraction = Fraction(25)


@dataclass(frozen=True)
class InputSpec:
    """One input: ``path`` is a file name, or ``-`` for stdin; ``raw`` is set for headerless video."""

    path: str
    raw: RawFormat | None = None


@dataclass(frozen=True)
class ReadOptions:
    """Limits that apply to both inputs, in FFmpeg's words (``-ss``, ``-t``, ``-frames``, ``-threads``)."""

    seek_s: float = 0.0
    duration_s: float | None = None
    frames: int | None = None
    threads: int | None = None
    deinterlace: bool = False


# --- what the files are ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FrameFormat:
    """Layout of decoded planar frames. ``bit_depth`` above 8 means little-endian uint16 samples.

    ``chroma`` is the (horizontal, vertical) subsampling divisor pair: (2, 2) is 4:2:0; ``None`` is luma only.
    Chroma planes measure ceil(width / cx) x ceil(height / cy). ``matrix`` is one of ``bt601``, ``bt709``,
    ``bt2020``, ``smpte240m``, ``fcc``; ``transfer`` is FFmpeg's name, ``bt709`` where nothing said otherwise.
    """

    width: int
    height: int
    pix_fmt: str
    bit_depth: int
    chroma: tuple[int, int] | None
    full_range: bool
    matrix: str
    transfer: str = "bt709"

    @property
    def bytes_per_sample(self) -> int:
        return 1 if self.bit_depth <= 8 else 2

    @property
    def chroma_size(self) -> tuple[int, int]:
        """(width, height) of each chroma plane, (0, 0) for luma only."""
        if self.chroma is None:
            return (0, 0)
        return (-(-self.width // self.chroma[0]), -(-self.height // self.chroma[1]))

    @property
    def frame_bytes(self) -> int:
        chroma_w, chroma_h = self.chroma_size
        return (self.width * self.height + 2 * chroma_w * chroma_h) * self.bytes_per_sample


@dataclass(frozen=True)
class DecodeStart:
    """How the reader gets at the first frame that is wanted.

    ``stream`` counts the file's video streams from 0. ``seek_s`` is what ``-ss`` takes (None: from the beginning),
    chosen between two frames so that no rounding matters; ``skip_frames`` are then still to be dropped.
    ``stdin_head`` holds the bytes that probing took from stdin, to be fed to the decoder first.
    """

    stream: int = 0
    seek_s: float | None = None
    skip_frames: int = 0
    stdin_head: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class VideoInfo:
    """What probing found. ``width`` and ``height`` are as displayed: after rotation, before any sample aspect ratio.

    ``pts_times`` holds presentation times relative to the stream's start, sorted, empty where the container has
    none (raw, stdin). ``frames`` is how many frames a whole decode should give, None where that cannot be known.
    ``warnings`` are one-line facts worth telling (missing colour tags, interlaced, guessed rate ...). ``assumed``
    names what no tag said: any of ``range``, ``matrix``, ``primaries``, ``transfer``, ``rate``.
    """

    spec: InputSpec
    width: int
    height: int
    pix_fmt: str
    bit_depth: int
    chroma: tuple[int, int] | None
    full_range: bool
    matrix: str
    primaries: str
    transfer: str
    frame_rate: Fraction
    frames: int | None
    pts_times: tuple[float, ...] = ()
    sample_aspect_ratio: Fraction = Fraction(1)
    rotation: int = 0
    interlaced: bool = False
    variable_frame_rate: bool = False
    codec: str = "unknown"
    container: str = "unknown"
    warnings: tuple[str, ...] = ()
    start: DecodeStart = field(default=DecodeStart())
    assumed: tuple[str, ...] = ()


# --- how they are compared ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PlannedInput:
    """One distorted input in the plan. ``steps`` name each conversion in order, in words, empty when none is needed.

    ``pairing`` maps: the n-th compared reference frame goes with distorted frame ``pairing[n]`` (before alignment),
    an empty tuple means frame by frame in order.
    """

    info: VideoInfo
    format: FrameFormat
    steps: tuple[str, ...] = ()
    pairing: tuple[int, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class ComparisonPlan:
    """Reference (None for no-reference scoring) and inputs, each with the format its frames are delivered in."""

    reference: PlannedInput | None
    inputs: tuple[PlannedInput, ...]


@dataclass(frozen=True)
class Alignment:
    """Temporal offset of the distorted against the reference: distorted frame n + offset shows reference frame n.

    ``confidence`` is 0 (no evidence, e.g. a static picture) to 1. ``suspected`` is what the search found where it
    was not applied (``--align off``), None otherwise.
    """

    offset: int
    confidence: float
    mode: str = "auto"
    suspected: int | None = None


# --- what was measured -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Integrity:
    frames_expected: int | None
    frames_decoded: int
    frames_scored: int
    ffmpeg_returncode: int
    decode_errors: tuple[str, ...] = ()


@dataclass(frozen=True)
class ClipScore:
    """``start`` is inclusive and ``end`` exclusive, in frames of the reference (of the input without one).

    ``members`` are the scores by each member of an ensemble alone, empty for other models.
    """

    start: int
    end: int
    score: float
    padded: bool = False
    members: tuple[float, ...] = ()


@dataclass(frozen=True)
class FrameScore:
    index: int
    pts_time: float
    score: float


@dataclass(frozen=True)
class ModelInfo:
    """Identity of a loaded model, as it stands in the results."""

    name: str
    kind: ModelKind
    weights_sha256: str
    clip_frames: int
    scale: str
    provenance: str


@dataclass(frozen=True)
class MemberView:
    """What one member of an ensemble makes of a video by itself; ``weight`` is its share of the ensemble."""

    name: str
    weight: float
    score: float


@dataclass(frozen=True)
class Result:
    """One input scored by one model. ``ci95`` is None where one clip stands for others, unseen."""

    input: str
    reference: str | None
    model: str
    score: float
    pool: str
    pooled: dict[str, float]
    ci95: tuple[float, float] | None
    clips: tuple[ClipScore, ...]
    frames: tuple[FrameScore, ...]
    integrity: Integrity
    alignment: Alignment
    wall_s: float
    fps: float
    warnings: tuple[str, ...] = ()
    members: tuple[MemberView, ...] = ()


@dataclass(frozen=True)
class GateResult:
    """One result that passes a gate from ``threshold`` on; ``baseline`` is what a drop is counted from."""

    expression: str
    value: float
    passed: bool
    input: str
    model: str
    threshold: float
    baseline: float | None = None


@dataclass(frozen=True)
class Heatmap:
    """A heatmap that was written to ``path``, of ``frames``: one, numbered as in the reference, in a picture."""

    path: str
    input: str
    model: str
    frames: tuple[int, ...]


@dataclass(frozen=True)
class Moment:
    """JPEG files of a frame of one of the worst clips; ``quality`` by place is None where a model says none."""

    input: str
    model: str
    clip: ClipScore
    frame: int
    distorted: bytes = field(repr=False)
    reference: bytes | None = field(repr=False)
    quality: bytes | None = field(repr=False)


@dataclass(frozen=True)
class Environment:
    ffmpeg: str
    torch: str
    device: str
    precision: str
    threads: int


@dataclass(frozen=True)
class Report:
    """Everything one run says. ``reference_decodes`` counts how often a decoding of the reference was begun: once for
    all inputs that share its frames."""

    tool_version: str
    argv: tuple[str, ...]
    environment: Environment
    models: tuple[ModelInfo, ...]
    plan: ComparisonPlan
    results: tuple[Result, ...]
    gates: tuple[GateResult, ...] = field(default=())
    heatmaps: tuple[Heatmap, ...] = field(default=())
    moments: tuple[Moment, ...] = field(default=())
    reference_decodes: int = 0


@dataclass(frozen=True)
class Progress:
    """How far one input is with one model; ``frames_total`` is None where the length is not known."""

    input: str
    model: str
    frames_done: int
    frames_total: int | None
    fps: float
