"""The documentation is true: the site builds strictly, tutorials and examples run, links lead somewhere."""

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from foundation.outside import load_file

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
TUTORIALS = sorted((DOCS / "tutorials").glob("*.ipynb"))
EXTENDING = (DOCS / "extending.md").read_text("utf-8")
BLOCK = re.compile(r'^```(python|bash)(?: title="([\w.]+)")?\n(.*?)^```', re.MULTILINE | re.DOTALL)
FOLDERS = "astro_sim|derivation|rmaat|figures|tests|docs|examples|foundation"


@pytest.fixture(scope="module")
def notebooks():
    return load_file(DOCS / "site" / "notebooks.py")


def environment():
    """Of a process that may run anywhere and imports this checkout."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg", "EXECUTE": "0"}


# ---------------------------------------------------------------------------------------------- the site


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, its tutorials not executed: the tests below do that."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment(), check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.mark.slow
def test_the_site_builds_strictly_with_a_page_for_each_room(site):
    assert {f"{path.stem}.html" for path in TUTORIALS} <= {page.name for page in (site / "tutorials").iterdir()}
    rooms = {".".join(file.parent.relative_to(ROOT).parts) for floor in ("astro_sim", "derivation", "rmaat", "figures")
             for file in (ROOT / floor).rglob("*.py") if file.stem not in ("__init__", "__main__")}
    assert rooms <= {page.stem for page in (site / "reference").iterdir()}
    assert "tau_cycle" in (site / "equations.html").read_text("utf-8")


def test_the_reference_has_what_the_docstrings_say(site):
    page = (site / "reference" / "rmaat.gradient.html").read_text("utf-8")
    assert "Astrocytic memory replay" in page and "keep_last" in page


def test_a_page_asks_for_nothing_from_outside(site):
    for page in site.rglob("*.html"):
        loaded = re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="(https?://[^"]+)"', page.read_text("utf-8"))
        assert not loaded, f"{page.relative_to(site)} loads {loaded}"


# ---------------------------------------------------------------------------------------------- tutorials


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_is_stored_without_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert not cell.get("outputs") and cell.get("execution_count") is None


@pytest.mark.slow
@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_runs(path, notebooks, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    text, pictures = notebooks.page(notebooks.execute(path, tmp_path), path.stem)
    assert all(f"]({name})" in text and data[:4] == b"\x89PNG" for name, data in pictures.items())
    assert "<table>" in text or "```text" in text


def test_an_output_of_every_kind_becomes_markdown(notebooks):
    new = nbformat.v4
    cell = new.new_code_cell("1", outputs=[
        new.new_output("stream", name="stdout", text="\x1b[31msaid\x1b[0m\n"),
        new.new_output("stream", name="stderr", text="a warning\n"),
        new.new_output("display_data", {"image/png": "iVBORw==", "text/plain": "<Figure>"}),
        new.new_output("execute_result", {"text/html": "<table></table>", "text/plain": "Table"}, execution_count=1),
        new.new_output("execute_result", {"text/plain": "3"}, execution_count=1)])
    text, pictures = notebooks.page(new.new_notebook(cells=[new.new_markdown_cell("# Title"), cell]), "name")
    assert text == ("# Title\n\n```python\n1\n```\n\n```text\nsaid\n```\n\n![output of the cell above](name-1.png)\n\n"
                    "<table></table>\n\n```text\n3\n```\n")
    assert pictures == {"name-1.png": b"\x89PNG"}


# ---------------------------------------------------------------------------------------------- examples, links


def test_the_examples_for_each_seam_run(tmp_path):
    """In order and in one folder, as a reader would: files are written, Python and commands are run."""
    blocks = BLOCK.findall(EXTENDING)
    assert len(blocks) >= 15 and EXTENDING.count("```") == 2 * len(blocks)
    for kind, name, text in blocks:
        if name:
            (tmp_path / name).write_text(text)
        lines = [text] if kind == "python" else text.splitlines()
        for line in lines:
            command = ([sys.executable, "-c", line] if kind == "python" else
                       ["bash", "-ec", line.replace("python -m", f"{sys.executable} -m", 1)])
            done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment(), check=False)
            assert done.returncode == 0, f"{line}\n{done.stdout[-1000:]}\n{done.stderr[-3000:]}"


@pytest.mark.slow
def test_the_examples_of_the_models_run(tmp_path):
    """The Python of the page as one program, then its command."""
    blocks = BLOCK.findall((DOCS / "models.md").read_text("utf-8"))
    program = "\n".join(text for kind, _, text in blocks if kind == "python")
    lines = [line for kind, _, text in blocks if kind == "bash" for line in text.splitlines()]
    assert program.count("assert") >= 3 and lines
    commands = [["bash", "-ec", line.replace("python -m", f"{sys.executable} -m", 1)] for line in lines]
    for command in ([sys.executable, "-c", program], *commands):
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment(), check=False)
        assert done.returncode == 0, f"{done.stdout[-1000:]}\n{done.stderr[-3000:]}"


@pytest.mark.slow
def test_the_page_on_studies_is_true(tmp_path):
    """Its file is written, its commands and its program are run, in order."""
    text = (DOCS / "studies.md").read_text("utf-8")
    (name, study), = re.findall(r'^```toml title="([\w.]+)"\n(.*?)^```', text, re.MULTILINE | re.DOTALL)
    (tmp_path / name).write_text(study)
    blocks = BLOCK.findall(text)
    assert len(blocks) == 3
    for kind, _, block in blocks:
        if kind == "python":
            (tmp_path / "program.py").write_text(block)
        for line in ["python program.py"] if kind == "python" else block.splitlines():
            command = re.sub("^python", sys.executable, line)
            done = subprocess.run(["bash", "-ec", command], capture_output=True, text=True, cwd=tmp_path,
                                  env=environment(), check=False)
            assert done.returncode == 0, f"{line}\n{done.stdout[-1000:]}\n{done.stderr[-3000:]}"
    made = {path.parent.relative_to(tmp_path / "runs" / "mine").as_posix()
            for path in (tmp_path / "runs" / "mine").rglob("result.json")}
    assert made == {f"{run}/seed{seed}" for run in ("recall", "recall_rmt", "content/recall_content_r")
                    for seed in (0, 1)}
    listed = set(re.findall(r"`([a-z_]+)`", text.split("| variant |")[1].split("\n\n")[0]))
    assert {"rmaat", "rmt", "gru", "last_segment"} <= listed
    assert (tmp_path / "runs" / "tables" / "curves_recall.png").exists()


def test_every_seam_has_its_example():
    heads = re.findall(r"^## (.*)$", EXTENDING, re.MULTILINE)
    rows = re.findall(r"^\| (an? .*?|parameters.*?) \|", EXTENDING, re.MULTILINE)
    assert [row.lower() for row in rows] == [head.lower() for head in heads]


def pages():
    return [*sorted(DOCS.glob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_what_a_page_names_in_the_repository_is_there(page):
    text = page.read_text("utf-8")
    made = {"reference", "tutorials", "results", "contributing.md", "changelog.md"}  # by the site
    for link in re.findall(r"\]\(([^)#:\s]+)\)", text):
        if not (page.parent == DOCS and link.split("/")[0] in made):
            assert (page.parent / link).exists(), link
    for path in re.findall(rf"`((?:{FOLDERS})/[\w/.]+\.\w+)`", text):
        assert "NAME" in path or (ROOT / path).exists(), path


@pytest.mark.slow
@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_the_rows_of_a_table_have_the_cells_of_its_head(page):
    """A | inside `code` ends the cell on GitHub: an absolute value in a table is written abs(x)."""
    cells = None
    for line in re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL).splitlines():
        if not line.startswith("|"):
            cells = None
            continue
        found = len(re.findall(r"(?<!\\)\|", line))
        assert cells in (None, found), line
        cells = found


def test_commands_of_the_pages_name_verbs_and_options_that_exist():
    """Every `python -m` line of every page is understood by its program: --help of its verb has its options."""
    wanted = {}
    for page in pages():
        for line in re.findall(r"^(?:torchrun .* -m |python -m )(astro_sim|derivation|rmaat|figures)\b(.*)$",
                               page.read_text("utf-8"), re.MULTILINE):
            words = line[1].split("#")[0].split()
            names = line[0] == "figures" and words[:1] != ["report"]  # figures to draw; report is its one verb
            verbs = [] if names else [word for word in words[:2] if re.fullmatch("[a-z]+", word)]
            verbs = verbs[: 2 if verbs[:1] in (["benchmark"], ["data"]) else 1]
            wanted.setdefault((line[0], *verbs), set()).update(word.split("=")[0] for word in words if
                                                                re.match("--[a-z]", word))
    for (program, *verbs), options in wanted.items():
        command = [sys.executable, "-m", program, *verbs, "--help"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment(), check=False)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
        missing = {option for option in options if option not in done.stdout}
        assert not missing, f"{program} {' '.join(verbs)} has no {missing}"
