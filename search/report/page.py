"""A run as one self-contained page: text, tables and figures in a file that asks for nothing else.

Tables and text are written here; figures are drawn by the page's own script from one JSON text, so
that a page of ten thousand trials stays light.
"""

from __future__ import annotations

import json
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from palmette.search.report.answer import answer
from palmette.search.report.contents import contents
from palmette.search.report.history import History
from palmette.search.report.next_steps import next_steps
from palmette.search.report.opened import OpenedRun, open_run
from palmette.search.report.repeat import command
from palmette.search.report.tables import (
    failures_table,
    front_table,
    history_table,
    importance_table,
    references_table,
    table,
)
from palmette.search.report.trust import statements
from palmette.space.errors import expect
from palmette.space.files import expect_new, write_text

NAME = "report.html"
_NEXT_LINK = '<p><a href="#next">What to do next</a></p>'
_SCRIPTS = ("base.js", "front.js", "network.js", "main.js")


def write_report(
    run: Path, out: Path | None = None, *, storage: str | None = None, force: bool = False
) -> Path:
    """Write the report of a run.

    Args:
        run: its folder; it may be under way, and is only read.
        out: file to write; None for `report.html` in the folder, where an older one is renewed.
        storage: URL of its database, where one keeps its trials and asks for a password.
        force: whether a file at `out` may be replaced.

    Returns:
        The file.

    Raises:
        InputError: no run there, a corrupt or older one, or a file that is not to be replaced.
    """
    path = run / NAME if out is None else out
    if out is not None:
        expect_new(out, force)
    expect(not path.is_dir(), f"{path}: is a folder; name a file with --out")
    write_text(path, page(open_run(run, storage)))
    return path


def page(opened: OpenedRun) -> str:
    """HTML text of a run's report; equal runs give equal pages."""
    there = bool(len(opened.front))
    data = contents(opened) if there else {}
    words, following = _heading(opened), _next(opened)
    return _filled(
        "report.html",
        title=escape(f"palmette: {words}"),
        heading=escape(words),
        css=_read("report.css"),
        standing=f'<p class="standing">{escape(opened.standing)}</p>' if opened.standing else "",
        answer=answer(opened) + (_NEXT_LINK if following else ""),
        next=following,
        explored=_explored(opened, data) if there else "",
        trust=_trust(opened),
        repeat=_repeat(opened),
        data=json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"),
        script="\n".join(_read(name) for name in _SCRIPTS),
    )


def _heading(opened: OpenedRun) -> str:
    config = opened.config
    if config.reward is not None:
        return f"{config.target}, reward {config.reward} at {config.budget_ms:g} ms"
    return f"{config.words}, at confidence {config.confidence:g}"


def _explored(opened: OpenedRun, data: dict[str, Any]) -> str:
    told = History(data["history"]["trials"], data["history"]["hypervolume"])
    return _filled(
        "explored.html",
        front_note=escape(_front_note(opened)),
        front_table=front_table(opened) + references_table(data),
        history_note=escape(
            f"{told.trials[-1]:,} trials{_failed(opened)}; at the end {told.hypervolume[-1]:.4g}"
            f" ({data['unit']} × points, up to the budget and a score of 0)."
        ),
        history_table=history_table(told),
        failures=failures_table(opened.failures),
        importance=importance_table(opened),
    )


def _failed(opened: OpenedRun) -> str:
    count = len(opened.failures.trials)
    return f", {count:,} of them failed" if count else ""


def _front_note(opened: OpenedRun) -> str:
    zoo = "" if opened.problem.accuracy.evaluator else " Diamonds are reference networks."
    confidence = opened.config.confidence
    return (
        f"Bars to the right end at the time that holds with confidence {confidence:g}; vertical"
        " bars are the 80 % interval of top-1. Grey dots are the run's other trials; the"
        f" red point is the pick.{zoo}"
    )


def _trust(opened: OpenedRun) -> str:
    """Statements, the name of each group once."""
    lines, last = list[str](), ""
    for about, words in statements(opened):
        lines += [] if about == last else [f"<dt>{escape(about)}</dt>"]
        lines.append(f"<dd>{escape(words)}</dd>")
        last = about
    return "\n".join(lines)


def _next(opened: OpenedRun) -> str:
    steps = "".join(
        f"<dt>{escape(words)}</dt><dd><code>{escape(line)}</code></dd>"
        for words, line in next_steps(opened)
    )
    if not steps:
        return ""
    return (
        '<section id="next" aria-labelledby="next-title">'
        f'<h2 id="next-title">What to do next</h2><dl class="trust">{steps}</dl></section>'
    )


def _repeat(opened: OpenedRun) -> str:
    versions = {
        name.removeprefix("version_").replace("_", " "): str(value)
        for name, value in opened.about.items()
        if isinstance(value, str | int | float)
    }
    made = table("What made it", ["what", "which"], list(versions.items()))
    return (
        f"<pre><code>{escape(command(opened.config))}</code></pre>"
        "<p>Files that it names lie as copies in the run's folder; the folder's run.toml has every"
        f" setting.</p><div class='wide'>{made}</div>"
    )


def _read(name: str) -> str:
    return (files("palmette.search.report") / "page" / name).read_text("utf-8")


def _filled(name: str, **parts: str) -> str:
    return Template(_read(name)).substitute(parts)
