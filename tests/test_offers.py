"""What a floor above offers is found by its name alone; what is missing is said with the line that mends it."""

import tomllib
from importlib import import_module, metadata
from pathlib import Path

import pytest

from foundation import offers
from foundation.errors import UserError

ROOT = Path(__file__).parents[1]
DECLARED = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["entry-points"][offers.PAGES]


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A distribution on the path whose offers are those of this text."""
    def install(lines):
        folder = tmp_path / "some-1.dist-info"
        folder.mkdir(exist_ok=True)
        (folder / "METADATA").write_text("Name: some\nVersion: 1\n")
        (folder / "entry_points.txt").write_text(f"[group.of.mine]\n{lines}\n")
        monkeypatch.syspath_prepend(tmp_path)
    return install


@pytest.mark.slow
@pytest.mark.parametrize("name", DECLARED)
def test_what_is_declared_is_there(name):
    module, _, verb = DECLARED[name].partition(":")
    assert callable(getattr(import_module(module), verb))


def test_an_offer_is_found_by_its_name(installed):
    installed("size = builtins:len\nother = no_such_module:x")
    assert offers.offered("size", "group.of.mine") is len


def test_what_is_not_there_says_what_to_do(installed):
    with pytest.raises(UserError, match=r"nothing of group\.of\.mine is installed; .*pip install -e"):
        offers.offered("size", "group.of.mine")
    installed("size = builtins:len\nother = no_such_module:x")
    with pytest.raises(UserError, match=r"unknown offer of group\.of\.mine 'sise' \(did you mean 'size'\?\)"):
        offers.offered("sise", "group.of.mine")
    with pytest.raises(UserError, match=r"other: No module named 'no_such_module'; install what draws"):
        offers.offered("other", "group.of.mine")


def test_this_installation_knows_what_is_declared():
    known = {one.name: one.value for one in metadata.entry_points(group=offers.PAGES)}
    assert known == DECLARED, "installed before they were declared: pip install -e . --no-deps, once"
