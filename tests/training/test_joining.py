"""Joining finished corpora: every source of each, by links, and never two of one name."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from rankvqa_cli.cli.corpus import command
from rankvqa_cli.errors import InputError, OutputError
from rankvqa_cli.training.datasets import load_corpus
from rankvqa_cli.training.joining import join_corpora


@pytest.fixture
def other(corpus: Path, tmp_path: Path) -> Path:
    """The same corpus with its sources under other names."""
    folder = tmp_path / "other"
    shutil.copytree(corpus, folder)
    manifest = (folder / "manifest.json").read_text()
    for shard in load_corpus(corpus):
        (folder / shard.name).rename(folder / f"other-{shard.name}")
        manifest = manifest.replace(f'"{shard.name}"', f'"other-{shard.name}"')
    (folder / "manifest.json").write_text(manifest)
    return folder


def test_joined_corpora_have_the_sources_of_both(corpus: Path, other: Path, tmp_path: Path) -> None:
    both = tmp_path / "both"
    for _ in range(2):  # joining again changes nothing
        done = CliRunner().invoke(command, [str(corpus), "--join", str(other), "-o", str(both)])
        assert done.exit_code == 0, done.output
    first, second, joined = (load_corpus(folder) for folder in (corpus, other, both))
    assert [each.name for each in joined] == [each.name for each in (*first, *second)]
    assert (joined[-1].distorted == second[-1].distorted).all()
    assert (both / second[0].name).is_symlink()


def test_what_cannot_be_joined(corpus: Path, other: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="both have a source"):
        join_corpora([corpus, corpus], tmp_path / "twice")
    with pytest.raises(InputError, match="not a finished corpus"):
        join_corpora([corpus, tmp_path], tmp_path / "none")
    taken = tmp_path / "taken"
    (taken / load_corpus(corpus)[0].name).mkdir(parents=True)
    with pytest.raises(OutputError, match="is there already"):
        join_corpora([corpus, other], taken)
    arguments = [str(corpus), "--join", str(other), "-o", str(tmp_path / "x"), "--patches", "3"]
    done = CliRunner().invoke(command, arguments)
    assert (done.exit_code, "--patches is for making a corpus" in done.output) == (2, True)
