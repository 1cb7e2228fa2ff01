"""Reference of the command line, read from the commands themselves: a page a command."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from itertools import groupby
from typing import Any

import typer

from palmette import cli

FOLDER = "docs/reference/commands"
ANSWERS = """\
`palmette COMMAND --help` prints what stands here. A command that a program might call answers
`--json` with one JSON object. Exit code 2 is an input that breaks a rule, 1 a network that could
not be exported."""


def command_tree() -> Any:
    """The command `palmette`, as typer builds it."""
    return typer.main.get_command(cli.app)


def subcommands(command: Any) -> dict[str, Any]:
    """Commands below a command, those that hide left out."""
    found: dict[str, Any] = getattr(command, "commands", {})
    return {name: sub for name, sub in found.items() if not sub.hidden}


def pages() -> dict[str, str]:
    """Path -> Markdown: a page for each command of `palmette`, and one that lists them."""
    root = command_tree()
    context = typer.Context(root, info_name="palmette")
    made = {
        f"{FOLDER}/{name}.md": "\n\n".join(section(command, _below(context, command, name))) + "\n"
        for name, command in subcommands(root).items()
    }
    return {**made, f"{FOLDER}/index.md": _overview(root, context)}


def section(command: Any, context: typer.Context, level: int = 1) -> Iterator[str]:
    """A command: what it does, how it is called, what it takes; then the commands below it."""
    yield f"{'#' * level} {context.command_path}"
    yield _words(command.help)
    yield f"```text\n{_usage(command, context)}\n```"
    yield f"```{{program}} {context.command_path}\n```"
    kind = {"argument": "Arguments", "option": "Options"}
    shown = [parameter for parameter in command.params if not getattr(parameter, "hidden", False)]
    groups = [
        (getattr(one, "rich_help_panel", None) or kind[one.param_type_name], one) for one in shown
    ]
    order = sorted(dict.fromkeys(title for title, _ in groups), key=lambda one: one != "Arguments")
    groups.sort(key=lambda group: order.index(group[0]))
    for title, members in groupby(groups, key=lambda group: group[0]):
        yield f"**{title}**"
        yield from (_parameter(one, context) for _, one in members)
    for name, sub in subcommands(command).items():
        yield from section(sub, _below(context, sub, name), level + 1)


def _below(context: typer.Context, command: Any, name: str) -> typer.Context:
    return typer.Context(command, info_name=name, parent=context)


def _usage(command: Any, context: typer.Context) -> str:
    pieces = (piece.replace("{", "").replace("}", "") for piece in _pieces(command, context))
    line = " ".join([context.command_path, *pieces]).replace("[[", "[").replace("]]", "]")
    return textwrap.fill(line, 90, subsequent_indent="    ", break_on_hyphens=False)


def _pieces(command: Any, context: typer.Context) -> list[str]:
    pieces: list[str] = command.collect_usage_pieces(context)
    return pieces


def _parameter(parameter: Any, context: typer.Context) -> str:
    names, words = parameter.get_help_record(context) or (parameter.human_readable_name, "")
    return f"````{{option}} {names.replace(' / ', ', ')}\n{_words(words)}\n````"


def _words(text: str | None) -> str:
    """Help as Markdown: names in capitals, options and defaults are plain words there."""
    lines = textwrap.dedent(text or "").strip()
    return "".join("\\" + sign if sign in r"\*_<[]" else sign for sign in lines)


def _overview(root: Any, context: typer.Context) -> str:
    rows = [
        f"| [`palmette {name}`]({name}.md) | {_words((command.help or '').splitlines()[0])} |"
        for name, command in subcommands(root).items()
    ]
    options = [_parameter(one, context) for one in root.params]
    table = "\n".join(["| command | what it does |", "|---|---|", *rows])
    tree = "\n".join(subcommands(root))
    return "\n\n".join(
        [
            "# Command line",
            _words(root.help),
            ANSWERS,
            table,
            "```{program} palmette\n```",
            *options,
            f"```{{toctree}}\n:hidden:\n\n{tree}\n```\n",
        ]
    )
