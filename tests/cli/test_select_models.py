"""From a rated set and a pool to a score without a reference, by the command line alone."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from made_onnx import small_network

from rankvqa_cli.cli.select_models import open_pools
from rankvqa_cli.models.ptm import onnx

Run = Callable[..., subprocess.CompletedProcess[str]]
MakeClip = Callable[..., Path]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "rankvqa_cli", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return call


@pytest.fixture
def rated(make_clip: MakeClip, tmp_path: Path) -> Path:
    """Encodes of three contents, the MOS falls with the rate."""
    path = tmp_path / "rated.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["distorted", "mos", "content"])
        for content in ("testsrc2", "mandelbrot", "smptehdbars"):
            for i, crf in enumerate((10, 25, 35, 43, 51)):
                clip = make_clip(
                    f"{content}{crf}.mp4", "-crf", str(crf), frames=1, size="240x224", source=content
                )
                writer.writerow([clip.name, 5 - i, content])
    return path


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    folder = tmp_path / "pool"
    folder.mkdir()
    for number, name in enumerate(("a", "b", "c")):
        (folder / f"{name}.onnx").write_bytes(small_network(number))
    return folder


def test_select_train_and_score(run: Run, rated: Path, pool: Path, tmp_path: Path) -> None:
    chosen = run(
        "select-models",
        "--data",
        rated.name,
        "--pool",
        "pool",
        "-o",
        "chosen.json",
        "--members",
        "2",
        "--crop",
        "224",
        "--plot",
        "dbi.png",
    )
    assert (chosen.returncode, "Traceback" in chosen.stderr) == (0, False), chosen.stderr
    lines = [line.split("\t") for line in chosen.stdout.splitlines()]
    assert lines[0][:2] == ["model", "DBI"]
    assert sorted(line[0] for line in lines[1:4]) == ["a", "b", "c"]
    assert [line[4] for line in lines[1:4]] == ["yes", "yes", "no"]
    assert (tmp_path / "dbi.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((tmp_path / "chosen.json").read_text())["head"] is None

    trained = run(
        "train",
        "--model",
        "ptm",
        "--data",
        rated.name,
        "--ensemble",
        "chosen.json",
        "-o",
        "mine.json",
        "--seeds",
        "1",
        "--steps",
        "30",
        "--cache",
        "chosen.features",
        "--ablate",
    )
    assert trained.returncode == 0, trained.stderr
    for way in ("ptm", "no_icid", "equal_weights", "ridge"):
        assert f"\n{way}\t" in trained.stderr
    with (tmp_path / "mine.run" / "left_out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 15
    assert all(float(row["ptm"]) == float(row["ptm"]) for row in rows)

    scored = run("-i", "testsrc210.mp4", "-i", "mandelbrot51.mp4", "-m", "mine.json", "-o", "out.json")
    assert scored.returncode == 0, scored.stderr
    results = json.loads((tmp_path / "out.json").read_text())["results"]
    assert [(r["reference"], r["model"], len(r["members"])) for r in results] == [(None, "mine", 2)] * 2
    said = run("models", "info", "mine.json", "--format", "json")
    assert said.returncode == 0, said.stderr
    assert [member["name"] for member in json.loads(said.stdout)["members"]] == [
        m["name"] for m in results[0]["members"]
    ]
    assert run("models", "verify", "mine.json").returncode == 0


def test_a_pool_may_be_some_elements_of_one_file(run: Run, rated: Path, pool: Path, tmp_path: Path) -> None:
    layers = ("pool/a.onnx#features[0:2]", "pool/a.onnx#[2:6]@half,half-detail", "pool/b.onnx")
    pools = [word for layer in layers for word in ("--pool", layer)]
    done = run(
        "select-models", "--data", rated.name, *pools, "-o", "some.json", "--members", "3", "--crop", "224"
    )
    assert done.returncode == 0, done.stderr
    members = json.loads((tmp_path / "some.json").read_text())["members"]
    found = {(m["name"], m["layer"], m["dimension"], m["seen"] and tuple(m["seen"])) for m in members}
    assert found == {
        ("a-features[0:2]", "features[0:2]", 2, None),
        ("a-features[2:6]@half,half-detail", "features[2:6]", 4, ("half", "half-detail")),
        ("b", "features", 6, None),
    }
    heard = ("--ensemble", "some.json", "--cache", "some.features", "--seeds", "1", "--steps", "5")
    trained = run("train", "--model", "ptm", "--data", rated.name, *heard, "-o", "of_some.json")
    assert trained.returncode == 0, trained.stderr
    scored = run("-i", "testsrc210.mp4", "-m", "of_some.json", "-o", "out.json")
    assert scored.returncode == 0, scored.stderr
    assert len(json.loads((tmp_path / "out.json").read_text())["results"][0]["members"]) == 3


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--pool", "nowhere"), 5, "cannot read the pool"),
        (("--pool", "."), 5, "has no network"),
        (("--pool", "pool/a.onnx#other"), 5, "has no output 'other'"),
        (("--pool", "pool/x.onnx#[0:2]"), 5, "cannot read the pool"),
        (("--pool", "pool/a.onnx@haf"), 5, "what is shown, behind the @"),
        (("--pool", "pool/a.onnx", "--pool", "pool/b.onnx@half"), 2, "equally many views"),
        (("--pool", "rated.csv"), 5, "'rated.csv' is no network: .onnx and .safetensors"),
        (("--pool", "pool", "--pool", "pool"), 2, "are called 'a'"),
        (("--pool", "pool", "--members", "0"), 2, "--members is auto"),
        (("--pool", "pool", "--see", "all"), 2, "--see takes some of"),
        (("--pool", "pool", "--leave-out", "nobody"), 2, "no content 'nobody'"),
        (("--pool", "pool", "--filter", "content=testsrc2"), 3, "fewer than two contents"),
    ],
)
def test_faults_are_one_line_and_write_nothing(
    run: Run, rated: Path, pool: Path, tmp_path: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    done = run("select-models", "--data", rated.name, "-o", "out.json", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert not (tmp_path / "out.json").exists()


@pytest.mark.parametrize(
    ("mos", "said"),
    [
        (["3", "nan", "1"] * 5, "no finite number"),
        (["3"] * 15, "hold two samples"),
        (["5", *[""] * 4, "3", *[""] * 4, "1"], "3 rated samples"),
        (["7"] * 15, "is not on the scale of 1 to 5"),
        (["5", "3", "1"] * 2 + [""] * 3 + ["2"], "without one of the contents"),
    ],
)
def test_opinions_that_say_nothing_are_refused(
    run: Run, rated: Path, pool: Path, tmp_path: Path, mos: list[str], said: str
) -> None:
    with rated.open(newline="") as file:
        rows = list(csv.DictReader(file))
    with rated.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["distorted", "mos", "content"])
        writer.writeheader()
        writer.writerows(row | {"mos": value} for row, value in zip(rows, mos, strict=False) if value)
    done = run("select-models", "--data", rated.name, "--pool", "pool", "-o", "out.json", "--crop", "224")
    assert (done.returncode, done.stdout) == (3, ""), done.stderr
    assert said in done.stderr
    assert not (tmp_path / "out.json").exists()
    assert not (tmp_path / "out.features").exists()


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        (["nan", *["1"] * 14], "row 2"),
        (["1", "-1", *["1"] * 13], "row 3: the weight -1 is negative"),
        (["0"] * 15, "every weight is 0"),
    ],
)
def test_weights_that_training_would_refuse_are_refused(
    run: Run, rated: Path, pool: Path, weights: list[str], said: str
) -> None:
    with rated.open(newline="") as file:
        rows = list(csv.DictReader(file))
    with rated.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["distorted", "mos", "content", "weight"])
        writer.writeheader()
        writer.writerows(row | {"weight": weight} for row, weight in zip(rows, weights, strict=True))
    done = run("select-models", "--data", rated.name, "--pool", "pool", "-o", "out.json", "--crop", "224")
    assert (done.returncode, done.stdout) == (3, ""), done.stderr
    assert said in done.stderr


def test_ratings_that_train_no_head_are_refused_before_features_are_computed(
    run: Run, rated: Path, pool: Path, tmp_path: Path
) -> None:
    chosen = run("select-models", "--data", rated.name, "--pool", "pool", "-o", "e.json", "--crop", "224")
    assert chosen.returncode == 0, chosen.stderr
    few = tmp_path / "few.csv"
    few.write_text("".join(rated.read_text().splitlines(keepends=True)[i] for i in (0, 1, 6, 11)))
    train = ("train", "--model", "ptm", "--ensemble", "e.json", "-o", "t.json", "--data")
    done = run(*train, few.name)
    assert (done.returncode, done.stdout) == (3, "")
    assert "3 rated samples" in done.stderr
    assert "features of" not in done.stderr
    for option in (("--rate", "1e30"), ("--joint", "--joint-penalty", "1e-300")):
        refused = run(*train, rated.name, *option)
        assert refused.returncode == 2
        assert option[-2] in refused.stderr


def test_options_of_the_other_training_are_refused(run: Run, rated: Path) -> None:
    foreign = run("train", "--model", "ptm", "--data", rated.name, "-o", "a.json", "--folds", "3")
    assert (foreign.returncode, "--folds is for training on a corpus" in foreign.stderr) == (2, True)
    without = run("train", "--model", "ptm", "--data", rated.name, "-o", "a.json")
    assert (without.returncode, "needs --ensemble" in without.stderr) == (2, True)
    other = run("train", "--data", ".", "-o", "a.safetensors", "--ablate")
    assert (other.returncode, "--ablate is for --model ptm" in other.stderr) == (2, True)


def test_a_file_of_several_layers_is_opened_once(pool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = []
    session = onnx.session
    monkeypatch.setattr(onnx, "session", lambda *given: sessions.append(given[0]) or session(*given))
    file = str(pool / "a.onnx")
    found = open_pools([f"{file}#features[0:2]", f"{file}#[2:6]", str(pool / "b.onnx")], 1)
    assert [network.dimension for network in found.values()] == [2, 4, 6]
    assert sessions == [pool / "a.onnx", pool / "b.onnx"]
