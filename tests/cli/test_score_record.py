"""`dlmlen score RUN --record`: other scores of a run's answers, as the run that would have had them."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from dlm_length.benchmarks.gsm8k import GSM8K
from dlm_length.benchmarks.longformqa import LongFormQA
from dlm_length.cli.main import app
from dlm_length.common import ConfigError, UserError
from dlm_length.config import load_config
from dlm_length.engine import Generation
from dlm_length.models import Tokenizer
from dlm_length.records import RecordError, RunFolder, read_metrics, read_samples

CONFIG = "tiny_gsm8k_fixed"
SMALL = ("policy.length=4", "hardware.threads=1", "hardware.max_batch_tokens=512")
ROWS = [
    {"q_id": "bees", "title": "What did the bee do?", "answers": {"text": ["It walked.", "It flew away."]}},
    {"q_id": "ants", "title": "What did the ant do?", "answers": {"text": ["It talked."]}},
    {"q_id": "long", "title": "What did the worm do? " * 400, "answers": {"text": ["It ate."]}},
]
TIMES = {"forward_seconds", "wall_clock_seconds", "tokens_per_second"}
UNSTEMMED = "benchmark.stemming=false"


def dlmlen(*arguments: str) -> Result:
    done = CliRunner().invoke(app, arguments)
    assert done.exception is None, done.exception
    return done


def refusal(*arguments: str) -> UserError:
    done = CliRunner().invoke(app, arguments)
    assert isinstance(done.exception, UserError), done.exception or done.stdout
    return done.exception


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.name != ".lock"}


def unscored(samples: bytes) -> str:
    """Lines of samples.jsonl, byte for byte, without what scoring has found."""
    text = re.sub(r'"filtered_resps":.*?,"canvas_ids"', '"canvas_ids"', samples.decode())
    return re.sub(r'"score":.*?,"error"', '"error"', text)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The arguments of `dlmlen run` for three questions, the last of which is too long for the model."""
    monkeypatch.chdir(tmp_path)
    # Whatever the model that ships has learnt, stems matter.
    monkeypatch.setattr(Generation, "text", lambda _: "It was walking.")
    Path("qa.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return ["--config", CONFIG, "benchmark=longformqa", f"benchmark.path={tmp_path / 'qa.jsonl'}", *SMALL]


def path_of(settings: list[str], *others: str) -> Path:
    return load_config(settings[1], [*settings[2:], *others]).run_path


@pytest.fixture
def finished(settings: list[str]) -> Path:
    dlmlen("run", *settings)
    return path_of(settings)


def test_what_is_recorded_is_what_run_would_have_left(
    settings: list[str], finished: Path, no_model: Callable[[], None]
) -> None:
    before = contents(finished)
    dlmlen("run", *settings, UNSTEMMED, "output.directory=generated")
    generated = path_of(settings, UNSTEMMED, "output.directory=generated")
    no_model()
    done = dlmlen("score", str(finished), UNSTEMMED, "--record")
    recorded = path_of(settings, UNSTEMMED)
    assert f"Records: {recorded.absolute()}" in done.stdout
    assert contents(finished) == before

    assert contents(recorded).keys() == before.keys() - {"run.log"}, "nothing was generated, so there is no log of it"
    left = (generated / "config.yaml").read_text().replace("directory: generated", "directory: results")
    assert (recorded / "config.yaml").read_text() == left
    assert unscored((recorded / "samples.jsonl").read_bytes()) == unscored(before["samples.jsonl"])
    verdicts = [
        {r.id: (r.score, r.filtered_resps, r.extracted, r.details) for r in read_samples(path)}
        for path in (generated, recorded, finished)
    ]
    assert verdicts[0] == verdicts[1]
    assert [verdicts[0][name] != verdicts[2][name] for name in ("bees", "ants", "long")] == [True, False, False]
    numbers = [read_metrics(path).model_dump(exclude=TIMES) for path in (generated, recorded)]
    assert numbers[0] == numbers[1]
    assert (numbers[0]["scored"], numbers[0]["failed"]) == (2, 1)
    assert [getattr(read_metrics(recorded), name) for name in TIMES] == [
        getattr(read_metrics(finished), name) for name in TIMES
    ]

    again = dlmlen("run", *settings, UNSTEMMED)
    assert "Already finished" in again.stderr
    assert f"Records: {recorded}" in again.stdout


def test_the_environment_tells_that_a_run_was_scored_again_and_from_where(settings: list[str], finished: Path) -> None:
    (generating,) = json.loads((finished / "environment.json").read_text())
    dlmlen("score", str(finished), UNSTEMMED, "--record")
    once = path_of(settings, UNSTEMMED)
    dlmlen("score", str(once), "benchmark.multi_reference=false", "--record")
    (session,) = json.loads(
        (path_of(settings, UNSTEMMED, "benchmark.multi_reference=false") / "environment.json").read_text()
    )
    first, second = session.pop("rescored")
    assert session == generating
    assert (first["from"], second["from"]) == (str(finished.absolute()), str(once.absolute()))
    assert generating["started"] <= first["at"] <= second["at"]
    assert first["git_commit"] == generating["git_commit"]
    assert {"dlmlen", "python"} <= first.keys()


def test_code_that_was_only_recorded_is_executed_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_model: Callable[[], None]
) -> None:
    monkeypatch.chdir(tmp_path)
    solution = "def has_close_elements(n, t):\n    return any(abs(a - b) < t for i, a in enumerate(n) for b in n[:i])"
    monkeypatch.setattr(Generation, "text", lambda _: f"```python\n{solution}\n```")
    settings = ["--config", "tiny_humaneval_fixed", "benchmark.limit=2", *SMALL]
    dlmlen("run", *settings)
    no_model()
    executed = "benchmark.execute_code=true"
    done = dlmlen("score", str(path_of(settings)), executed, "--record", "--json")
    found = json.loads(done.stdout)
    assert (found["samples"], found["scored"], found["pass@1"]) == (2, 2, 0.5)
    assert f"Records: {path_of(settings, executed).absolute()}" in done.stderr
    assert "Already finished" in dlmlen("run", *settings, executed).stderr
    assert read_metrics(path_of(settings, executed)).score == 0.5


def test_without_record_other_settings_are_tried_and_nothing_is_written(finished: Path) -> None:
    before = contents(finished)
    shown = dlmlen("score", str(finished), UNSTEMMED).stdout
    assert "1 sample had another score before, or none: bees." in shown
    assert contents(finished) == before
    assert list(finished.parent.iterdir()) == [finished]


@pytest.mark.parametrize("place", [".", "..", "link"])
def test_the_run_is_written_beside_the_other_from_wherever_that_is_named(
    settings: list[str], finished: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Also inside the old run's folder, where `results` would be another."""
    wanted = path_of(settings, UNSTEMMED).absolute()
    if place == "link":
        moved = Path("elsewhere").absolute()
        finished.rename(moved)
        finished.symlink_to(moved, target_is_directory=True)
        place = str(finished)
    else:
        (finished / "sub").mkdir()
        monkeypatch.chdir(finished / "sub" if place == ".." else finished)
    dlmlen("score", place, UNSTEMMED, "--record")
    assert read_metrics(wanted)
    assert "has these scores already" in str(refusal("score", place, "--record"))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["benchmark.prompt_style=completion"], "3 samples have another prompt, in its text or its number of tokens: "),
        (["benchmark.limit=2", "benchmark.subset_seed=null"], "1 sample is not among the config's problems: long."),
        (["benchmark.sample_ids=[bees]"], "2 samples are not among the config's problems: "),
        (["benchmark.answer_field=title"], "3 samples have another reference answer: "),
        (["benchmark.question_field=q_id"], "3 samples have another prompt"),
        (["policy.length=5", UNSTEMMED], "'policy.length=5'; allowed: benchmark.FIELD=VALUE"),
        ([UNSTEMMED, "hardware.seed=1"], "'hardware.seed=1'; allowed: benchmark.FIELD=VALUE"),
        (["output.directory=elsewhere"], "'output.directory=elsewhere'; allowed: benchmark.FIELD=VALUE"),
        (["benchmark=gsm8k"], "'benchmark=gsm8k'; allowed: benchmark.FIELD=VALUE"),
        (["benchmark.name=gsm8k"], "'benchmark.name=gsm8k'; allowed: benchmark.FIELD=VALUE"),
        (["benchmark.steming=false"], "Did you mean 'stemming'?"),
        ([], "has these scores already, under this very config"),
        (["benchmark.stemming=true"], "has these scores already, under this very config"),
    ],
)
def test_what_would_be_another_runs_answers_is_refused(
    settings: list[str], finished: Path, overrides: list[str], message: str
) -> None:
    before = contents(finished)
    refused = refusal("score", str(finished), *overrides, "--record")
    assert isinstance(refused, RecordError if " sample" in message else ConfigError)
    assert message in str(refused)
    assert contents(finished) == before
    assert list(finished.parent.iterdir()) == [finished]


def test_data_and_tokenizers_that_changed_are_refused_at_once(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = [ROWS[0] | {"title": "And the bee?"}, *ROWS[2:], ROWS[1] | {"q_id": "new"}]
    Path("qa.jsonl").write_text("".join(json.dumps(row) + "\n" for row in changed))
    message = str(refusal("score", str(finished), UNSTEMMED, "--record"))
    assert (
        "1 sample has no recorded answer: new; 1 sample is not among the config's problems: ants;"
        " 1 sample has another prompt, in "
    ) in message
    assert "1 sample is another row of the data: long. The data must be the same" in message

    Path("qa.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    encode = Tokenizer.encode
    monkeypatch.setattr(Tokenizer, "encode", lambda *a, **k: [1, *encode(*a, **k)])
    assert "3 samples have another prompt" in str(refusal("score", str(finished), UNSTEMMED, "--record"))


def test_a_run_that_is_not_finished_or_not_whole_is_refused(finished: Path) -> None:
    metrics = (finished / "metrics.json").read_bytes()
    (finished / "metrics.json").unlink()
    assert "not finished; run it again to continue" in str(refusal("score", str(finished), UNSTEMMED, "--record"))
    (finished / "metrics.json").write_bytes(metrics)

    samples = finished / "samples.jsonl"
    lines = samples.read_text().splitlines(keepends=True)
    samples.write_text("".join(line for line in lines if '"id":"ants"' not in line))
    assert "1 sample has no recorded answer: ants." in str(refusal("score", str(finished), UNSTEMMED, "--record"))
    samples.unlink()
    assert "3 samples have no recorded answer: bees" in str(refusal("score", str(finished), UNSTEMMED, "--record"))
    samples.write_text("".join(lines))
    (finished / "environment.json").unlink()
    assert "does not say how its answers were made" in str(refusal("score", str(finished), UNSTEMMED, "--record"))
    assert list(finished.parent.iterdir()) == [finished]


def test_a_run_that_is_there_already_is_left_alone(settings: list[str], finished: Path) -> None:
    dlmlen("score", str(finished), UNSTEMMED, "--record")
    there = path_of(settings, UNSTEMMED)
    before = contents(there)
    assert "is there already, finished" in str(refusal("score", str(finished), UNSTEMMED, "--record"))
    (there / "metrics.json").unlink()
    assert "is begun already, and not finished" in str(refusal("score", str(finished), UNSTEMMED, "--record"))
    assert contents(there) == {name: text for name, text in before.items() if name != "metrics.json"}
    with RunFolder(there):
        assert "another process is writing it" in str(refusal("score", str(finished), UNSTEMMED, "--record"))


@pytest.mark.parametrize(
    "failing", ["dlm_length.records.run_folder.RunFolder.fill", "dlm_length.records.run_folder._line"]
)
def test_what_was_killed_before_the_samples_is_recorded_at_the_next_try(
    settings: list[str], finished: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    def kill(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(failing, kill)
        assert CliRunner().invoke(app, ["score", str(finished), UNSTEMMED, "--record"]).exit_code != 0
    assert not (path_of(settings, UNSTEMMED) / "samples.jsonl").exists()
    dlmlen("score", str(finished), UNSTEMMED, "--record")
    assert read_metrics(path_of(settings, UNSTEMMED)).scored == 2


def test_what_was_killed_before_the_metrics_is_finished_by_run(
    settings: list[str], finished: Path, monkeypatch: pytest.MonkeyPatch, no_model: Callable[[], None]
) -> None:
    def kill(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "finish", kill)
        assert CliRunner().invoke(app, ["score", str(finished), UNSTEMMED, "--record"]).exit_code != 0
    assert "Continue it with `dlmlen run`" in str(refusal("score", str(finished), UNSTEMMED, "--record"))
    no_model()
    dlmlen("run", *settings, UNSTEMMED)
    assert read_metrics(path_of(settings, UNSTEMMED)).scored == 2


def rouge2_counts_more(self: Any, problem: Any, answer: str, score: Callable[..., Any] = LongFormQA.score) -> Any:
    """A scorer that was mended, and not even in its main score."""
    scored = score(self, problem, answer)
    return type(scored)(scored.value, scored.answer, scored.extracted, scored.details | {"rouge2": 0.75})


def test_a_mended_scorer_needs_a_version_of_its_own(
    settings: list[str], finished: Path, monkeypatch: pytest.MonkeyPatch, no_model: Callable[[], None]
) -> None:
    no_model()
    monkeypatch.setattr(LongFormQA, "score", rouge2_counts_more)
    message = str(refusal("score", str(finished), "--record"))
    assert "2 samples score otherwise now (bees, ants)" in message
    assert f"raise LongFormQA.version, now {LongFormQA.version}, and record again" in message

    monkeypatch.setattr(LongFormQA, "version", LongFormQA.version + 1)
    dlmlen("score", str(finished), "--record")
    recorded = path_of(settings)
    assert recorded != finished
    assert read_metrics(recorded).metrics["rouge2"] == 0.75
    assert "Already finished" in dlmlen("run", *settings).stderr


def test_a_version_that_changed_the_prompts_cannot_be_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("gsm8k.jsonl").write_text(json.dumps({"question": "What is 2 plus 2?", "answer": "#### 4"}) + "\n")
    settings = ["--config", CONFIG, f"benchmark.path={tmp_path / 'gsm8k.jsonl'}", *SMALL]
    dlmlen("run", *settings)
    finished = path_of(settings)
    monkeypatch.setattr(GSM8K, "version", 2)
    prompt = GSM8K.prompt
    monkeypatch.setattr(GSM8K, "prompt", lambda *a: type(prompt(*a))(text="Two and two?"))
    assert "1 sample has another prompt" in str(refusal("score", str(finished), "--record"))


def test_a_run_with_an_old_style_name_is_taken_along_under_its_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_model: Callable[[], None]
) -> None:
    """Only the name changed: no answer has to be generated again."""
    monkeypatch.chdir(tmp_path)
    Path("gsm8k.jsonl").write_text(json.dumps({"question": "What is 2 plus 2?", "answer": "#### 4"}) + "\n")
    settings = ["--config", CONFIG, "benchmark.path=gsm8k.jsonl", *SMALL]
    dlmlen("run", *settings)
    finished = path_of(settings)
    old = finished.rename(finished.with_name("gsm8k__llada-tiny__fixed__00000000"))
    text = (old / "config.yaml").read_text()
    (old / "config.yaml").write_text(text.replace("style: text_cot_0shot", "style: lm_eval_cot_zeroshot"))
    no_model()
    message = str(refusal("score", str(old)))
    assert "found prompt_style 'lm_eval_cot_zeroshot', which is called 'text_cot_0shot' now" in message
    dlmlen("score", str(old), "benchmark.prompt_style=text_cot_0shot", "--record")
    assert "Already finished" in dlmlen("run", *settings).stderr


@pytest.mark.parametrize("own", [["policy.threshold=0.9"], ["policy={name: stop_at_eos, length: 4}"]])
def test_answers_of_an_earlier_version_of_the_policy_are_not_recorded_as_todays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: list[str]
) -> None:
    """A strict threshold, an EOS at the block's end: records of before they changed do not say their version."""
    monkeypatch.chdir(tmp_path)
    Path("gsm8k.jsonl").write_text(json.dumps({"question": "What is 2 plus 2?", "answer": "#### 4"}) + "\n")
    settings = ["--config", CONFIG, "benchmark.path=gsm8k.jsonl", *SMALL, *own]
    dlmlen("run", *settings)
    finished = path_of(settings)
    metrics = json.loads((finished / "metrics.json").read_text())
    assert metrics.pop("policy_version") == 2
    (finished / "metrics.json").write_text(json.dumps(metrics))
    message = str(refusal("score", str(finished), "benchmark.prompt_style=text_cot_5shot", "--record"))
    assert "its answers are of version 1 of policy" in message
    assert "whose version is 2 now" in message


def test_an_oracle_is_recorded_only_where_it_would_have_learnt_the_same(
    settings: list[str], monkeypatch: pytest.MonkeyPatch, no_model: Callable[[], None]
) -> None:
    """With stems the shorter canvas is right, without them only the longer one."""
    rows = [{"q_id": "bee", "title": "What did it do?", "answers": {"text": ["walked"]}}]
    Path("qa.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.setattr(Generation, "text", lambda g: "walked" if len(g.canvas_ids) == 6 else "walking")
    ladder = {length: [*settings, f"policy.length={length}"] for length in (4, 6)}
    for arm in ladder.values():
        dlmlen("run", *arm)
    learning = [a for a in settings if a != "policy.length=4"]
    learning = ["--config", "tiny_gsm8k_oracle", *learning[2:], "policy.ladder=[4, 6]"]
    dlmlen("run", *learning)
    oracle = path_of(learning)
    assert json.loads((oracle / "lengths.json").read_text()) == {"bee": 4}
    no_model()

    first = "benchmark.multi_reference=false"
    assert "there is none with policy.name=fixed" in str(refusal("score", str(oracle), first, "--record"))
    for changed in (first, UNSTEMMED):
        for arm in ladder.values():
            dlmlen("score", str(path_of(arm)), changed, "--record")
    dlmlen("score", str(oracle), first, "--record")
    assert contents(path_of(learning, first))["lengths.json"] == contents(oracle)["lengths.json"]
    assert "Already finished" in dlmlen("run", *learning, first).stderr
    message = refusal("score", str(oracle), UNSTEMMED, "--record")
    assert "policy 'oracle' learns its lengths from the scores of earlier runs" in str(message)
    assert not path_of(learning, UNSTEMMED).exists()


def test_lengths_that_were_dealt_out_go_along(settings: list[str]) -> None:
    dealt = ["--config", "tiny_gsm8k_random_length", *settings[2:], "policy.length=8"]
    dlmlen("run", *dealt)
    dlmlen("score", str(path_of(dealt)), UNSTEMMED, "--record")
    assert contents(path_of(dealt, UNSTEMMED))["lengths.json"] == contents(path_of(dealt))["lengths.json"]


def test_a_run_that_was_set_aside_is_no_longer_the_run_of_its_config(settings: list[str], finished: Path) -> None:
    shutil.move(finished, aside := finished.with_name(f"{finished.name}.old1"))
    dlmlen("run", *settings)
    assert f"run {finished.absolute()}: is there already" in str(refusal("score", str(aside), "--record"))
    dlmlen("score", str(aside), UNSTEMMED, "--record")
    assert read_metrics(path_of(settings, UNSTEMMED))


@pytest.mark.parametrize("arguments", [("--answers", "x.jsonl", "--benchmark", "gsm8k"), ()])
def test_only_a_runs_answers_can_be_recorded(settings: list[str], arguments: tuple[str, ...]) -> None:
    Path("x.jsonl").write_text("")
    assert "--record needs a run's folder" in str(refusal("score", *arguments, "--record"))


def test_broken_records_are_reported(finished: Path) -> None:
    (finished / "samples.jsonl").write_text("{}\n")
    message = refusal("score", str(finished), UNSTEMMED, "--record")
    assert isinstance(message, RecordError)
    assert "samples.jsonl, line 1" in str(message)
