"""From biophysical models to the macro model's constants: one file for each group of constants."""
