"""Networks by name: RMAAT, and one of torch's that it is compared with."""

from collections.abc import Callable

from torch import nn

from rmaat.biology.biology import Biology
from rmaat.model.config import NETWORK, ModelConfig
from rmaat.model.gru import GRU
from rmaat.model.model import RMAAT

_CLASSES: dict[str, Callable[..., nn.Module]] = dict(zip(NETWORK, (RMAAT, GRU), strict=True))


def build(config: ModelConfig, biology: Biology | None = None) -> nn.Module:
    """The network of a config, `forward(tokens, lengths)`. Raises what its class raises."""
    return _CLASSES[config.network](config, biology)
