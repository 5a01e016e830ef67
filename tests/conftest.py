"""What holds for every test.

No test depends on the machine's speed: hypothesis has neither a deadline nor an opinion on how quickly data come.
Shapes in signatures are checked, in rmaat every type: the hooks must be in place before anything is imported.
"""

import os
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import jaxtyping
import pytest
from hypothesis import HealthCheck, settings
from jaxtyping import install_import_hook

os.environ["ASTRO_PROGRESS"] = "0"  # what a test reads on stderr must not depend on how long something took

sys.path.append(str(Path(__file__).parent))  # the hook takes a checker by its module's name
import_module("shape_checker").spare_functions_without_shapes()
install_import_hook("astro_sim", "shape_checker.shapes_alone")
if find_spec("torch") is not None:
    install_import_hook("rmaat", "beartype.beartype")

settings.register_profile("any_speed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any_speed")

LONG = ("test_docs.py", "test_readme.py", "test_report.py", "test_studies.py", "test_backends.py",
        "test_figures.py", "test_drives.py", "test_derive.py", "test_examples.py", "test_trains.py",
        "test_real_data.py", "test_browser.py")


def pytest_collection_modifyitems(items):
    """Files of a minute or more come first, so that of two processes none is left alone with one of them at the end.

    It holds with --no-loadscope-reorder: by itself xdist leaves files of few tests, however long, to the end.
    """
    items.sort(key=lambda item: item.path.name not in LONG)


@pytest.fixture
def shapes_unchecked():
    """Checking shapes in all calls of thousands of segments takes most of the time."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
