"""Where Brian2 runs: NumPy, Cython, or C++ standalone. Preferences, device and random state are put back afterwards."""

import contextlib
import tempfile
from collections.abc import Iterator

from foundation.errors import ResourceError


class Runtime:
    """NumPy or Cython: steps run in this process."""

    def finish(self) -> None:
        """Nothing is left to do: `Network.run` has run."""


class Standalone:
    """C++: `Network.run` only writes code; `finish` compiles and runs it in a folder of its own."""

    def __init__(self, folder: str):
        self.folder = folder

    def finish(self) -> None:
        from brian2 import device

        try:
            device.build(directory=self.folder, compile=True, run=True, with_output=False)
        except (RuntimeError, OSError) as error:
            raise ResourceError(f"backend cpp: compiling or running failed ({error}); is a C++ compiler installed? "
                                "Use --backend numpy otherwise") from error


@contextlib.contextmanager
def opened(name: str, seed: int) -> Iterator[Runtime | Standalone]:
    """The backend `name`, seeded. Everything that touches Brian2's arrays must happen inside."""
    import brian2

    with _standalone() if name == "cpp" else _runtime(name) as backend:
        brian2.seed(seed)
        yield backend


@contextlib.contextmanager
def _runtime(target: str) -> Iterator[Runtime]:
    import brian2
    import numpy as np

    old_target, old_state = brian2.prefs["codegen.target"], np.random.get_state()  # noqa: NPY002  Brian2 draws from it
    brian2.prefs["codegen.target"] = target
    try:
        yield Runtime()
    finally:
        brian2.prefs["codegen.target"] = old_target
        np.random.set_state(old_state)  # noqa: NPY002


@contextlib.contextmanager
def _standalone() -> Iterator[Standalone]:
    from brian2.devices.device import device, reset_device, set_device

    set_device("cpp_standalone", build_on_run=False)
    try:
        with tempfile.TemporaryDirectory(prefix="astro_sim_") as folder:
            device.reinit()  # a second run in one process starts from nothing
            device.activate(build_on_run=False)
            yield Standalone(folder)
    finally:
        device.reinit()
        reset_device()
