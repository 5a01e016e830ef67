import pytest


@pytest.fixture(scope="session")
def derivation():
    """The whole derivation, run once: what the code says today."""
    from derivation.derive import derive

    return derive()
