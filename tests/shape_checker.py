"""The type checker of the tests' import hook: shapes and kinds of arrays in signatures, and nothing else.

Duck types (a worker pool that only has `submit`, a path as text) are welcome in the simulator's calls, so beartype is
given the annotations that name a shape and sees `Any` in the place of all others.
"""

import typing
from collections.abc import Callable

from beartype import beartype
from jaxtyping import AbstractArray


def _names_a_shape(hint: object) -> bool:
    if isinstance(hint, type):
        return issubclass(hint, AbstractArray)
    parts = typing.get_args(hint)
    return any(_names_a_shape(part) for part in parts) and not any(isinstance(part, str | typing.ForwardRef)
                                                                   for part in parts)


def shapes_alone(function: Callable) -> Callable:
    """beartype for the arguments and the result whose annotation names a shape."""
    hints = getattr(function, "__annotations__", {})
    function.__annotations__ = {name: hint if _names_a_shape(hint) else typing.Any for name, hint in hints.items()}
    return beartype(function)
