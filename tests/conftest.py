"""Shapes in rmaat's signatures are checked in every test: the hook must be in place before anything imports rmaat."""

from importlib.util import find_spec

if find_spec("torch") is not None:
    from jaxtyping import install_import_hook

    install_import_hook("rmaat", "beartype.beartype")
