"""Models are loaded in a thread, while FFmpeg decodes: nearly all of the time goes into importing torch.

Importing this imports no torch.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import importlib.util
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rankvqa_cli.scoring.runtime import Runtime

#: How long, in s, the importing thread keeps the interpreter from those that read frames: by default it is 5 ms a read.
TURN_S = 0.0005
#: What torch's import makes of a quarter of its time: kernels for tensors without data, which only compilers ask for.
_META_KERNELS = "torch._meta_registrations"


def link_ahead() -> None:
    """Have the system's linker load torch's library, a quarter of what its import takes, in a thread that runs no
    Python. What it cannot load the import will, or will say why not. Imports of other compiled modules wait for it.

    Only in a process of our own, which leaves at once when it ends: libraries are not to be taken apart while they are
    put together.
    """
    libraries = _torch_libraries() if _is_executable() else None
    if libraries is None:
        return
    # As a foreign function it lets other threads run; ctypes' own way to load a library does not.
    dlopen = ctypes.CDLL(None).dlopen
    dlopen.argtypes, dlopen.restype = (ctypes.c_char_p, ctypes.c_int), ctypes.c_void_p
    openmp, large = libraries
    with _fitting_environment():
        begun = dlopen(openmp, os.RTLD_NOW | os.RTLD_GLOBAL)
    if begun:
        threading.Thread(target=dlopen, args=(large, os.RTLD_NOW), daemon=True).start()


@contextmanager
def loading(
    models: Sequence[str], has_reference: bool, device: str, precision: str, threads: int | None
) -> Iterator[Future[Runtime]]:
    """The models, as ``runtime.load_runtime`` gives them, loaded by another thread that has ended in the end."""
    with ThreadPoolExecutor(1, "load") as background:
        yield background.submit(_load, models, has_reference, device, precision, threads)


def warm_up() -> None:
    """Import what ``score`` will need, torch above all, for a process that waits for its first work."""
    with ExitStack() as stack:
        if "torch" not in sys.modules:
            for manner in (_fitting_environment(), _no_search_for_garbage(), _short_turns()):
                stack.enter_context(manner)
            if _is_executable():
                stack.enter_context(_no_meta_kernels())
        importlib.import_module("rankvqa_cli.scoring.runtime")


def _load(
    models: Sequence[str], has_reference: bool, device: str, precision: str, threads: int | None
) -> Runtime:
    warm_up()
    from rankvqa_cli.scoring.runtime import load_runtime

    return load_runtime(
        models, has_reference=has_reference, device=device, precision=precision, threads=threads
    )


def _is_executable() -> bool:
    """Whether this process is ``vqa-score``, which scores and leaves: nobody compiles with the torch that it loads."""
    file = Path(getattr(sys.modules["__main__"], "__file__", None) or "")
    return file.name == "vqa-score" or file == Path(__file__).parents[1] / "__main__.py"


def _torch_libraries() -> tuple[bytes, bytes] | None:
    """What ``import torch`` loads first, OpenMP's library, and the large one, which knows no Python. None where it was
    imported already, on systems other than Linux, and of a torch for CUDA, whose libraries lie elsewhere, too."""
    found = None if "torch" in sys.modules else importlib.util.find_spec("torch")
    if sys.platform != "linux" or found is None or found.origin is None:
        return None
    folder = Path(found.origin).parent / "lib"
    if (folder / "libtorch_cuda.so").exists():
        return None
    return os.fsencode(folder / "libtorch_global_deps.so"), os.fsencode(folder / "libtorch_cpu.so")


@contextmanager
def _fitting_environment() -> Iterator[None]:
    """Have OpenMP put its threads to sleep between operations, and torch look for no packages that add devices.

    By default threads spin, on the very cores that FFmpeg needs for decoding: that took four times as long on a busy
    machine. Both read their environment once, when they are loaded; whoever has set something there is left alone.
    """
    wanted = {"OMP_WAIT_POLICY": "PASSIVE", "TORCH_DEVICE_BACKEND_AUTOLOAD": "0"}
    if "GOMP_SPINCOUNT" in os.environ:
        del wanted["OMP_WAIT_POLICY"]
    ours = {name: value for name, value in wanted.items() if name not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            del os.environ[name]


@contextmanager
def _no_search_for_garbage() -> Iterator[None]:
    """Of the half million objects that are made inside, none is ever garbage: do not look, now or later."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if before:
            gc.enable()


@contextmanager
def _short_turns() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(min(before, TURN_S))
    try:
        yield
    finally:
        sys.setswitchinterval(before)


@contextmanager
def _no_meta_kernels() -> Iterator[None]:
    """Import torch without _META_KERNELS. An import of them that somebody asks for afterwards finds them."""
    nothing = ModuleType(_META_KERNELS)
    sys.modules[_META_KERNELS] = nothing
    try:
        yield
    finally:
        del sys.modules[_META_KERNELS]
        package, _, name = _META_KERNELS.partition(".")
        if getattr(sys.modules.get(package), name, None) is nothing:
            delattr(sys.modules[package], name)
