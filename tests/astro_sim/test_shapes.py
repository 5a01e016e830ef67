"""Shapes in the simulator's signatures are checked while the tests run: arrays that do not fit are an error there."""

import jaxtyping
import numpy as np
import pytest

from astro_sim.benchmark import lsoda
from astro_sim.dynamics import derivatives


def test_a_dimension_has_one_size_in_a_call():
    truth = np.zeros((5, 3, 2))
    with pytest.raises(jaxtyping.TypeCheckError, match="truth"):
        lsoda.apart(truth[:4], truth)


def test_an_array_has_the_number_of_dimensions_that_the_signature_says():
    with pytest.raises(jaxtyping.TypeCheckError, match="point"):
        derivatives.jacobian(lambda point: point, np.zeros((2, 2)))


def test_types_that_name_no_shape_are_left_to_the_code():
    assert derivatives.jacobian(lambda point: 2 * point, np.ones(3)) == pytest.approx(2 * np.eye(3), abs=1e-6)
