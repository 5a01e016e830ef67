"""What docs/simulating.md shows of drives, units and values for each element is run, in order and in one folder."""

import re
import shlex
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "simulating.md").read_text("utf-8")
BLOCK = re.compile(r'^```(python|bash|csv)(?: title="([\w.]+)")?\n(.*?)^```', re.MULTILINE | re.DOTALL)
SECTIONS = [text for text in re.split(r"^## ", PAGE, flags=re.MULTILINE)
            if text.startswith(("What drives a model", "One value for each element"))]


@pytest.mark.slow
@pytest.mark.filterwarnings("error::foundation.notes.Note")
@pytest.mark.parametrize("section", SECTIONS, ids=lambda text: text.splitlines()[0])
def test_what_the_page_shows_runs(section, astro_sim, tmp_path):
    blocks = BLOCK.findall(section)
    assert {kind for kind, _, _ in blocks} == {"python", "bash", "csv"}
    for kind, name, text in blocks:
        if kind == "csv":
            (tmp_path / name).write_text(text)
        elif kind == "python":
            exec(compile(text, name, "exec"), {})  # the page's own text
        else:
            for line in text.splitlines():
                code, _, said = astro_sim(*shlex.split(line)[3:])
                assert code == 0, said
