"""The fields of a config: their names and types, and a value from a text."""

import dataclasses
import math
import typing

from foundation.errors import UserError
from rmaat.tasks.checks import WANTED, fits


def fields_of(part) -> dict[str, object]:
    """Names and types of a config's fields; `part` may be the class."""
    hints = typing.get_type_hints(part if isinstance(part, type) else type(part))
    return {field.name: hints[field.name] for field in dataclasses.fields(part)}


def typed(field: str, kind: object, value: object):
    """`value` as a field's type asks for it; a text is read. Raises `UserError` naming the field and what to give."""
    kinds = [one for one in typing.get_args(kind) or (kind,) if one in WANTED]
    if not isinstance(value, str):
        if fits(value, kind):
            return value
    else:
        for one in sorted(kinds, key=lambda one: one is str):  # what is a number too is meant as one
            try:
                return _read(one, value)
            except (ValueError, KeyError):
                continue
    wanted = " or ".join(WANTED[one] for one in kinds) or "it in Python: no text says it"
    raise UserError(f"{field} = {value!r}: give {wanted}")


def _read(kind: type, text: str):
    if kind is bool:
        return {"true": True, "false": False}[text.lower()]
    value = kind(text)
    if kind is float and not math.isfinite(value):
        raise ValueError
    return value
