"""Where and how it is computed: device, precision, threads."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

import torch

from rankvqa_cli.errors import DeviceError, UsageError

PRECISIONS = ("auto", "fp32", "bf16")


@dataclass(frozen=True)
class Compute:
    """A device, float32 or bfloat16, and how many CPU threads may work on one operation."""

    device: torch.device
    dtype: torch.dtype
    threads: int

    @property
    def precision(self) -> str:
        return "bf16" if self.dtype == torch.bfloat16 else "fp32"


def choose(device: str = "auto", precision: str = "auto", threads: int | None = None) -> Compute:
    """Turn ``--device``, ``--precision`` and ``-threads`` into a ``Compute``.

    ``auto`` takes CUDA where there is one; bfloat16 on CUDA that has it and on CPUs that multiply in it
    (AMX, AVX512-BF16), float32 elsewhere. No number of threads means PyTorch's own choice. Raises UsageError
    for words it does not know, DeviceError where the device is absent.
    """
    where = _device(device)
    if precision not in PRECISIONS:
        raise UsageError(f"--precision is one of {', '.join(PRECISIONS)}, not {precision!r}")
    if threads is not None and threads < 1:
        raise UsageError(f"-threads must be at least 1, not {threads}")
    half = precision == "bf16" or (precision == "auto" and _multiplies_in_bf16(where))
    return Compute(where, torch.bfloat16 if half else torch.float32, threads or torch.get_num_threads())


def _device(name: str) -> torch.device:
    present = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return torch.device("cuda", 0) if present else torch.device("cpu")
    match = re.fullmatch(r"(cpu)|cuda(?::(\d{1,3}))?", name)
    if match is None:
        raise UsageError(f"--device is auto, cpu, cuda or cuda:N, not {name!r}")
    if match.group(1):
        return torch.device("cpu")
    index = int(match.group(2) or 0)
    if index >= present:
        found = f"{present} CUDA device{'s' if present > 1 else ''}" if present else "no CUDA device"
        raise DeviceError(
            f"--device {name}: this PyTorch ({torch.__version__}) finds {found}; use --device cpu"
        )
    return torch.device("cuda", index)


def _multiplies_in_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return bool({"amx_bf16", "avx512_bf16"} & cpu_features())


@cache
def has_amx() -> bool:
    """Whether this CPU multiplies matrices of bfloat16 in tiles."""
    return "amx_bf16" in cpu_features()


def cpu_features() -> frozenset[str]:
    """Names of the instruction sets that PyTorch found on this CPU, as far as this PyTorch tells."""
    capabilities = getattr(torch.cpu, "get_capabilities", None)
    if capabilities is not None:
        return frozenset(name for name, value in capabilities().items() if value is True)
    # Older versions only answer single questions, under private names.
    questions = {"avx512_bf16": "_is_avx512_bf16_supported", "amx_bf16": "_is_amx_tile_supported"}
    answers = {name: getattr(torch.cpu, question, None) for name, question in questions.items()}
    return frozenset(name for name, ask in answers.items() if ask is not None and ask())
