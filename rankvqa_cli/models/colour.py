"""From code values to floats: the only place where YUV becomes something a network sees.

Every function takes a ``Clip`` (planes of uint8 or uint16) and returns a new contiguous tensor on the clip's
device. Digital quantisation is that of Recommendations ITU-R BT.601-7 (2.5.3), BT.709-6 (3.4), BT.2020-2
(table 5) and, for full range, BT.2100-2 (table 9): with n bits, limited luma spans 16 to 235 and chroma 16 to
240, both times 2^(n-8); full range spans 0 to 2^n - 1 with chroma centred on 2^(n-1).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from rankvqa_cli.errors import InputError
from rankvqa_cli.models.contract import Clip
from rankvqa_cli.models.sizes import WIDER, halved, halved_codes

ColourInput = Literal["luma", "rgb", "ycbcr"]

# Kr and Kb, the weights of red and blue in luma, under FFmpeg's names of the matrices.
LUMA_WEIGHTS: dict[str, tuple[float, float]] = {
    "bt709": (0.2126, 0.0722),
    "bt601": (0.299, 0.114),
    "smpte170m": (0.299, 0.114),
    "bt470bg": (0.299, 0.114),
    "fcc": (0.30, 0.11),
    "smpte240m": (0.212, 0.087),
    "bt2020": (0.2627, 0.0593),
    "bt2020nc": (0.2627, 0.0593),
}


def frames(clip: Clip, start: int, stop: int) -> Clip:
    """Frames ``start`` to ``stop`` of a clip (a view)."""
    luma, cb, cr = (None if plane is None else plane[start:stop] for plane in (clip.luma, clip.cb, clip.cr))
    assert luma is not None
    return Clip(luma, cb, cr, clip.format)


def on(clip: Clip, device: torch.device) -> Clip:
    """The clip's planes on ``device``, still as code values."""
    luma, cb, cr = (None if plane is None else plane.to(device) for plane in (clip.luma, clip.cb, clip.cr))
    assert luma is not None
    return Clip(luma, cb, cr, clip.format)


def is_still(clip: Clip) -> bool:
    """Whether all frames are the same."""
    planes = [plane for plane in (clip.luma, clip.cb, clip.cr) if plane is not None]
    return all(torch.equal(plane[t], plane[0]) for t in range(1, len(clip.luma)) for plane in planes)


def window(clip: Clip, top: int, left: int, height: int, width: int) -> tuple[Clip, int, int]:
    """The part of a clip that it takes to convert a rectangle of it (a view), and where the rectangle lies in it.

    The part begins on a chroma sample and has one sample more on each side, so that converting it gives the
    rectangle the values that converting the whole frame gives.
    """
    across, down = clip.format.chroma or (1, 1)
    rows = _reach(top, height, down, clip.luma.shape[1])
    columns = _reach(left, width, across, clip.luma.shape[2])
    chroma_rows = slice(rows.start // down, -(-rows.stop // down))
    chroma_columns = slice(columns.start // across, -(-columns.stop // across))
    cb, cr = (
        None if plane is None else plane[:, chroma_rows, chroma_columns] for plane in (clip.cb, clip.cr)
    )
    size = replace(clip.format, height=rows.stop - rows.start, width=columns.stop - columns.start)
    return Clip(clip.luma[:, rows, columns], cb, cr, size), top - rows.start, left - columns.start


def _reach(start: int, length: int, step: int, end: int) -> slice:
    if step == 1:
        return slice(start, start + length)
    return slice(max(0, start // step - 1) * step, min(end, (-(-(start + length) // step) + 1) * step))


def code_luma(clip: Clip) -> Tensor:
    """Luma code values over the largest one, whatever the range: (T, 1, H, W) float32 in 0 to 1.

    This is what the published RankDVQA networks were given (8-bit values / 255).
    """
    return clip.luma.to(torch.float32).div_(2**clip.format.bit_depth - 1).unsqueeze(1)


def nominal_luma(clip: Clip) -> Tensor:
    """Luma with black at 0 and white at 1: (T, 1, H, W) float32; limited range may overshoot on both sides."""
    return _nominal(clip.luma.to(torch.float32), clip).unsqueeze(1)


def nominal_chroma(clip: Clip) -> Tensor:
    """Cb and Cr as the video has them: (T, 2, ceil(H / cy), ceil(W / cx)) float32, nominally -0.5 to 0.5.

    Luma-only video has neutral chroma, 0 everywhere, on the 4:2:0 grid.
    """
    if clip.cb is None or clip.cr is None:
        frames, height, width = clip.luma.shape
        return torch.zeros(frames, 2, -(-height // 2), -(-width // 2), device=clip.luma.device)
    return _nominal_chroma(torch.stack([clip.cb.to(torch.float32), clip.cr.to(torch.float32)], dim=1), clip)


def _nominal_chroma(values: Tensor, clip: Clip) -> Tensor:
    """Chroma code ``values`` of a clip, float32, changed in place: neutral at 0."""
    depth = clip.format.bit_depth
    span = 2.0**depth - 1 if clip.format.full_range else 224 * 2.0 ** (depth - 8)
    return values.sub_(2.0 ** (depth - 1)).div_(span)


def chroma_420(clip: Clip) -> Tensor:
    """``nominal_chroma`` on the 4:2:0 grid: (T, 2, ceil(H / 2), ceil(W / 2)).

    Denser chroma (4:4:4, 4:2:2, 4:4:0) is averaged over the area of each 4:2:0 sample, the last row and
    column of odd sizes over what there is; sparser chroma (4:1:1, 4:1:0) is repeated.
    """
    chroma = nominal_chroma(clip)
    if clip.cb is None:
        return chroma
    across, down = clip.format.chroma or (2, 2)
    if across < 2 or down < 2:
        kernel = (max(1, 2 // down), max(1, 2 // across))
        chroma = F.avg_pool2d(chroma, kernel, ceil_mode=True, count_include_pad=False)
    if across > 2 or down > 2:
        chroma = chroma.repeat_interleave(max(1, down // 2), dim=2)
        chroma = chroma.repeat_interleave(max(1, across // 2), dim=3)
        height, width = clip.luma.shape[1:]
        chroma = chroma[:, :, : -(-height // 2), : -(-width // 2)].contiguous()
    return chroma


def ycbcr(clip: Clip) -> Tensor:
    """Nominal luma and chroma at luma's size: (T, 3, H, W) float32. Chroma is interpolated bilinearly.

    Samples are taken as centred on the area they stand for, as in MPEG-1 and JPEG; the quarter-sample shift
    of other sitings is the same for both inputs of a comparison.
    """
    return torch.cat([nominal_luma(clip), _spread_chroma(clip)], dim=1)


def _spread_chroma(clip: Clip) -> Tensor:
    """``nominal_chroma`` at luma's size: (T, 2, H, W)."""
    chroma = nominal_chroma(clip)
    across, down = clip.format.chroma or (2, 2)
    if across > 1 or down > 1:
        chroma = F.interpolate(chroma, scale_factor=(float(down), float(across)), mode="bilinear")
    height, width = clip.luma.shape[1:]
    return chroma[:, :, :height, :width]


def rgb(clip: Clip) -> Tensor:
    """Non-linear R'G'B' by the matrix of the video: (T, 3, H, W) float32, clamped to 0 to 1.

    Inverts E'Cb = (E'B - E'Y) / (2 (1 - Kb)) and E'Cr = (E'R - E'Y) / (2 (1 - Kr)). Raises InputError for a
    matrix that has no such form (constant luminance, ICtCp, ...).
    """
    weights = _red_and_blue(clip)
    return _mixed(nominal_luma(clip)[:, 0], _spread_chroma(clip), *weights)


def halved_rgb(clip: Clip) -> Tensor:
    """``sizes.halved(rgb(clip))`` at a quarter of the work: (T, 3, H // 2, W // 2) float32. Values that overshoot count
    as they are in a mean, and the mean is clamped. Raises InputError as ``rgb`` does."""
    weights = _red_and_blue(clip)
    luma = _nominal(halved_codes(clip.luma), clip)
    if clip.cb is None or clip.cr is None:
        chroma = nominal_chroma(clip)
    elif clip.format.chroma == (2, 2):
        chroma = _nominal_chroma(_means_on_luma(clip.cb, clip.cr), clip)
    else:
        chroma = halved(_spread_chroma(clip))
    return _mixed(luma, chroma[..., : luma.shape[-2], : luma.shape[-1]], *weights)


def _means_on_luma(cb: Tensor, cr: Tensor) -> Tensor:
    """Code values (T, h, w) of 4:2:0 chroma, interpolated bilinearly to luma's size and halved again: (T, 2, h, w)
    float32. That is an eighth of each neighbour, one axis after the other; in whole numbers until the end, which is
    twice as fast."""
    frames, height, width = cb.shape
    wide = torch.empty(frames, 2, height + 2, width + 2, dtype=WIDER[cb.dtype], device=cb.device)
    for plane, codes in enumerate((cb, cr)):
        wide[:, plane, 1:-1, 1:-1] = codes
    wide[:, :, [0, -1], 1:-1] = wide[:, :, [1, -2], 1:-1]
    wide[..., [0, -1]] = wide[..., [1, -2]]
    rows = (wide[..., :-2, :] + wide[..., 2:, :]).add_(wide[..., 1:-1, :], alpha=6)
    both = (rows[..., :-2] + rows[..., 2:]).add_(rows[..., 1:-1], alpha=6)
    return both.to(torch.float32).div_(64)


def _red_and_blue(clip: Clip) -> tuple[float, float]:
    """What red and blue have in luma. Raises InputError where the matrix is no mixture."""
    if clip.format.matrix not in LUMA_WEIGHTS:
        raise InputError(
            f"matrix {clip.format.matrix!r} cannot be converted to RGB by this model; convert the video to "
            f"one of {', '.join(LUMA_WEIGHTS)} first"
        )
    return LUMA_WEIGHTS[clip.format.matrix]


def _mixed(y: Tensor, chroma: Tensor, kr: float, kb: float) -> Tensor:
    """(T, H, W) and (T, 2, H, W) -> (T, 3, H, W) in 0 to 1."""
    cb, cr = chroma.unbind(dim=1)
    # Each sum straight into its place: a frame is read by little else than this where few of its frames are looked at.
    out = y.new_empty(len(y), 3, *y.shape[1:])
    red, green, blue = out.unbind(dim=1)
    torch.add(y, cr, alpha=2 * (1 - kr), out=red)
    torch.add(y, cb, alpha=2 * (1 - kb), out=blue)
    torch.add(y, red, alpha=-kr, out=green).sub_(blue, alpha=kb).div_(1 - kr - kb)
    return out.clamp_(0, 1)


def network_input(clip: Clip, kind: ColourInput) -> Tensor:
    """What a network that asks for ``kind`` is given: (T, 1 or 3, H, W) float32 in about 0 to 1, channels last.

    ``luma`` is code values over the largest one; chroma of ``ycbcr`` is centred on 0.5, as networks centre inputs.
    """
    if kind == "luma":
        x = code_luma(clip)
    elif kind == "rgb":
        x = rgb(clip)
    else:
        x = ycbcr(clip)
        x[:, 1:] += 0.5
    return x.contiguous(memory_format=torch.channels_last)


def _nominal(values: Tensor, clip: Clip) -> Tensor:
    """Luma code ``values`` of a clip, float32, changed in place: black at 0 and white at 1."""
    offset, span = _luma_levels(clip)
    return values.sub_(offset).div_(span)


def _luma_levels(clip: Clip) -> tuple[float, float]:
    """Code value of black, and how many code values white is above it."""
    depth = clip.format.bit_depth
    if clip.format.full_range:
        return 0.0, 2.0**depth - 1
    return 16 * 2.0 ** (depth - 8), 219 * 2.0 ** (depth - 8)
