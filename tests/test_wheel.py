"""The wheel holds all that is needed and nothing else, and runs alone in an empty environment."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("foundation", "astro_sim", "derivation", "rmaat", "figures")
DATA = {"astro_sim/models/references.bib", "derivation/records/rmaat.json", "derivation/records/rmaat.ensemble.json",
        "derivation/records/rmaat.points.json",
        "figures/report/style.css"} | {
    str(path.relative_to(ROOT)) for kind in ("*.j2", "*.js") for path in (ROOT / "figures/report").glob(kind)}

pytestmark = pytest.mark.slow
pytest.importorskip("build")


def run(*command, cwd, code=0):
    """What a command prints; it must end with `code`. It sees no checkout, and no package through the environment."""
    outer = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=cwd, check=False, env=outer)
    assert done.returncode == code, f"{command}: {done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy of the sources: what earlier builds left in the checkout is not in it."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    (source / "tests").mkdir()
    (source / "tests" / "stray.py").write_text("")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, source, cwd=out)
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory):
    """Folder of the programs of a fresh environment with the wheel; what it needs is seen in this environment.

    It lies inside a repository, as environments do: that commit is not this package's.
    """
    repository = tmp_path_factory.mktemp("repository")
    run("git", "init", "-q", cwd=repository)
    run("git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "x", cwd=repository)
    folder = repository / "environment"
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", "--no-index", wheel,
        cwd=repository)
    packages = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip())
    # a path in a .pth is searched last, and .pth files in it are not read: an editable install is not seen through it
    (packages / "outer.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin"


@pytest.mark.slow
def test_it_holds_the_packages_and_their_data_and_nothing_else(wheel):
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    sources = {str(path.relative_to(ROOT)) for name in PACKAGES for path in (ROOT / name).rglob("*.py")}
    assert inside == sources | DATA | {f"{name}/py.typed" for name in PACKAGES}


@pytest.mark.slow
@pytest.mark.parametrize(("command", "says"), [
    (("astro-sim", "list"), "li_rinzel"),
    (("astro-sim", "cite", "li_rinzel"), "@article{LiRinzel1994,"),
    (("astro-derive", "show", "retention"), "retention"),
    (("rmaat", "configs"), "recall"),
    (("astro-figures", "--list"), "retention"),
    (("astro-sim", "run", "li_rinzel", "--duration", "0.1 s", "--dt", "10 ms", "--out", "a.nc"), "11 records to 0.1 s"),
])
def test_the_programs_run_in_an_empty_folder(environment, tmp_path, command, says):
    assert says in run(environment / command[0], *command[1:], cwd=tmp_path)


@pytest.mark.parametrize("program", ["astro-sim", "astro-derive", "rmaat", "astro-figures"])
def test_every_program_knows_its_name_and_version_but_no_foreign_commit(environment, tmp_path, program):
    assert run(environment / program, "--version", cwd=tmp_path).startswith("astro-rmaat 0.1.0, Python 3.")
    told = run(environment / program, "--help", cwd=tmp_path)
    assert f"  {program} " in told and "python -m" not in told and "--install-completion" in told


def test_a_shell_completes_verbs(environment, tmp_path):
    """As the script that --show-completion prints asks the program."""
    home = {"COMP_WORDS": "astro-sim sh", "COMP_CWORD": "1", "_ASTRO_SIM_COMPLETE": "complete_bash"}
    done = subprocess.run([environment / "astro-sim"], capture_output=True, text=True, cwd=tmp_path, check=True,
                          env={"PATH": os.environ["PATH"], **home})
    assert done.stdout.split() == ["show"]


def test_the_front_door_opens_from_the_wheel(environment, tmp_path):
    code = ("import astro_sim, derivation, rmaat\nfrom astro_sim import MODELS, simulate\n"
            "print(astro_sim.__version__, len(MODELS), *(m.__file__ for m in (astro_sim, derivation, rmaat)))")
    version, count, *files = run(environment / "python", "-c", code, cwd=tmp_path).split()
    assert version == "0.1.0" and int(count) > 10
    assert all(Path(file).is_relative_to(environment.parent) for file in files)
