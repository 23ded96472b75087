"""The formats that runs can be exported to, by name."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, get_args

from dlm_length.analysis import Analysis, load_runs
from dlm_length.export.files import ExportFile, write_files
from dlm_length.export.inspect_log import inspect_files
from dlm_length.export.lm_eval_log import lm_eval_files
from dlm_length.export.tables import table_files

Format = Literal["parquet", "csv", "inspect", "lm-eval"]
FORMATS: tuple[Format, ...] = get_args(Format)

_FILES: Mapping[Format, Callable[[Analysis, Path], Sequence[ExportFile]]] = {
    "parquet": partial(table_files, kind="parquet"),
    "csv": partial(table_files, kind="csv"),
    "inspect": inspect_files,
    "lm-eval": lm_eval_files,
}


def export_runs(paths: Sequence[Path], to: Format, out: Path, *, overwrite: bool = False) -> list[Path]:
    """Write the finished runs at or below `paths` in the format `to`, and return the written files.

    `out`: a folder, or the name of the file with the format's suffix where a single one is written. Raises RecordError
    for a path without a finished run, UserError for a missing extra and for a file that exists already unless
    `overwrite`, ConfigError for an `out` that does not fit the format.
    """
    return write_files(_FILES[to](load_runs(*paths), out), overwrite=overwrite)
