"""Options that commands share, as decorators; each decorator is one heading of ``--help``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from rankvqa_cli.cli import values
from rankvqa_cli.cli.arguments import SectionOption
from rankvqa_cli.cli.talk import DEFAULT_LEVEL, LEVELS
from rankvqa_cli.results.formats import FORMATS
from rankvqa_cli.results.pooling import POOLS, require_pool

Function = TypeVar("Function", bound=Callable[..., Any])


def stack(section: str, *options: Callable[..., Any]) -> Callable[[Function], Function]:
    """One decorator out of several ``option``s, which keep their order in the help."""

    def decorate(function: Function) -> Function:
        for each in reversed(options):
            function = each(section=section)(function)
        return function

    return decorate


def option(*names: str, **attributes: Any) -> Callable[..., Any]:
    return partial(click.option, *names, cls=SectionOption, **attributes)


def given_parameters() -> Iterator[tuple[str, click.Parameter]]:
    """Everything that the command line of the running command gives, by name."""
    context = click.get_current_context()
    for each in context.command.params:
        if each.name and context.get_parameter_source(each.name) is click.core.ParameterSource.COMMANDLINE:
            yield each.name, each


def files(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """What a shell is to complete a word by that names a file or a folder."""
    return [CompletionItem(incomplete, type="file")]


def models(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """Names of models, and files."""
    from rankvqa_cli.models.manifest import manifest

    names = [entry.name for entry in manifest() if entry.name.startswith(incomplete)]
    return [*files(ctx, parameter, incomplete), *map(CompletionItem, names)]


#: How any input is read.
READING = (
    option("-f", "input_format", type=click.Choice(["rawvideo"]), help="The input has no header: see -s."),
    option(
        "-s",
        "size",
        type=values.size,
        metavar="WxH",
        help="Frame size of raw input (1920x1080, hd1080, cif).",
    ),
    option(
        "-pix_fmt", metavar="FMT", help="Pixel format of raw input, as FFmpeg calls it.  [default: yuv420p]"
    ),
    option(
        "-framerate",
        type=values.rate,
        metavar="R",
        help="Frame rate of raw input (25, 30000/1001).  [default: 25]",
    ),
    option(
        "-ref_f",
        "ref_format",
        type=click.Choice(["rawvideo", "auto"]),
        help="The same for a reference that differs; auto: it has a header.",
    ),
    option(
        "-ref_s",
        "ref_size",
        type=values.size,
        metavar="WxH",
        help="Frame size of a raw reference.  [default: as -s]",
    ),
    option("-ref_pix_fmt", metavar="FMT", help="Its pixel format.  [default: as -pix_fmt]"),
    option("-ref_framerate", type=values.rate, metavar="R", help="Its frame rate.  [default: as -framerate]"),
    option(
        "-ss", "seek", type=values.seconds, default="0", metavar="TIME", help="Skip this much of both inputs."
    ),
    option(
        "-t",
        "duration",
        type=values.seconds,
        metavar="TIME",
        help="Score no more than this much (12.5, 00:01:30).",
    ),
    option("-frames", type=click.IntRange(1), metavar="N", help="Score no more than N frames."),
    option("--deinterlace", is_flag=True, help="Deinterlace inputs that are flagged as interlaced."),
)

input_options = stack(
    "Inputs",
    option(
        "-i",
        "inputs",
        metavar="FILE",
        multiple=True,
        help="A video under test; repeatable. - is stdin. Bare paths too.",
    ),
    option("-ref", "reference", metavar="FILE", multiple=True, help="The reference; - is stdin."),
    *READING,
)

#: How an input is held against its reference.
COMPARING = (
    option(
        "--align",
        type=values.alignment,
        default="auto",
        show_default=True,
        metavar="auto|off|N",
        help="Frames by which the distorted video runs behind the reference.",
    ),
    option("--allow-short", is_flag=True, help="Compare what both have where one video is shorter."),
    option("--allow-damaged", is_flag=True, help="Score what could be decoded of a damaged file."),
)

comparison_options = stack(
    "Comparison",
    *COMPARING,
    option(
        "--explain",
        is_flag=True,
        help="Print what would be compared, and what is scaled, converted and aligned for it; score nothing.",
    ),
)

model_options = stack(
    "Model",
    option(
        "-m",
        "--model",
        "models",
        metavar="NAME",
        multiple=True,
        shell_complete=models,
        help="A model's name ('vqa-score models list') or file; repeatable.",
    ),
    option(
        "--hop",
        type=click.IntRange(1),
        metavar="N",
        help="Frames between clip starts.  [default: a clip's length]",
    ),
    option(
        "--clip-stride",
        type=click.IntRange(1),
        default=1,
        metavar="N",
        help="Score one clip in N, for speed; the interval is widened.  [default: every clip]",
    ),
    option(
        "--sample",
        type=values.seconds,
        default="0.5",
        show_default=True,
        metavar="TIME",
        help="Without a reference: seconds between the frames that are looked at.",
    ),
    option(
        "--device",
        type=values.device,
        default="auto",
        show_default=True,
        metavar="auto|cpu|cuda[:N]",
        help="Where.",
    ),
    option(
        "--precision",
        type=click.Choice(["auto", "fp32", "bf16"]),
        default="auto",
        show_default=True,
        help="auto: bf16 where the device has it.",
    ),
    option("-threads", type=click.IntRange(1), metavar="N", help="CPU threads.  [default: all cores]"),
)

POOL = option(
    "--pool",
    type=require_pool,
    default="mean",
    show_default=True,
    metavar="NAME",
    shell_complete=lambda ctx, option, word: [name for name in POOLS if name.startswith(word)],
    help=f"How frame scores become one: {', '.join(POOLS)}. harmonic_mean is libvmaf's, of scores plus one.",
)

result_options = stack(
    "Results",
    POOL,
    option(
        "-o",
        "outputs",
        metavar="FILE",
        multiple=True,
        help="Write results to FILE (.json, .csv, .ndjson, .vmaf), repeatable; - is stdout.",
    ),
    option(
        "--format",
        "output_format",
        type=click.Choice(FORMATS),
        help="The format of every -o, whatever its suffix.",
    ),
    option(
        "--heatmap",
        "heatmaps",
        metavar="FILE",
        multiple=True,
        help="Paint quality by place: the worst frame (.png), or every frame (.mp4, .mkv, .webm).",
    ),
    option("-y", "overwrite", is_flag=True, help="Overwrite output files."),
    option("-n", "never_overwrite", is_flag=True, help="Never overwrite, never ask."),
)

talk_options = stack(
    "Talk",
    option(
        "-loglevel",
        type=click.Choice(LEVELS),
        default=DEFAULT_LEVEL,
        show_default=True,
        help="What is said on stderr; debug adds tracebacks.",
    ),
    option("--no-progress", is_flag=True, help="No progress line, even on a terminal."),
)
