"""The entries of the record and the function that makes each: a new one is a file beside this one and a line here."""

from functools import partial

from derivation.entries import calcium_response, feedback, relative_position, retention
from derivation.entries.workbench import Maker

ENTRIES: dict[str, Maker] = {
    "retention": retention.shares,
    "relative_position": partial(relative_position.line, "dense"),
    "relative_position_ring": partial(relative_position.ring, "dense"),
    "relative_position_diffusive": partial(relative_position.line, "diffusive"),
    "relative_position_ring_diffusive": partial(relative_position.ring, "diffusive"),
    "relative_position_sheet_diffusive": relative_position.sheet,
    "feedback_bound": feedback.bound,
    "feedback": feedback.limit,
    "calcium_response_fitted": calcium_response.fitted,
    "calcium_response": calcium_response.stated,
}
