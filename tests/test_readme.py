"""The README is true: its commands run as printed, and what they print is there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text("utf-8")
COMMANDS = [line for block in re.findall(r"```bash\n(.*?)```", TEXT, re.DOTALL) for line in block.splitlines()
            if line.startswith("python -m")]
PYTHON = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
SLOW = {"python -m derivation check"}  # tests/derivation runs it already
SHORTER = {  # long work that other tests hold to its results; here the line must be understood and leave its files
    "python -m derivation reduce": "tau_pl gamma_s w_back",
}


def environment():
    """Of a process that may run anywhere and imports this checkout."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg"}


def test_the_three_uses_have_commands():
    assert len(COMMANDS) >= 12
    assert {command.split()[2] for command in COMMANDS} == {"astro_sim", "derivation", "rmaat", "figures"}


@pytest.mark.slow
def test_its_commands_run(tmp_path):
    """In this order and in one folder, as a reader would have it."""
    for command in COMMANDS:
        if command in SLOW:
            continue
        line = command.replace("python -m", f"{sys.executable} -m", 1)
        line += "".join(f" {more}" for start, more in SHORTER.items() if f"{command} ".startswith(f"{start} "))
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, cwd=tmp_path, env=environment(),
                              check=False)
        assert done.returncode == 0, f"{command}\n{done.stderr[-2000:]}"
    assert all(any(f"{command} ".startswith(f"{start} ") for command in COMMANDS) for start in SHORTER)
    assert {path.name for path in (tmp_path / "runs").iterdir()} >= {"calcium.nc", "macro.nc", "record.json", "recall",
                                                                     "figures"}


@pytest.mark.parametrize(("number", "said"), [(0, ["11.492", "0.354534", "0.636882"]),
                                              (1, ["q**(t-1)*(1-q)/(1-q**T)", "0.669842", "memory horizon"]),
                                              (2, [])])
def test_its_python_runs_and_prints_what_it_says(number, said, tmp_path):
    code = PYTHON[number]
    assert len([line for line in code.splitlines() if line.strip()]) <= 12
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path,
                          env=environment(), check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    for expected in said:
        if re.fullmatch(r"[\d.]+", expected):
            digits = len(expected.partition(".")[2])
            found = [float(value) for value in re.findall(r"\d+\.\d+", done.stdout)]
            assert any(round(value, digits) == float(expected) for value in found), expected
            assert expected in code or number == 1
        else:
            assert expected in done.stdout


def test_each_use_has_its_python():
    assert [re.search(r"from (\w+)", code)[1] for code in PYTHON] == ["astro_sim", "derivation", "rmaat"]


def test_the_screen_of_the_demo_is_the_one_that_it_prints():
    from derivation.record import record
    from figures import outcome

    committed = record.load()
    printed = outcome.screen([*outcome.record(committed, committed, ())], 1.0)
    (shown,) = re.findall(r"```text\n(It worked.*?)```", TEXT, re.DOTALL)
    section = shown.partition("closed form beside recording\n")[2].partition("trained on")[0].splitlines()
    lines = [line for line in section if line.strip() not in ("", "...")]
    assert len(lines) >= 4 and set(lines) <= set(printed)
    for check in outcome.recall([{"name": "model", "accuracy": 1.0}]):
        assert check.what in shown or "trained with" in check.what


def test_it_says_which_retention_rule_is_the_default():
    from rmaat.model.config import ModelConfig

    config = ModelConfig(vocab_size=2, num_classes=2, segment_length=2, num_segments=2)
    assert f"The default `{config.retention}`" in TEXT and config.retention != "multiply"


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
