"""Device, precision and threads: what is chosen, and what is said where it cannot be had."""

from __future__ import annotations

import pytest
import torch

from rankvqa_cli.errors import DeviceError, ExitCode, UsageError
from rankvqa_cli.models import compute
from rankvqa_cli.models.allocator import keep_pages
from rankvqa_cli.models.compute import choose, cpu_features
from rankvqa_cli.scoring.device import computing


def test_fp32_and_bf16_can_be_asked_for() -> None:
    assert choose("cpu", "fp32").dtype == torch.float32
    assert choose("cpu", "bf16").dtype == torch.bfloat16
    assert choose("cpu", "bf16").precision == "bf16"


@pytest.mark.parametrize(
    ("features", "expected"),
    [({"avx2"}, "fp32"), ({"avx2", "avx512_bf16"}, "bf16"), ({"amx_bf16"}, "bf16"), (set(), "fp32")],
)
def test_precision_follows_the_cpu(
    monkeypatch: pytest.MonkeyPatch, features: set[str], expected: str
) -> None:
    monkeypatch.setattr(compute, "cpu_features", lambda: frozenset(features))
    assert choose("cpu", "auto").precision == expected


def test_cpu_features_are_names() -> None:
    features = cpu_features()
    assert all(isinstance(name, str) for name in features)
    if torch.backends.cpu.get_cpu_capability() == "AVX2":
        assert "amx_bf16" not in features


def test_threads() -> None:
    assert choose("cpu", threads=3).threads == 3
    assert choose("cpu").threads >= 1
    before = torch.get_num_threads()
    with computing(choose("cpu", threads=1)):
        assert torch.get_num_threads() == 1
        assert torch.is_inference_mode_enabled()
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"device": "gpu"}, "--device"),
        ({"device": "cuda:-1"}, "--device"),
        ({"precision": "fp16"}, "--precision"),
        ({"threads": 0}, "-threads"),
    ],
)
def test_unknown_words_are_usage_errors(arguments: dict[str, object], word: str) -> None:
    with pytest.raises(UsageError, match=word):
        choose(**arguments)  # type: ignore[arg-type]


def test_cuda_that_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match="no CUDA device") as caught:
        choose("cuda")
    assert caught.value.exit_code == ExitCode.DEVICE
    assert choose("auto").device == torch.device("cpu")


def test_cuda_index_that_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert choose("cuda:0", "fp32").device == torch.device("cuda:0")
    with pytest.raises(DeviceError, match="1 CUDA device"):
        choose("cuda:1", "fp32")


def test_out_of_memory_is_a_device_error() -> None:
    with (
        pytest.raises(DeviceError, match="out of memory on cpu") as caught,
        computing(choose("cpu")),
    ):
        torch.empty(1 << 60, dtype=torch.uint8)
    assert caught.value.exit_code == ExitCode.DEVICE


def test_other_runtime_errors_pass_through() -> None:
    with pytest.raises(RuntimeError, match=r"shapes|size"), computing(choose("cpu")):
        torch.zeros(2, 3) @ torch.zeros(2, 3)


def test_the_environment_wins_over_the_allocator_tuning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "131072")
    assert keep_pages() is False
