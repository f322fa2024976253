"""Options that commands have in common which read a rated set for an ensemble."""

from __future__ import annotations

import click

from rankvqa_cli.cli import values

SIZE = click.option(
    "--size", type=values.size, metavar="WxH", help="Bring rated files to this size first, bicubic."
)
SAMPLE = click.option(
    "--sample",
    type=values.seconds,
    default="0.5",
    show_default=True,
    metavar="TIME",
    help="Between the frames of a rated video that members see.",
)
WEIGHTS = click.option(
    "--weights",
    "weighting",
    default="dbi",
    show_default=True,
    type=click.Choice(["dbi", "equal"]),
    help="What members count: by the inverse of the index, or alike.",
)
