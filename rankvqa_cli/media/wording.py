"""Sentences about an input that more than one way of probing has to say."""

from __future__ import annotations

from rankvqa_cli.media.colour_tags import ColourTags
from rankvqa_cli.types import ReadOptions

MISSING_TAG = "no colour tag for"
"""How a warning about missing tags begins: it matters only where the inputs differ in them."""


def interlaced(options: ReadOptions) -> str:
    """What happens to interlaced video."""
    if options.deinterlace:
        return "interlaced: frames marked so are deinterlaced (bwdif, one frame a frame)"
    return "interlaced: scored as it is, comb lines and all (--deinterlace removes them)"


def missing_tags(tags: ColourTags) -> tuple[str, ...]:
    """One line about the tags that decide the conversion to the reference's code values, none if they are
    all there.
    """
    values = {"range": "full" if tags.full_range else "limited", "matrix": tags.matrix}
    missing = [word for word in values if word in tags.assumed]
    if not missing:
        return ()
    taken = ", ".join(f"{values[word]}" for word in missing)
    return (f"{MISSING_TAG} {' and '.join(missing)}: taken as {taken}",)


def quoted(path: str) -> str:
    """``path`` as it stands in messages: on one line whatever it holds, stdin by its name."""
    return "stdin" if path == "-" else repr(path)
