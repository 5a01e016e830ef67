"""A package that is installed and does not import, or is not installed: which one, and the line that mends it.

Standard library only.
"""

import os
import subprocess
import sys

from foundation.errors import ResourceError

MODULES = {"pillow": "PIL"}  # what is installed -> what is imported, where the two differ
EXTRAS = {
    "core": ("typer", "rich"),
    "sim": ("brian2", "numpy", "scipy", "mpmath", "xarray", "h5netcdf", "h5py", "cloudpickle"),
    "parquet": ("pyarrow",),
    "nwb": ("pynwb",),
    "fit": ("sympy",),
    "train": ("torch", "safetensors", "numpy", "pillow"),
    "tensorboard": ("tensorboard",),
    "figures": ("matplotlib", "jinja2"),
    "dev": ("pytest", "pytest-xdist", "hypothesis", "ruff", "jaxtyping", "beartype", "lmfit", "distributed", "build",
            "setuptools", "selenium"),
    "docs": ("mkdocs-material", "mkdocstrings", "nbclient", "ipykernel"),
}
RUN_WITH = ("core", "sim", "parquet", "nwb", "fit", "train", "figures")  # what programs import while they work
OURS = {"foundation", "astro_sim", "derivation", "rmaat", "figures", "__main__", "runpy"}
NO_MEMORY = ("failed to map segment", "cannot allocate memory")  # as the dynamic linker says it
SHORTEST = 3  # letters of a value that is looked for in what a package says
_TRY = """
import importlib, sys
for name in sys.argv[1:]:
    print(name, flush=True)
    try:
        importlib.import_module(name)
    except BaseException as error:
        print(f"{name}\\t{type(error).__name__}: {' '.join(str(error).split())[:160]}", flush=True)
"""


def pip_line(name: str) -> str:
    """The command that installs a package of the project's anew."""
    extra = next((extra for extra, names in EXTRAS.items() if name in names), "all")
    what = "." if extra == "core" else f'".[{extra}]"'
    return f"pip install --force-reinstall -c constraints.txt -e {what}"


def broken(names: list[str]) -> dict[str, str]:
    """Those of the installed packages `names` that do not import, and why; each is tried in another process."""
    modules = {MODULES.get(name, name): name for name in names}
    found, left = {}, list(modules)
    while left:
        done = subprocess.run([sys.executable, "-c", _TRY, *left], capture_output=True, text=True, errors="replace",
                              check=False, stdin=subprocess.DEVNULL)
        lines = [line for line in done.stdout.splitlines() if line.partition("\t")[0] in left]
        found |= dict(line.split("\t", 1) for line in lines if "\t" in line)
        if done.returncode == 0 or not lines:
            break
        last = lines[-1].partition("\t")[0]  # the process ended while it imported this one
        found[last] = f"ends Python with exit code {done.returncode}"
        left = left[left.index(last) + 1:]
    return {modules[module]: why for module, why in found.items()}


def of_an_import(error: Exception) -> Exception:
    """An error that arose while a package was imported, as one that says how to mend it; any other as it is."""
    module = _imported(error)
    if not module:
        return error
    name = next((name for name, one in MODULES.items() if one == module), module)
    said = " ".join(str(error).split())
    return ResourceError(f"{name} does not import ({type(error).__name__}: {said[:160]}); "
                         f"{_remedy(name, error, said)}")


def _remedy(name: str, error: Exception, said: str) -> str:
    """What helps: a package is not to blame for how it is called."""
    if isinstance(error, Warning):
        return "warnings are errors here: leave out -W error, or unset PYTHONWARNINGS"
    if any(text in said.lower() for text in NO_MEMORY):
        return "the memory does not suffice, see ulimit -v; close other programs"
    blamed = next((key for key, value in os.environ.items() if len(value) >= SHORTEST and repr(value) in said), "")
    if blamed and not isinstance(error, ImportError):
        return f"the environment says {blamed}={os.environ[blamed][:80]}: unset it, or give what is allowed"
    return f"install it anew with: {pip_line(name)}; 'python -m foundation.doctor' looks at all packages"


def _imported(error: Exception) -> str:
    """The package in whose files, while they were being imported by ours, the error arose; "" where it did not."""
    trace = error.__traceback__
    while trace:
        frame = trace.tb_frame
        top = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if frame.f_code.co_name == "<module>" and top not in OURS and not top.startswith("outside_"):
            return top
        trace = trace.tb_next
    return (error.name or "").partition(".")[0] if isinstance(error, ImportError) else ""
