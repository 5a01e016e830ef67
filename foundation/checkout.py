"""Which commit the code is at. Standard library only."""

import subprocess
from pathlib import Path


def commit(file: Path = Path(__file__)) -> str | None:
    """The commit that this code is at, with -dirty where files differ; None where no repository holds it.

    An installed package may lie inside a repository, in its .venv: only one that tracks `file` is the code's own.
    """
    if not _git(file.parent, "ls-files", "--error-unmatch", file.name):
        return None
    return _git(file.parent, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*") or None


def _git(folder: Path, *words: str) -> str:
    """What git prints; nothing where it fails or is not installed."""
    try:
        done = subprocess.run(["git", *words], text=True, capture_output=True, check=True, cwd=folder)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()
