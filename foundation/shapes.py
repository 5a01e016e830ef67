"""Shapes in signatures, `Float[Tensor, "batch rows width"]`: checked in tests, inert where jaxtyping is missing.

`Tensor` is torch's, `Array` is numpy's; each is loaded when it is asked for.
"""

from typing import TYPE_CHECKING

try:
    from jaxtyping import Bool, Float, Int, Integer
except ImportError:  # a machine that only runs needs no shape checker

    class _Shaped:
        """Stands in for jaxtyping's types: the shape is documentation only."""

        def __class_getitem__(cls, item: tuple[type, str]) -> type:
            return item[0]

    Bool = Float = Int = Integer = _Shaped

if TYPE_CHECKING:
    from numpy import ndarray as Array  # noqa: N812
    from torch import Tensor

__all__ = ["Array", "Bool", "Float", "Int", "Integer", "Tensor"]


def __getattr__(name: str) -> type:
    if name == "Tensor":
        from torch import Tensor

        return Tensor
    if name == "Array":
        from numpy import ndarray

        return ndarray
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
