"""Shapes in signatures, `Float[Tensor, "batch rows width"]`: checked in tests, inert where jaxtyping is missing."""

from torch import Tensor

try:
    from jaxtyping import Bool, Float, Int
except ImportError:  # a machine that only trains needs no shape checker

    class _Shaped:
        """Stands in for jaxtyping's types: the shape is documentation only."""

        def __class_getitem__(cls, item):
            return item[0]

    Bool = Float = Int = _Shaped

__all__ = ["Bool", "Float", "Int", "Tensor"]
