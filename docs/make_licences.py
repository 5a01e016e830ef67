"""Write docs/licences.md: the licence of every package that constraints.txt pins, as the installed packages say it.

Run as `python docs/make_licences.py` in the environment that make sets up.
"""

import importlib.metadata
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "licences.md"
# what an extra pins that the set-up does not install
ELSEWHERE = {"tensorboard": "Apache-2.0 (its package says; not installed with the rest)"}
HEAD = """# Licences

The project is under the [MIT licence](https://opensource.org/license/mit). It contains nothing of the packages below;
it is set up with them (`constraints.txt`), and they say of themselves what follows.
`python docs/make_licences.py` writes this page; a test looks whether it has every package that is pinned.

| package | version | licence |
|---|---|---|
"""


def pinned() -> dict[str, str]:
    """Name -> version of every line of constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    return {found[1]: found[2] for line in lines if (found := re.match(r"([\w.-]+)==([^\s;+]+)", line))}


def licence_of(name: str) -> str:
    """What an installed package says its licence is, in a few words; "not installed here" where it is not."""
    try:
        about = importlib.metadata.metadata(name)
    except importlib.metadata.PackageNotFoundError:
        return ELSEWHERE.get(name, "not installed here")
    if about.get("License-Expression"):
        return about["License-Expression"]
    listed = [line.rpartition(" :: ")[2] for line in about.get_all("Classifier") or () if line.startswith("License ::")]
    listed = [line for line in listed if line != "OSI Approved"]
    if listed:
        return ", ".join(listed)
    return next((line.strip() for line in (about.get("License") or "").splitlines() if line.strip()), "says nothing")


def render() -> str:
    """The page."""
    rows = [f"| {name} | {version} | {licence_of(name)[:80].replace('|', '/')} |" for name, version in pinned().items()]
    return HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(render(), "utf-8")
