import jaxtyping
import pytest


@pytest.fixture
def shapes_unchecked():
    """Checking shapes in all calls of thousands of segments takes most of the time."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
