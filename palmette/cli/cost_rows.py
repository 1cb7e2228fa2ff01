"""A tree of milliseconds: guides, aligned figures and bars on a terminal, elsewhere plain rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text
    from rich.tree import Tree

    from palmette.search.cost_tree import CostNode

BAR = 16
"""Characters of a bar of 100 %."""
_GUIDE = 4
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_COLORS = {"network": "bold", "part": "bold", "crossings": "yellow", "fixed": "yellow"}


def print_costs(tree: CostNode) -> None:
    """Print a tree: with guides, bars and colours on a terminal, else as indented lines."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        print("\n".join(plain_costs(tree)))
        return
    console.print(_rich(tree, console))


def plain_costs(tree: CostNode) -> list[str]:
    """Indented lines: name, milliseconds, share, notation."""
    rows = [(2 * depth * " " + node.name, node) for depth, node in tree.walk()]
    width = max(len(name) for name, _ in rows)
    return [
        f"{name:<{width}}  {_figures(node.ms, tree.ms)}  {node.text}".rstrip()
        for name, node in rows
    ]


def _figures(ms: float, whole_ms: float) -> str:
    return f"{ms + 0.0:9.4f} ms {ms / whole_ms + 0.0:6.1%}"


def _rich(tree: CostNode, console: Console) -> Tree:
    from rich.tree import Tree

    width = max(_GUIDE * depth + len(node.name) for depth, node in tree.walk())
    ascii_only = console.options.ascii_only
    root = Tree(_label(tree, tree.ms, width, ascii_only), guide_style="dim")
    _grow(root, tree, tree.ms, width, ascii_only)
    return root


def _grow(branch: Tree, node: CostNode, whole_ms: float, width: int, ascii_only: bool) -> None:
    for child in node.children:
        label = _label(child, whole_ms, width - _GUIDE, ascii_only)
        _grow(branch.add(label), child, whole_ms, width - _GUIDE, ascii_only)


def _label(node: CostNode, whole_ms: float, width: int, ascii_only: bool) -> Text:
    from rich.text import Text

    label = Text(no_wrap=True, overflow="ellipsis")
    label.append(f"{node.name:<{width}} ", _COLORS.get(node.level, ""))
    label.append(f"{_figures(node.ms, whole_ms)} ")
    label.append(f"{bar(node.ms / whole_ms, ascii_only):<{BAR}} ", "cyan")
    label.append(node.text, "dim")
    return label


def bar(share: float, ascii_only: bool = False) -> str:
    """A bar of a share from 0 to 1, at most `BAR` characters, in eighths where they exist."""
    eighths = round(8 * BAR * min(max(share, 0.0), 1.0))
    if ascii_only:
        return "#" * round(eighths / 8)
    return (_EIGHTHS[8] * (eighths // 8) + _EIGHTHS[eighths % 8]).rstrip()
