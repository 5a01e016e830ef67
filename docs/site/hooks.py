"""What mkdocs asks for while it builds the site: pages that are made, and links that leave the folder of the docs.

The tutorials are executed; EXECUTE=0 in the environment takes them as they are stored, without outputs.
"""

import ast
import os
import re
import tempfile
from pathlib import Path

import notebooks  # beside this file, which mkdocs puts on the path
from mkdocs.structure.files import File

ROOT = notebooks.ROOT
FLOORS = ("foundation", "astro_sim", "derivation", "rmaat", "figures")
OUTSIDE = {"contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md",
           "results/speed_cpu.md": "results/speed_cpu.md", "results/compile_cpu.md": "results/compile_cpu.md",
           "results/steps_cpu.md": "results/steps_cpu.md", "results/steps_bounds_cpu.md": "results/steps_bounds_cpu.md",
           "results/lra.md": "results/lra/tables/compare.md",
           "results/ablations/compare.md": "results/lra/ablations/tables/compare.md",
           "results/dials/compare.md": "results/lra/dials/tables/compare.md"}
PICTURES = {"results": "results/lra/tables", "results/ablations": "results/lra/ablations/tables",
            "results/dials": "results/lra/dials/tables"}  # beside the pages that show them
LINK = re.compile(r"\]\((?:\.\./)?(results/[\w.]+|docs/[\w./#-]+|CONTRIBUTING\.md|CHANGELOG\.md)\)")
SOURCE = re.compile(r"\[([^]]+)\]\((?:\.\./)*(?:examples|derivation|astro_sim|rmaat|figures|tests|README)[\w./-]*\)")


def rooms() -> dict[str, list[str]]:
    """Room -> its modules, all by full name. What lies in a floor directly belongs to the floor."""
    found: dict[str, list[str]] = {}
    for floor in FLOORS:
        for file in sorted((ROOT / floor).rglob("*.py")):
            parts = file.relative_to(ROOT).with_suffix("").parts
            if parts[-1] not in ("__init__", "__main__"):
                found.setdefault(".".join(parts[:-1]), []).append(".".join(parts))
    return found


def on_config(config):
    """The reference stands last in the navigation, a page for each room."""
    floors = [{floor: [{name: f"reference/{name}.md"} for name in rooms() if name.split(".")[0] == floor]}
              for floor in FLOORS]
    config["nav"] = [*config["nav"], {"Reference": floors}]
    return config


def on_files(files, config):
    """Add the pages that are made: tutorials, reference, and what stands outside of docs/."""
    made = {page: (ROOT / source).read_text("utf-8") for page, source in OUTSIDE.items()}
    for room, modules in rooms().items():
        made[f"reference/{room}.md"] = (f"# {room}\n\n{_what_for(room)}\n\n"
                                        + "".join(f"## {name}\n\n::: {name}\n\n" for name in modules))
    for path in notebooks.TUTORIALS:
        text, pictures = _tutorial(path)
        made[f"tutorials/{path.stem}.md"] = text
        made |= {f"tutorials/{name}": data for name, data in pictures.items()}
    made |= {f"{place}/{path.name}": path.read_bytes() for place, folder in PICTURES.items()
             for path in (ROOT / folder).glob("*.png")}
    for name, content in made.items():
        files.append(File.generated(config, name, content=content))
    return files


def _what_for(room: str) -> str:
    """What the room says of itself."""
    return ast.get_docstring(ast.parse((ROOT / room.replace(".", "/") / "__init__.py").read_text("utf-8"))) or ""


def _tutorial(path: Path) -> tuple[str, dict[str, bytes]]:
    if os.environ.get("EXECUTE") == "0":
        return notebooks.page(notebooks.read(path), path.stem)
    with tempfile.TemporaryDirectory() as folder:
        return notebooks.page(notebooks.execute(path, Path(folder)), path.stem)


def on_page_markdown(markdown, page, config, files):
    """Links are written as they work in the repository; on the site pages are elsewhere, and code is not there."""
    up = "../" * page.file.src_uri.count("/")
    markdown = LINK.sub(lambda link: f"]({up}{_place(link[1])})", markdown)
    return SOURCE.sub(r"\1", markdown)


def _place(target: str) -> str:
    """The page of a file of the repository."""
    return target.removeprefix("docs/") if target.startswith(("docs/", "results/")) else target.lower()
