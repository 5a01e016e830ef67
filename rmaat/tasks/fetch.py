"""Brings the data that Debian packages hold into the cache folder: apt-get downloads, nothing is installed."""

import gzip
import io
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from foundation.errors import DamagedFileError, UserError
from foundation.files import write_bytes
from rmaat.tasks import fashion, manpages
from rmaat.tasks.debian import BROKEN, members, package_bytes, told
from rmaat.tasks.trees import default_folder


def fetch_fashion(packages: Sequence[Path], folder: Path) -> list[Path]:
    """The four IDX files out of their package."""
    wanted = {name for pair in fashion.FILES.values() for name in pair}
    written = []
    for package in packages:
        try:
            inside = members(package_bytes(package))
            data = next((content for name, content in inside.items() if name.startswith("data.tar")), b"")
            with tarfile.open(fileobj=io.BytesIO(data), mode="r:*") as archive:
                for member in archive:
                    name = Path(member.name).name
                    if member.isreg() and name in wanted:
                        write_bytes(folder / name, archive.extractfile(member).read())
                        written.append(folder / name)
        except (*BROKEN, gzip.BadGzipFile) as error:
            raise DamagedFileError(f"{package}: damaged or cut, or no Debian package ({told(error)}); fetch it again"
                                   ) from error
    return written


def fetch_manpages(packages: Sequence[Path], folder: Path) -> list[Path]:
    """The packages themselves: the task reads these."""
    for package in packages:
        write_bytes(folder / package.name.replace("%3a", ":"), package_bytes(package))
    return [folder / package.name.replace("%3a", ":") for package in packages]


PACKAGED: dict[str, tuple[Sequence[str], Callable[[Sequence[Path], Path], list[Path]]]] = {
    "fashion": (("dataset-fashion-mnist",), fetch_fashion),
    "manpages": (manpages.PACKAGES, fetch_manpages),
}


def fetch(task: str, source: Path | None = None) -> list[Path]:
    """Bring a task's data into `default_folder()/TASK`, from packages in the folder `source` or from apt-get.

    Raises `UserError` where a package is not to be had, `DamagedFileError` for one that is damaged.
    """
    names, unpack = PACKAGED[task]
    folder = default_folder() / task
    if source is not None:
        return unpack([_in_folder(source, name) for name in names], folder)
    with tempfile.TemporaryDirectory() as temporary:
        _download(names, Path(temporary))
        return unpack([_in_folder(Path(temporary), name) for name in names], folder)


def _in_folder(folder: Path, name: str) -> Path:
    found = sorted(folder.glob(f"{name}_*.deb"))
    if not found:
        raise UserError(f"no {name}_*.deb in {folder}; get the package from packages.debian.org/{name}")
    return found[-1]


def _download(names: Sequence[str], folder: Path) -> None:
    if shutil.which("apt-get") is None:
        raise UserError(f"apt-get is not there; get {', '.join(names)} from packages.debian.org and give their folder "
                        "with --from DIR")
    done = subprocess.run(["apt-get", "download", *names], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        said = next((line for line in done.stderr.splitlines() if line.startswith("E:")), done.stderr.strip()[-200:])
        raise UserError(f"apt-get cannot bring {', '.join(names)}: {said}; try 'apt-get update', or give a folder with "
                        "the packages with --from DIR")
