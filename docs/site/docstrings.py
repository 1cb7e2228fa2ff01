"""Sphinx extension: docstrings are plain words with `code` in backticks, that is Markdown.

Prose goes to the Markdown parser as it stands. Sections (`Args:`, `Raises:`) go to napoleon, which
writes reStructuredText: there only the inline code is rewritten, and what that language would take
for its own marks is escaped. What is returned becomes a field at once, as napoleon would take words
before a colon for a type.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from docutils.utils import new_document
from myst_parser.parsers.sphinx_ import MystParser
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

SECTIONS = re.compile(r"^(Args|Attributes|Raises|Returns|Yields|Example|Examples|Note|Notes):\s*$")
CODE = re.compile(r"(`+)(.+?)\1(?!`)")
MARKS = re.compile(r"([*|\\]|(?<=\w)_(?!\w))")
FIELDS = {"Returns:": ":returns:", "Yields:": ":yields:"}
ALIAS = re.compile(r"TypeAliasForwardRef\('(\w+)'\)")
"""How Sphinx writes a name of `autodoc_type_aliases` within another type."""
MADE_BY_SKLEARN = re.compile(r"set_\w+_request$")
"""Methods that scikit-learn puts into every estimator, with words of its own."""
BEFORE_NAPOLEON = 400


class Markdown(SphinxDirective):
    """`.. markdown::`, with Markdown below it."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        document = new_document(self.env.doc2path(self.env.docname), self.state.document.settings)
        parser: Any = MystParser()
        parser.parse("\n".join(self.content), document)
        return list(document.children)


def from_markdown(lines: list[str]) -> list[str]:
    """Lines of a docstring as reStructuredText that napoleon understands."""
    first = next((i for i, line in enumerate(lines) if SECTIONS.match(line)), len(lines))
    prose, sections = lines[:first], lines[first:]
    shown = [".. markdown::", "", *(f"   {line}" if line else "" for line in prose), ""]
    fields = [FIELDS.get(line.strip(), line) for line in sections]
    return [*(shown if any(prose) else []), *map(_inline, fields)]


def _inline(line: str) -> str:
    """A line of a section: code as literals, other marks escaped."""
    parts, end = [], 0
    for code in CODE.finditer(line):
        parts += [MARKS.sub(r"\\\1", line[end : code.start()]), f"``{code[2]}``"]
        if code.end() < len(line) and line[code.end()].isalnum():
            parts.append("\\ ")  # `ms`es: a literal ends at a space
        end = code.end()
    return "".join([*parts, MARKS.sub(r"\\\1", line[end:])])


def _rewrite(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    lines[:] = from_markdown(lines)


def _names(
    app: Sphinx,
    what: str,
    name: str,
    obj: Any,
    options: Any,
    signature: str | None,
    back: str | None,
) -> tuple[str | None, str | None]:
    """A signature that calls arrays by their short names."""
    return signature and ALIAS.sub(r"\1", signature), back and ALIAS.sub(r"\1", back)


def _skip(app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    return True if MADE_BY_SKLEARN.match(name) else None


def _dashes(app: Sphinx, doctree: nodes.document) -> None:
    """Sphinx writes two hyphens after a parameter, for smartquotes to change; those are off."""
    for text in list(doctree.findall(nodes.Text)):
        if text == " -- ":
            text.parent.replace(text, nodes.Text(" \N{EN DASH} "))


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("markdown", Markdown)
    app.connect("autodoc-process-docstring", _rewrite, priority=BEFORE_NAPOLEON)
    app.connect("autodoc-process-signature", _names)
    app.connect("doctree-read", _dashes)
    app.connect("autodoc-skip-member", _skip)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
