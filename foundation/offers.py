"""What a floor above offers to those below it, found by name: nobody imports upwards.

pyproject.toml declares the names, as entry points of the group; the packaging keeps them. A floor asks for one by name.
"""

from collections.abc import Callable
from importlib.metadata import entry_points

from foundation.errors import UserError, unknown

PAGES = "astro_rmaat.pages"  # drawing verbs: each writes one page


def offered(name: str, group: str = PAGES) -> Callable:
    """What is declared under `name` in the group. Raises `UserError` where it, or what it needs, is not installed."""
    found = {one.name: one for one in entry_points(group=group)}
    if not found:
        raise UserError(f"nothing of {group} is installed; install the project anew: pip install -e '.[figures]' in a "
                        "checkout, else pip install 'astro-rmaat[figures]'")
    if name not in found:
        raise unknown(f"offer of {group}", name, found)
    try:
        return found[name].load()
    except ImportError as error:
        raise UserError(f"{name}: {error}; install what draws with: pip install 'astro-rmaat[figures]'") from error
