"""Exporting finished runs to the formats of other programs and to the Hugging Face hub; records are not changed."""

from dlm_length.export.formats import FORMATS, Format, export_runs
from dlm_length.export.hub import Upload, plan_upload, upload

__all__ = ["FORMATS", "Format", "Upload", "export_runs", "plan_upload", "upload"]
