"""Exporting runs as Parquet or CSV, a row per sample: the columns of `load_runs(...).frame()`, texts and tokens."""

import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dlm_length.analysis import Analysis
from dlm_length.analysis.runs import Run
from dlm_length.export.files import ExportFile
from dlm_length.records import SampleRecord, read_samples

if TYPE_CHECKING:
    from pandas import DataFrame

TEXT_COLUMNS = ("prompt", "target", "answer", "extracted", "details", "canvas_ids")
"""The columns after those of the frame: the prompt as the model saw it, the reference answer, the answer, the main
extraction's result, the score's details (JSON), and the token ids of the final canvas (a list; JSON in CSV)."""


def table_files(analysis: Analysis, out: Path, *, kind: Literal["parquet", "csv"]) -> list[ExportFile]:
    """One file of all runs: `out` where it has the suffix of `kind`, else `samples.KIND` in the folder `out`."""
    path = out if out.suffix == f".{kind}" else out / f"samples.{kind}"
    write = _parquet if kind == "parquet" else _csv
    return [ExportFile(path, lambda: write(sample_table(analysis)))]


def sample_table(analysis: Analysis) -> "DataFrame":
    """The frame of all samples with `TEXT_COLUMNS`; a column with values of several types holds them as JSON texts."""
    frame = analysis.frame()
    records = [record for run in analysis.runs for record in _in_order(run)]
    for column in frame.select_dtypes(include="object").columns:
        frame[column] = _of_one_type(list(frame[column]))
    for column, values in zip(TEXT_COLUMNS, zip(*map(_texts, records), strict=True), strict=True):
        frame[column] = list(values)
        if column != "canvas_ids":
            frame[column] = frame[column].astype("string")
    return frame


def _in_order(run: Run) -> Iterator[SampleRecord]:
    """The records of a run's samples, in the order of the frame's rows."""
    records = {record.id: record for record in read_samples(run.path, only=run.metrics.sample_ids)}
    return (records[name] for name in run.samples)


def _texts(record: SampleRecord) -> tuple[Any, ...]:
    """The values of `TEXT_COLUMNS`."""
    return (
        record.prompt,
        record.target,
        record.resps[0][0],
        record.filtered_resps[0],
        json.dumps(record.details, ensure_ascii=False),
        list(record.canvas_ids),
    )


def _of_one_type(values: Sequence[Any]) -> list[Any]:
    """The values of one column: texts or booleans unchanged, of other or several types as JSON texts. NaN is None."""
    plain = [None if value is None or value != value else value for value in values]
    kinds = {type(value) for value in plain if value is not None}
    if kinds <= {str} or kinds <= {bool}:
        return plain
    return [None if value is None else json.dumps(value, ensure_ascii=False) for value in plain]


def _parquet(frame: "DataFrame") -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(frame, preserve_index=False)
    place = table.schema.get_field_index("canvas_ids")
    ids = pa.array(frame["canvas_ids"], type=pa.list_(pa.int64()))  # also where every canvas is empty
    sink = io.BytesIO()
    pq.write_table(table.set_column(place, "canvas_ids", ids), sink, compression="zstd")
    return sink.getvalue()


def _csv(frame: "DataFrame") -> bytes:
    written = frame.assign(canvas_ids=frame["canvas_ids"].map(json.dumps))
    text: str = written.to_csv(index=False, lineterminator="\n")
    return text.encode("utf-8")
