"""The simulator's example scripts: short ones that print, and those that reproduce published figures, here small."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(path for path in (ROOT / "examples").glob("*.py")
                  if "astro_sim" in path.read_text("utf-8") and "derivation" not in path.read_text("utf-8"))
FIGURES = [path for path in EXAMPLES if "--small" in path.read_text("utf-8")]
PNG = b"\x89PNG\r\n"


def run(path, *words, folder):
    done = subprocess.run([sys.executable, str(path), *words], capture_output=True, text=True, check=False, cwd=folder,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip()


@pytest.mark.slow
@pytest.mark.parametrize("path", [path for path in EXAMPLES if path not in FIGURES], ids=lambda path: path.stem)
def test_example(path, tmp_path):
    assert len(path.read_text("utf-8").splitlines()) <= 20
    run(path, folder=tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("path", FIGURES, ids=lambda path: path.stem)
def test_figure(path, tmp_path):
    run(path, "--small", "--out", "figure.png", folder=tmp_path)
    assert (tmp_path / "figure.png").read_bytes().startswith(PNG)


def test_every_published_figure_is_in_the_gallery_with_its_command():
    page = (ROOT / "docs" / "gallery.md").read_text("utf-8")
    assert len(FIGURES) == 6
    for path in FIGURES:
        picture = f"pictures/{path.stem}.png"
        assert f"]({picture})" in page and (ROOT / "docs" / picture).read_bytes().startswith(PNG)
        assert f"python examples/{path.name} --out docs/{picture}" in page
