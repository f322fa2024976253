"""How many threads there are, and how many of them decode where few frames are looked at."""

from __future__ import annotations

import os

#: Pixels that one thread decodes (H.264) while another looks at one frame as large as a screen, about.
_DECODED_A_LOOK = 22e6


def usable_cpus() -> int:
    """CPUs that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def decoding_share(threads: int | None, pixels: float) -> int:
    """Threads for a decoder, of ``threads`` (None: one a CPU), where ``pixels`` are decoded for one frame that is
    looked at. Frames that are decoded beside each other cost a fifth to a half more than one after the other (H.264),
    so the decoder has no more of them than it can keep busy beside the model."""
    share = pixels / (pixels + _DECODED_A_LOOK)
    return max(1, round((threads or usable_cpus()) * share))
