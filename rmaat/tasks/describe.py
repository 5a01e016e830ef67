"""What a task says of itself, for a reader and as JSON."""

import dataclasses
import textwrap

from rmaat.tasks.task import Task

PAGE = 100  # columns


def describe(task: Task) -> dict:
    """Classes, vocabulary, lengths, source, licence and dials of a task, as JSON values."""
    return {"summary": task.summary, "classes": task.num_classes, "vocabulary": task.vocab_size,
            "tokens": task.vocabulary, "lengths": list(task.lengths), "source": task.source, "licence": task.licence,
            "dials": dataclasses.asdict(task)}


def text(name: str, about: dict) -> str:
    """The description as lines of at most 100 columns."""
    shortest, longest = about["lengths"]
    length = f"{longest:,}" if shortest == longest else f"{shortest:,} to {longest:,}"
    lines = [about["summary"], f"{about['classes']} classes; {length} tokens; vocabulary {about['vocabulary']}"
             + (f": {about['tokens']}" if about["tokens"] else "")]
    if about["source"]:
        lines.append(f"source: {about['source']}" + (f"; licence: {about['licence']}" if about["licence"] else ""))
    if about["dials"]:
        lines.append("dials: " + ", ".join(f"task.{dial}={value}" for dial, value in about["dials"].items()))
    return "\n".join([name, *(textwrap.fill(line, PAGE, initial_indent="  ", subsequent_indent="    ",
                                            break_on_hyphens=False) for line in lines if line)])
