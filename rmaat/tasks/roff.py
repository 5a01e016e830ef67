"""Manual pages as plain text, section by section: enough of roff, man and mdoc to read what a page says."""

import re

FONTS = {"B", "I", "R", "SM", "SB", "BR", "IR", "RB", "RI", "IB", "BI"}
DROPPED = {"PD", "RS", "RE", "TP", "PP", "P", "LP", "HP", "TH", "Dd", "Dt", "Os", "Sp", "Vb", "Ve", "AS", "AP", "BS",
           "BE", "CS", "CE", "VS", "VE", "DS", "DE", "so"}  # their arguments are measures, or nothing to read
REFERENCE = "Xr"
NAMED = {"aq": "'", "dq": '"', "bu": "*", "em": "-", "en": "-", "hy": "-", "mi": "-", "lq": '"', "rq": '"', "oq": "`",
         "cq": "'", "rs": "\\", "ti": "~", "ha": "^", "ga": "`", "pl": "+", "eq": "=", "<=": "<=", ">=": ">="}
STRINGS = {"Aq": "'", "--": "-", 'L"': '"', 'R"': '"', "C'": "'", "C`": "`", "lq": '"', "rq": '"'}
ESCAPE = re.compile(r"""\\(?:
      (?P<comment>["\#].*)
    | f(?:\(..|\[[^\]]*\]|.)                 # fonts
    | s[-+]?(?:\d\d?|\[[^\]]*\]|\([-+]?..)   # sizes
    | [hvwlLDbox]'[^']*'                     # movements
    | (?P<name>\(..|\[[^\]]*\])              # named characters
    | \*(?P<string>\(..|\[[^\]]*\]|.)        # strings
    | n(?:\(..|\[[^\]]*\]|.)
    | (?P<one>.)
    )""", re.VERBOSE)
ONE = {"-": "-", "e": "\\", "\\": "\\", " ": " ", "~": " ", "0": " ", "t": " ", "'": "'", "`": "`", ".": "."}


def _unescaped(text: str) -> str:
    def replaced(match: re.Match) -> str:
        if name := match["name"]:
            return NAMED.get(name.strip("([]"), " ")
        if string := match["string"]:
            return STRINGS.get(string.strip("([]"), "")
        return ONE.get(match["one"] or "", "")

    return ESCAPE.sub(replaced, text)


def _arguments(text: str) -> list[str]:
    """Words, or what stands in double quotes."""
    return [quoted.replace('""', '"') if quoted or word is None else word for quoted, word in
            ((match[1] or "", match[2]) for match in re.finditer(r'"((?:[^"]|"")*)"?|(\S+)', text))]


def _line(macro: str, rest: str) -> str:
    """What is to be read of a macro's line."""
    words = [_unescaped(word) for word in _arguments(rest)]
    if macro == REFERENCE and len(words) > 1:
        return f"{words[0]}({words[1]}){''.join(words[2:])}"
    if macro in FONTS:
        return ("" if len(macro) > 1 and macro not in ("SM", "SB") else " ").join(words)
    if macro == "IP":
        return words[0] if words else ""
    return "" if macro in DROPPED or macro[:1].islower() else " ".join(words)


def target_of(roff: str) -> str | None:
    """The file that a page of one line `.so man3/x.3` stands for; None for a page of its own."""
    first = next((line for line in roff.splitlines() if line.strip() and not re.match(r"[.']\s*\\[\"#]", line)), "")
    return first.split()[1] if re.match(r"\.so\s+\S", first) else None


def sections_of(roff: str) -> list[tuple[str, str]]:
    """(heading in capital letters, text) of each section of a page; blank lines and repeated blanks are taken out."""
    sections: list[tuple[str, list[str]]] = []
    defining = False
    for line in roff.splitlines():
        match = re.match(r"[.']\s*(\S*)\s*(.*)", line)
        macro = match[1] if match else ""
        if defining or macro in ("de", "ig", "am"):
            defining = macro != "." and (defining or macro in ("de", "ig", "am"))
        elif macro in ("SH", "Sh"):
            sections.append((" ".join(_unescaped(word) for word in _arguments(match[2])).strip().upper(), []))
        elif sections:
            text = _unescaped(line) if match is None else _line(macro, match[2]) if not macro.startswith("\\") else ""
            if text := " ".join(text.split()):
                sections[-1][1].append(text)
    return [(heading, "\n".join(lines)) for heading, lines in sections]
