"""Where every number that is not learned comes from: declared where it is used, collected from the model as built.

A module declares `origins`, a mapping from the name of a buffer, attribute, constant or callable to its origin, and
`analogies`, a tuple of what its equations stand for. Dotted names reach into an attribute (`config.width`) or a child
(`project.weight`); of several declarations for one number the outermost module's holds. A learned tensor's start is a
number that is not learned, so it is declared too. A file's own constants stand in an `origins` at its top level.
"""

import inspect
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

import torch
from torch import nn

from derivation.record.record import Record
from foundation.errors import UserError
from foundation.reference import reference
from rmaat.biology.biology import Biology, Curve

ROOT = Path(__file__).parents[2]
PACKAGE = __package__.partition(".")[0]


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
class Start:
    """How a learned tensor begins: `mean` and `deviation` of its elements, each a number or read from the module."""

    mean: float
    deviation: float | Callable[[nn.Module], float]
    reason: str


@dataclass(frozen=True)
class Analogy:
    """What a part of an equation stands for; claims no number."""

    equation: str
    says: str


Origin = FromRecord | Engineering | Start


def declare(**origins: Origin) -> Mapping[str, Origin]:
    """A module's `origins`, fixed."""
    return MappingProxyType(origins)


@dataclass(frozen=True)
class Traced:
    """One thing found in a model: module path, name in the module, value as built, origin, file and class."""

    module: str
    name: str
    value: object
    origin: Origin | Analogy
    file: str


SIZE = Engineering(None, "a size: follows from the config")


def uniform_deviation(module: nn.Linear | nn.Conv2d) -> float:
    """Standard deviation of a layer's numbers as torch starts them: uniform within 1/sqrt(inputs of a feature)."""
    return (3 * module.weight[0].numel()) ** -.5


# torch's own modules cannot declare anything, so their numbers are declared here.
STANDARD: dict[type[nn.Module], Mapping[str, Origin]] = {
    nn.LayerNorm: declare(
        eps=Engineering(None, "torch's default: keeps the division finite for a constant row"), normalized_shape=SIZE,
        weight=Start(1., 0., "torch's default: the norm alone"), bias=Start(0., 0., "torch's default: no shift")),
    nn.Dropout: declare(p=Engineering(None, "regularisation, chosen in the config")),
    nn.Linear: declare(
        in_features=SIZE, out_features=SIZE,
        weight=Start(0., uniform_deviation, "torch's default: uniform within 1/sqrt(in_features)"),
        bias=Start(0., uniform_deviation, "torch's default: uniform within 1/sqrt(in_features)")),
    nn.Conv2d: declare(
        **dict.fromkeys(("in_channels", "out_channels", "kernel_size", "stride", "padding", "output_padding",
                         "dilation", "groups"), SIZE),
        weight=Start(0., uniform_deviation, "torch's default: uniform within 1/sqrt(inputs of a feature)"),
        bias=Start(0., uniform_deviation, "torch's default: uniform within 1/sqrt(inputs of a feature)")),
    nn.Embedding: declare(
        num_embeddings=SIZE, embedding_dim=SIZE, weight=Start(0., 1., "torch's default: normal"),
        norm_type=Engineering(None, "torch's default; without influence, no max_norm is set")),
}


def origins_of(module: nn.Module) -> dict[str, Origin]:
    """The declarations of one module, its own last."""
    return {**STANDARD.get(type(module), {}), **getattr(module, "origins", {})}


def declared(model: nn.Module) -> dict[str, tuple[str, str, Origin]]:
    """Full path of a number -> module path, name in that module, origin; the outermost declaration of each."""
    found: dict[str, tuple[str, str, Origin]] = {}
    for path, module in model.named_modules():  # parents come before their children
        for name, origin in origins_of(module).items():
            found.setdefault(_join(path, name), (path, name, origin))
    return found


def collect(model: nn.Module) -> Iterator[Traced]:
    """Everything in the model as built that is not learned, with its origin; analogies have the value None."""
    for path, name, origin in declared(model).values():
        module = model.get_submodule(path)
        value = value_of(module, name, origin)
        if value is not None:  # a layer without a bias
            yield Traced(path, name, value, origin, source_file(type(module)))
    for path, module in model.named_modules():
        for analogy in getattr(module, "analogies", ()):
            yield Traced(path, analogy.equation, None, analogy, source_file(type(module)))
    for file in sorted(source_files(model)):
        for name, origin in getattr(sys.modules[file], "origins", {}).items():
            value = origin.value if isinstance(origin, Engineering) else None
            yield Traced("", name, value, origin, _path_of(file))


def value_of(module: nn.Module, name: str, origin: Origin) -> object:
    """The value that the declaration `name` of `module` speaks of. Raises `AttributeError` where there is none."""
    if isinstance(origin, Engineering) and origin.value is not None:
        return origin.value
    value: object = module
    for part in name.split("."):
        value = _part(value, part)
    if isinstance(origin, Start) and value is not None:
        deviation = origin.deviation(module) if callable(origin.deviation) else origin.deviation
        return f"{tuple(value.shape)}, mean {origin.mean:g}, standard deviation {deviation:.4g}"
    return value


def _part(value: object, name: str) -> object:
    if isinstance(value, partial):
        return value.keywords[name]
    if isinstance(value, Mapping):
        return value[name]
    return value[int(name)] if isinstance(value, (list, tuple)) else getattr(value, name)


def source_file(kind: type) -> str:
    """File and class, for a reader; of a class that stands in no file its Python module."""
    if _ours(kind):
        return f"{Path(inspect.getsourcefile(kind)).relative_to(ROOT).as_posix()}:{kind.__qualname__}"
    try:
        return reference(kind)
    except UserError:  # inside a function, say
        return f"{kind.__module__}:{kind.__qualname__}"


def source_files(model: nn.Module) -> set[str]:
    """Names of the Python modules that may declare origins: this package's whose classes the model is made of and those
    that they call, and a user's own with declarations."""
    kinds = {type(module) for module in model.modules()}
    files = {kind.__module__ for kind in kinds if _ours(kind)}
    own = {kind.__module__ for kind in kinds if not _ours(kind) and kind.__module__ in sys.modules
           and isinstance(getattr(sys.modules[kind.__module__], "origins", None), MappingProxyType)}
    return files | own | {value.__module__ for file in files for value in vars(sys.modules[file]).values()
                    if isinstance(value, (type, types.FunctionType)) and _ours(value)}


def _path_of(file: str) -> str:
    """The path of a Python module by name: of this package's within the project, of others as it is."""
    if file.partition(".")[0] == PACKAGE:
        return file.replace(".", "/") + ".py"
    return getattr(sys.modules[file], "__file__", None) or file


def _ours(kind: type | types.FunctionType) -> bool:
    return (kind.__module__ or "").partition(".")[0] == PACKAGE


# ---------------------------------------------------------------------------------------------- numbers


def numbers_of(model: nn.Module) -> Iterator[tuple[str, object]]:
    """Path and value of every number in the model as built: buffers, starts of learned tensors, attributes and what
    they hold (callables, closures, configs). Flags, choices by name and the record itself are not numbers."""
    for path, module in model.named_modules():
        for name, value in (*module.named_buffers(recurse=False), *module.named_parameters(recurse=False)):
            yield _join(path, name), value
        for name, value in vars(module).items():
            if not name.startswith("_") and name not in ("training", "origins"):
                for inside, number in _inside(value, set()):
                    yield _join(path, name, inside), number


def _inside(value: object, seen: set[int]) -> Iterator[tuple[str, object]]:
    """(dotted path, number) of every number in an object of this package or of Python."""
    if isinstance(value, (int, float, complex, torch.Tensor, Curve)) and not isinstance(value, bool):
        yield "", value
        return
    if isinstance(value, (bool, str, type, types.ModuleType, Biology, Record, nn.Module)) or id(value) in seen:
        return
    seen.add(id(value))
    for name, part in _parts(value):
        for inside, number in _inside(part, seen):
            yield _join(name, inside), number


def _parts(value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, partial):
        yield from [("func", value.func), *zip(map(str, range(len(value.args))), value.args, strict=True)]
        yield from value.keywords.items()
    elif isinstance(value, types.FunctionType):
        if _ours(value):
            names = value.__code__.co_freevars
            yield from zip(names, (cell.cell_contents for cell in value.__closure__ or ()), strict=True)
    elif isinstance(value, Mapping):
        yield from ((str(name), part) for name, part in value.items())
    elif isinstance(value, (list, tuple, set, frozenset)):
        yield from ((str(k), part) for k, part in enumerate(value))
    elif is_dataclass(value):
        yield from ((field.name, getattr(value, field.name)) for field in fields(value))
    elif hasattr(value, "__dict__"):
        yield from vars(value).items()


def orphans(model: nn.Module) -> list[str]:
    """Paths of the numbers that nothing declares an origin for; only parts of a user's own can have some."""
    known = declared(model)
    return [path for path, _ in numbers_of(model) if not any(start in known for start in _prefixes(path))]


def _prefixes(path: str) -> Iterator[str]:
    parts = path.split(".")
    return (".".join(parts[:k]) for k in range(len(parts), 0, -1))


def _join(*parts: str) -> str:
    return ".".join(part for part in parts if part)
