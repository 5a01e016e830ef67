"""Which commit the code is at. Standard library only."""

import subprocess
from pathlib import Path


def commit() -> str | None:
    """The commit that the package lies in, with -dirty where files differ; None outside a checkout."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, text=True, capture_output=True, check=True, cwd=Path(__file__).parent)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip() or None
