"""What this machine has and lacks for the project, and the line that mends it. Standard library only.

Run as `python -m foundation.doctor`; exit code 0 when nothing is missing, 4 otherwise.
"""

import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

from foundation.imports import EXTRAS, RUN_WITH, broken, pip_line
from foundation.program import end_with

ROOT = Path(__file__).parents[1]
ASKED_FOR = ("tensorboard",)  # extras that "all" leaves out
FASHION = Path("/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz")
NEEDED_GIB = 8


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _pins() -> dict[str, str]:
    path = ROOT / "constraints.txt"
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    return {match[1].lower(): match[2] for line in lines if (match := re.match(r"([\w.-]+)==(\S+)", line))}


def _compiler() -> str | None:
    path = shutil.which(os.environ.get("CXX", "g++")) or shutil.which("clang++")
    if not path:
        return None
    return subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout.splitlines()[0]


def _torch_build() -> str:
    code = ("import torch; kind = 'CUDA' if torch.cuda.is_available() else 'CPU only'\n"
            "print(torch.__version__, kind, torch.get_num_threads(), 'threads')")
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return found.stdout.strip() or "does not import: " + (found.stderr.strip().splitlines() or ["?"])[-1]


def examine() -> tuple[list[tuple[str, str]], list[str]]:
    """Rows (what, found) and the lines that mend what is missing."""
    rows, mend = [("python", f"{platform.python_version()} on {platform.platform()}")], []
    if sys.version_info[:2] < (3, 11):  # noqa: UP036 (the doctor is run by whatever Python there is)
        mend.append("install Python 3.11 or later, then: make PYTHON=python3.11 test")
    pins = _pins()
    for extra, names in EXTRAS.items():
        for name in names:
            found, pin = _version(name), pins.get(name)
            note = f"  (constraints.txt says {pin})" if found and pin and found.split("+")[0] != pin else ""
            rows.append((f"{name} [{extra}]", (found or "missing") + note))
            if not found and extra not in ASKED_FOR:
                what = "." if extra == "core" else f'".[{extra}]"'
                mend.append(f"pip install -c constraints.txt -e {what}     # {name} is missing")
    installed = [name for extra in RUN_WITH for name in EXTRAS[extra] if _version(name)]
    for name, why in broken(installed).items():
        rows.append((name, f"does not import: {why}"))
        mend.append(f"{pip_line(name)}     # {name} does not import")
    if _version("torch"):
        rows.append(("torch build", _torch_build()))
    compiler = _compiler()
    rows.append(("C++ compiler", compiler or "missing"))
    if not compiler:
        mend.append("apt-get install g++     # only Brian2's cython and cpp backends need it")
    free = shutil.disk_usage(ROOT).free / 2**30
    rows.append(("free disk", f"{free:.0f} GiB"))
    if free < NEEDED_GIB:
        mend.append(f"free {NEEDED_GIB} GiB of disk: the environment needs about 3, torch with CUDA about 7")
    rows.append(("Fashion-MNIST", str(FASHION.parent) if FASHION.exists() else "missing"))
    if not FASHION.exists():
        mend.append("make data     # the fashion task's images; or give a folder with the IDX files: --data DIR")
    return rows, mend


def main() -> int:
    """Print what there is and what is missing; exit code 4 where something is."""
    rows, mend = examine()
    width = max(len(what) for what, _ in rows)
    for what, found in rows:
        print(f"{what:<{width}}  {found}")
    print("\nnothing is missing" if not mend else "\nto mend:\n  " + "\n  ".join(dict.fromkeys(mend)))
    return 0 if not mend else 4


if __name__ == "__main__":
    end_with(main)
