"""Where every number that is not learned comes from: declared where it is used, collected from the model as built.

A module declares `origins`, a mapping from the name of a buffer, constant or callable to its origin, and `analogies`,
a tuple of what its equations stand for.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from torch import nn


@dataclass(frozen=True)
class FromRecord:
    """Computed from an entry of the record (one `constant` of it, or the whole form)."""

    entry: str
    constant: str | None = None
    equation: str | None = None


@dataclass(frozen=True)
class Engineering:
    """A number without biology, and the reason for it. `value` None: the value is read from the module as built."""

    value: object
    reason: str


@dataclass(frozen=True)
class Analogy:
    """What a part of an equation stands for; claims no number."""

    equation: str
    says: str


Origin = FromRecord | Engineering


def declare(**origins: Origin) -> Mapping[str, Origin]:
    """A module's `origins`, fixed."""
    return MappingProxyType(origins)


@dataclass(frozen=True)
class Traced:
    """One thing found in a model: module path, name in the module, value as built, origin."""

    module: str
    name: str
    value: object
    origin: Origin | Analogy


# torch's own modules cannot declare anything, so their constants are declared here.
STANDARD: dict[type[nn.Module], dict[str, Engineering]] = {
    nn.LayerNorm: {"eps": Engineering(None, "torch's default: keeps the division finite for a constant row")},
    nn.Dropout: {"p": Engineering(None, "regularisation, chosen in the config")},
}


def origins(module: nn.Module) -> dict[str, Origin]:
    """The declarations that hold for one module, its own last."""
    return {**STANDARD.get(type(module), {}), **getattr(module, "origins", {})}


def collect(model: nn.Module) -> Iterator[Traced]:
    """Everything in the model as built that is not learned, with its origin; analogies have the value None."""
    for path, module in model.named_modules():
        for name, origin in origins(module).items():
            declared = origin.value if isinstance(origin, Engineering) else None
            yield Traced(path, name, getattr(module, name, declared) if declared is None else declared, origin)
        for analogy in getattr(module, "analogies", ()):
            yield Traced(path, analogy.equation, None, analogy)


def orphans(model: nn.Module) -> list[str]:
    """Buffers that no module declares an origin for; a model of this package has none."""
    return [f"{path}.{name}".lstrip(".") for path, module in model.named_modules()
            for name, _ in module.named_buffers(recurse=False) if name not in origins(module)]
