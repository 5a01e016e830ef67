"""The type checkers of the tests' import hook: of the simulator shapes and kinds of arrays, of the network every type.

Duck types (a worker pool that only has `submit`, a path as text) are welcome in the simulator's calls, so beartype is
given the annotations that name a shape and sees `Any` in the place of all others.

A function of which nothing is checked is spared jaxtyping's wrapper, which costs more than most such functions: a
third of the simulator's tests.
"""

import types
import typing
from collections.abc import Callable

import jaxtyping
from beartype import beartype


def _names_a_shape(hint: object) -> bool:
    if isinstance(hint, str):
        return "[" in hint  # in quotes for a type checker's sake; whether an array is meant is not known here
    if isinstance(hint, type):
        return issubclass(hint, jaxtyping.AbstractArray)
    return any(_names_a_shape(part) for part in typing.get_args(hint))


def _quotes(hint: object) -> bool:
    return any(isinstance(part, str | typing.ForwardRef) for part in (hint, *typing.get_args(hint)))


def shapes_alone(function: Callable) -> Callable:
    """beartype for the arguments and the result whose annotation names a shape."""
    hints = getattr(function, "__annotations__", {})
    function.__annotations__ = {name: hint if _names_a_shape(hint) and not _quotes(hint) else typing.Any
                                for name, hint in hints.items()}
    checked = beartype(function)
    function.__annotations__ = checked.__annotations__ = hints  # typer reads them
    return checked


def spare_functions_without_shapes() -> None:
    """Let the hook leave a function as it is that names no shape, where shapes alone are checked."""
    whole = jaxtyping.jaxtyped

    def jaxtyped(*, typechecker: Callable) -> Callable:
        def decorate(made: object) -> object:
            if isinstance(made, types.FunctionType) and made.__module__.startswith("astro_sim") and not any(
                    map(_names_a_shape, made.__annotations__.values())):
                return made
            return whole(typechecker=typechecker)(made)
        return decorate

    jaxtyping.jaxtyped = jaxtyped
