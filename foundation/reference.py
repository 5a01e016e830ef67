"""The text by which something of a user's own is found again, and the files that it rests on. Standard library only.

The text is what `foundation.outside.find` takes: `file.py:NAME` or `package.module:NAME`.
"""

import ast
import importlib.util
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

from foundation.errors import UserError
from foundation.files import sha256_bytes, sha256_file
from foundation.outside import MOST_PROGRAM, SESSION, is_outside
from foundation.reading import is_file, read_text

OURS, PACKAGES = Path(__file__).resolve().parents[1], ("foundation", "astro_sim", "derivation", "rmaat", "figures")


def reference(thing: str | type) -> str:
    """The text that finds `thing`, a class or function, again; a text comes back with its file's whole path.

    Raises `UserError` for what does not stand at the top level of a file.
    """
    if isinstance(thing, str):
        before, _, name = thing.rpartition(":")
        return f"{_whole(before)}:{name}" if is_outside(thing) and before.endswith(".py") else thing
    name, module = getattr(thing, "__qualname__", repr(thing)), sys.modules.get(getattr(thing, "__module__", ""))
    if module is None or getattr(module, name, None) is not thing:
        raise UserError(f"{name} does not stand at the top level of a file, so that a run could not find it again; "
                        "define it there, outside of functions")
    file = getattr(module, "__file__", None)
    if file is None:
        return f"{SESSION}:{name}"
    if "." in module.__name__ and not module.__name__.startswith("outside_"):
        return f"{module.__name__}:{name}"
    return f"{_whole(file)}:{name}"


def is_session(text: str) -> bool:
    """Whether a reference names what was typed into a notebook or a session, which no file holds."""
    return text.startswith(f"{SESSION}:")


def fingerprints(text: str) -> dict[str, str]:
    """SHA-256 by file: the file of a reference, and the files beside it that it imports.

    Of something that was typed into a session, that of its source under the reference itself, where Python knows it.
    """
    before, _, name = text.rpartition(":")
    if before == SESSION:
        try:
            return {text: sha256_bytes(inspect.getsource(getattr(sys.modules[SESSION], name)).encode())}
        except (OSError, TypeError, AttributeError):
            return {text: ""}
    if before.endswith(".py"):
        file = _whole(before)
        return {str(one): sha256_file(one) for one in _with_imports(file, file.parent, file.parent)}
    file = _whole(importlib.util.find_spec(before).origin)
    root = file.parents[before.count(".") + (file.name == "__init__.py")]
    return {str(one): sha256_file(one) for one in _with_imports(file, root, root / before.partition(".")[0])}


def _whole(path: str) -> Path:
    return Path(path).expanduser().resolve()


def _with_imports(file: Path, root: Path, inside: Path) -> list[Path]:
    """The file and those `inside` a folder that it imports, directly or by others of them; names begin at `root`.

    This project's own packages are not the user's: a run names their version and commit.
    """
    found: list[Path] = []
    waiting = [file]
    while waiting:
        one = waiting.pop()
        ours = any(OURS / name in one.parents for name in PACKAGES)
        if one not in found and not ours and one.is_relative_to(inside) and is_file(one):
            found.append(one)
            waiting += _imported(one, root)
    return sorted(found)


def _imported(file: Path, root: Path) -> Iterator[Path]:
    """Files that may hold what a file imports; some are none."""
    for node in ast.walk(ast.parse(read_text(file, "program", MOST_PROGRAM, error=UserError))):
        if isinstance(node, ast.Import):
            modules, base = [alias.name for alias in node.names], root
        elif isinstance(node, ast.ImportFrom):
            inside = f"{node.module}." if node.module else ""
            modules = [*([node.module] if node.module else []), *(inside + alias.name for alias in node.names)]
            base = file.parents[node.level - 1] if node.level else root
        else:
            continue
        for module in modules:
            place = base.joinpath(*module.split("."))
            yield from (place.with_suffix(".py"), place / "__init__.py")
