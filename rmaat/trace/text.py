"""The trace report for a reader."""

from collections.abc import Iterator

from rmaat.biology.provenance import SIZE

RIVALS_TOLD = 3


def text(report: dict) -> str:
    """The report as lines; equal chains of different layers are told once."""
    lines = [f"record {report['record'][:12]}" + (f", {report['changed']}" if report["changed"] else "")]
    groups: dict[str, list[dict]] = {}
    for tensor in report["tensors"]:
        groups.setdefault(repr({**tensor, "path": None}), []).append(tensor)
    for tensors in groups.values():
        lines += ["", *_chain(tensors[0], [tensor["path"] for tensor in tensors])]
    if "analogies" in report:
        lines += ["", "analogies (a meaning, no number claimed)"]
        lines += [f"  ({item['equation']}) {item['says']}" for item in report["analogies"]]
        lines += ["", "engineering (no biology)", *_declared(report["engineering"])]
        lines += ["", "where learning starts (no biology)", *_declared(report["starts"])]
    return "\n".join([*lines, *_closing(report)])


def _chain(tensor: dict, paths: list[str]) -> Iterator[str]:
    yield f"{paths[0]}   {_short(tensor['value'])}   {tensor['file']}   ({tensor['equation']})"
    if paths[1:]:
        yield f"  also {', '.join(paths[1:])}"
    yield f"  {tensor['meaning']}"
    yield f"  <- {tensor['formula']}   {tensor['basis']}; {', '.join(tensor['sources'])}"
    if tensor["evidence"] is not None:
        yield "     held against {compared}: off by at most {max_error:.2g}; {range}".format(**tensor["evidence"])
    for one in tensor["validity"]:
        yield f"     holds for {_range(one)}: {one['reason']}"
    for name, one in tensor["rivals"].items():
        best = sorted(one["weights"].items(), key=lambda item: -item[1])[:RIVALS_TOLD]
        weights = ", ".join(f"{rival} {weight:.2g}" for rival, weight in best)
        yield f"     rivals on {name}: {weights} (Akaike weights, {len(one['weights'])} forms); {one['loss']}"
    for name, constant in tensor["constants"].items():
        formula = f" = {constant['formula']}" if constant["formula"] else ""
        yield f"     {name}{formula} = {constant['value']:.6g}   {constant['meaning']}"
        if constant["interval"]:
            low, high = constant["interval"]
            yield f"     {name} fitted to the recording: {constant['fitted']:.6g} [{low:.6g}, {high:.6g}]"
    yield from _parameters(tensor["parameters"])
    for name, why in tensor["cancels"].items():
        yield f"     .. {name}: {why}"


def _range(one: dict) -> str:
    low, high = one["low"], one["high"]
    if low is None or high is None:
        return f"{one['quantity']} {f'up to {high:g}' if low is None else f'from {low:g}'}"
    return f"{one['quantity']} from {low:g} to {high:g}"


def _parameters(uses: list[dict]) -> Iterator[str]:
    """A line a parameter, in columns; one that acts through another stands indented below it."""
    rows = [("   " * bool(use["through"]) + use["name"], f"{use['value']:g} {use['unit']}".removesuffix(" 1"),
             use["basis"], use["source"],
             ", ".join(f"d {name}/d {use['name']} {slope:+.3g}" for name, slope in use["sensitivity"].items())
             or "moves no constant here", f"+1 % moves this by {use['influence']:.2g} %") for use in uses]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True))
        yield f"     <- {cells}".rstrip()


def _declared(items: list[dict]) -> Iterator[str]:
    """A line for each number and reason; sizes that follow from the config are one line together."""
    same: dict[tuple, list[dict]] = {}
    for item in items:
        size = item["reason"] == SIZE.reason
        key = (SIZE.reason,) if size else (item["file"], item["path"].rpartition(".")[2], item["reason"])
        same.setdefault(key, []).append(item)
    for key, group in same.items():
        values = ", ".join(dict.fromkeys(_short(item["value"]) for item in group))
        more = f" (and {len(group) - 1} more)" if len(group) > 1 else ""
        file = "" if key == (SIZE.reason,) else f"{group[0]['file']}: "
        yield f"  {group[0]['path']}{more} = {values}   {file}{group[0]['reason']}"


def _closing(report: dict) -> Iterator[str]:
    """What does nothing, what no paper stands behind, what is used outside its range."""
    yield from ("", "without influence")
    for item in report["without_influence"]:
        yield f"  {item['name']} ({item['entry']}): {item['why']}"
    known = report["not_known"]
    counts = ", ".join(f"{count} {basis}" for basis, count in known["counts"].items()) or "none"
    yield from ("", f"parameters in these chains: {counts}")
    for item in known["parameters"]:
        unit = "" if item["unit"] == "1" else f" {item['unit']}"
        yield f"  {item['basis']}: {item['name']} = {item['value']:g}{unit}   {item['meaning']}"
    for name, basis in known["entries"].items():
        yield f"  {basis}: the entry {name}, which rests on no parameter"
    for one in report["outside"]:
        reached = ", ".join(f"{name} = {value:g}" for name, value in one["reached"].items())
        yield f"WARNING: {one['entry']} holds for {_range(one)} ({one['reason']}); this config reaches {reached}"


def _short(value) -> str:
    if isinstance(value, dict) and "formula" in value:
        return "curve"
    if isinstance(value, dict) and "values" in value:
        return f"{value['dtype']} {value['shape']} {' '.join(f'{x:.4g}' for x in value['values'])}"
    if isinstance(value, dict):
        return f"{value['dtype']} {value['shape']} {value['min']:.4g} .. {value['max']:.4g}, sum {value['sum']:.6g}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
