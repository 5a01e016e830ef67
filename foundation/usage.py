"""What was typed wrong on a command line, said in the house's words; names of the programs as they were called.

The command line library raises its own errors: which of its modules they stand in changes with its version, so they are
told by what they have. Standard library only.
"""

import difflib
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from foundation.errors import UserError, unknown

if TYPE_CHECKING:
    import typer

# module -> the console script that is installed for it
SCRIPTS = {"astro_sim": "astro-sim", "derivation": "astro-derive", "rmaat": "rmaat", "figures": "astro-figures"}
_MODULE = re.compile(r"\bpython3? -m (" + "|".join(SCRIPTS) + r")\b")


def called_as_script() -> bool:
    """Whether a console script was called, and not `python -m`."""
    return Path(sys.argv[0]).stem in SCRIPTS.values()


def as_called(text: str) -> str:
    """The text with the programs named as the one that runs was called: `python -m rmaat`, or `rmaat`."""
    return _MODULE.sub(lambda match: SCRIPTS[match[1]], text) if called_as_script() else text


def is_usage_error(error: BaseException) -> bool:
    """Whether an error is the command line library's word about what was typed."""
    return hasattr(error, "format_message") and hasattr(error, "exit_code")


def in_house_style(error: Exception) -> UserError:
    """The same error as a `UserError`: what was given, the close match, what to do."""
    context = getattr(error, "ctx", None)
    see = f"; see '{context.command_path} --help'" if context else ""
    message = error.format_message().strip().rstrip(".")
    if hasattr(error, "possibilities"):
        return UserError(_unknown_option(error.option_name, context, see))
    if verb := re.match(r"No such command '(.*?)'", message):
        return unknown("verb", verb[1], context.command.commands)
    if hasattr(error, "param_type"):  # something that must be there is not
        return UserError(f"{_spelled(error)} is missing{see}")
    if extra := re.match(r"Got unexpected extra arguments?(?:\(s\))? \((.*)\)", message):
        return UserError(f"unexpected argument '{extra[1]}'{see}")
    if hasattr(error, "param"):
        return UserError(f"{_spelled(error)}: {_wrong_value(error)}{see}")
    if hasattr(error, "option_name"):
        says = "needs a value" if "requires" in message else "takes no value"
        return UserError(f"{error.option_name} {says}{see}")
    return UserError(f"{message[:1].lower()}{message[1:]}{see}")


def _unknown_option(name: str, context: "typer.Context", see: str) -> str:
    known = [spelling for option in context.command.params for spelling in option.opts if spelling.startswith("-")]
    close = difflib.get_close_matches(name, [*known, "--debug", "--help"], n=1)
    return f"unknown option '{name}'" + (f"; did you mean '{close[0]}'?" if close else "") + see


def _spelled(error: Exception) -> str:
    """An option as it is typed, the longest spelling; an argument in capitals, as the usage line has it."""
    if error.param is None:
        return str(error.param_hint or "a value")
    if error.param.param_type_name == "option":
        return max(error.param.opts, key=len)
    return (error.param.metavar or error.param.name).strip("[].").upper()


def _wrong_value(error: Exception) -> str:
    """What is wrong with a value: what was given where that is known, and what is allowed."""
    faults = getattr(error.__cause__, "errors", None)
    wanted = error.message.removeprefix("Input should be ").partition(", unable")[0].rstrip(".")
    if not callable(faults) or wanted == error.message:
        return error.message.rstrip(".")
    wanted = {"a valid integer": "a whole number", "a valid number": "a number"}.get(wanted, f"a value {wanted}")
    return f"'{faults()[0].get('input')}' is not allowed; give {wanted}"
