"""A tutorial is a notebook without outputs; here it is executed, and becomes a page with its outputs and pictures."""

import base64
import re
from pathlib import Path

import nbclient
import nbformat

DOCS = Path(__file__).parents[1]
ROOT = DOCS.parent
TUTORIALS = sorted((DOCS / "tutorials").glob("*.ipynb"))
SECONDS = 600  # a kernel that hangs is ended; a tutorial takes less than one minute
QUIET = ["--log-level=ERROR"]  # of the kernel
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def read(path: Path) -> nbformat.NotebookNode:
    """The notebook as it is stored."""
    return nbformat.read(path, as_version=4)


def execute(path: Path, folder: Path) -> nbformat.NotebookNode:
    """The notebook with the outputs of a run in `folder`. Raises `CellExecutionError` with the cell that failed."""
    notebook = read(path)
    nbclient.NotebookClient(notebook, timeout=SECONDS, startup_timeout=SECONDS, extra_arguments=QUIET,
                            resources={"metadata": {"path": str(folder)}}).execute()
    return notebook


def page(notebook: nbformat.NotebookNode, name: str) -> tuple[str, dict[str, bytes]]:
    """Markdown of a notebook, and the pictures that it shows by file name."""
    parts, pictures = [], {}
    for cell in notebook.cells:
        if cell.cell_type != "code":
            parts.append(cell.source)
            continue
        parts.append(f"```python\n{cell.source}\n```")
        for output in cell.get("outputs", ()):
            parts.append(_shown(output, f"{name}-{len(pictures) + 1}.png", pictures))
    return "\n\n".join(part for part in parts if part) + "\n", pictures


def _shown(output: nbformat.NotebookNode, file: str, pictures: dict[str, bytes]) -> str:
    """One output as Markdown: a picture, a table as HTML, or text.

    What a library says on stderr, and the name of the axes beside a picture, are left out.
    """
    if output.output_type == "stream":
        return _text(output.text) if output.name == "stdout" else ""
    data = output.get("data", {})
    if "image/png" in data:
        pictures[file] = base64.b64decode(data["image/png"])
        return f"![output of the cell above]({file})"
    text = data.get("text/plain", "")
    return data["text/html"] if "text/html" in data else "" if text.startswith("<Axes") else _text(text)


def _text(text: str) -> str:
    return f"```text\n{COLOURS.sub('', text).rstrip()}\n```" if text.strip() else ""
