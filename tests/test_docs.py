"""Documentation says what is true: links lead somewhere, commands exist, every example is read.

Fenced blocks are checked by their language: none (command lines, architectures, ops), `toml`
(search spaces, recipes, schedules), `json` (architectures), `csv` (timing tables, op lists,
images), `python` (run).
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import typer

from palmette import cli
from palmette.latency import read_timings
from palmette.latency.op_lists import read_op_list
from palmette.latency.timings import REQUIRED, RULES
from palmette.space import ACTIVATIONS, BLOCKS, Architecture, Op, SearchSpace
from palmette.space.blocks import HEADS
from palmette.space.blocks.heads import STRIDES
from palmette.space.ops import KINDS
from palmette.space.tasks import TASKS
from palmette.train import recipe
from palmette.train.datasets.table import read_table
from palmette.train.keys import allowed
from palmette.train.supernet import schedule
from tests.docs.pages import FENCE, ROOT, arguments_of, fenced, lines, text
from tests.sweep import sweep

NAMES = [
    "README.md",
    "CONTRIBUTING.md",
    *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md")),
    *(f"{folder}/README.md" for folder in ("space", "export", "latency", "train", "search")),
    "train/supernet/README.md",
]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
INLINE = re.compile(r"`([^`]+)`")
ARCHITECTURE = re.compile(r"\d+x\d+ stem_\S+ \|.*")
BLOCK_TEXT = re.compile(rf"({'|'.join([*BLOCKS, 'stem', *HEADS])})(_[a-z0-9.]+)*_?[a-z0-9.]+")
COMMAND = typer.main.get_command(cli.app)


def plain_lines(name: str) -> Iterator[str]:
    """Lines of blocks without a language."""
    for body in fenced(name, ""):
        yield from body.splitlines()


def quoted(name: str) -> list[str]:
    """Inline code outside of blocks, on one line each."""
    return [" ".join(code.split()) for code in INLINE.findall(FENCE.sub("", text(name)))]


def command_lines(name: str) -> list[list[str]]:
    """Arguments of every `palmette` line in a block."""
    return [arguments_of(line) for line in lines(name)]


def parse(arguments: list[str]) -> None:
    """Go through a command line as the program does, up to the call of its function."""
    command: Any = COMMAND
    if arguments == ["--version"]:  # answers while it is parsed
        return
    with command.make_context("palmette", list(arguments)) as context:
        while hasattr(command, "resolve_command"):
            rest = [*context._protected_args, *context.args]
            name, command, rest = command.resolve_command(context, rest)
            context = command.make_context(name, rest, parent=context)


def options_of(command: Any) -> set[str]:
    """Options of a command, those that say no too."""
    return {opt for p in command.params for opt in (*p.opts, *p.secondary_opts)}


def resolve(words: list[str]) -> tuple[Any, list[str]]:
    """Command that the leading words name, and the words after it."""
    command: Any = COMMAND
    while hasattr(command, "commands") and words and words[0] in command.commands:
        command, words = command.commands[words[0]], words[1:]
    return command, words


@pytest.mark.parametrize("name", NAMES)
def test_relative_links_lead_to_files(name: str) -> None:
    targets = [link.partition("#")[0] for link in LINK.findall(text(name)) if "://" not in link]
    missing = [link for link in targets if not ((ROOT / name).parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("name", NAMES)
def test_command_lines_parse(name: str) -> None:
    for arguments in command_lines(name):
        parse(arguments)


def test_a_wrong_command_line_does_not_parse() -> None:
    for words in (["serach"], ["search", "--budget", "1"], ["predict", "--target", "x"]):
        with pytest.raises(typer.TyperException):
            parse(words)


@pytest.mark.parametrize("name", NAMES)
def test_quoted_commands_and_options_exist(name: str) -> None:
    for code in quoted(name):
        words = code.split()
        if words[0] != "palmette" or len(words) == 1:
            continue
        command, rest = resolve(words[1:])
        assert command is not COMMAND or rest[0].startswith("--"), code
        known = {
            option
            for parameter in command.params
            for option in (*parameter.opts, *parameter.secondary_opts)
        }
        assert {word for word in rest if word.startswith("--")} <= known, code


@pytest.mark.parametrize("name", NAMES)
def test_options_named_alone_belong_to_some_command(name: str) -> None:
    commands = [
        resolve([*path])
        for path in (
            ["search"],
            ["confirm"],
            ["train"],
            ["export"],
            ["explain"],
            ["shrink"],
            ["scale"],
            ["bundle"],
            ["verify"],
            ["compress"],
            ["accuracy"],
            ["predict"],
            ["dashboard"],
            ["doctor"],
            ["report"],
            ["compare"],
            *(["latency", verb] for verb in COMMAND.commands["latency"].commands),
            *(["supernet", verb] for verb in ("train", "evaluate", "extract")),
        )
    ]
    known = {
        opt
        for command, _ in commands
        for p in command.params
        for opt in (*p.opts, *p.secondary_opts)
    }
    named = {code.split()[0] for code in quoted(name) if code.startswith("--")}
    assert named <= known


@pytest.mark.parametrize("name", NAMES)
def test_make_targets_and_python_files_exist(name: str) -> None:
    targets = re.findall(r"^(\w[\w-]*):", text("Makefile"), re.MULTILINE)
    for code in [*plain_lines(name), *quoted(name)]:
        words = code.split("#")[0].split()
        if words[:1] == ["make"]:
            assert words[1] in targets, code
        if words[:1] == ["python"] and words[1] == "-m":
            assert importlib.util.find_spec(words[2]) is not None, code
        elif words[:1] == ["python"]:
            assert (ROOT / words[1]).is_file(), code


@pytest.mark.parametrize("name", NAMES)
def test_architecture_texts_parse(name: str) -> None:
    for line in [
        *plain_lines(name),
        *(line for body in fenced(name, "text") for line in body.splitlines()),
    ]:
        found = ARCHITECTURE.search(line.replace('"', "  "))
        if found:
            Architecture.from_text(found.group().split("  ")[0])


@pytest.mark.parametrize("name", NAMES)
def test_block_texts_parse(name: str) -> None:
    """After 16 channels, of which ratios and groups make whole numbers."""
    for code in quoted(name):
        # a block has sizes: `one_value` is none
        if BLOCK_TEXT.fullmatch(code) is None or not re.search("_.*[0-9]", code):
            continue
        if code in TASKS:  # `deeplab_v3` is no text of a block
            continue
        kind = code.partition("_")[0]
        place = "head" if kind in HEADS else kind if kind == "stem" else "block"
        parts = {"stem": "stem_k3_s2_c16_relu", "block": "ds_k3_s1_c16_relu"}
        # stages of every output stride that can be tapped
        parts |= {f"stride{stride}": "ds_k3_s2_c16_relu" for stride in STRIDES}
        parts["head"] = "head"
        parts[place] = code
        if place == "head" and ".32" not in code:  # the last map must be tapped
            del parts["stride32"]
        Architecture.from_text("300x300 " + " | ".join(parts.values()))


def test_every_block_and_activation_is_documented_with_an_example() -> None:
    page = text("docs/architecture.md")
    for kind in (*BLOCKS, "stem", *HEADS):
        assert f"| `{kind}` |" in page
    assert all(f"`{act}`" in page for act in ACTIVATIONS) and all(f"`{k}`" in page for k in KINDS)


@pytest.mark.parametrize("name", NAMES)
def test_op_texts_parse(name: str) -> None:
    for line in plain_lines(name):
        if " -> " in line and line.split()[0] in KINDS:
            assert Op.from_text(line).to_text() == line


def test_the_json_of_an_architecture_is_the_text_beside_it() -> None:
    (example,) = fenced("docs/architecture.md", "json")
    architecture = Architecture.from_dict(json.loads(example))
    assert architecture.to_text() in list(plain_lines("docs/architecture.md"))


def recipe_tables(body: str) -> dict[str, Any]:
    tables = tomllib.loads(body)
    del tables["format"]
    return tables


def test_every_key_of_a_recipe_is_documented_with_its_default() -> None:
    page = text("docs/training.md")
    tables = {"": recipe.Recipe, **{f"{name}.": keys for name, keys in recipe.TABLES.items()}}
    for prefix, keys in tables.items():
        for item in dataclasses.fields(keys):
            if "kind" in item.metadata:
                default = json.dumps(item.default).strip('"')
                default = f"{item.default:g}" if type(item.default) is float else default
                row = f"| `{prefix}{item.name}` | {default} | {allowed(item)} | "
                assert row + item.metadata["meaning"] in page


@pytest.mark.parametrize("name", NAMES)
def test_toml_examples_are_read(name: str) -> None:
    for body in fenced(name, "toml"):
        if f'format = "{recipe.FORMAT}"' in body:
            assert recipe.Recipe.from_dict(recipe_tables(body), "example").epochs > 1
        elif f'format = "{schedule.FORMAT}"' in body:
            assert len(schedule.Schedule.from_text(body, "example").phases) > 1
        else:
            assert SearchSpace.from_toml(body, "example").size > 1


@pytest.mark.parametrize("name", NAMES)
def test_tables_are_read(name: str, tmp_path: Path) -> None:
    for body in fenced(name, "csv"):
        path = tmp_path / "table.csv"
        path.write_text(body)
        if body.startswith("path,label"):
            assert read_table(path)[1] is not None
            continue
        rows = read_timings(path) if body.startswith("subject_kind") else read_op_list(path)
        assert len(rows) > 1


def test_every_column_of_the_timing_table_is_documented() -> None:
    page = text("docs/timing.md")
    assert all(f"`{column}`" in page for column in RULES)
    for example in fenced("docs/timing.md", "csv"):
        assert example.split("\n")[0].split(",")[: len(REQUIRED)] == list(REQUIRED)


@pytest.mark.parametrize(
    "name", sweep([name for name in NAMES if fenced(name, "python")], ["README.md"])
)
def test_python_examples_run(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for body in fenced(name, "python"):
        # as printed, but for the length of a search
        body = body.replace("evaluations=20_000", "evaluations=2_000")
        exec(compile(body, name, "exec"), {})
    assert "Traceback" not in capsys.readouterr().err


def test_the_afternoons_space_is_the_example() -> None:
    assert text("examples/afternoon.toml").endswith(fenced("docs/synthetic.md", "toml")[0])


@pytest.mark.slow
def test_an_accuracy_of_ones_own_is_searched_as_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "docs/howto/own_accuracy.md"
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(fenced(name, "python")[0])
    Path("digits.toml").write_text(fenced(name, "toml")[0])
    search = command_lines(name)[0]
    cli.app(search, standalone_mode=False)
    front = pd.read_csv("own/front.csv")
    assert search[0] == "search" and len(front) >= 1
    assert front["top1"].between(20, 100).all() and front["ms_at_confidence"].max() <= 0.7
    assert Path("own/function.py").read_text() == Path("mine.py").read_text()


# Lengths


def test_contributing_has_at_most_fifty_lines() -> None:
    assert len(text("CONTRIBUTING.md").splitlines()) <= 50


@pytest.mark.parametrize("name", [name for name in NAMES if name.count("/") and "docs" not in name])
def test_a_folder_is_explained_in_at_most_forty_lines(name: str) -> None:
    assert len(text(name).splitlines()) <= 40
