"""The equations page and the code agree: every equation is computed somewhere, every tag is on the page."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def index():
    spec = importlib.util.spec_from_file_location("make_index", ROOT / "docs" / "make_index.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_ids_are_unique(index):
    ids = index.ids_on_page()
    assert len(ids) > 20
    assert len(ids) == len(set(ids))


@pytest.mark.slow
def test_every_equation_is_tagged_in_the_code(index):
    assert set(index.ids_on_page()) - index.tags_in_code().keys() == set()


@pytest.mark.slow
def test_every_tag_is_on_the_page(index):
    assert index.tags_in_code().keys() - set(index.ids_on_page()) == set()


@pytest.mark.slow
def test_the_index_is_up_to_date(index):
    assert index.render() == index.PAGE.read_text("utf-8"), "run 'make docs-index'"
