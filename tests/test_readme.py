"""The README is true: its commands run as printed, and what they print is there."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text("utf-8")
COMMANDS = [line for block in re.findall(r"```bash\n(.*?)```", TEXT, re.DOTALL) for line in block.splitlines()
            if line.startswith("python -m")]
SLOW = {"python -m derivation check"}  # tests/derivation runs it already


@pytest.fixture(scope="module")
def runs():
    """The commands write under runs/, in this order, as a reader would have it; the folder goes away afterwards."""
    folder = ROOT / "runs" / "of-the-readme-test"
    folder.mkdir(parents=True)
    yield folder
    shutil.rmtree(folder)


def test_the_three_uses_have_commands():
    assert len(COMMANDS) >= 12
    assert {command.split()[2] for command in COMMANDS} == {"astro_sim", "derivation", "rmaat", "figures"}


def test_its_commands_run(runs):
    for command in COMMANDS:
        if command in SLOW:
            continue
        place = str(runs.relative_to(ROOT))
        line = command.replace("python -m", f"{sys.executable} -m", 1).replace("runs/", f"{place}/")
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, cwd=ROOT, check=False)
        assert done.returncode == 0, f"{command}\n{done.stderr[-2000:]}"
    assert {path.name for path in runs.iterdir()} >= {"calcium.nc", "macro.nc", "record.json", "recall", "figures"}


def test_its_python_runs_and_prints_what_it_says():
    code = re.search(r"```python\n(.*?)```", TEXT, re.DOTALL)[1]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    said = re.search(r"# ([\d.]+) \(seconds\)", code)[1]
    assert float(done.stdout) == pytest.approx(float(said), abs=6e-4)


def test_its_numbers_are_those_of_the_record():
    from derivation.record import record

    entries = record.load().entries
    for name, constant in (("retention", "q"), ("relative_position", "scale")):
        assert f"{entries[name].constants[constant].value:.6f}" in TEXT


def test_its_files_and_make_targets_exist():
    for path in re.findall(r"\]\(([\w./-]+)\)", TEXT):
        assert (ROOT / path).exists(), path
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for target in re.findall(r"`make ([\w-]+)`|^make ([\w-]+)", TEXT, re.MULTILINE):
        assert (target[0] or target[1]) in targets
