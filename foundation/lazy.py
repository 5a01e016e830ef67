"""A package's face: public names that load what they need when they are first asked for. Standard library only."""

import importlib
import sys
from collections.abc import Callable, Mapping


def face(package: str, names: Mapping[str, str]) -> tuple[Callable, Callable, list[str]]:
    """`__getattr__`, `__dir__` and `__all__` of a package whose public `names` stand in the modules given.

    A module of the same name that holds no such object is itself what the name means; `module:other` where the object
    has another name there. `__version__` is there as well.
    """
    public = sorted(names)

    def get(name: str):
        if name == "__version__":
            from importlib.metadata import version

            return version("astro-rmaat")
        if name not in names:
            raise AttributeError(f"module '{package}' has no attribute '{name}'; public are: {', '.join(public)}")
        where, _, inside = names[name].partition(":")
        module = importlib.import_module(where)
        is_module = where.rpartition(".")[2] == name and not hasattr(module, name)
        found = module if is_module else getattr(module, inside or name)
        setattr(sys.modules[package], name, found)  # the next look finds it without coming here
        return found

    return get, lambda: [*public, "__version__"], public
