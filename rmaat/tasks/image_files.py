"""One image file through Pillow, and what is said where it cannot be read."""

import contextlib
import io
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from foundation.errors import DamagedFileError, UserError

if TYPE_CHECKING:
    from PIL.Image import Image


@contextlib.contextmanager
def opened_image(content: bytes, where: str, formats: Sequence[str]) -> Iterator["Image"]:
    """The image in these bytes, to be looked at and converted inside.

    Raises `UserError` for more than 8 bits a colour, which would be cut off at 255, and where Pillow is not installed;
    `DamagedFileError` for what is no whole image of `formats`.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise UserError("image files are read with Pillow, which is not installed: pip install pillow; CIFAR-10's "
                        "batches need nothing else") from error
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(content), formats=formats) as image:
            if image.mode[0] in "IF":
                raise UserError(f"{where}: more than 8 bits a colour (mode {image.mode}); save it with 8")
            yield image
    except (UserError, MemoryError):
        raise
    except Exception as error:  # its decoders raise whatever they like
        said = str(error).partition(" <")[0]  # without the address of what it was read from
        raise DamagedFileError(f"{where}: no whole {' or '.join(formats)} image ({said})") from error
