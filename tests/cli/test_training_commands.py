"""``corpus`` and ``train`` end to end, both stages, with a network of a few thousand parameters."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rankvqa_cli.models.store import read_model

MOS = (4.6, 3.1, 1.7)

CORPUS = ("corpus", "sources", "-o", "corpus", "--ladders", "1", "--rungs", "4", "--patches", "1")
CORPUS += ("--codecs", "x264,mpeg2", "--degraded", "2", "--fold", "-1")


def vqa(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "rankvqa_cli", *arguments]
    return subprocess.run(argv, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def folder(ffmpeg: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two moving sources, and pictures of two contents with three qualities each."""
    folder = tmp_path_factory.mktemp("training")
    (folder / "sources").mkdir()
    (folder / "pictures").mkdir()
    rows = [["distorted", "reference", "mos", "content"]]
    for name, source in (("a", "testsrc2"), ("b", "mandelbrot")):
        lavfi = f"{source}=size=272x264:rate=25"
        make = [ffmpeg, "-v", "error", "-nostdin", "-f", "lavfi", "-i", lavfi, "-pix_fmt", "yuv420p"]
        video = folder / "sources" / f"{name}.mkv"
        subprocess.run([*make, "-frames:v", "24", "-c:v", "ffv1", str(video)], check=True, timeout=60)
        reference = folder / "pictures" / f"{name}.png"
        subprocess.run([*make, "-frames:v", "1", str(reference)], check=True, timeout=60)
        for quality, mos in zip((4, 16, 31), MOS, strict=True):
            picture = reference.with_name(f"{name}-{quality}.jpg")
            argv = [
                ffmpeg,
                "-v",
                "error",
                "-nostdin",
                "-i",
                str(reference),
                "-q:v",
                str(quality),
                str(picture),
            ]
            subprocess.run(argv, check=True, timeout=60)
            rows.append([f"pictures/{picture.name}", f"pictures/{reference.name}", str(mos), name])
    with (folder / "mos.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    made = vqa(*CORPUS, cwd=folder)
    assert made.returncode == 0, made.stderr
    options = ["--data", "corpus", "--tiny", "--groups", "2", "--steps", "2", "--fold", "-1", "-threads", "2"]
    trained = vqa("train", *options, "-o", "one.safetensors", cwd=folder)
    assert trained.returncode == 0, trained.stderr
    assert trained.stdout.startswith("one.safetensors\t")
    return folder


def test_trained_model_scores(folder: Path) -> None:
    scored = vqa("-m", "one.safetensors", "-i", "sources/a.mkv", "-ref", "sources/a.mkv", cwd=folder)
    assert scored.stdout == "100.0000\n", scored.stderr


def test_an_ensemble_learns_from_a_corpus_beside_people(folder: Path) -> None:
    (folder / "pool").mkdir()
    shutil.copy(folder / "one.safetensors", folder / "pool")
    with (folder / "mos.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    lines = ["distorted,mos,content"]
    for row in rows:
        for more in (-0.1, 0, 0.1):
            copied = shutil.copy(folder / row["distorted"], folder / "pool" / f"{len(lines)}.jpg")
            lines.append(f"{copied},{float(row['mos']) + more},{row['content']}")
    (folder / "rated.csv").write_text("\n".join(lines))
    chosen = vqa(
        *["select-models", "--data", "rated.csv", "--pool", "pool", "--members", "1", "--see", "crops"],
        *["--crop", "224", "--screen", "264", "-o", "chosen.json"],
        cwd=folder,
    )
    assert chosen.returncode == 0, chosen.stderr
    shutil.copytree(folder / "corpus", folder / "other")
    train = ["train", "--model", "ptm", "--data", "rated.csv", "--ensemble", "chosen.json", "--seeds", "1"]
    taught = vqa(
        *[*train, "--steps", "5", "--components", "1", "--joint", "--joint-penalty", "9"],
        *["--people", "2", "--corpus", "corpus", "--corpus", "other"],
        *["--labels", "one.safetensors", "--draws", "1", "-o", "taught.json"],
        cwd=folder,
    )
    assert taught.returncode == 0, taught.stderr
    assert "30 patches of 'corpus'" in taught.stderr
    assert "30 patches of 'other'" in taught.stderr
    said = json.loads((folder / "taught.json").read_text())
    assert said["views"]["lines"] == 264
    assert "and 60 labels of a teacher" in said["provenance"]
    assert "joint_penalty=9.0" in read_model(folder / "taught.safetensors")[0].provenance
    scored = vqa("-m", "taught.json", "-i", "sources/a.mkv", cwd=folder)
    assert 0 <= float(scored.stdout) <= 100, scored.stderr
    alone = vqa(*train, "--corpus", "corpus", "-o", "x.json", cwd=folder)
    assert (alone.returncode, "belong together" in alone.stderr) == (2, True)
    unheard = vqa(*train, "--people", "1", "-o", "x.json", cwd=folder)
    assert (unheard.returncode, "--people needs a teacher's labels" in unheard.stderr) == (2, True)
    bare = vqa(*train, "--components", "0", "--mean", "--joint", "-o", "x.json", cwd=folder)
    assert (bare.returncode, "--joint needs" in bare.stderr) == (2, True)
    lonely = vqa(*train, "--joint-penalty", "9", "-o", "x.json", cwd=folder)
    assert (lonely.returncode, "--joint-penalty is for --joint" in lonely.stderr) == (2, True)


def test_corpus_is_not_made_twice(folder: Path) -> None:
    before = (folder / "corpus" / "a" / "dist.npy").stat().st_mtime_ns
    again = vqa(*CORPUS, cwd=folder)
    assert again.returncode == 0, again.stderr
    assert (folder / "corpus" / "a" / "dist.npy").stat().st_mtime_ns == before


def test_stage_two_learns_from_all_but_what_is_left_out(folder: Path) -> None:
    options = ["--data", "corpus", "--groups", "2", "--steps", "2", "--fold", "-1", "--run", "run"]
    options += ["--scored", "mos.csv", "--start", "one.safetensors", "--leave-out", "b"]
    trained = vqa("train", *options, "-o", "two.safetensors", cwd=folder)
    assert trained.returncode == 0, trained.stderr
    with (folder / "run" / "left_out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["content"] for row in rows] == ["b"] * 3
    assert [float(row["mos"]) for row in rows] == list(MOS)
    # What the training says of a picture is what scoring says of it.
    picture = "pictures/b-31.jpg"
    size = ["-vf", "scale=1920:1080:flags=bicubic:out_range=tv", "-pix_fmt", "yuv420p"]
    for name, source in (("r.y4m", "pictures/b.png"), ("d.y4m", picture)):
        from rankvqa_cli.training.sources import corpus_ffmpeg

        argv = [corpus_ffmpeg(), "-v", "error", "-nostdin", "-i", source, *size, "-frames:v", "1", name]
        subprocess.run(argv, cwd=folder, check=True, timeout=60)
    scored = vqa("-m", "two.safetensors", "-i", "d.y4m", "-ref", "r.y4m", cwd=folder)
    assert float(scored.stdout) == pytest.approx(float(rows[2]["score"]), abs=0.5), scored.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["train", "--data", "sources", "-o", "x.safetensors"], 3, "not a finished corpus"),
        (
            ["train", "--data", "corpus", "-o", "x.safetensors", "--scored", "mos.csv"],
            2,
            "--scored needs --start",
        ),
        (["train", "--data", "corpus", "-o", "x.safetensors", "--leave-out", "b"], 2, "need --scored"),
        (["corpus", "pictures/mos.csv", "-o", "out"], 3, "cannot read the source list"),
        (["corpus", "corpus/a", "-o", "out"], 2, "no video or still"),
        ([*CORPUS, "--seed", "7"], 2, "made otherwise (seed 1, not 7)"),
        (["corpus", "sources", "-o", "out", "--codecs", "h266"], 2, "no codec 'h266'"),
        (["corpus", "sources", "-o", "out", "--sizes", "0.5,2"], 2, "below 1"),
        (["corpus", "sources", "-o", "out", "--frames", "48"], 3, "gives 24 frames from 0 s; 48 are needed"),
    ],
)
def test_bad_input_is_one_line(folder: Path, arguments: list[str], code: int, message: str) -> None:
    done = vqa(*arguments, cwd=folder)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / "x.safetensors").exists()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("pictures/a-4.jpg,pictures/a.png,6,a\n", "row 2: the mos 6.0 is not on the scale"),
        ("pictures/a-4.jpg,pictures/a.png,nan,a\n", "row 2: the mos nan is no finite number"),
        ("pictures/a-4.jpg,pictures/a.png,,a\n", "row 2: the mos '' is no number"),
        ("pictures/none.jpg,pictures/a.png,3,a\n", "row 2: no such file"),
        ("pictures/a-4.jpg,pictures/a.png,3,a\n" * 2, "row 3: 'pictures/a-4.jpg' stands in row 2"),
        (
            "pictures/a-4.jpg,pictures/a.png,3,a\npictures/a-16.jpg,pictures/a.png,2,a\n",
            "fewer than two contents",
        ),
    ],
)
def test_bad_scores_name_the_row(folder: Path, rows: str, message: str) -> None:
    (folder / "bad.csv").write_text("distorted,reference,mos,content\n" + rows)
    options = ["--scored", "bad.csv", "--start", "one.safetensors"]
    done = vqa("train", "--data", "corpus", "-o", "x.safetensors", *options, cwd=folder)
    assert done.returncode == 3, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
