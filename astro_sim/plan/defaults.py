"""What is taken where nothing is given. Imports nothing, as the help of the command line shows it."""

from collections.abc import Mapping
from types import MappingProxyType

DEFAULT_DURATION, DEFAULT_DT = "60 s", "1 ms"
NOTHING: Mapping = MappingProxyType({})
