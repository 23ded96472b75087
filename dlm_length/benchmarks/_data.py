"""Reading the rows of a data set, building problems from them, and selecting problems."""

import gzip
import hashlib
import io
import json
import math
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from dlm_length.benchmarks.base import Benchmark, Problem
from dlm_length.common import GIB, ConfigError, UserError, first_line, nearest, suggestion
from dlm_length.common.hub import hub_or_cache

LARGEST = GIB
"""Largest size of a data file, in bytes of uncompressed text; the benchmarks' own are thousands of times smaller."""
GZIP_MAGIC = b"\x1f\x8b"
PARQUET_MAGIC = b"PAR1"
PARQUET_BATCH = 256
"""Rows that are unpacked at a time; a long text that is stored once may occur in each of them."""
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")

Row = tuple[str, dict[str, Any]]
"""The position of a row, for messages (`FILE, row 17`), and its fields."""


def local_rows(path: str | Path) -> Iterator[Row]:
    """The objects of a JSONL file or a JSON array, gzipped or not, or the rows of a Parquet file; at least one.

    Rows are numbered from 1: lines (blank ones are skipped but counted), items of the array, or rows of the table. NaN,
    which pandas writes for absent values, is read as None. Raises UserError, naming file and row, for other content,
    and for a file without rows or larger than `LARGEST`.
    """
    file = Path(path).expanduser()
    content = _content_of(file)
    empty = True
    for number, fields in _parquet_rows(content, file) if content.startswith(PARQUET_MAGIC) else _rows(content, file):
        where = f"{file}, row {number}"
        if not isinstance(fields, dict):
            raise UserError(f"{where}: expected one JSON object, found {_short(json.dumps(fields).encode())}.")
        empty = False
        yield where, fields
    if empty:
        raise UserError(f"{file}: holds no rows; expected at least one, as JSONL or Parquet.")


def _rows(content: bytes, file: Path) -> Iterator[tuple[int, Any]]:
    """(number, content) of the rows of a JSONL file or a JSON array."""
    text = content.removeprefix(BYTE_ORDER_MARK)
    if text.startswith(UTF_16_MARKS):
        raise UserError(f"{file}: expected UTF-8 text, found UTF-16. Save it as UTF-8.")
    if text.lstrip().startswith(b"["):
        yield from enumerate(_json(text, "a JSON array", str(file)), start=1)
    else:
        for number, line in enumerate(text.split(b"\n"), start=1):
            if line.strip():
                yield number, _json(line, "one JSON object", f"{file}, row {number}")


def _parquet_rows(content: bytes, file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(number, fields) of the rows of a Parquet file, the hub's format of data sets."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = read = 0
    try:
        for batch in pq.ParquetFile(pa.BufferReader(content)).iter_batches(batch_size=PARQUET_BATCH):
            read += batch.nbytes
            _check_size(read, file)
            for fields in batch.to_pylist():
                number += 1
                yield number, _without_nan(fields)
    except (pa.ArrowException, OSError, OverflowError) as error:
        raise UserError(
            f"{file}: expected a whole Parquet file, found a damaged one ({first_line(error)[:200]})."
        ) from None


def _without_nan(value: Any) -> Any:
    """`value` with None in place of NaN, also inside lists and mappings."""
    match value:
        case float() if math.isnan(value):
            return None
        case dict():
            return {name: _without_nan(inner) for name, inner in value.items()}
        case list():
            return list(map(_without_nan, value))
    return value


def whole(value: Any) -> Any:
    """`value`, with a float that is an integer as int: pandas writes 2 as 2.0 in columns with absent values."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def packaged_rows(benchmark: str, path: str | None) -> Iterator[Row]:
    """The rows of a benchmark that ships with the package, or of the file `path` in the same form."""
    return local_rows(path if path is not None else _packaged_file(benchmark))


def is_packaged(benchmark: str) -> bool:
    """Whether the data of the benchmark of this name ship with the package."""
    return _packaged_file(benchmark).is_file()


def _packaged_file(benchmark: str) -> Path:
    return Path(str(files("dlm_length.benchmarks"))) / PACKAGED / f"{benchmark}.jsonl"


PACKAGED = "data"
"""Folder of the data files that the package ships, next to this module."""


def _content_of(file: Path) -> bytes:
    """A file's bytes, uncompressed where they are gzipped."""
    try:
        with file.open("rb") as raw:
            content = raw.read(LARGEST + 1)
        if content.startswith(GZIP_MAGIC):
            content = gzip.GzipFile(fileobj=io.BytesIO(content)).read(LARGEST + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{file}: expected a whole gzip file, found a damaged one ({error}).") from None
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{file}: cannot be read ({reason}); expected a JSONL or Parquet file.{_near(file)}") from None
    _check_size(len(content), file)
    return content


def _near(file: Path) -> str:
    """A file next to a missing one that may be meant, as a question; empty where there is none."""
    if file.exists() or not file.parent.is_dir():
        return ""
    return suggestion(file.name, [each.name for each in file.parent.iterdir() if each.is_file()])


def _check_size(size: int, file: Path) -> None:
    if size > LARGEST:
        raise UserError(
            f"{file}: holds more than {LARGEST / GIB:g} GiB uncompressed, the largest file that is read. Give one with"
            " only the rows that are needed."
        )


def _json(content: bytes, expected: str, where: str) -> Any:
    try:
        return json.loads(content, parse_constant=lambda name: None if name == "NaN" else float(name))
    except UnicodeDecodeError:
        raise UserError(f"{where}: expected UTF-8 text, found other bytes.") from None
    except (ValueError, RecursionError) as error:
        # Python's own advice on a number of thousands of digits is for programmers.
        reason = str(error).partition(" for integer string conversion")[0]
        raise UserError(
            f"{where}: expected {expected}, found {_short(content)} ({reason}).{_comma_separated(content)}"
        ) from None


def _comma_separated(content: bytes) -> str:
    """What to do with a file that looks like CSV; empty for another."""
    is_csv = content[:1] not in (b"{", b"[") and b"," in content and b":" not in content
    return " It may be CSV: save it as JSONL or Parquet." if is_csv else ""


def _short(line: bytes) -> str:
    text = line.decode(errors="replace").strip()
    return repr(text if len(text) <= 60 else text[:57] + "...")


def hub_rows(dataset: str, config: str | None, split: str) -> Iterator[Row]:
    """The rows of a data set on the Hugging Face hub, or of its copy in the local cache. Raises UserError."""
    where = f"{dataset}, split {split}"
    unreachable = None
    try:
        import datasets

        with hub_or_cache(datasets.config) as unreachable:
            loaded = datasets.load_dataset(dataset, config, split=split)
    except Exception as error:  # network, cache, permissions, versions: for the user all mean that there are no data
        reason = unreachable or f"{type(error).__name__}: {str(error)[:300]}"
        cache = ", and the local cache does not have it" if unreachable else ""
        raise UserError(
            f"{where}: the hub gave no data: {reason}{cache}. Without a network, pass a local copy, as JSONL or"
            " Parquet: benchmark.path=FILE, or to `dlmlen reproduce` --data BENCHMARK=FILE."
        ) from error
    if not len(loaded):
        raise UserError(f"{where}: the hub's data set holds no rows.")
    for index, fields in enumerate(loaded):
        yield f"{where}, index {index}", _without_nan(dict(fields))


def problems_of(
    rows: Iterator[Row], required: Sequence[str], build: Callable[[int, Mapping[str, Any]], Problem]
) -> list[Problem]:
    """One problem per row. Raises UserError as `problem_of`, and for an id that occurs twice."""
    problems: list[Problem] = []
    place_of: dict[str, str] = {}
    for index, (where, fields) in enumerate(rows):
        problem = problem_of(index, (where, fields), required, build)
        if problem.id in place_of:
            raise UserError(f"{where}: the id {problem.id!r} occurs already at {place_of[problem.id]}.")
        place_of[problem.id] = where
        problems.append(problem)
    return problems


def problem_of(
    index: int, row: Row, required: Sequence[str], build: Callable[[int, Mapping[str, Any]], Problem]
) -> Problem:
    """The problem that `build` makes of one row.

    Raises UserError, naming the row, where a `required` field is missing or not text, where a text has a lone surrogate
    (JSON can have one, records in UTF-8 cannot), and where `build` raises ValueError.
    """
    where, fields = row
    missing = [name for name in required if not isinstance(fields.get(name), str)]
    if missing:
        near = [name for wanted in missing if wanted not in fields for name in nearest(wanted, fields)]
        raise UserError(
            f"{where}: expected the fields {', '.join(required)} as text, found {', '.join(fields) or 'none'}; "
            f"{', '.join(missing)} missing or not text{_not_text(missing, fields)}."
            + (f" {', '.join(map(repr, near))} may be meant; rename it in the file." if near else "")
        )
    try:
        for name, value in fields.items():
            json.dumps([name, value], ensure_ascii=False, default=str).encode()
        return build(index, fields)
    except UnicodeEncodeError as error:
        surrogate = error.object[error.start]
        raise UserError(f"{where}: expected text in {name!r}, found a lone surrogate in it ({surrogate!a}).") from None
    except ValueError as error:
        raise UserError(f"{where}: {error}") from None


def _not_text(names: Sequence[str], fields: Mapping[str, Any]) -> str:
    """In brackets, what the fields have that are not missing; empty where all are."""
    values = [
        f"{name} is {_short(json.dumps(fields[name], default=str).encode())[1:-1]}" for name in names if name in fields
    ]
    return f" ({', '.join(values)})" if values else ""


def chosen(problems: list[Problem], benchmark: Benchmark) -> list[Problem]:
    """The problems that the benchmark's `sample_ids`, `limit` and `subset_seed` select.

    Raises ConfigError for an id that is unknown or listed twice.
    """
    if benchmark.sample_ids is not None:
        problems = _by_id(problems, benchmark.sample_ids)
    if benchmark.limit is None or benchmark.limit >= len(problems):
        return problems
    if benchmark.subset_seed is None:
        return problems[: benchmark.limit]
    # By digest, not by a random generator: the choice is the same in every Python version, does not depend on the order
    # of the data, and a larger limit includes a smaller one.
    seed = benchmark.subset_seed
    ranked = sorted(problems, key=lambda problem: hashlib.sha256(f"{seed}/{problem.id}".encode()).digest())
    kept = {problem.id for problem in ranked[: benchmark.limit]}
    return [problem for problem in problems if problem.id in kept]


def _by_id(problems: list[Problem], ids: Sequence[str]) -> list[Problem]:
    by_id = {problem.id: problem for problem in problems}
    for wanted in ids:
        if wanted not in by_id:
            raise ConfigError(
                f"benchmark.sample_ids: there is no problem {wanted!r} among the {len(by_id)} from "
                f"{problems[0].id!r} to {problems[-1].id!r}.{suggestion(wanted, by_id)}"
            )
        if ids.count(wanted) > 1:
            raise ConfigError(f"benchmark.sample_ids: {wanted!r} is listed more than once.")
    return [by_id[wanted] for wanted in ids]
