"""Figures: one file draws one figure; everything meets here."""
