"""Attention variants by name; each is built as `ATTENTION[name](width, heads, places, biology, rel_pos)`."""

from rmaat.attention.astromorphic import Astromorphic
from rmaat.attention.baselines import Linear, Softmax

ATTENTION = {"astromorphic": Astromorphic, "linear": Linear, "softmax": Softmax}
