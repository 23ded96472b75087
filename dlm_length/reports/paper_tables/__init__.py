"""The papers' tables from any runs, and the cost table that no paper has."""

from dlm_length.reports.paper_tables.ablations import ablation_table
from dlm_length.reports.paper_tables.certified import certified_table
from dlm_length.reports.paper_tables.cost import cost_table
from dlm_length.reports.paper_tables.daedal import daedal_layout, daedal_table
from dlm_length.reports.paper_tables.decoding import decoding_table
from dlm_length.reports.paper_tables.effects import effects_table
from dlm_length.reports.paper_tables.margins import margin_table
from dlm_length.reports.paper_tables.measures import USUAL_COLUMNS, choose_columns
from dlm_length.reports.paper_tables.pivot import main_table
from dlm_length.reports.paper_tables.smartcrop import smartcrop_layout, smartcrop_table

__all__ = [
    "USUAL_COLUMNS",
    "ablation_table",
    "certified_table",
    "choose_columns",
    "cost_table",
    "daedal_layout",
    "daedal_table",
    "decoding_table",
    "effects_table",
    "main_table",
    "margin_table",
    "smartcrop_layout",
    "smartcrop_table",
]
