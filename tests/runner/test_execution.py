"""One run: what it leaves on disk, and that it can be stopped and repeated at will."""

import hashlib
import json
import math
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from run_fixtures import Watch

import dlm_length.runner.execution
import dlm_length.runner.model
from dlm_length.benchmarks import Benchmark
from dlm_length.config import RunConfig, load_config
from dlm_length.models import MaskPredictor
from dlm_length.policies import build_policy
from dlm_length.records import RecordError, RunFolder, RunMetrics, SampleRecord, read_metrics, read_samples
from dlm_length.reports import run_table
from dlm_length.runner import plan, run, run_together

Configure = Callable[..., RunConfig]
Timeless = Callable[[Sequence[SampleRecord]], dict[str, dict[str, Any]]]
TIMES = {"forward_seconds", "wall_clock_seconds", "tokens_per_second"}
IDS = [f"gsm8k/{number}" for number in range(4)]


def counted(metrics: RunMetrics) -> dict[str, Any]:
    return metrics.model_dump(exclude=TIMES)


def test_a_record_says_what_was_asked_answered_and_paid(
    configure: Configure, watch: Watch, tiny_model: MaskPredictor
) -> None:
    config = configure("policy.block_length=4")
    finished = run(config, watch)
    assert (finished.path, finished.generated) == (config.run_path, 4)
    records = {record.id: record for record in read_samples(finished.path)}
    assert sorted(records) == IDS
    sizes, tokenizer = tiny_model.architecture, tiny_model.tokenizer
    for problem in config.benchmark.problems():
        record = records[problem.id]
        assert (record.doc_id, record.target) == (problem.index, problem.target)
        assert record.prompt == f"Q: {problem.fields['question']}\nA: Let's think step by step."
        prompt = len(tokenizer.encode(record.prompt, templated=False))
        assert (record.prompt_length, record.n_token, record.processed_length) == (prompt, 8, prompt + 8)
        assert len(record.canvas_ids) == 8
        assert record.e_token == sum(token != tiny_model.tokens.eos for token in record.canvas_ids)
        assert record.resps == [[tokenizer.decode(record.canvas_ids)]]
        assert record.trajectory == [(8, 8)]
        length, cost = prompt + 8, record.ledger.total
        rows = 2 * (4 + 3 + 2 + 1)  # the masks of each block as it fills
        assert (cost.nfe, cost.length_sum, cost.length_squared_sum) == (8, 8 * length, 8 * length * length)
        assert cost.head_rows == rows
        backbone = 8 * sizes.forward_flops(length)
        assert cost.flops_reference == backbone + sizes.head_flops(8 * length)
        assert cost.flops_executed == backbone + sizes.head_flops(rows)
        assert record.ledger.probe.model_dump() == dict.fromkeys(type(cost).model_fields, 0) | {"joules": None}
        assert record.score in (0.0, 1.0)
        assert record.filtered_resps == [record.extracted["flexible"]]
        assert record.error is None
        assert record.session == 0
    elapsed = [record.elapsed for record in read_samples(finished.path)]
    assert elapsed == sorted(elapsed)


@pytest.fixture
def threads() -> Iterator[None]:
    """Puts torch's number of threads back."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_the_folder_says_how_the_run_was_made(configure: Configure, watch: Watch, threads: None) -> None:
    config = configure("hardware.threads=3", "hardware.seed=5")
    path = run(config, watch).path
    assert load_config(path / "config.yaml") == config
    (session,) = json.loads((path / "environment.json").read_text())
    assert {name: session[name] for name in ("device", "threads", "dtype", "seed", "max_batch_tokens", "profile")} == {
        "device": "cpu",
        "threads": 3,
        "dtype": "float32",
        "seed": 5,
        "max_batch_tokens": 200,
        "profile": "cpu",
    }
    assert session["torch"]
    assert session["attention"] == "grouped"
    assert session["prompt"] == "text_cot_0shot/1, form of lm-eval's gsm8k_cot_zeroshot, our wording"
    assert session["data_sha256"] == hashlib.sha256(Path(config.benchmark.path or "").read_bytes()).hexdigest()
    assert {"python", "transformers", "started", "git_commit", "dlmlen", "device_name"} <= session.keys()


def test_progress_counts_what_is_on_disk(configure: Configure, watch: Watch) -> None:
    run(configure(), watch)
    assert watch.counts == [(done, 4) for done in range(5)]
    assert watch.phases == ["preparing the prompts", "loading the model", "generating"]
    assert watch.notices == []


DLMLEN = "from dlm_length.cli.main import run; run()"


def lines(path: Path) -> int:
    file = path / "samples.jsonl"
    return file.read_bytes().count(b"\n") if file.exists() else 0


def when_on_disk(count: int, path: Path, process: subprocess.Popen[str], then: signal.Signals) -> None:
    """Send a signal once that many samples are on disk; the process must not have ended by itself."""
    until = time.monotonic() + 120
    while lines(path) < count:
        assert process.poll() is None, f"ended before: {process.communicate()}"
        assert time.monotonic() < until, "nothing was generated"
        time.sleep(0.002)
    process.send_signal(then)


def test_a_killed_run_goes_on_where_it_stopped(
    configure: Configure,
    watch: Watch,
    command: Callable[[RunConfig], list[str]],
    python: Callable[..., list[str]],
    timeless: Timeless,
) -> None:
    """SIGKILL at whatever moment two samples were on disk, and as if it had hit the writing of a line."""
    asked = [f"What is {number} plus {number * number}?" for number in range(12)]
    settings = {"asked": asked, "name": "tiny_gsm8k_smartcrop"}
    overrides = ("policy.length=32", "policy.temperature=0.7", "hardware.max_batch_tokens=1")
    config = configure(*overrides, **settings)
    killed = subprocess.Popen(
        python(DLMLEN, *command(config)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    when_on_disk(2, config.run_path, killed, signal.SIGKILL)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    before = read_samples(config.run_path)
    assert 2 <= len(before) < len(asked), "the kill came too late to mean anything"
    assert not (config.run_path / "metrics.json").exists()
    with (config.run_path / "samples.jsonl").open("ab") as file:
        file.write(before[0].model_dump_json().replace(before[0].id, "gsm8k/11").encode()[:200])

    finished = run(config, watch)
    assert finished.generated == len(asked) - len(before)
    assert watch.counts[0] == (len(before), len(asked))
    records = read_samples(finished.path)
    assert records[: len(before)] == before
    assert sorted(record.doc_id for record in records) == list(range(len(asked)))
    assert [record.session for record in records] == [0] * len(before) + [1] * finished.generated
    assert len(json.loads((finished.path / "environment.json").read_text())) == 2

    whole = run(configure(*overrides, where="whole", **settings), watch)
    assert whole.path.name == finished.path.name
    assert timeless(records) == timeless(read_samples(whole.path))
    assert counted(finished.metrics) == counted(whole.metrics)


def test_an_interrupted_run_goes_on_where_it_stopped(
    configure: Configure, watch: Watch, interrupting: Callable[[int], Watch], timeless: Timeless
) -> None:
    config = configure("hardware.max_batch_tokens=1")
    for done in (0, 1, 3):
        with pytest.raises(KeyboardInterrupt):
            run(config, interrupting(done))
        assert lines(config.run_path) == done
    finished = run(config, watch)
    assert finished.generated == 1
    whole = run(configure(where="whole"), watch)
    assert timeless(read_samples(finished.path)) == timeless(read_samples(whole.path))
    assert counted(finished.metrics) == counted(whole.metrics)


def test_a_kill_between_the_last_sample_and_the_metrics(configure: Configure, watch: Watch) -> None:
    config = configure()
    before = run(config, watch)
    (before.path / "metrics.json").unlink()
    again = run(config, watch)
    assert again.generated == 0
    assert again.metrics == before.metrics == read_metrics(before.path)


@pytest.mark.parametrize(
    "overrides",
    [[], ["policy.temperature=0.7", "policy.remasking=random"], ["policy.threshold=0.6", "policy.block_length=4"]],
)
@pytest.mark.parametrize("arm", ["fixed", "smartcrop"])
def test_the_batch_budget_changes_no_record(
    configure: Configure, watch: Watch, timeless: Timeless, arm: str, overrides: list[str]
) -> None:
    seen = []
    for budget in ("1", "150", "16384"):
        name, where = f"tiny_gsm8k_{arm}", f"budget{budget}"
        config = configure(*overrides, f"hardware.max_batch_tokens={budget}", name=name, where=where)
        finished = run(config, watch)
        seen.append((timeless(read_samples(finished.path)), counted(finished.metrics)))
    assert seen[0] == seen[1] == seen[2]


def test_an_automatic_budget_is_that_of_the_dry_run_and_is_recorded(
    configure: Configure, watch: Watch, timeless: Timeless
) -> None:
    config = configure("hardware.max_batch_tokens=auto")
    finished = run(config, watch)
    (session,) = json.loads((finished.path / "environment.json").read_text())
    assert session["max_batch_tokens"] == plan(config).max_batch_tokens > 1
    little = configure("hardware.max_batch_tokens=auto", "hardware.memory_gib=0.03", where="little")
    assert plan(little).max_batch_tokens < session["max_batch_tokens"], "no more than the profile's memory allows"
    plain = run(configure(where="plain"), watch)
    assert timeless(read_samples(finished.path)) == timeless(read_samples(plain.path))


def test_how_numbers_were_rounded_is_recorded(configure: Configure, watch: Watch) -> None:
    overrides = ["hardware.dtype=auto", "hardware.device=cpu", "hardware.batch_invariant=true"]
    (session,) = json.loads((run(configure(*overrides), watch).path / "environment.json").read_text())
    assert (session["dtype"], session["fused"], session["batch_invariant"]) == ("float32", False, True)


def test_a_budget_that_was_halved_is_noted_in_the_record(
    configure: Configure, watch: Watch, timeless: Timeless, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = run(configure(where="plain"), watch)
    whole = MaskPredictor.hidden

    def cramped(self: MaskPredictor, token_ids: Any, positions: Any, attend: Any) -> Any:
        if len(token_ids) > 150:
            raise torch.OutOfMemoryError("as a GPU would say it")
        return whole(self, token_ids, positions, attend)

    monkeypatch.setattr(MaskPredictor, "hidden", cramped)
    finished = run(configure("hardware.max_batch_tokens=400"), watch)
    (session,) = json.loads((finished.path / "environment.json").read_text())
    assert session["max_batch_tokens"] == 400
    assert session["notes"]
    assert all("out of memory in a forward of" in note for note in session["notes"])
    assert timeless(read_samples(finished.path)) == timeless(read_samples(plain.path))


def test_a_sample_longer_than_the_model_is_recorded_and_stops_no_other(
    configure: Configure, watch: Watch, write_checkpoint: Callable[..., Path]
) -> None:
    asked = ["What is 1 plus 1?", "What is " + "1 plus " * 200 + "1?", "What is 2 plus 2?"]
    config = configure(f"model.path={write_checkpoint()}", asked=asked)
    finished = run(config, watch)
    records = {record.doc_id: record for record in read_samples(finished.path)}
    assert sorted(records) == [0, 1, 2]
    long = records[1]
    assert long.error is not None
    assert f"a prompt of {long.prompt_length} and a canvas of 8 tokens" in long.error
    assert "the model takes at most 128" in long.error
    assert long.score is None
    assert long.details["reason"] == "not generated"
    assert (long.ledger.total.nfe, long.trajectory) == (0, [])
    assert records[0].error is records[2].error is None
    metrics = finished.metrics
    assert (metrics.samples, metrics.scored, metrics.failed) == (3, 2, 1)
    assert metrics.prompt_length == (records[0].prompt_length + records[2].prompt_length) / 2
    assert metrics.nfe == 8, "a mean over what ran"
    assert run(config, watch).generated == 0, "a failed sample is not tried again"


def test_a_finished_run_is_not_run_again(configure: Configure, watch: Watch, no_model: Callable[[], None]) -> None:
    config = configure()
    first = run(config, watch)
    no_model()
    files = {file.name: file.read_bytes() for file in first.path.iterdir()}
    second = run(config, watch)
    assert (second.generated, second.metrics) == (0, first.metrics)
    assert {file.name: file.read_bytes() for file in first.path.iterdir()} == files


def test_fresh_sets_the_earlier_run_aside(configure: Configure, watch: Watch, timeless: Timeless) -> None:
    config = configure()
    first = run(config, watch)
    before = (first.path / "samples.jsonl").read_bytes()
    second = run(config, watch, fresh=True)
    assert second.generated == 4
    (told,) = watch.notices
    aside = first.path.with_name(f"{first.path.name}.old1")
    assert told == f"earlier records were moved to {aside}"
    assert (aside / "samples.jsonl").read_bytes() == before
    assert timeless(read_samples(aside)) == timeless(read_samples(second.path))


def test_another_number_format_does_not_join_a_run(configure: Configure, watch: Watch) -> None:
    """Neither a finished one, nor an unfinished one; a fresh start may."""
    config = configure()
    half = configure("hardware.dtype=bfloat16")
    assert half.run_path == config.run_path
    path = run(config, watch).path
    with pytest.raises(RecordError, match="was begun in float32, but would continue in bfloat16"):
        run(half, watch)
    (path / "metrics.json").unlink()
    with pytest.raises(RecordError, match="was begun in float32, but would continue in bfloat16"):
        run(half, watch)
    assert len(read_samples(path)) == 4
    assert run(half, watch, fresh=True).generated == 4


def test_another_content_of_the_data_file_is_another_run(configure: Configure, watch: Watch) -> None:
    config = configure()
    path = run(config, watch).path
    data = Path(config.benchmark.path or "")
    data.write_text(data.read_text().replace("17 plus 25", "18 plus 25"))
    again = run(config, watch)
    assert (again.path == path, again.generated) == (False, 4)
    assert {len(read_samples(folder)) for folder in (path, again.path)} == {4}


def test_a_run_goes_on_from_another_folder(
    configure: Configure,
    watch: Watch,
    interrupting: Callable[[int], Watch],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its data and its prompt were named relative to the folder where it began."""
    data = Path(configure().benchmark.path or "")
    monkeypatch.chdir(data.parent)
    Path("ask.yaml").write_text('source: mine\ntext: "Question: {{question}} Answer:"\n')
    own = ["benchmark.prompt_file=ask.yaml", f"benchmark.path={data.name}", "hardware.max_batch_tokens=1"]
    config = configure(*own)
    with pytest.raises(KeyboardInterrupt):
        run(config, interrupting(2))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    again = run(load_config(config.run_path / "config.yaml"), watch)
    assert (again.path, again.generated) == (config.run_path, 2)
    assert again.metrics.prompt == f"prompt file sha256 {config.benchmark.prompt_digest[:12]}, mine"
    assert all(record.prompt.startswith("Question: ") for record in read_samples(again.path))


def test_metrics_say_which_version_of_the_policy_it_was(configure: Configure, watch: Watch) -> None:
    assert run(configure(), watch).metrics.policy_version == 1
    assert run(configure("policy.threshold=0.9"), watch).metrics.policy_version == 2


@pytest.fixture
def from_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the data were the hub's: their content can change under their name, which is all that a run's name has."""
    monkeypatch.setattr(Benchmark, "data_digest", None)


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.usefixtures("from_the_hub")
def test_other_questions_under_the_same_name_do_not_join_a_run(
    configure: Configure, watch: Watch, finished: bool
) -> None:
    config = configure()
    path = run(config, watch).path
    if not finished:
        (path / "metrics.json").unlink()
    data = Path(config.benchmark.path or "")
    data.write_text(data.read_text().replace("17 plus 25", "18 plus 25").replace("#### 3", "#### 30"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dlm_length.runner.model, "load_model", None)
        with pytest.raises(RecordError, match="answer other problems") as refused:
            run(config, watch)
    assert "gsm8k/3" in str(refused.value)
    assert "--fresh" in str(refused.value)
    assert run(config, watch, fresh=True).generated == 4


@pytest.mark.usefixtures("from_the_hub")
def test_another_prompt_does_not_join_a_run(configure: Configure, watch: Watch) -> None:
    """Where the target stays and only the question changes, the record's prompt tells."""
    config = configure()
    path = run(config, watch).path
    (path / "metrics.json").unlink()
    data = Path(config.benchmark.path or "")
    data.write_text(data.read_text().replace("17 plus 25", "18 plus 25"))
    with pytest.raises(RecordError, match=r"answer other problems .*: 1 sample has another prompt.*: gsm8k/1\."):
        run(config, watch)


def test_other_weights_under_the_same_name_do_not_join_a_run(
    configure: Configure,
    watch: Watch,
    interrupting: Callable[[int], Watch],
    write_checkpoint: Callable[..., Path],
) -> None:
    folder, other = write_checkpoint(seed=1), write_checkpoint(seed=2)
    config = configure(f"model.path={folder}", "hardware.max_batch_tokens=1")
    with pytest.raises(KeyboardInterrupt):
        run(config, interrupting(2))
    shutil.copy(other / "model.safetensors", folder)
    with pytest.raises(RecordError, match="was begun with other weights under the same name"):
        run(config, watch)
    assert len(read_samples(config.run_path)) == 2
    assert run(config, watch, fresh=True).generated == 4


def test_a_run_held_elsewhere_is_refused_before_a_model_is_loaded(
    configure: Configure, watch: Watch, no_model: Callable[[], None]
) -> None:
    no_model()
    config = configure()
    with RunFolder(config.run_path), pytest.raises(RecordError, match="another process is writing it"):
        run(config, watch)


def test_code_is_not_executed_unless_allowed(configure: Configure, watch: Watch) -> None:
    config = configure("benchmark.limit=3", name="tiny_humaneval_fixed")
    finished = run(config, watch)
    for record in read_samples(finished.path):
        assert record.score is None
        assert record.details["reason"].startswith("not executed: set benchmark.execute_code=true")
        assert record.prompt.startswith("<|user|>Complete the following python code:\n")
        assert record.prompt.endswith("<|assistant|>")
    assert (finished.metrics.score, finished.metrics.scored, finished.metrics.failed) == (None, 0, 0)
    assert json.loads((finished.path / "metrics.json").read_text())["score"] is None


def test_metrics_are_those_of_the_samples(configure: Configure, watch: Watch) -> None:
    """Worked out again from the lines of samples.jsonl by plain arithmetic, answers counted by the text recorded."""
    asked = ["What is 2 plus 2?", "Tom has 3 apples and buys 4 more. How many?", "What is " + "9 plus " * 300 + "9?"]
    config = configure("policy.length=24", asked=asked, name="tiny_gsm8k_smartcrop")
    finished = run(config, watch)
    rows = [json.loads(line) for line in (finished.path / "samples.jsonl").read_text().splitlines()]
    ran = [row for row in rows if row["error"] is None]
    assert (len(rows), len(ran)) == (3, 2)
    eos = 1
    words = [sum(token != eos for token in row["canvas_ids"]) for row in ran]
    canvases = [len(row["canvas_ids"]) for row in ran]
    costs = [row["ledger"]["total"] for row in rows]
    expected = {
        "schema_version": 2,
        "benchmark": "gsm8k",
        "metric": "exact_match",
        "model": "llada-tiny",
        "policy": "smartcrop",
        "policy_label": "smartcrop 24 tau 0.9",
        "policy_role": "method",
        "lengths_charged": True,
        "series_field": "tau",
        "policy_version": 1,
        "benchmark_version": config.benchmark.version,
        "prompt": "text_cot_0shot/1, form of lm-eval's gsm8k_cot_zeroshot, our wording",
        "samples": 3,
        "scored": 2,
        "failed": 1,
        "score": sum(row["score"] for row in ran) / 2,
        "prompt_length": sum(row["prompt_length"] for row in ran) / 2,
        "n_token": sum(canvases) / 2,
        "e_token": sum(words) / 2,
        "processed_length": sum(row["prompt_length"] + len(row["canvas_ids"]) for row in ran) / 2,
        "e_ratio": sum(words) / sum(canvases),
        "nfe": sum(1 + canvas for canvas in canvases) / 2,
        "probe_nfe": 1.0,
        "flops_reference": sum(cost["flops_reference"] for cost in costs),
        "flops_executed": sum(cost["flops_executed"] for cost in costs),
        "probe_flops_reference": sum(row["ledger"]["probe"]["flops_reference"] for row in rows),
        "runs_together": 1,
        "devices": 1,
        "uncached": 0,
        "with_masks_left": 0,
    }
    apart = {"metrics", "stderr", "intervals", "sample_ids", "termination"}
    assert finished.metrics.model_dump(exclude=TIMES | apart) == pytest.approx(expected)
    assert finished.metrics.sample_ids == ("gsm8k/0", "gsm8k/1", "gsm8k/2")
    assert finished.metrics.termination == ("<|endoftext|>",)
    names = [f"exact_match{extraction}" for extraction in ("", "_strict", "_flexible", "_boxed")]
    means = {name: sum(row["details"].get(name, row["score"]) for row in ran) / 2 for name in names}
    assert finished.metrics.metrics == pytest.approx(means)
    assert read_metrics(finished.path) == finished.metrics
    assert finished.metrics.flops_executed < finished.metrics.flops_reference
    assert 0 < finished.metrics.probe_flops_reference < finished.metrics.flops_reference
    wall = max(row["elapsed"] for row in rows)
    assert finished.metrics.wall_clock_seconds == wall
    assert finished.metrics.tokens_per_second == pytest.approx(sum(words) / wall)
    assert math.isclose(finished.metrics.forward_seconds, sum(cost["seconds"] for cost in costs))
    assert finished.metrics.forward_seconds <= wall


def test_wall_clock_adds_the_sessions_up(
    configure: Configure, watch: Watch, interrupting: Callable[[int], Watch]
) -> None:
    config = configure("hardware.max_batch_tokens=1")
    with pytest.raises(KeyboardInterrupt):
        run(config, interrupting(2))
    finished = run(config, watch)
    records = read_samples(finished.path)
    last = [max(record.elapsed for record in records if record.session == number) for number in (0, 1)]
    assert finished.metrics.wall_clock_seconds == pytest.approx(sum(last))


def test_the_seed_is_part_of_the_run(configure: Configure, watch: Watch) -> None:
    overrides = ("policy.temperature=1.5", "policy.remasking=random")
    one, other = (configure(*overrides, f"hardware.seed={seed}") for seed in (1, 2))
    assert one.run_path != other.run_path
    answers = [{each.id: each.canvas_ids for each in read_samples(run(config, watch).path)} for config in (one, other)]
    assert answers[0] != answers[1]


def test_a_profile_for_another_machine_says_so(configure: Configure, watch: Watch) -> None:
    run(configure("hardware.device_name=H100", "hardware.memory_gib=12345"), watch)
    device, memory = watch.notices
    assert "hardware profile 'cpu' is for a device named 'H100', found " in device
    assert "hardware profile 'cpu' says 12345 GiB of memory, found " in memory


def test_a_score_that_fails_is_our_fault_and_loses_nothing(
    configure: Configure, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configure("hardware.max_batch_tokens=1")
    benchmark = type(config.benchmark)
    score = benchmark.score

    def failing(self: Any, problem: Any, answer: str) -> Any:
        if problem.index == 2:
            raise RuntimeError("bug in a scorer")
        return score(self, problem, answer)

    with monkeypatch.context() as patch:
        patch.setattr(benchmark, "score", failing)
        with pytest.raises(RuntimeError, match="bug in a scorer"):
            run(config, watch)
    kept = {record.doc_id for record in read_samples(config.run_path)}
    assert 2 not in kept
    assert run(config, watch).generated == 4 - len(kept)
    assert sorted(record.doc_id for record in read_samples(config.run_path)) == [0, 1, 2, 3]


UNFILLED = """from typing import Literal
from dlm_length.denoising import Query, Stat, StatSpec
from dlm_length.policies import Policy
class Mine(Policy):
    \"\"\"Mine.\"\"\"
    source = "none"
    name: Literal["mine"] = "mine"
    filled: int = 3
    def denoise(self, canvas):
        canvas.append_masks(5)
        answer = yield Query(canvas, canvas.all, StatSpec(Stat.BEST_UNMASKED))
        canvas.commit(canvas.all[: self.filled], answer.unmasked_token[: self.filled])
"""


def test_masks_that_a_policy_leaves_are_said_once_and_recorded(
    configure: Configure, watch: Watch, tmp_path: Path
) -> None:
    file = tmp_path / "my_policy.py"
    file.write_text(UNFILLED)
    runs = [
        configure().model_copy(update={"policy": build_policy("mine", file=file, filled=filled)}) for filled in (3, 5)
    ]
    unfilled, filled = run_together(runs, watch).finished
    assert [record.masks_left for record in read_samples(unfilled.path)] == [2] * 4
    assert (unfilled.metrics.with_masks_left, filled.metrics.with_masks_left) == (4, 0)
    assert unfilled.metrics.scored == 4, "scored without them, as reference implementations do"
    (note,) = watch.notices
    assert note.startswith(f"policy 'mine' of {file} left 2 [MASK] tokens on the canvas of sample gsm8k/")
    assert note.endswith("denoise should end when no position is masked")
    for made, notes in ((unfilled, [note]), (filled, [])):
        (session,) = json.loads((made.path / "environment.json").read_text())
        assert session.get("notes", []) == notes
        assert ("[MASK]" in (made.path / "run.log").read_text()) == bool(notes)
    (table_note,) = [each for each in run_table([unfilled.path]).all_notes if "[MASK]" in each]
    assert table_note.startswith("4 samples ended with [MASK] tokens on the canvas")
    assert not [each for each in run_table([filled.path]).all_notes if "[MASK]" in each]


def test_masks_that_were_requested_are_said_without_advice(configure: Configure, watch: Watch) -> None:
    config = configure(
        *("policy.loop=sdar", "policy.block_length=4", "policy.masks_behind=true"),
        name="tiny_gsm8k_block_causal",
        length=64,
    )
    made = run(config, watch)
    assert made.metrics.with_masks_left > 0
    (note,) = watch.notices
    assert note.startswith("policy 'block_causal' left ")
    assert note.endswith("count as effective tokens (e_token)")


def test_the_masks_of_a_sample_that_could_not_be_run_are_not_its_policys(
    configure: Configure, watch: Watch, write_checkpoint: Callable[..., Path]
) -> None:
    asked = ["What is 1 plus 1?", "What is " + "1 plus " * 200 + "1?"]
    made = run(configure(f"model.path={write_checkpoint()}", asked=asked), watch)
    assert [record.masks_left for record in read_samples(made.path)] == [0, 0]
    assert (made.metrics.failed, made.metrics.with_masks_left) == (1, 0)
