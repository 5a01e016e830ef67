"""One look for the four programs: typer without tracebacks, `--debug` anywhere, exit codes, progress, JSON."""

import json
import os
import sys
import time
from collections.abc import Callable

import typer

from foundation.errors import UserError


def program(help_text: str) -> typer.Typer:
    """A typer application in house style; `help_text` should end with examples."""
    return typer.Typer(help=help_text, add_completion=False, no_args_is_help=True, rich_markup_mode=None,
                       pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]})


def run(app: Callable[[], None]) -> None:
    """Run a program: a `UserError` becomes one line on stderr and its exit code; `--debug` shows the traceback."""
    debug = "--debug" in sys.argv
    if debug:
        sys.argv.remove("--debug")
    try:
        app()
    except UserError as error:
        if debug:
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader left; nothing more to say
        sys.exit(0)


def print_json(value) -> None:
    """Print one JSON document."""
    print(json.dumps(value, indent=1, allow_nan=False))


class Progress:
    """A bar on a terminal, a plain line every few seconds elsewhere.

    Use as a context manager; `update(done, text)` may be called as often as one likes.
    """

    def __init__(self, label: str, total: float, *, quiet: bool = False, every_seconds: float = 10.0):
        self.label, self.total, self.quiet, self.every = label, total, quiet, every_seconds
        self.started = self.printed = time.monotonic()
        self.bar = self.task = None

    def __enter__(self) -> "Progress":
        if not self.quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as RichProgress

            columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"),
                       TimeRemainingColumn(), TextColumn("{task.fields[text]}"))
            self.bar = RichProgress(*columns, console=Console(stderr=True), transient=True)
            self.bar.start()
            self.task = self.bar.add_task(self.label, total=self.total, text="")
        return self

    def __exit__(self, *exc) -> None:
        if self.bar:
            self.bar.stop()

    def update(self, done: float, text: str = "") -> None:
        """Show that `done` of the total is done, and a word beside it."""
        if self.quiet:
            return
        if self.bar:
            self.bar.update(self.task, completed=done, text=text)
        elif time.monotonic() - self.printed >= self.every:
            self.printed = time.monotonic()
            share, seconds = 100 * done / self.total, self.printed - self.started
            print(f"{self.label}: {share:.0f} % after {seconds:.0f} s {text}".rstrip(), file=sys.stderr, flush=True)
