"""Write .ci/requirements.txt: what CI installs, each package with the SHA-256 of the one file that pip takes there.

Run as `python .ci/lock.py` on a machine of CI's kind (Linux, x86-64, Python 3.11) after a change to constraints.txt or
to pyproject.toml. pip says what it would install and from which files; nothing is installed. Standard library only.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LIST = ROOT / ".ci" / "requirements.txt"
HEAD = """# What CI installs, with hashes. Ranges stand in pyproject.toml, versions for people in constraints.txt.
# Written by .ci/lock.py on Linux, x86-64, Python 3.11, with the build of torch for CPUs.
"""


def would_install() -> list[dict]:
    """What pip would install of all that the project asks for, as its report has it."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        subprocess.run([sys.executable, "-m", "pip", "install", "-qq", "--dry-run", "--ignore-installed",
                        "--report", str(report), "-c", "constraints.txt", ".[all]"], cwd=ROOT, check=True)
        found = json.loads(report.read_text("utf-8"))["install"]
    return [one for one in found if "archive_info" in one["download_info"]]  # all but the project itself


def pinned() -> dict[str, str]:
    """Name -> version of every line of constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    return {normal(line.partition("==")[0]): line.partition("==")[2].strip() for line in lines if "==" in line}


def normal(name: str) -> str:
    """A package's name as indices spell it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> None:
    """Write the list; exits with 1 where a package that would come in is pinned nowhere."""
    pins, lines, unknown = pinned(), [], []
    for one in sorted(would_install(), key=lambda one: normal(one["metadata"]["name"])):
        name, version = normal(one["metadata"]["name"]), one["metadata"]["version"]
        if pins.get(name) != version.partition("+")[0]:
            unknown.append(f"{one['metadata']['name']}=={version}")
        lines.append(f"{name}=={version} --hash=sha256:{one['download_info']['archive_info']['hashes']['sha256']}\n")
    if unknown:
        sys.exit("constraints.txt does not pin what would be installed; look at these and add them:\n  "
                 + "\n  ".join(unknown))
    LIST.write_text(HEAD + "".join(lines), "utf-8")
    print(f"{LIST.relative_to(ROOT)}: {len(lines)} packages")


if __name__ == "__main__":
    main()
