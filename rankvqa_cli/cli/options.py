"""Options that commands share, as decorators; each decorator is one heading of ``--help``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import click

from rankvqa_cli.cli import values
from rankvqa_cli.cli.arguments import SectionOption
from rankvqa_cli.cli.talk import DEFAULT_LEVEL, LEVELS
from rankvqa_cli.results.formats import FORMATS
from rankvqa_cli.results.pooling import POOLS, require_pool

Function = TypeVar("Function", bound=Callable[..., Any])


def _stack(section: str, *options: Callable[..., Any]) -> Callable[[Function], Function]:
    """One decorator out of several ``_option``s, which keep their order in the help."""

    def decorate(function: Function) -> Function:
        for option in reversed(options):
            function = option(section=section)(function)
        return function

    return decorate


def _option(*names: str, **attributes: Any) -> Callable[..., Any]:
    return partial(click.option, *names, cls=SectionOption, **attributes)


input_options = _stack(
    "Inputs",
    _option(
        "-i",
        "inputs",
        metavar="FILE",
        multiple=True,
        help="A video under test; repeatable. - is stdin. Bare paths too.",
    ),
    _option("-ref", "reference", metavar="FILE", multiple=True, help="The reference; - is stdin."),
    _option("-f", "input_format", type=click.Choice(["rawvideo"]), help="The input has no header: see -s."),
    _option(
        "-s",
        "size",
        type=values.size,
        metavar="WxH",
        help="Frame size of raw input (1920x1080, hd1080, cif).",
    ),
    _option(
        "-pix_fmt", metavar="FMT", help="Pixel format of raw input, as FFmpeg calls it.  [default: yuv420p]"
    ),
    _option(
        "-framerate",
        type=values.rate,
        metavar="R",
        help="Frame rate of raw input (25, 30000/1001).  [default: 25]",
    ),
    _option(
        "-ref_f",
        "ref_format",
        type=click.Choice(["rawvideo", "auto"]),
        help="The same for a reference that differs; auto: it has a header.",
    ),
    _option(
        "-ref_s",
        "ref_size",
        type=values.size,
        metavar="WxH",
        help="Frame size of a raw reference.  [default: as -s]",
    ),
    _option("-ref_pix_fmt", metavar="FMT", help="Its pixel format.  [default: as -pix_fmt]"),
    _option(
        "-ref_framerate", type=values.rate, metavar="R", help="Its frame rate.  [default: as -framerate]"
    ),
    _option(
        "-ss", "seek", type=values.seconds, default="0", metavar="TIME", help="Skip this much of both inputs."
    ),
    _option(
        "-t",
        "duration",
        type=values.seconds,
        metavar="TIME",
        help="Score no more than this much (12.5, 00:01:30).",
    ),
    _option("-frames", type=click.IntRange(1), metavar="N", help="Score no more than N frames."),
    _option("--deinterlace", is_flag=True, help="Deinterlace inputs that are flagged as interlaced."),
)

comparison_options = _stack(
    "Comparison",
    _option(
        "--align",
        type=values.alignment,
        default="auto",
        show_default=True,
        metavar="auto|off|N",
        help="Frames by which the distorted video runs behind the reference.",
    ),
    _option("--allow-short", is_flag=True, help="Compare what both have where one video is shorter."),
    _option("--allow-damaged", is_flag=True, help="Score what could be decoded of a damaged file."),
    _option(
        "--explain",
        is_flag=True,
        help="Print what would be compared, and what is scaled, converted and aligned for it; score nothing.",
    ),
)

model_options = _stack(
    "Model",
    _option(
        "-m",
        "--model",
        "models",
        metavar="NAME",
        multiple=True,
        help="A model's name ('vqa-score models list') or file; repeatable.",
    ),
    _option(
        "--hop",
        type=click.IntRange(1),
        metavar="N",
        help="Frames between clip starts.  [default: a clip's length]",
    ),
    _option(
        "--sample",
        type=values.seconds,
        default="0.5",
        show_default=True,
        metavar="TIME",
        help="Without a reference: seconds between the frames that are looked at.",
    ),
    _option(
        "--device",
        type=values.device,
        default="auto",
        show_default=True,
        metavar="auto|cpu|cuda[:N]",
        help="Where.",
    ),
    _option(
        "--precision",
        type=click.Choice(["auto", "fp32", "bf16"]),
        default="auto",
        show_default=True,
        help="auto: bf16 where the device has it.",
    ),
    _option("-threads", type=click.IntRange(1), metavar="N", help="CPU threads.  [default: all cores]"),
)

result_options = _stack(
    "Results",
    _option(
        "--pool",
        type=require_pool,
        default="mean",
        show_default=True,
        metavar="NAME",
        help=f"How frame scores become one: {', '.join(POOLS)}. harmonic_mean is libvmaf's, of scores plus one.",
    ),
    _option(
        "-o",
        "outputs",
        metavar="FILE",
        multiple=True,
        help="Write results to FILE (.json, .csv, .ndjson, .vmaf), repeatable; - is stdout.",
    ),
    _option(
        "--format",
        "output_format",
        type=click.Choice(FORMATS),
        help="The format of every -o, whatever its suffix.",
    ),
    _option(
        "--heatmap",
        "heatmaps",
        metavar="FILE",
        multiple=True,
        help="Paint quality by place: the worst frame (.png), or every frame (.mp4, .mkv, .webm).",
    ),
    _option("-y", "overwrite", is_flag=True, help="Overwrite output files."),
    _option("-n", "never_overwrite", is_flag=True, help="Never overwrite, never ask."),
    _option(
        "--fail-under",
        "gates",
        metavar="[MODEL:]POOL=VALUE",
        multiple=True,
        help="Exit with 1 where a result's pool is below VALUE; repeatable. VALUE alone is the mean's.",
    ),
)

talk_options = _stack(
    "Talk",
    _option(
        "-loglevel",
        type=click.Choice(LEVELS),
        default=DEFAULT_LEVEL,
        show_default=True,
        help="What is said on stderr; debug adds tracebacks.",
    ),
    _option("--no-progress", is_flag=True, help="No progress line, even on a terminal."),
)
