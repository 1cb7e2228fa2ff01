"""Settings of Sphinx. Nothing here asks the network: no fonts, no scripts, no other sites."""

from __future__ import annotations

from typing import Any

from palmette import __version__

project = "palmette"
release = version = __version__
project_copyright = ""
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "docstrings"]
root_doc = "docs/index"
source_suffix = {".md": "markdown"}
language = "en"
highlight_language = "text"
smartquotes = False  # `--` of an option is no dash
html_theme = "furo"
html_title = "palmette"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = html_show_sphinx = html_show_copyright = False
html_show_sourcelink = False
html_show_search_summary = False  # read by fetch, which a browser refuses to pages on the disk
pygments_style = "friendly"
pygments_dark_style = "github-dark"
myst_heading_anchors = 4
myst_enable_extensions: list[str] = []
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = False  # values, as pages show few of the constants' names
autodoc_type_aliases = {name: name for name in ("Floats", "Ints", "Bools", "Codes", "Subject")}
python_maximum_signature_line_length = 88
python_use_unqualified_type_names = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
suppress_warnings: list[str] = []
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#2f6f4f", "color-brand-content": "#2f6f4f"},
    "dark_css_variables": {"color-brand-primary": "#7fc4a0", "color-brand-content": "#7fc4a0"},
}


def setup(app: Any) -> None:
    from pygments.lexers.special import TextLexer

    app.add_lexer("csv", TextLexer)  # tables are shown as they are
