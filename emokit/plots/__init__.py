"""Figures from arrays, one function each. Imports matplotlib and nothing of emokit; keeps no state and no pyplot."""

from .base import COLOURS, DIVERGING, LIMIT, MARKERS, STYLE, STYLES, Figure, png
from .behaviour import changes, failures, outcomes, strength_curves, turns
from .charts import bars, boxes, by_block, grid, line, null_histogram, pairs, scatter
from .doses import dose_effects, dose_panels
from .evidence import (
    agreement_by_block,
    calibration,
    gain_against_null,
    prediction,
    share_table,
    validation,
)
from .maps import block_map, cosine_map
from .tokens import text_columns, token_colours, token_heatmap

__all__ = [
    "COLOURS",
    "DIVERGING",
    "LIMIT",
    "MARKERS",
    "STYLE",
    "STYLES",
    "Figure",
    "agreement_by_block",
    "bars",
    "block_map",
    "boxes",
    "by_block",
    "calibration",
    "changes",
    "cosine_map",
    "dose_effects",
    "dose_panels",
    "failures",
    "gain_against_null",
    "grid",
    "line",
    "null_histogram",
    "outcomes",
    "pairs",
    "png",
    "prediction",
    "scatter",
    "share_table",
    "strength_curves",
    "text_columns",
    "token_colours",
    "token_heatmap",
    "turns",
    "validation",
]
