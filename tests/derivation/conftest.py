import pytest


@pytest.fixture(scope="session")
def kept(tmp_path_factory):
    """A folder in which the simulations of this session are kept."""
    return tmp_path_factory.mktemp("kept")


@pytest.fixture(scope="session")
def derivation(kept):
    """The whole derivation, run once from nothing: what the code says today."""
    from derivation.regenerate import derive

    return derive(keep=kept)
