"""The house rules, held against the source itself: floors, who may import what, sizes, and no work at import."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "rankvqa_cli"
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "_weights" not in path.parts)

# A module may import from its own part and from every part on a floor below it, and from nothing else.
FLOORS = {
    "errors": 0,
    "types": 0,
    "version": 0,
    "media": 1,
    "models": 1,
    "results": 1,
    "scoring": 2,
    "training": 2,
    "pages": 2,
    "batch": 3,
    "cli": 4,
    "__init__": 5,
    "__main__": 5,
}
ORDER_ON_FLOOR_0 = ("errors", "types", "version")
MAX_LINES = 320


def part_of(path: Path) -> str:
    """The part of the house a module belongs to: ``media`` for media/reader.py, ``types`` for types.py."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imports(node: ast.AST) -> Iterator[str]:
    """Dotted names of everything imported anywhere below ``node``, ``from a import b`` as ``a.b``."""
    for each in ast.walk(node):
        if isinstance(each, ast.Import):
            yield from (alias.name for alias in each.names)
        elif isinstance(each, ast.ImportFrom):
            assert each.level == 0, "imports are absolute"
            yield from (f"{each.module}.{alias.name}" for alias in each.names)


def at_import(module: ast.Module) -> Iterator[ast.stmt]:
    """The statements that run when the module is imported; what stands under TYPE_CHECKING does not."""
    for statement in module.body:
        if isinstance(statement, ast.If):
            if ast.unparse(statement.test) not in ("TYPE_CHECKING", "__name__ == '__main__'"):
                yield statement
        else:
            yield statement


def by_name(path: Path) -> str:
    return str(path.relative_to(ROOT))


each_module = pytest.mark.parametrize("path", MODULES, ids=by_name)


def test_every_part_has_a_floor() -> None:
    assert len(MODULES) > 20
    assert {part_of(path) for path in MODULES} <= FLOORS.keys()


@each_module
def test_a_module_imports_from_floors_below_only(path: Path) -> None:
    own = part_of(path)
    for name in imports(tree(path)):
        package, *rest = name.split(".")
        if package != PACKAGE.name:
            continue
        other = rest[0] if rest and rest[0] in FLOORS else "__init__"
        allowed = other == own or FLOORS[other] < FLOORS[own]
        if FLOORS[own] == FLOORS[other] == 0:
            allowed = ORDER_ON_FLOOR_0.index(other) <= ORDER_ON_FLOOR_0.index(own)
        assert allowed, f"{own} (floor {FLOORS[own]}) imports {name} (floor {FLOORS[other]})"


@each_module
def test_only_the_right_parts_import_torch_and_click(path: Path) -> None:
    own = part_of(path)
    used = {name.split(".")[0] for name in imports(tree(path))}
    if own != "cli":
        assert not used & {"click", "rich"}
    if FLOORS[own] <= 1 and own != "models":
        assert "torch" not in used
    if FLOORS[own] == 0:
        assert used <= sys.stdlib_module_names | {PACKAGE.name}


@each_module
def test_a_module_is_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


@each_module
def test_nothing_but_definitions_runs_at_import(path: Path) -> None:
    allowed = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign)
    for statement in at_import(tree(path)):
        docstring = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        assert docstring or isinstance(statement, allowed), (
            f"line {statement.lineno}: {ast.unparse(statement)[:80]}"
        )


@each_module
def test_no_forbidden_shortcuts(path: Path) -> None:
    for node in ast.walk(tree(path)):
        where = f"line {getattr(node, 'lineno', 0)}"
        assert not isinstance(node, ast.Global), f"{where}: global state"
        if isinstance(node, ast.ExceptHandler):
            caught = "" if node.type is None else ast.unparse(node.type)
            raised_again = isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None
            assert raised_again or caught not in ("", "Exception", "BaseException"), (
                f"{where}: catches everything"
            )
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            assert given.get("shell", "False") == "False", f"{where}: a shell"
            assert called not in ("eval", "exec", "os.system"), f"{where}: runs text"
            assert called != "torch.load" or given.get("weights_only") == "True", (
                f"{where}: unsafe torch.load"
            )
            if called.endswith("load_state_dict"):
                assert given.get("strict", "True") == "True", f"{where}: strict=False"
        if isinstance(node, ast.Raise) and node.exc is not None:
            assert not ast.unparse(node.exc).startswith("NotImplementedError"), f"{where}: a stub"


def test_importing_everything_has_no_side_effect(tmp_path: Path) -> None:
    """One process imports every module: nothing printed, written, started or changed."""
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in MODULES
        if path.name != "__main__.py"
    ]
    code = f"""
import importlib, os, random, signal, sys, threading
import torch, numpy, scipy, av, click, rich  # what these do at import is theirs
def state():
    handlers = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    chance = (random.getstate(), torch.get_rng_state().tolist())
    return (dict(os.environ), os.getcwd(), threading.active_count(), torch.get_num_threads(), chance, handlers,
            sys.excepthook)
before = state()
for name in {names!r}:
    importlib.import_module(name)
    assert state() == before, name
"""
    done = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", code],
        cwd=tmp_path,
        env={"PATH": "", "HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not list(tmp_path.iterdir())


def test_the_command_line_starts_without_torch(tmp_path: Path) -> None:
    names = [
        f"rankvqa_cli.cli.{path.stem}"
        for path in MODULES
        if part_of(path) == "cli" and path.stem != "__init__"
    ]
    light = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in MODULES
        if part_of(path) in ("errors", "types", "media", "results") and path.stem != "__init__"
    ]
    code = (
        "import importlib, sys\n"
        f"for name in {['rankvqa_cli', *names, *light]!r}:\n"
        "    importlib.import_module(name)\n"
        "    assert 'torch' not in sys.modules, name\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
