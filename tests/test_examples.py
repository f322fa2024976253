"""Every example is run, as its user would run it."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import MakeClip

from rankvqa_cli.models.manifest import manifest, shipped_folder

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"


def run(
    *argv: str | Path, model: Path | None = None, cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run an example; shell scripts find vqa-score, with ``model`` in place of the default, in ``VQA_SCORE``."""
    program = [sys.executable, "-m", "rankvqa_cli", *(["-m", str(model)] if model else [])]
    return subprocess.run(
        [str(word) for word in argv],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), "VQA_SCORE": shlex.join(program), **environment},
    )


@pytest.fixture
def encodes(make_clip: MakeClip) -> tuple[Path, Path, Path]:
    """A source, an encode of it that is smaller, and a copy of it."""
    source = make_clip("source with 'quote'.mp4", "-crf", "1", frames=20)
    low = make_clip("low rate.mp4", "-crf", "45", frames=20)
    copy = source.with_name("copy.mp4")
    shutil.copy(source, copy)
    return source, low, copy


def test_quickstart(tiny_model: Path) -> None:
    done = run(sys.executable, EXAMPLES / "quickstart.py", "-m", tiny_model, "--size", "160x96")
    assert done.returncode == 0, done.stderr
    command, heading, *rows = done.stdout.splitlines()
    assert command.startswith("$ vqa-score -ref source.mp4 -i crf18.mp4")
    assert heading.split()[:3] == ["encode", "kbit/s", "score"]
    assert [row.split()[0] for row in rows] == ["crf18.mp4", "crf32.mp4", "crf44.mp4"]
    rates = [int(row.split()[1]) for row in rows]
    assert rates == sorted(rates, reverse=True)


def test_quickstart_as_in_the_readme() -> None:
    if not any(
        entry.default_for == "full-reference" and entry.folder == shipped_folder() for entry in manifest()
    ):
        pytest.skip("NOT TESTED: no default model in weights/")
    done = run(sys.executable, EXAMPLES / "quickstart.py")
    assert done.returncode == 0, done.stderr
    scores = [float(row.split()[2]) for row in done.stdout.splitlines()[2:]]
    assert len(scores) == 3
    assert 100 > scores[0] > scores[1] > scores[2] > 0


def test_smallest_above(encodes: tuple[Path, Path, Path], tiny_model: Path) -> None:
    source, low, copy = encodes
    script = EXAMPLES / "smallest_above.sh"
    assert low.stat().st_size < copy.stat().st_size

    def smallest(score: str, *files: Path) -> subprocess.CompletedProcess[str]:
        return run(script, source, score, *files, model=tiny_model)

    assert smallest("0", copy, low).stdout == f"{low}\n"
    best = smallest("100", copy, low)  # only the source itself scores 100
    assert (best.returncode, best.stdout) == (0, f"{copy}\n")
    none = smallest("100.1", low)
    assert (none.returncode, none.stdout) == (1, ""), none.stderr
    assert none.stderr == "no encode reaches 100.1\n"


def test_smallest_above_passes_errors_on(encodes: tuple[Path, Path, Path], tiny_model: Path) -> None:
    source, low, _ = encodes
    broken = low.with_name("broken.mp4")
    broken.write_text("no video")
    done = run(EXAMPLES / "smallest_above.sh", source, "0", broken, model=tiny_model)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("error: ")
    assert "broken.mp4" in done.stderr
    assert run(EXAMPLES / "smallest_above.sh", source, "0").returncode == 2


def test_codec_comparison(
    encodes: tuple[Path, Path, Path], tiny_model: Path, tmp_path: Path, ffmpeg: str
) -> None:
    source, _, _ = encodes
    settings = {"CODECS": "libx264 libx265", "RATES": "24 36", "FFMPEG": ffmpeg}
    settings["OPTIONS"] = f"-m {tiny_model} --align 0 -threads 1"
    done = run(EXAMPLES / "codec_comparison.sh", tmp_path / "work", source, **settings)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("# x265 against x264\n")
    assert (tmp_path / "work" / "comparison.md").read_text() == done.stdout
    assert len((tmp_path / "work" / "scores.csv").read_text().splitlines()) == 5
    again = run(EXAMPLES / "codec_comparison.sh", tmp_path / "work", source, **settings)
    assert (again.returncode, again.stdout) == (0, done.stdout)
    assert "info: 1/4" not in again.stderr  # nothing is scored twice
    assert run(EXAMPLES / "codec_comparison.sh", tmp_path).returncode == 2


def test_ci_gate(encodes: tuple[Path, Path, Path], tiny_model: Path, tmp_path: Path) -> None:
    source, low, copy = encodes
    gate = EXAMPLES / "ci_gate" / "gate.sh"
    good = run(gate, source, copy, low, model=tiny_model, cwd=tmp_path, VQA_MEAN="0", VQA_P5="0")
    assert good.returncode == 0, good.stderr
    data = json.loads((tmp_path / "scores.json").read_text())
    assert [each["expression"] for each in data["gates"]] == ["mean=0", "p5=0"] * 2
    bad = run(gate, source, copy, low, model=tiny_model, cwd=tmp_path, VQA_MEAN="99.9999")
    assert bad.returncode == 1
    assert [line for line in bad.stderr.splitlines() if line.startswith("error: gate")] != []
    assert str(copy) not in "".join(line for line in bad.stderr.splitlines() if "failed" in line)
    missing = run(gate, source, tmp_path / "missing.mp4", model=tiny_model, cwd=tmp_path)
    assert missing.returncode == 3


def test_ci_snippets_call_the_gate_as_it_is(
    encodes: tuple[Path, Path, Path], tiny_model: Path, tmp_path: Path
) -> None:
    texts = [(EXAMPLES / "ci_gate" / name).read_text() for name in ("github-actions.yml", "gitlab-ci.yml")]
    calls = [re.findall(r"tools/vqa-score/(examples/ci_gate/gate\.sh .*)", text) for text in texts]
    settings = [dict(re.findall(r'(VQA_\w+): "(.+)"', text)) for text in texts]
    assert all("scores.json" in text for text in texts)
    assert calls[0] == calls[1]
    assert settings[0] == settings[1]
    ((call,), variables) = calls[0], settings[0]
    script, source, *files = call.split()
    for file in (source, *files):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        shutil.copy(encodes[0], tmp_path / file)
    assert set(variables) == {"VQA_MEAN", "VQA_P5"}
    done = run(ROOT / script, source, *files, model=tiny_model, cwd=tmp_path, **variables)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "scores.json").exists()


def test_python_use(encodes: tuple[Path, Path, Path], tiny_model: Path) -> None:
    source, low, copy = encodes
    done = run(sys.executable, EXAMPLES / "python_use.py", source, copy, "-m", tiny_model)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == ["tiny: 100.00", "  95 %: 100.00 to 100.00"]
    assert len([line for line in lines if line.startswith("  frame ")]) == 3
    assert lines[-1] == "p5=70: passed with 100.00"
    missing = run(
        sys.executable, EXAMPLES / "python_use.py", source, low.with_name("none.mp4"), "-m", tiny_model
    )
    assert missing.returncode == 3
    assert missing.stderr.startswith("cannot score: ")
    assert missing.stderr.count("\n") == 1
