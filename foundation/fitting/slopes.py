"""What cannot be told from data: constants that change nothing there, and those that do what others do."""

import numpy as np

from foundation.shapes import Array, Float, Int

INVOLVED = 0.05  # of the largest part: smaller ones in what the data cannot see are errors of the derivatives


def idle(slopes: Float[Array, "point constant"], least: float = 0.0) -> Int[Array, "idle"]:
    """The constants whose derivative is nowhere above nothing, or in norm not above `least`."""
    return np.flatnonzero(np.linalg.norm(slopes, axis=0) <= least)


def tangled(slopes: Float[Array, "point constant"], dependent: float) -> Int[Array, "tangled"]:
    """The constants that can change together so that the data do not: none where each can be told.

    Each derivative is taken over its own size, so that units and a best value of 0 decide nothing. Below `dependent`,
    the least singular value over the largest, one follows from the others; a derivative that is 0 is left out.
    """
    sizes = np.linalg.norm(slopes, axis=0)
    _, singular, directions = np.linalg.svd(slopes / np.where(sizes == 0, 1.0, sizes), full_matrices=False)
    if singular[-1] > dependent * singular[0]:
        return np.empty(0, int)
    unseen = np.abs(directions[singular <= dependent * singular[0]]).max(axis=0)
    return np.flatnonzero(unseen > INVOLVED * unseen.max())
