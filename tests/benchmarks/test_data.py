import gzip
import json
import os
import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlm_length.benchmarks import _data, benchmarks
from dlm_length.benchmarks._data import chosen
from dlm_length.benchmarks.base import Problem
from dlm_length.benchmarks.gsm8k import GSM8K
from dlm_length.common import ConfigError, UserError

ROWS = [{"question": f"What is {n} + 0?", "answer": f"{n} + 0 = {n}\n#### {n}"} for n in range(30)]


def written(tmp_path: Path, *lines: object) -> str:
    file = tmp_path / "data.jsonl"
    texts = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    file.write_bytes(b"\n".join(texts))
    return str(file)


def test_every_benchmark_is_listed_by_name() -> None:
    assert {"gsm8k", "humaneval", "longformqa", "math500"} <= set(benchmarks())
    for name, benchmark in benchmarks().items():
        required = {field: "any" for field, info in benchmark.model_fields.items() if info.is_required()}
        assert benchmark(**required).name == name
        assert benchmark.summary()
        assert benchmark.source


def test_a_local_file_is_read_gzipped_or_not(tmp_path: Path) -> None:
    plain = written(tmp_path, *ROWS, b"", b"  ")
    packed = tmp_path / "data.jsonl.gz"
    packed.write_bytes(gzip.compress(Path(plain).read_bytes()))
    problems = GSM8K(path=plain).problems()
    assert [problem.id for problem in problems] == [f"gsm8k/{n}" for n in range(30)]
    assert [problem.target for problem in problems] == [str(n) for n in range(30)]
    assert GSM8K(path=str(packed)).problems() == problems


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_pipe_is_read_to_its_end(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    """Such as a shell's `<(...)`, which can be read once, and never backwards."""
    content = Path(written(tmp_path, *ROWS)).read_bytes()
    os.mkfifo(pipe := tmp_path / "pipe")
    writer = threading.Thread(target=lambda: pipe.write_bytes(pack(content)))
    writer.start()
    assert len(list(_data.local_rows(pipe))) == 30
    writer.join()


def test_nan_is_read_as_none_and_other_numbers_are_kept(tmp_path: Path) -> None:
    path = written(tmp_path, b'{"a": NaN, "b": [1.0, NaN, {"c": NaN}], "d": Infinity, "e": "NaN"}')
    ((_, row),) = _data.local_rows(path)
    assert row == {"a": None, "b": [1.0, None, {"c": None}], "d": float("inf"), "e": "NaN"}


def test_windows_files_and_odd_line_separators_inside_texts_are_read(tmp_path: Path) -> None:
    odd = {"question": "a\u2028b\u0085c", "answer": "#### 1"}
    lines = b"\r\n".join(json.dumps(row, ensure_ascii=False).encode() for row in (odd, ROWS[2]))
    file = tmp_path / "windows.jsonl"
    file.write_bytes(b"\xef\xbb\xbf" + lines)
    assert [problem.fields["question"] for problem in GSM8K(path=str(file)).problems()] == [
        odd["question"],
        ROWS[2]["question"],
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"question": "a", ', 'expected one JSON object, found \'{"question": "a",\''),
        (b"[1, 2]", r"expected one JSON object, found '\[1, 2\]'"),
        (b"[" * 100_000, "expected one JSON object"),
        (b'{"question": "\xff\xfe"}', "expected UTF-8 text"),
        (
            {"question": "a", "anwser": "b"},
            "expected the fields question, answer as text, found question, anwser; answer ",
        ),
        ({"question": 3, "answer": "#### 3"}, "question missing or not text"),
        ({}, "found none"),
        ({"question": "a", "answer": "It is 3."}, "`#### NUMBER`, found 'It is 3.'"),
        ({"question": "a", "answer": "#### " + "9" * 300}, "`#### NUMBER`"),
        ({"question": "a\ud800?", "answer": "#### 1"}, r"text in 'question', found a lone surrogate in it \('\\ud800'"),
        ({"question": "a", "answer": "#### 1", "x": [{"y": "\udfff"}]}, "text in 'x', found a lone surrogate"),
    ],
)
def test_a_bad_row_is_named_by_file_and_physical_row(tmp_path: Path, line: object, message: str) -> None:
    path = written(tmp_path, ROWS[0], b"", line)
    with pytest.raises(UserError, match=message) as raised:
        GSM8K(path=path).problems()
    assert str(raised.value).startswith(f"{path}, row 3: ")
    assert len(str(raised.value)) < 1000


def test_an_array_is_read_item_by_item(tmp_path: Path) -> None:
    file = tmp_path / "data.json"
    file.write_text("\n" + json.dumps(ROWS, indent=2))
    assert [problem.target for problem in GSM8K(path=str(file)).problems()] == [str(n) for n in range(30)]
    file.write_text(json.dumps([*ROWS[:2], "third"]))
    with pytest.raises(UserError, match="row 3: expected one JSON object, found '\"third\"'"):
        GSM8K(path=str(file)).problems()
    file.write_text(json.dumps(ROWS)[:-1])
    with pytest.raises(UserError, match=r"data\.json: expected a JSON array"):
        GSM8K(path=str(file)).problems()


def test_missing_damaged_and_empty_files_have_different_errors(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere.jsonl: cannot be read \(No such file"):
        GSM8K(path=str(tmp_path / "nowhere.jsonl")).problems()
    with pytest.raises(UserError, match="cannot be read"):
        GSM8K(path=str(tmp_path)).problems()
    torn = tmp_path / "torn.gz"
    torn.write_bytes(gzip.compress(json.dumps(ROWS).encode())[:-9])
    with pytest.raises(UserError, match=r"torn\.gz: expected a whole gzip file"):
        GSM8K(path=str(torn)).problems()
    torn.write_text(json.dumps(ROWS[0]), encoding="utf-16")
    with pytest.raises(UserError, match=r"torn\.gz: expected UTF-8 text, found UTF-16"):
        GSM8K(path=str(torn)).problems()
    for empty in (b"", b"\n \n", b"[]"):
        path = written(tmp_path, empty)
        with pytest.raises(UserError, match=f"^{re.escape(path)}: holds no rows"):
            GSM8K(path=path).problems()


def test_an_empty_data_set_of_the_hub_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=lambda *_, **__: [], config=None))
    with pytest.raises(UserError, match=r"^openai/gsm8k, split test: the hub's data set holds no rows"):
        GSM8K().problems()


def test_parquet_is_read_as_the_hub_and_pandas_write_it(tmp_path: Path) -> None:
    file = tmp_path / "test-00000-of-00001.parquet"
    frame = pd.DataFrame(ROWS * 20)  # more than one batch
    frame.to_parquet(file, row_group_size=70)
    problems = GSM8K(path=str(file)).problems()
    assert problems == GSM8K(path=written(tmp_path, *ROWS * 20)).problems()
    frame["answer"] = [*frame["answer"][:-1], None]
    frame.to_parquet(file)
    with pytest.raises(UserError, match=r"parquet, row 600: .* answer missing or not text"):
        GSM8K(path=str(file)).problems()
    frame[:0].to_parquet(file)
    with pytest.raises(UserError, match=r"parquet: holds no rows"):
        GSM8K(path=str(file)).problems()
    frame.to_parquet(file)
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(UserError, match=r"parquet: expected a whole Parquet file, found a damaged one"):
        GSM8K(path=str(file)).problems()


def test_a_file_that_unpacks_to_more_than_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_data, "LARGEST", 100_000)
    sentence = "holds more than .* GiB uncompressed"
    bomb = tmp_path / "bomb.jsonl.gz"
    bomb.write_bytes(gzip.compress(b" " * 50_000_000))
    assert bomb.stat().st_size < 100_000
    with pytest.raises(UserError, match=rf"bomb\.jsonl\.gz: {sentence}"):
        GSM8K(path=str(bomb)).problems()
    table = tmp_path / "bomb.parquet"
    pd.DataFrame({"question": ["why? " * 1000] * 10_000, "answer": "#### 1"}).to_parquet(table)
    assert table.stat().st_size < 100_000
    with pytest.raises(UserError, match=rf"bomb\.parquet: {sentence}"):
        GSM8K(path=str(table)).problems()
    with pytest.raises(UserError, match=sentence):
        GSM8K(path=written(tmp_path, *ROWS * 100)).problems()
    assert len(GSM8K(path=written(tmp_path, *ROWS)).problems()) == 30


def test_a_failed_download_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise ConnectionError("no route to huggingface.co")

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=offline, config=None))
    with pytest.raises(UserError, match=r"openai/gsm8k.*no route.*benchmark\.path=FILE"):
        GSM8K().problems()


def test_the_test_split_is_requested_from_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def load_dataset(*names: object, **options: object) -> list[dict[str, str]]:
        asked.append((names, options))
        return ROWS

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset, config=None))
    assert len(GSM8K().problems()) == 30
    assert asked == [(("openai/gsm8k", "main"), {"split": "test"})]


PROBLEMS = [Problem(f"gsm8k/{n}", n, str(n), {}) for n in range(100)]


def ids(benchmark: GSM8K, problems: list[Problem] = PROBLEMS) -> list[str]:
    return [problem.id for problem in chosen(problems, benchmark)]


def test_limit_takes_the_first_and_a_seed_a_choice() -> None:
    assert ids(GSM8K()) == ids(GSM8K(limit=1000)) == [problem.id for problem in PROBLEMS]
    assert ids(GSM8K(limit=3)) == ["gsm8k/0", "gsm8k/1", "gsm8k/2"]
    # Written down, as the choice must not differ between machines or versions.
    assert ids(GSM8K(limit=4, subset_seed=0)) == ["gsm8k/14", "gsm8k/20", "gsm8k/23", "gsm8k/45"]
    assert ids(GSM8K(limit=4, subset_seed=1)) != ids(GSM8K(limit=4, subset_seed=0))


@given(st.integers(0, 2**63), st.integers(1, 99), st.integers(1, 99))
def test_a_larger_subset_contains_a_smaller_one_in_the_order_of_the_data(seed: int, few: int, more: int) -> None:
    few, more = sorted((few, more))
    small, large = ids(GSM8K(limit=few, subset_seed=seed)), ids(GSM8K(limit=more, subset_seed=seed))
    assert len(small) == few
    assert set(small) <= set(large)
    assert large == sorted(large, key=lambda name: int(name.partition("/")[2]))
    assert set(ids(GSM8K(limit=few, subset_seed=seed), PROBLEMS[::-1])) == set(small)


def test_sample_ids_come_in_their_order_and_are_checked() -> None:
    assert ids(GSM8K(sample_ids=("gsm8k/7", "gsm8k/3"))) == ["gsm8k/7", "gsm8k/3"]
    assert ids(GSM8K(sample_ids=("gsm8k/7", "gsm8k/3"), limit=1)) == ["gsm8k/7"]
    with pytest.raises(ConfigError, match=r"no problem 'gsm8k/777' .* Did you mean 'gsm8k/77'\?"):
        ids(GSM8K(sample_ids=("gsm8k/777",)))
    with pytest.raises(ConfigError, match="more than once"):
        ids(GSM8K(sample_ids=("gsm8k/7", "gsm8k/7")))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("d.jsonl", b'{"Question": "q", "answer": "#### 1"}', "question missing or not text. 'Question' may be meant"),
        ("d.jsonl", b'{"question": null, "answer": "#### 1"}', "question missing or not text (question is null)."),
        ("d.csv", b"question,answer\nq,1\n", "It may be CSV: save it as JSONL or Parquet."),
        ("d.jsonl", b'{"question": ' + b"9" * 5000 + b"}", "(Exceeds the limit (4300 digits))."),
        (
            "e.jsnl",
            None,
            "cannot be read (No such file or directory); expected a JSONL or Parquet file. Did you mean 'e",
        ),
        ("x\0y", None, "cannot be read (embedded null byte); expected a JSONL"),
    ],
)
def test_a_file_of_another_form_is_refused_by_what_it_has(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    (tmp_path / "e.jsonl").write_text("")
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=re.escape(message)) as refused:
        GSM8K(path=str(tmp_path / name)).problems()
    assert "set_int_max_str_digits" not in str(refused.value)
