"""``vqa-score completion``: the script by which a shell completes command lines, and the answers that it asks for."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class, shell_complete

from rankvqa_cli.cli.main import COMPLETE, PROGRAM, cli
from rankvqa_cli.errors import ExitCode, VqaError

SHELLS = ("bash", "zsh", "fish")


@click.command("completion", short_help="Print a script that completes command lines.")
@click.argument("shell", type=click.Choice(SHELLS), metavar="|".join(SHELLS))
def command(shell: str) -> None:
    """Print the script by which a shell completes commands, options, their values and files.

    \b
    Examples:
      vqa-score completion bash > ~/.local/share/bash-completion/completions/vqa-score
      vqa-score completion zsh > "${fpath[1]}/_vqa-score"
      vqa-score completion fish > ~/.config/fish/completions/vqa-score.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None, "click knows these shells"
    click.echo(kind(cli, {}, PROGRAM, COMPLETE).source().rstrip())


def answer(instruction: str) -> int:
    """Print what can follow the command line in ``COMP_WORDS``; the exit code. ``instruction`` is the script's."""
    try:
        return shell_complete(cli, {}, PROGRAM, COMPLETE, instruction)
    except VqaError:  # nothing can follow a line that is wrong already
        return ExitCode.OK
