"""Attention variants by name, all built as `ATTENTION[name](width, heads, places, biology=biology, **options)`.

`PARTS` has the registry of each exchangeable part: what the options of an attention may be called.
"""

from rmaat.attention.astromorphic import Astromorphic
from rmaat.attention.base import Attention
from rmaat.attention.baselines import Linear, Softmax
from rmaat.attention.causal import CAUSAL
from rmaat.attention.curves import CALCIUM_EXPONENT, FEEDBACK
from rmaat.attention.feature_map import FEATURE_MAP
from rmaat.attention.kernel import KERNEL
from rmaat.attention.rel_pos import REL_POS

__all__ = ["ATTENTION", "CAUSAL", "PARTS", "Attention"]
ATTENTION: dict[str, type[Attention]] = {"astromorphic": Astromorphic, "linear": Linear, "softmax": Softmax}
PARTS = {"rel_pos": REL_POS, "feature_map": FEATURE_MAP, "calcium_exponent": CALCIUM_EXPONENT, "feedback": FEEDBACK,
         "kernel": KERNEL}
