"""Manual pages: what the commands say about themselves, nothing left out, as roff that formats cleanly."""

from __future__ import annotations

import re
import shutil
import subprocess

import click
import pytest
from test_readme import section as readme_section

from rankvqa_cli.cli.main import COMMANDS, cli, main
from rankvqa_cli.cli.man import page

PAGES = [None, *COMMANDS]


def names(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])(--?[a-z][\w-]*)", text))


def items(roff: str) -> dict[str, str]:
    """Each tagged item's term and text, as they read on a screen."""
    found = re.findall(r"^\.TP\n\\fB(.*)\\fR\n(.*)$", roff, re.MULTILINE)
    return {shown(term): shown(words) for term, words in found}


def shown(roff: str) -> str:
    return roff.removeprefix("\\&").replace("\\-", "-").replace("\\e", "\\")


def commands(command: click.Command, ctx: click.Context) -> list[click.Command]:
    if not isinstance(command, click.Group):
        return [command]
    return [
        command,
        *(each for name in command.list_commands(ctx) if (each := command.get_command(ctx, name))),
    ]


def test_the_page_has_the_readmes_options() -> None:
    rows = re.findall(r"^\| (`-.*?) \|[^|]*\|$", readme_section("Options").replace(r"\|", "/"), re.MULTILINE)
    told = {name for row in rows for name in re.findall(r"`(--?[\w-]+)", row)}
    terms = [term for term in items(page(None)) if term.startswith("-")]
    assert {name for term in terms for name in names(term)} == told


@pytest.mark.parametrize("name", PAGES)
def test_every_option_and_its_help(name: str | None) -> None:
    top = click.Context(cli, info_name="vqa-score", **cli.context_settings)
    command = cli.get_command(top, name or "score")
    assert command is not None
    shown_items = items(page(name))
    for each in commands(command, top):
        ctx = click.Context(each, parent=top, **each.context_settings)
        for parameter in each.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if isinstance(parameter, click.Option) and record is not None and each is command:
                assert shown_items[record[0]] == record[1]
            elif isinstance(parameter, click.Option) and record is not None:
                assert record[0] in shown_items


def test_the_page_has_every_command_and_section() -> None:
    roff = page(None)
    shown_items = items(roff)
    for name, entry in COMMANDS.items():
        assert shown_items[name] == entry.summary
    headings = re.findall(r"^\.S[HS] (.*)$", roff, re.MULTILINE)
    assert headings[:5] == ["NAME", "SYNOPSIS", "DESCRIPTION", "COMMANDS", "OPTIONS"]
    assert headings[-3:] == ["EXAMPLES", "EXIT CODES", "SEE ALSO"]
    assert "Gates" in headings
    assert "vqa\\-score \\-i encode.mp4 \\-ref source.mp4" in roff


@pytest.mark.parametrize("name", PAGES)
def test_it_formats_without_a_complaint(name: str | None) -> None:
    groff = shutil.which("groff")
    if groff is None:
        pytest.skip("NOT TESTED: there is no groff")
    done = subprocess.run(
        [groff, "-man", "-Tutf8", "-Kutf8", "-ww"],
        input=page(name).encode(),
        capture_output=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"\x08" in done.stdout or b"\x1b" in done.stdout  # something is bold


def test_lines_that_look_like_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    odd = click.Command("odd", help=".not a request\n\n\b\n'nor this\n\\e is a backslash", params=[])
    monkeypatch.setattr("rankvqa_cli.cli.man._command", lambda top, name: odd)
    lines = page("score").splitlines()
    assert "\\&.not a request" in lines
    assert "\\&'nor this" in lines
    assert "\\ee is a backslash" in lines


def test_an_unknown_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["man", "trian"]) == 2
    assert capsys.readouterr().err.startswith("error: no command is called 'trian': one of score, ")
