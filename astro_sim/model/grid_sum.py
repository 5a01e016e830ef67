"""The sum over all pairs of a regular grid by FFT."""

from collections.abc import Callable

import numpy as np
from scipy.fft import irfftn, next_fast_len, rfftn

from foundation.shapes import Float


class GridSum:
    """sum_j weight(|place_i - place_j|) value_j over all j != i, on a grid of the given shape with places 1 apart."""

    def __init__(self, shape: tuple[int, ...], weight: Callable):
        self.shape = shape
        # room for every difference of places on both sides: what goes round about never meets what is there
        self.padded = tuple(next_fast_len(2 * n - 1, real=True) for n in shape)
        steps = [np.minimum(np.arange(n), n - np.arange(n)) for n in self.padded]
        far = np.sqrt(sum(axis**2 for axis in np.meshgrid(*(s.astype(float) for s in steps), indexing="ij")))
        kernel = weight(far)
        kernel.flat[0] = 0.0
        self.spectrum = rfftn(kernel).real  # an even kernel has a real spectrum: the rest is rounding

    def __call__(self, values: Float[np.ndarray, "element"]) -> Float[np.ndarray, "element"]:
        """The sum of each element, in the order of the grid's rows."""
        # (E1.10) a convolution is a product of spectra
        sums = irfftn(rfftn(values.reshape(self.shape), self.padded) * self.spectrum, self.padded)
        return sums[tuple(slice(n) for n in self.shape)].ravel()
