"""Closed forms, solved by sympy from the text that Brian2 runs; reductions and entries both rest on them."""
