"""Things of a user's own, named on a command line: `file.py:NAME` or `package.module:NAME`. Standard library only.

Naming such a file runs it, as `python file.py` would: it is the user's program, not data.
"""

import hashlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from foundation.errors import UserError, unknown
from foundation.reading import is_file, read_bytes, shown

_OF_FILES: set[str] = set()  # names of modules that other processes cannot import by name

MOST_PROGRAM = 10_000_000  # bytes of a user's file
SESSION = "__main__"  # what was typed into a notebook or a session stands in this module


def is_outside(text: str) -> bool:
    """Whether a text names something of a user's own: what stands before the first ':' is a file or a module."""
    before, colon, after = _parts(text)
    return bool(colon and after) and (before.endswith(".py") or "." in before or os.sep in before or before == SESSION)


def find(kind: str, given: str, registry: Mapping[str, object], *, of: type | tuple[type, ...] = object):
    """The object that `given` names: an entry of `registry`, or `file.py:NAME` or `package.module:NAME`.

    Raises `UserError` for an unknown name, a file that is not there or does not run, and an object that is not `of`
    the type that the kind has.
    """
    if given in registry:
        return registry[given]
    if not is_outside(given):
        if given.endswith(".py"):
            raise UserError(f"{kind} '{given}' names a file alone; name what in it is meant, as {given}:NAME")
        error = unknown(kind, given, registry)
        raise UserError(f"{error}; or one of your own as file.py:NAME or package.module:NAME")
    before, _, name = _parts(given)
    module = load_file(before) if before.endswith(".py") else _load_module(kind, before)
    if not hasattr(module, name):
        if before == SESSION:
            raise UserError(f"{kind} '{name}' was typed into a session and is not in this one; define it again, or "
                            "keep such things in a file")
        public = sorted(key for key, value in vars(module).items()
                        if not key.startswith("_") and (of is object or _is(value, of)))
        raise UserError(f"{kind} '{given}': {before} has no '{name}'; it has: {', '.join(public) or 'none'}")
    found = getattr(module, name)
    if not _is(found, of):
        wanted = " or ".join(one.__name__ for one in (of if isinstance(of, tuple) else (of,)))
        what = "another class" if isinstance(found, type) else f"of type {type(found).__name__}"
        article = "an" if wanted[0] in "AEIOU" else "a"
        raise UserError(f"{kind} '{given}': {name} is {what}; give {article} {wanted}")
    return found


def _is(value: object, of: type | tuple[type, ...]) -> bool:
    """Whether it is of the type, or a class of its own kind; the type itself, imported to derive from it, is not."""
    bases = of if isinstance(of, tuple) else (of,)
    return of is object or isinstance(value, of) or (
        isinstance(value, type) and issubclass(value, of) and value not in bases)


def _parts(text: str) -> tuple[str, str, str]:
    """Before the colon, the colon, and the name after it; a drive letter of Windows is no such colon."""
    before, colon, after = str(text).rpartition(":")
    return before, colon, after


def load_file(path: str | os.PathLike) -> ModuleType:
    """The module of a Python file, run once for each content. Files beside it can be imported by it."""
    try:
        file = Path(path).expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: no home, or links in a circle
        raise UserError(f"no file {shown(path)} ({error}); give the path of a Python file before ':NAME'") from error
    if not is_file(file):
        raise UserError(f"no file {shown(path)}; give the path of a Python file before ':NAME'")
    program = sys.modules.get(SESSION)
    if Path(getattr(program, "__file__", None) or "").resolve() == file:
        return program  # a script that names itself is not run a second time
    digest = hashlib.sha256(read_bytes(file, "program", MOST_PROGRAM, error=UserError)).hexdigest()
    name = f"outside_{file.stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}_{digest[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)
    _forget_helpers_of_others(file.parent)
    known = set(sys.modules)
    sys.modules[name] = module  # dataclasses look themselves up here
    sys.path.insert(0, str(file.parent))
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        if isinstance(error, UserError):
            raise
        line = _line_in(error, file)
        raise UserError(f"{path}{line}: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(str(file.parent))
    _OF_FILES.update(key for key in sys.modules.keys() - known if _lies_in(sys.modules[key], file.parent))
    return module


def _forget_helpers_of_others(folder: Path) -> None:
    """Two users' files may each import a `helpers` from beside themselves: each gets its own, not the first one's."""
    for key in _OF_FILES & sys.modules.keys():
        if not key.startswith("outside_") and not _lies_in(sys.modules[key], folder):
            del sys.modules[key]


def modules_of_files() -> list[ModuleType]:
    """What `load_file` has run, and what that imported from beside it: other processes cannot import it by name."""
    return [sys.modules[name] for name in sorted(_OF_FILES & sys.modules.keys())]


def _lies_in(module: ModuleType, folder: Path) -> bool:
    place = getattr(module, "__file__", None)
    return bool(place) and Path(place).resolve().is_relative_to(folder)


def _line_in(error: BaseException, file: Path) -> str:
    """The line of the user's file in which an error arose, as ', line N'."""
    if isinstance(error, SyntaxError):
        return f", line {error.lineno}"
    lines, trace = [], error.__traceback__
    while trace:
        if trace.tb_frame.f_code.co_filename == str(file):
            lines.append(trace.tb_lineno)
        trace = trace.tb_next
    return f", line {lines[-1]}" if lines else ""


def _load_module(kind: str, name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UserError(f"{kind}: no module '{name}' ({error}); is it installed, or is its folder on PYTHONPATH?"
                        ) from error
