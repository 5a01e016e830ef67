"""What docs/simulating.md shows of drives, values, events, sweeps, fits and exports is run, in order, in one folder."""

import re
import shlex
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "simulating.md").read_text("utf-8")
BLOCK = re.compile(r'^```(python|bash|csv)(?: title="([\w.]+)")?\n(.*?)^```', re.MULTILINE | re.DOTALL)
SECTIONS = [text for text in re.split(r"^## ", PAGE, flags=re.MULTILINE)
            if text.startswith(("What drives a model", "One value for each element"))]
OUTCOMES = [text for text in re.split(r"^## ", PAGE, flags=re.MULTILINE)
            if text.startswith(("Events", "Sweeps", "Several seeds", "Fit to your data", "Export"))]


@pytest.mark.slow
@pytest.mark.filterwarnings("error::foundation.notes.Note")
@pytest.mark.parametrize("section", SECTIONS, ids=lambda text: text.splitlines()[0])
def test_what_the_page_shows_runs(section, astro_sim, tmp_path):
    blocks = BLOCK.findall(section)
    assert {kind for kind, _, _ in blocks} == {"python", "bash", "csv"}
    run_blocks(blocks, astro_sim, tmp_path)


def run_blocks(blocks, astro_sim, folder):
    for kind, name, text in blocks:
        if kind == "csv":
            (folder / name).write_text(text)
        elif kind == "python":
            exec(compile(text, name, "exec"), {"__name__": "__main__"})  # the page's own text
        else:
            for line in text.splitlines():
                code, _, said = astro_sim(*shlex.split(line)[3:])
                assert code == 0, said


@pytest.mark.slow
def test_what_the_page_shows_of_outcomes_runs(astro_sim, tmp_path):
    """In one folder: later sections use what earlier ones wrote."""
    blocks = [block for section in OUTCOMES for block in BLOCK.findall(section)]
    assert len(OUTCOMES) == 5 and len(blocks) == 10 and all(name for kind, name, _ in blocks if kind == "python")
    run_blocks(blocks, astro_sim, tmp_path)
    pictures = {"period.png", "grid.png", "mean.png", "fit.png", "noisy.png"}
    assert pictures <= {path.name for path in tmp_path.iterdir()}
