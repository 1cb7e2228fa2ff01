"""Build the documentation site; a warning is an error.

    python docs/site [FOLDER]

The pages go to FOLDER (build/site), what Sphinx reads and keeps to folders beside it. Only what
changed is read again. Opened from the disk, `FOLDER/index.html` leads to the first page.
"""

from __future__ import annotations

import sys
from pathlib import Path

import api_pages
import command_pages
import result_pages
from contents import with_contents
from notebook_pages import answers, title
from public_names import PACKAGES
from staging import INDEX, ROOT, Staged, notebook_page, notebook_paths, staged, write

from palmette.space.errors import InputError

HERE = Path(__file__).resolve().parent
FRONT_DOOR = f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>palmette</title>
<meta http-equiv="refresh" content="0; url={INDEX.removesuffix("md")}html">
<a href="{INDEX.removesuffix("md")}html">palmette</a></html>
"""


def sources() -> Staged:
    """All pages: the repository's, and those that are made of code, commands and results."""
    made = {**api_pages.pages(), **command_pages.pages(), **result_pages.pages()}
    files: Staged = {**staged(), **result_pages.files(), **made}
    index = files[INDEX]
    assert isinstance(index, str)
    return {**files, INDEX: with_contents(index, lists())}


def lists() -> dict[str, list[tuple[str, str, str]]]:
    """Pages that are made, for the marks of the landing page."""
    packages = [
        (f"palmette.{name}", f"reference/api/{name}.md", _lowered(api_pages.first_line(name)))
        for name in PACKAGES
    ]
    commands = ("Command line", "reference/commands/index.md", "every command and option")
    subjects = [(one.title, f"results/{one.name}.md", one.words) for one in result_pages.subjects()]
    overview = ("Measured results", "results/index.md", "all benchmarks, and their commands")
    readme = (ROOT / "README.md").read_text("utf-8")
    notebooks = [
        (title(ROOT / name), f"../{notebook_page(name)}", answers(ROOT / name, readme))
        for name in notebook_paths()
    ]
    return {
        "reference": [commands, *((t, p, w.rstrip(".")) for t, p, w in packages)],
        "results": [overview, *subjects],
        "notebooks": notebooks,
    }


def _lowered(words: str) -> str:
    return words[0].lower() + words[1:]


def build(folder: Path) -> int:
    """Write the site; the number is an exit code."""
    from sphinx.cmd.build import main

    folder = folder.resolve()
    source = folder.with_name(f"{folder.name}-source")
    write(sources(), source)
    kept = folder.with_name(f"{folder.name}-doctrees")
    options = ["--fail-on-warning", "--keep-going", "--quiet", "-b", "html"]
    code = main([*options, "-c", str(HERE), "-d", str(kept), str(source), str(folder)])
    if not code:
        (folder / "index.html").write_text(FRONT_DOOR)
    return int(code)


def _answered() -> int:
    """The build's exit code; 2, and one line, where the folder can't be taken."""
    try:
        return build(Path(sys.argv[1]) if sys.argv[1:] else ROOT / "build" / "site")
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(_answered())
