"""A number of biology with its unit, and the only room where text becomes one."""

from astro_sim.parameter.parameter import (
    ALLOWED,
    MUST_BE,
    Amount,
    Parameter,
    as_text,
    base_unit,
    read,
    seconds,
    split_quantity,
)
from astro_sim.parameter.several import several_values
from astro_sim.parameter.table_files import Column, column_of, read_columns
from astro_sim.parameter.units import UNITS, convert, plain_unit, unit

__all__ = ["ALLOWED", "MUST_BE", "UNITS", "Amount", "Column", "Parameter", "as_text", "base_unit", "column_of",
           "convert", "plain_unit", "read", "read_columns", "seconds", "several_values",
           "split_quantity", "unit"]
