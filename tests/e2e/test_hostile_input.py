"""Whatever stands in an override, a checkpoint or a run's folder, a command ends in a sentence and never a traceback.

A seeded choice of a larger grid: every field of every kind with values that no field should have.
"""

import json
import random
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from dlm_length.cli.main import run
from dlm_length.common import UserError
from dlm_length.config import load_config
from dlm_length.config.sections import SECTIONS
from dlm_length.models import load_model
from dlm_length.runner import plan
from tests.conftest import WriteCheckpoint

SMALL = ("model.path=embedded:llada-tiny", "benchmark.limit=2", "hardware.max_batch_tokens=512")
VALUES = [
    *(
        "",
        "null",
        "0",
        "-1",
        "1",
        "1.5",
        "true",
        "x",
        "[]",
        "[1]",
        "[[]]",
        "{}",
        "{a: 1}",
        "~",
        "/dev/null",
        "[",
        "&a 1",
    ),
    *("99999999999", "1099511627776", "9" * 30, "9" * 400, "9" * 5_000, "1e400", "1e308", "1e-320", ".nan", "-.inf"),
    *("é漢\u202e", "\x1b[31m", "\x00", "\ud800", "a" * 5_000, "[" * 2_000 + "]" * 2_000),
]
"""Of an override."""
JSON_VALUES = [
    *("null", "0", "-1", "1", "2", "1.5", "true", "false", "NaN", "Infinity", "1e400", "1e308", "8000000000000"),
    *('""', '"x"', '"256"', '"false"', "[]", "[1]", "[null]", "{}", '{"a": 1}', '"\\ud800"', '"\\u0000"'),
    *("9" * 400, "9" * 5_000, "[" * 5_000 + "]" * 5_000, '"' + "a" * 20_000 + '"'),
]
"""Of a JSON file's field."""
CONTENTS = [
    *(
        b"",
        b"\n\n",
        b"null",
        b"[]",
        b"[null]",
        b"[1]",
        b"[[]]",
        b"[{}]",
        b"{}",
        b"{}\n{}\n",
        b'"x"\n',
        b"3\n",
        b"NaN\n",
    ),
    *(b"\xff\xfe\x00{}\n", b"\0" * 100 + b"\n", b"[" * 50_000 + b"\n", b'{"a":' * 50_000 + b"\n", b"9" * 5_000 + b"\n"),
    *(b"NaN\n", b"\xef\xbb\xbf{}", b"a: &a [*a]", b"!!python/object:os.system {}"),
]
"""Of a file."""
Command = Callable[..., tuple[int | str | None, str]]


@pytest.fixture
def dlmlen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Exit code and what is on standard error, of a command in this process."""
    monkeypatch.chdir(tmp_path)

    def dlmlen(*arguments: str) -> tuple[int | str | None, str]:
        monkeypatch.setattr(sys, "argv", ["dlmlen", *arguments])
        with pytest.raises(SystemExit) as left:
            run()
        return left.value.code, capsys.readouterr().err

    return dlmlen


def overrides() -> Iterator[tuple[str, ...]]:
    """Every field of every class that a config has, with every value."""
    for section, kind in SECTIONS.items():
        for schema in kind.classes():
            chosen = (f"{section}.name={schema.model_fields['name'].default}",) if kind.schema is None else ()
            for field in schema.model_fields:
                yield from ((*SMALL, *chosen, f"{section}.{field}={value}") for value in VALUES)


def sentence(action: Callable[[], object]) -> str | None:
    """What the user is told of an action that is refused; None of one that is not."""
    try:
        action()
    except UserError as error:
        return str(error)
    return None


def planned(changes: Sequence[str]) -> None:
    """A dry run, of benchmarks that ship with the package."""
    config = load_config("mini_gsm8k_fixed", changes)
    if config.benchmark.name.startswith("mini_"):
        plan(config)


@pytest.mark.parametrize("seed", range(4))
def test_hostile_overrides(seed: int) -> None:
    assert sentence(lambda: planned(SMALL)) is None, "without hostile values the config can be planned"
    for changes in random.Random(seed).sample(list(overrides()), 25):
        told = sentence(partial(planned, changes))
        assert told is None or 10 < len(told) < 3_000, changes


@pytest.mark.parametrize("field", ["policy.length", "policy.steps", "hardware.threads", "hardware.memory_gib"])
@pytest.mark.parametrize("value", ["99999999999", "1099511627776", "1e300"])
def test_a_number_beyond_every_machine_is_refused_with_its_bound(dlmlen: Command, field: str, value: str) -> None:
    code, told = dlmlen("run", "--dry-run", "--config", "mini_gsm8k_fixed", *SMALL, f"{field}={value}")
    assert code == 2
    assert f"Error: command line: {field}: found " in told
    assert "at most" in told


def test_samples_of_a_problem_are_bounded_before_any_is_made(dlmlen: Command) -> None:
    changes = [*SMALL, "benchmark.samples_per_problem=1099511627776"]
    code, told = dlmlen("run", "--dry-run", "--config", "mini_humaneval_fixed", *changes)
    assert code == 2
    assert "benchmark.samples_per_problem: found 1099511627776" in told


@pytest.mark.parametrize("policy", ["daedal", "rho_eos", "composed", "crop_insert"])
def test_a_longest_canvas_beyond_the_model_ends_a_dry_run_at_once(dlmlen: Command, policy: str) -> None:
    """Such a run has samples that fail when they outgrow the model: what it costs is known without going on."""
    changes = [*SMALL, f"policy.name={policy}", "policy.max_length=1048576"]
    code, _ = dlmlen("run", "--dry-run", "--config", "mini_gsm8k_fixed", *changes)
    assert code == 0


@pytest.mark.parametrize("seed", range(4))
def test_hostile_fields_of_a_checkpoint(write_checkpoint: WriteCheckpoint, seed: int) -> None:
    folder = write_checkpoint()
    originals = {name: json.loads((folder / name).read_text()) for name in ("config.json", "tokenizer_config.json")}
    extra = {
        "config.json": ("rope_scaling", "n_kv_heads", "clip_qkv"),
        "tokenizer_config.json": ("bos_token", "unk_token"),
    }
    grid = [
        (name, field, value)
        for name, fields in originals.items()
        for field in (*fields, *extra[name])
        for value in (None, *JSON_VALUES)
    ]
    for name, field, value in random.Random(seed).sample(grid, 40):
        written = {key: json.dumps(entry) for key, entry in originals[name].items() if key != field}
        written |= {} if value is None else {field: value}
        text = ", ".join(f"{json.dumps(key)}: {entry}" for key, entry in written.items())
        (folder / name).write_text(f"{{{text}}}")
        told = sentence(lambda: load_model(str(folder), device="cpu").tokenizer.chat_text([("user", "one")]))
        assert told is None or ("checkpoint " in told and len(told) < 2_000), (name, field, value)
        (folder / name).write_text(json.dumps(originals[name]))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two finished runs."""
    place = tmp_path_factory.mktemp("finished")
    for length in ("4", "5"):
        own = [*SMALL, f"policy.length={length}", f"output.directory={place}"]
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(sys, "argv", ["dlmlen", "run", "--config", "mini_gsm8k_fixed", *own])
            with pytest.raises(SystemExit, match="0"):
                run()
    return place


def damage(file: Path, random_: random.Random) -> str:
    """Change a file in one of many ways; which one."""
    content = file.read_bytes()
    way = random_.choice(["content", "content", "content", "cut", "folder", "absent", "link to itself"])
    file.unlink()
    match way:
        case "content":
            file.write_bytes(content := random_.choice(CONTENTS))
            return f"{content[:20]!r}"
        case "cut":
            file.write_bytes(content[: random_.randrange(len(content))])
        case "folder":
            file.mkdir()
        case "link to itself":
            file.symlink_to(file)
    return way


@pytest.mark.parametrize("seed", range(12))
def test_a_damaged_run_is_reported_in_a_sentence(finished: Path, tmp_path: Path, dlmlen: Command, seed: int) -> None:
    random_ = random.Random(seed)
    place = tmp_path / "place"
    shutil.copytree(finished, place)
    broken, whole = sorted(place.glob("*/*"))
    name = ("config.yaml", "environment.json", "samples.jsonl", "metrics.json")[seed % 4]
    way = damage(broken / name, random_)
    own = [*SMALL, "policy.length=4", f"output.directory={place}"]
    for command in (
        ["compare", str(broken), str(whole)],
        ["report", str(place), "--no-figures", "--format", "markdown", "--out", str(tmp_path / "report")],
        ["score", str(broken), "--record"],
        ["run", "--config", "mini_gsm8k_fixed", *own],
        ["sweep", "policy.length=4,5", "--config", "mini_gsm8k_fixed", *SMALL, own[-1], "--dry-run"],
    ):
        code, told = dlmlen(*command)
        assert code in (0, 1, 2), (name, way, command)
        assert not code or "Error: " in told, (name, way, command, told)
