"""Write the figures that README.md and docs/latency.md print, by running what they quote.

    python docs/fill_figures.py

Runs `palmette latency validate` (a minute) and the search of the README, and replaces the text
behind the marks `<!-- demo -->` and `<!-- validate -->`, and docs/front.png.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from palmette.latency import published_timings
from palmette.latency.validation.validate import Row, headline, scores, validate

ROOT = Path(__file__).parents[1]
SEARCH = ["search", "--target", "iphone-13/ane", "--budget-ms", "0.9"]
FULL = (
    "target networks error worst bias inside_80_%_interval interval FLOPs_+_offset"
    " parameters_+_offset error,_all_timed"
)
SHORT = "target networks error worst inside_80_%_interval interval FLOPs_+_offset"


def score_tables(rows: Sequence[Row]) -> tuple[str, str]:
    """The held-out scores as Markdown: the short table of the README, the full one of the docs.

    Args:
        rows: timings, each with its network held out.
    """
    short, full = [_head(SHORT)], [_head(FULL)]
    for target in dict.fromkeys(row.target for row in rows):
        s = scores(headline(rows, target))
        every = scores([row for row in rows if row.target == target])
        start = [f"`{target}`", f"{s['networks']}", f"{s['mape']:.1f}", f"{s['worst']:.0f}"]
        bias = f"{s['bias']:+.1f}".replace("-0.0", "0.0")
        interval = [f"{s['coverage_80']:.2f}", f"×/÷ {s['factor_80']:.2f}"]
        flops, params = f"{s['mape_flops_offset']:.1f}", f"{s['mape_params_offset']:.1f}"
        short.append(_row([*start, *interval, flops]))
        everything = f"{every['mape']:.1f} ({every['networks']})"
        full.append(_row([*start, bias, *interval, flops, params, everything]))
    return "\n".join(short), "\n".join(full)


def demo(folder: Path) -> str:
    """What the README's search prints."""
    run = folder / "run"
    command = [sys.executable, "-c", "from palmette.cli import main; main()", *SEARCH]
    answer = subprocess.run([*command, "--out", run], capture_output=True, text=True, check=True)
    lines = [line.rstrip() for line in answer.stdout.rstrip().splitlines()]
    text = "\n".join(lines).replace(str(run), "runs/iphone-13-ane-0.9ms")
    drawing = [sys.executable, ROOT / "docs" / "draw_front.py"]
    subprocess.run([*drawing, run / "front.csv", ROOT / "docs" / "front.png"], check=True)
    return f"```text\n{text}\n```"


def replace(path: Path, mark: str, text: str) -> None:
    """Replace the table or fenced block that follows a mark."""
    head, _, rest = path.read_text("utf-8").partition(f"<!-- {mark} -->\n")
    end = "\n```\n\n" if rest.startswith("```") else "\n\n"
    _, _, tail = rest.partition(end)
    path.write_text(f"{head}<!-- {mark} -->\n{text}\n\n{tail}", "utf-8")


def main() -> None:
    """Fill in everything."""
    rows, _ = validate(published_timings())
    short, full = score_tables(rows)
    replace(ROOT / "README.md", "validate", short)
    replace(ROOT / "docs" / "latency.md", "validate", full)
    with tempfile.TemporaryDirectory() as folder:
        replace(ROOT / "README.md", "demo", demo(Path(folder)))


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _head(names: str) -> str:
    cells = [name.replace("_", " ") for name in names.split()]
    return _row(cells) + "\n" + "|---" * len(cells) + "|"


if __name__ == "__main__":
    main()
