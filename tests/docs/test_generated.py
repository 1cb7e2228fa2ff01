"""Pages that are made: nothing public, no command and no result is missing from them."""

import ast
import importlib
import json
import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from palmette.space import InputError

ROOT = Path(__file__).parents[2]
Module = Callable[[str], ModuleType]


# Python


def test_every_public_name_says_what_it_is(module: Module) -> None:
    names = module("public_names")
    silent = []
    for folder in names.packages():
        for public in names.public_names(folder):
            silent += [public.path] if not public.words.strip() else []
            silent += [
                f"{public.path}.{name}" for name, words in names.members(public) if not words
            ]
    assert silent == []


def test_every_name_of_a_package_has_an_entry_of_its_kind(module: Module) -> None:
    pages = module("api_pages").pages()
    for folder in module("public_names").packages():
        source = (ROOT / folder.replace(".", "/") / "__init__.py").read_text("utf-8")
        listed = re.findall(r"^ *from palmette\.\S+ import (\w+) as \1$", source, re.M)
        listed += re.findall(r"^(?:def )?([A-Za-z]\w+)(?: = |\()", source, re.M)
        page = pages[f"docs/reference/api/{folder}.md"]
        entries = re.findall(rf"(?:auto\w+::|{{py:data}}) palmette\.{folder}\.(\w+)$", page, re.M)
        assert len(listed) > 1 and sorted(entries) == sorted(listed), folder
    assert ".. autoclass:: palmette.space.Architecture\n" in pages["docs/reference/api/space.md"]
    assert ".. autofunction:: palmette.search.run\n" in pages["docs/reference/api/search.md"]
    constant = (
        "{py:data} palmette.latency.SUSTAINED\n:type: str\n:value: 'sustained'\n\nMilliseconds"
    )
    assert constant in pages["docs/reference/api/latency.md"]


def code_of_users() -> Iterator[tuple[str, str]]:
    """Code that the notebooks and the pages show to users, and where."""
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        for cell in json.loads(path.read_text("utf-8"))["cells"]:
            if cell["cell_type"] == "code":
                yield path.name, "".join(cell["source"])
    for path in [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]:
        for block in re.findall(r"```python\n(.*?)```", path.read_text("utf-8"), re.S):
            yield path.name, block


def imports_of_users() -> set[tuple[str, str, str]]:
    """Module, name and place of all that they import from palmette."""
    return {
        (node.module or "", alias.name, place)
        for place, source in code_of_users()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("palmette")
        for alias in node.names
    }


def test_every_name_that_users_are_shown_has_its_place_in_the_reference(module: Module) -> None:
    names = module("public_names")
    public = {folder: names.public_names(folder) for folder in names.packages()}
    found = imports_of_users()
    missing = []
    for source, name, place in sorted(found):
        if f"{source}.{name}".removeprefix("palmette.") in public:
            continue
        above = [f for f in public if f"{source}.".startswith(f"palmette.{f}.")]
        listed = [one.value for folder in above for one in public[folder] if one.name == name]
        value = getattr(importlib.import_module(source), name)
        if not any(one is value for one in listed):
            missing.append((place, source, name))
    assert missing == [] and len(found) > 60


def test_a_dataclass_without_words_counts_as_silent(module: Module, tmp_path: Path) -> None:
    (tmp_path / "quiet.py").write_text(
        "from dataclasses import dataclass\n@dataclass\nclass Pair:\n    a: int\n"
    )
    (tmp_path / "quiet_package.py").write_text("from quiet import Pair as Pair\n")
    names = module("public_names")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(tmp_path))
        pair = __import__("quiet_package").Pair
        assert names._named("quiet_package", "Pair", pair).words == ""


def test_docstrings_become_markdown_and_their_sections_napoleons(module: Module) -> None:
    rewritten = module("docstrings").from_markdown(
        ["Mean of `a_*` and b*c.", "", "Args:", "    x: `ms`es of a_*; a|b, s_t."]
    )
    assert rewritten == [
        ".. markdown::",
        "",
        "   Mean of `a_*` and b*c.",
        "",
        "",
        "Args:",
        r"    x: ``ms``\ es of a\_\*; a\|b, s_t.",
    ]


def test_what_is_returned_is_words_though_they_hold_a_colon(module: Module) -> None:
    rewritten = module("docstrings").from_markdown(["Returns:", "    Rows: `way`, ms."])
    assert rewritten == [":returns:", "    Rows: ``way``, ms."]


def test_a_signature_calls_arrays_by_their_short_names(module: Module) -> None:
    written = "(x: Sequence[TypeAliasForwardRef('Floats')])"
    names = module("docstrings")._names(None, "function", "f", None, None, written, None)
    assert names == ("(x: Sequence[Floats])", None)


# Commands


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, sub in getattr(command, "commands", {}).items():
        yield (*path, name), sub
        yield from leaves(sub, (*path, name))


def test_every_command_and_every_option_stands_in_the_reference(module: Module) -> None:
    commands = module("command_pages")
    pages = commands.pages()
    found = list(leaves(commands.command_tree()))
    assert len(found) > 35 and ("latency", "fit") in dict(found)
    for path, command in found:
        if command.hidden:
            continue
        page = pages[f"{commands.FOLDER}/{path[0]}.md"]
        start = page.index(f"{'#' * len(path)} palmette {' '.join(path)}\n")
        section = page[start:].split("\n```{program}", 1)[1].split("\n```{program}", 1)[0]
        for parameter in command.params:
            if getattr(parameter, "hidden", False):
                continue
            for name in [name for name in parameter.opts if name.startswith("--")]:
                assert f"{{option}} {name}" in section or f", {name}" in section, (path, name)


def test_an_option_has_its_type_its_words_and_its_default(module: Module) -> None:
    page = module("command_pages").pages()["docs/reference/commands/search.md"]
    assert (
        "````{option} --confidence <float>\nThat the budget is kept.  \\[default: 0.8\\]\n````"
        in page
    )
    assert "**What a network may cost**" in page and "palmette search [OPTIONS]" in page


# Results


def test_every_file_of_results_is_claimed_by_exactly_one_benchmark(module: Module) -> None:
    subjects = module("result_pages").subjects()
    claimed = [name for one in subjects for made in one.files.values() for name in made]
    assert sorted(claimed) == sorted(path.name for path in (ROOT / "results").iterdir())


def test_every_benchmark_is_listed_once_and_names_what_it_claims(module: Module) -> None:
    pages = module("result_pages")
    listed = [name for one in pages.subjects() for name in one.files]
    assert sorted(listed) == sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py"))
    for one in pages.subjects():
        for benchmark, made in one.files.items():
            source = (ROOT / "benchmarks" / f"{benchmark}.py").read_text("utf-8")
            assert all(Path(name).stem in source for name in made), benchmark
            assert f"python benchmarks/{benchmark}.py" in pages.docstring(benchmark)


def test_json_becomes_tables_of_figures_and_of_rows(module: Module, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(
        '{"command": "python a.py --json", "mape": 3.62215, "found": true,'
        ' "by": {"x": 1, "y": [1.5, 2]},'
        ' "rows": [{"ms": 12345.6, "at": "a|b"}, {"ms": 2.0}],'
        ' "targets": {"p": {"v2": {"ms": 1}, "v3": {"ms": 2}}, "q": {"ms": 3}}}'
    )
    assert list(module("measured").tables(tmp_path / "a.json")) == [
        (
            "",
            ["figure", "value"],
            [["mape", "3.622"], ["found", "yes"], ["by.x", "1"], ["by.y", "1.5, 2"]],
            4,
        ),
        ("rows", ["ms", "at"], [["12,346", "a|b"], ["2", ""]], 2),
        ("targets", ["", "ms"], [["p / v2", "1"], ["p / v3", "2"], ["q", "3"]], 3),
    ]
    assert module("measured").command_of(tmp_path / "a.json") == "python a.py --json"


def test_a_long_table_is_shown_by_its_beginning_and_counted(module: Module, tmp_path: Path) -> None:
    rows = "".join(f"n{i},{i}.12345,0{i}\n" for i in range(50))
    (tmp_path / "a.csv").write_text("# made with care\nname,ms,id\n" + rows)
    ((title, columns, shown, count),) = module("measured").tables(tmp_path / "a.csv")
    assert (title, columns, count) == ("", ["name", "ms", "id"], 50)
    assert len(shown) == 8 and shown[1] == ["n1", "1.123", "01"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.9999999974, "0.9999999974"),
        (0.99997327, "0.999973"),
        (1.000012, "1.000012"),
        (0.99895, "0.999"),
        (0.9985, "0.9985"),
        (1.0, "1"),
        (0.0, "0"),
        (97.04, "97.04"),
    ],
)
def test_what_is_near_one_is_not_rounded_to_it(module: Module, value: float, shown: str) -> None:
    assert module("measured").cell(value) == shown


def test_no_measured_share_below_one_reads_as_one(module: Module) -> None:
    measured = module("measured")
    for name in ("search_quality_cells.json", "shared_targets.json"):
        text = (ROOT / "results" / name).read_text("utf-8")
        below = [float(one) for one in re.findall(r": (0\.99\d+)", text)]
        assert below and all(float(measured.cell(one)) < 1 for one in below)


def test_a_csv_file_is_summed_up_and_units_stand_behind_names(
    module: Module, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text("kind,ok,ratio\nx,True,1.1\nx,False,0.8\ny,True,\n")
    summary = {"by": ["kind"], "ok": ["share true"], "ratio": ["mean % from 1", "least"]}
    found, whole = module("measured").tables(tmp_path / "a.csv", {"a.rat*": "times"}, summary)
    assert found == (
        "all rows, summed up",
        ["kind", "rows", "ok, share true", "ratio, mean % from 1 [times]", "ratio, least [times]"],
        [["x", "2", "0.5", "15", "0.8"], ["y", "1", "1", "", ""]],
        2,
    )
    assert whole[1] == ["kind", "ok", "ratio [times]"] and whole[3] == 3


def test_every_unit_and_every_summary_is_of_something_that_is_shown(module: Module) -> None:
    measured, claims = module("measured"), module("result_pages")._claims()
    shown = set()
    for path in (ROOT / "results").iterdir():
        if path.suffix != ".png":
            for _, columns, rows, _ in measured.tables(path):
                shown |= {f"{path.stem}.{name}" for name in [*columns, *(row[0] for row in rows)]}
    unused = [p for p in claims["units"] if not any(fnmatchcase(one, p) for one in shown)]
    assert unused == []
    for name, summary in claims["summaries"].items():
        assert {f"{Path(name).stem}.{column}" for column in (*summary["by"], *summary)} - shown == {
            f"{Path(name).stem}.by"
        }


def test_every_result_is_shown_on_its_page(module: Module) -> None:
    pages = module("result_pages").pages()
    text = "".join(pages.values())
    for path in (ROOT / "results").iterdir():
        assert f"**[results/{path.name}](../../results/{path.name})**" in text
    assert "| mape\\_a \\[%\\] | 3." in pages["docs/results/latency.md"]
    assert "![rank card](../../results/rank_card.png)" in pages["docs/results/accuracy.md"]


# Pages that are written


def test_every_page_is_in_the_table_of_contents(module: Module) -> None:
    staging, contents = module("staging"), module("contents")
    index = (ROOT / staging.INDEX).read_text("utf-8")
    listed = [match["page"] for match in contents.ITEM.finditer(index)]
    assert len(listed) == len(set(listed))
    shown = {(ROOT / "docs" / page).resolve().relative_to(ROOT).as_posix() for page in listed}
    assert shown == set(staging.page_paths()) - {staging.INDEX}


def test_sections_become_parts_of_the_sidebar(module: Module) -> None:
    one = "# A\n\n## One\n\n- [x](x.md): y\n- [r](../README.md): z\n\n"
    text = one + "## Two\n\n<!-- pages: made -->\n"
    made = {"made": [("M", "made/m.md", "words")]}
    assert module("contents").with_contents(text, made) == (
        f"{one}```{{toctree}}\n:hidden:\n:caption: One\n\nx.md\n/README.md\n```\n\n"
        "## Two\n\n- [M](made/m.md): words\n\n"
        "```{toctree}\n:hidden:\n:caption: Two\n\nmade/m.md\n```\n\n"
    )
    with pytest.raises(KeyError):
        module("contents").with_contents("<!-- pages: nobody -->", made)


def test_links_lead_to_pages_of_the_site(module: Module, tmp_path: Path) -> None:
    staging = module("staging")
    for folder in ("docs", "results", "notebooks"):
        (tmp_path / folder).mkdir()
    (tmp_path / "LICENSE").write_text("free")
    (tmp_path / "notebooks" / "1_a.ipynb").write_text("{}")
    pages = {"docs/a.md", "README.md", "notebooks/1_a.md", "docs/results/index.md"}
    text = "[a](../notebooks/1_a.ipynb#x) [b](../results) [c](../LICENSE) [d](../README.md)\n"
    fence = "```\n[e](nowhere.md)\n```\n"
    page, files = staging._with_links("docs/a.md", text + fence, tmp_path, pages)
    assert page == (
        "[a](../notebooks/1_a.md#x) [b](results/index.md) [c](../LICENSE) [d](../README.md)\n"
        + fence
    )
    assert files == ["LICENSE"]
    with pytest.raises(FileNotFoundError, match="docs/a.md: links to nowhere.md"):
        staging._with_links("docs/a.md", "[e](nowhere.md)", tmp_path, pages)


def test_a_notebook_is_a_page_of_its_text_and_code(module: Module) -> None:
    (name, *_) = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))
    page = module("notebook_pages").page_of_notebook(ROOT / "notebooks" / name)
    assert page.startswith("# ") and f"[{name}]({name})" in page
    assert "```python\nimport" in page and page.count("```") % 2 == 0
    assert "](../docs/figure-front.png)" in page


def test_pictures_stand_below_the_cells_that_they_are_drawn_of(module: Module) -> None:
    source = (ROOT / "tests" / "notebooks" / "test_notebooks.py").read_text("utf-8")
    drawn = re.findall(r'"(figure-\w+\.png)": \("(\w+\.ipynb)", "(cell-\d+)"\)', source)
    pictures = module("notebook_pages").PICTURES
    assert {cell: shown[0] for cell, shown in pictures.items()} == {
        (notebook, cell): name for name, notebook, cell in drawn
    }


def test_notebooks_are_listed_by_their_titles_and_what_they_answer(module: Module) -> None:
    pages = module("notebook_pages")
    path = ROOT / "notebooks" / "1_which_backbone.ipynb"
    readme = "| [a?](notebooks/1_which_backbone.ipynb) | step by step |"
    assert pages.title(path) == "Which backbone?" and pages.answers(path, readme) == "step by step"
    with pytest.raises(ValueError, match=r"README.md: no row for 1_which_backbone.ipynb"):
        pages.answers(path, "")


def test_what_is_the_same_is_left_and_what_is_old_goes(module: Module, tmp_path: Path) -> None:
    write = module("staging").write
    write({"a.md": "1", "b/c.md": "2"}, tmp_path)
    before = (tmp_path / "a.md").stat().st_mtime_ns
    write({"a.md": "1", "d.md": tmp_path / "a.md"}, tmp_path)
    assert (tmp_path / "a.md").stat().st_mtime_ns == before
    assert (tmp_path / "d.md").read_text() == "1" and not (tmp_path / "b" / "c.md").exists()


def test_a_folder_of_something_else_is_left_alone(module: Module, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="is not empty and no build of this site wrote it"):
        module("staging").write({"a.md": "1"}, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
