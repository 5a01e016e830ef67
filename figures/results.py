"""Tables of `results/`, which `python -m rmaat benchmark` writes as Markdown, read back as numbers."""

import re
from pathlib import Path

from foundation import trailer
from foundation.errors import DamagedFileError
from foundation.reading import read_text

RESULTS = Path(__file__).parents[1] / "results"
SPEED, STEPS = RESULTS / "speed_cpu.md", RESULTS / "steps_cpu.md"
MAX_BYTES = 10_000_000
Cell = float | str


def table(path: Path, title: str) -> list[dict[str, Cell]]:
    """The rows under the heading that begins with `title`, each by its columns; what is no number stays text.

    Raises `UserError` for a missing file, `DamagedFileError` where it has no such table.
    """
    text = _text(path)
    _, heading, below = text.partition(f"\n## {title}")
    lines = [line for line in below.split("\n## ")[0].splitlines() if line.startswith("|")]
    if not heading or len(lines) < 3:
        raise DamagedFileError(f"{path} has no table '{title}'; make it anew with 'python -m rmaat benchmark all "
                               f"--out {path}'")
    names, _, *rows = ([cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines)
    return [dict(zip(names, map(_value, row), strict=True)) for row in rows]


def facts(path: Path) -> dict[str, str]:
    """How the page was made: its list of `- name: value`."""
    return dict(re.findall(r"^- ([^:]+): (.*)$", _text(path), re.MULTILINE))


def _text(path: Path) -> str:
    made = f"python -m rmaat benchmark all --out {path}"
    text = read_text(path, "page", MAX_BYTES, advice=f"make it with '{made}'")
    return trailer.verified_page(text, path, what_to_do=f"make it anew with '{made}'")[0]


def _value(cell: str) -> Cell:
    try:
        return float(cell.replace(",", ""))
    except ValueError:
        return cell
