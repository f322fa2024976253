"""What torch is imported in, which has to be as it was afterwards."""

from __future__ import annotations

import gc
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rankvqa_cli.scoring import loading

REPOSITORY = Path(__file__).resolve().parents[2]
NAMES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "TORCH_DEVICE_BACKEND_AUTOLOAD")


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def settings() -> tuple[str | None, ...]:
    return tuple(os.environ.get(name) for name in NAMES)


def test_the_environment_is_set_for_the_import_only(environment: pytest.MonkeyPatch) -> None:
    with loading._fitting_environment():
        assert settings() == ("PASSIVE", None, "0")
    assert settings() == (None, None, None)


@pytest.mark.parametrize(
    ("name", "inside"),
    [
        ("OMP_WAIT_POLICY", ("own", None, "0")),
        ("GOMP_SPINCOUNT", (None, "own", "0")),
        ("TORCH_DEVICE_BACKEND_AUTOLOAD", ("PASSIVE", None, "own")),
    ],
)
def test_what_the_user_has_set_is_left_alone(
    environment: pytest.MonkeyPatch, name: str, inside: tuple[str | None, ...]
) -> None:
    environment.setenv(name, "own")
    with loading._fitting_environment():
        assert settings() == inside
    assert os.environ[name] == "own"


def test_turns_are_short_only_meanwhile() -> None:
    before = sys.getswitchinterval()
    with loading._short_turns():
        assert sys.getswitchinterval() == pytest.approx(loading.TURN_S)
    assert sys.getswitchinterval() == pytest.approx(before)


def test_garbage_is_looked_for_again_unless_the_user_had_it_otherwise() -> None:
    try:
        with loading._no_search_for_garbage():
            assert not gc.isenabled()
        assert gc.isenabled()
        assert gc.get_freeze_count() > 0
        gc.disable()
        with loading._no_search_for_garbage():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
        gc.unfreeze()


def test_torch_is_not_imported_with_the_engine_but_with_the_models() -> None:
    """And where it has been imported before, nobody's objects are frozen."""
    script = (
        "import sys, gc\n"
        "from rankvqa_cli.scoring import engine, loading\n"
        "assert 'torch' not in sys.modules and 'numpy' not in sys.modules\n"
        "import torch\n"
        "with loading.loading([], True, 'cpu', 'fp32', 1) as loaded:\n"
        "    assert loaded.result().compute.threads == 1\n"
        "assert gc.get_freeze_count() == 0\n"
        "assert 'rankvqa_cli.models.rankvqa' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, check=True, timeout=120)


@pytest.mark.parametrize(
    ("file", "executable"),
    [
        ("/usr/bin/vqa-score", True),
        (str(REPOSITORY / "rankvqa_cli" / "__main__.py"), True),
        ("/home/user/score_all.py", False),
        ("/usr/lib/pytest/__main__.py", False),
        (None, False),
    ],
)
def test_only_a_process_of_our_own_goes_without_kernels_for_compilers(
    file: str | None, executable: bool
) -> None:
    script = (
        "import sys\n"
        f"sys.modules['__main__'].__file__ = {file!r}\n"
        "from rankvqa_cli.scoring import loading\n"
        "with loading.loading([], True, 'cpu', 'fp32', 1) as loaded:\n"
        "    loaded.result()\n"
        "name = 'torch._meta_registrations'\n"
        f"assert (name in sys.modules) is not {executable}\n"
        "import torch._meta_registrations\n"
        "assert torch._meta_registrations.__file__\n"
        "assert torch.empty(2, 3, device='meta').expand(4, 2, 3).sum(0).shape == (2, 3)\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, check=True, timeout=120)


FIRST = "import sys, threading; sys.modules['__main__'].__file__ = {file!r}; "


def linked(file: str, *before: str) -> str:
    """What ``link_ahead`` has mapped into a process that was started from ``file``."""
    script = "\n".join(
        (
            FIRST.format(file=file),
            *before,
            "import os",
            "from rankvqa_cli.scoring import loading",
            "loading.link_ahead()",
            "[each.join() for each in threading.enumerate() if each.daemon]",
            "assert 'OMP_WAIT_POLICY' not in os.environ",
            "print('libtorch_cpu' in open('/proc/self/maps').read(), flush=True)",
            "os._exit(0)",
        )
    )
    environment = {name: value for name, value in os.environ.items() if name not in NAMES}
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=REPOSITORY,
        env=environment,
        check=True,
        timeout=120,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


@pytest.mark.skipif(sys.platform != "linux", reason="only on Linux")
def test_libraries_are_linked_ahead_in_a_process_of_our_own() -> None:
    torch = importlib.util.find_spec("torch")
    assert torch is not None
    assert torch.origin is not None
    cuda = (Path(torch.origin).parent / "lib" / "libtorch_cuda.so").exists()
    assert linked("/usr/bin/vqa-score") == str(not cuda)
    assert linked("/home/user/score_all.py") == "False"
    nowhere = "import importlib.util; importlib.util.find_spec = lambda name: None"
    assert linked("/usr/bin/vqa-score", nowhere) == "False"
    other = (
        "import importlib.util, importlib.machinery as m; "
        "importlib.util.find_spec = lambda name: m.ModuleSpec(name, None, origin='/nowhere/torch/__init__.py')"
    )
    assert linked("/usr/bin/vqa-score", other) == "False"


def test_what_was_linked_ahead_is_what_is_imported(tmp_path: Path) -> None:
    """The same libraries, once; also where the import does not wait for the linker."""
    script = (
        FIRST.format(file="/usr/bin/vqa-score")
        + "from rankvqa_cli.scoring import loading; loading.link_ahead(); loading.warm_up(); import torch, os; "
        "assert torch.ones(2, 3).matmul(torch.ones(3, 1)).tolist() == [[3.0], [3.0]]; "
        "lines = [each.split()[-1] for each in open('/proc/self/maps') if 'libtorch_cpu' in each]; "
        "assert len(set(lines)) == 1; os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, check=True, timeout=120)
