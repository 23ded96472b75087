import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

pytest.importorskip("lm_eval")

import lm_eval.evaluator
from lm_eval import simple_evaluate
from lm_eval.api.instance import Instance
from lm_eval.api.registry import get_model
from lm_eval.tasks import TaskManager
from lm_eval_fixtures import write_rows, write_sums
from run_fixtures import Watch

from dlm_length.benchmarks._lm_eval_tasks import load_task
from dlm_length.common import ConfigError
from dlm_length.config import load_config
from dlm_length.lm_eval import LEDGER, DlmlenLM
from dlm_length.records import read_samples
from dlm_length.runner import run
from dlm_length.runner.rescore import score_answers

CONFIG = """\
model: llada-tiny
benchmark: {name: lm_eval, task: toy_sums, include_path: tasks}
policy: {name: smartcrop, length: 32, block_length: 8, tau: 0.9, temperature: 0.7}
hardware: cpu
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_sums(tmp_path / "tasks")
    (tmp_path / "sums.yaml").write_text(CONFIG)
    return tmp_path


def evaluated(model: DlmlenLM | str, **options: Any) -> dict[str, Any]:
    with patch.object(lm_eval.evaluator, "add_env_info"):  # which lists every package that is installed
        found = simple_evaluate(
            model,
            tasks=["toy_sums"],
            task_manager=TaskManager(include_path="tasks", include_defaults=False),
            bootstrap_iters=0,
            **options,
        )
    assert found is not None
    return dict(found)


def request(kwargs: dict[str, Any], kind: Any = "generate_until") -> Instance:
    return Instance(kind, {}, ("Question: 1?\nAnswer:", kwargs), 0, ("toy_sums", 0, 1))


@pytest.mark.parametrize("chat", [False, True])
def test_answers_and_costs_are_those_of_a_run_of_the_benchmark(folder: Path, chat: bool) -> None:
    if chat:  # a description is a system message, which the tiny model's template does not support
        file = folder / "tasks/toy_sums.yaml"
        file.write_text(re.sub("(?m)^description.*$", "", file.read_text()))
    config = load_config("./sums.yaml", [f"benchmark.apply_chat_template={str(chat).lower()}"])
    records = {record.id: record for record in read_samples(run(config, Watch()).path)}
    found = evaluated(
        "dlmlen", model_args="config=./sums.yaml", batch_size=1, apply_chat_template=chat, fewshot_as_multiturn=chat
    )
    samples = [sample for sample in found["samples"]["toy_sums"] if sample["filter"] == "strict-match"]
    assert len(samples) == len(records) == 6
    for sample in samples:
        record = records[f"toy_sums/{sample['doc_id']}"]
        ((context, kwargs),) = sample["arguments"]
        ((text,),) = sample["resps"]
        (cost,) = kwargs[LEDGER]
        assert context == record.prompt
        assert record.resps[0][0].startswith(text)
        assert sample["exact_match"] == record.details["exact_match_strict-match"]
        assert cost["id"] == record.id
        assert (cost["n_token"], cost["e_token"]) == (record.n_token, record.e_token)
        assert cost["prompt_length"] == record.prompt_length
        assert [tuple(each) for each in cost["trajectory"]] == [tuple(each) for each in record.trajectory]
        counted = record.ledger.total.model_dump(exclude={"seconds", "joules"})
        assert {
            name: value for name, value in cost["ledger"]["total"].items() if name not in ("seconds", "joules")
        } == counted
        json.dumps(kwargs)
    assert found["config"]["policy"] == config.policy.label
    assert found["config"]["dlmlen_config"]["policy"]["tau"] == 0.9
    assert bool(found.get("config", {}).get("dlmlen_version"))


def test_a_run_of_a_task_resumes_in_its_own_folder_and_scores_lm_eval_s_logs(folder: Path) -> None:
    config = load_config("./sums.yaml", ["benchmark.limit=4"])
    first = run(config, Watch())
    assert first.path.name.startswith("lm_eval-toy_sums__llada-tiny__smartcrop__")
    load_task.cache_clear()
    whole = run(load_config("./sums.yaml"), Watch())
    assert (whole.path, whole.generated, whole.metrics.samples) == (first.path, 2, 6)
    assert (whole.metrics.benchmark, whole.metrics.metric) == ("lm_eval:toy_sums", "exact_match")
    assert "task toy_sums, version 2.5" in whole.metrics.prompt
    logged = evaluated("dlmlen", model_args="config=./sums.yaml")["samples"]["toy_sums"]
    lines = [{key: sample[key] for key in ("doc_id", "doc", "resps", "filter")} for sample in logged]
    scored = score_answers(
        config.benchmark.with_every_problem(), write_rows(folder / "log.jsonl", lines), lambda *_: None
    )
    by_evaluator = {
        f"toy_sums/{each['doc_id']}": each["exact_match"] for each in logged if each["filter"] == "strict-match"
    }
    assert {name: score.value for name, score in scored.scores.items()} == by_evaluator


def test_a_canvas_that_may_be_longer_than_max_gen_toks_is_refused_before_generating(folder: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"canvas of up to 96 tokens, but lm_eval:toy_sums allows an answer at most 64"
    ):
        run(load_config("./sums.yaml", ["policy.length=96"]), Watch())
    allowed = load_config(
        "./sums.yaml", ["policy.length=96", "benchmark.gen_kwargs.max_gen_toks=96", "benchmark.limit=1"]
    )
    assert run(allowed, Watch()).generated == 1


def test_answers_are_cut_at_stop_strings_and_model_args_override_fields(folder: Path) -> None:
    policy = {"name": "fixed", "length": 16, "block_length": 8, "temperature": 1.0, "logits_eos_inf": True}
    model = DlmlenLM(config="./sums.yaml", **{f"policy.{field}": value for field, value in policy.items()})
    (whole,) = model.generate_until([request({"until": []})])
    assert len(whole) > 2
    stop = whole[len(whole) // 2]
    asked = [request({"until": [stop, "\n\n\n"]}), request({"until": stop})]
    assert model.generate_until([asked[0]]) == [whole.partition(stop)[0]]
    first, second = model.generate_until([asked[1], asked[1]])
    assert [cost["id"] for cost in asked[1].args[1][LEDGER]] == ["toy_sums/0", "toy_sums/0#1"]
    assert first == whole.partition(stop)[0]
    assert second != first  # another random stream: the second answer to the same request


def test_the_response_cache_is_filled_answer_by_answer_and_found_again(folder: Path) -> None:
    args = {"config": "./sums.yaml", "ledger": "costs.jsonl"}
    first = evaluated("dlmlen", model_args=dict(args), use_cache="cache", limit=4)
    again = evaluated("dlmlen", model_args=dict(args), use_cache="cache")
    assert len(Path("costs.jsonl").read_text().splitlines()) == 6
    for one, other in zip(first["samples"]["toy_sums"], again["samples"]["toy_sums"], strict=False):
        assert one["filter"] != other["filter"] or one["resps"] == other["resps"]
    assert all(LEDGER not in kwargs for sample in again["samples"]["toy_sums"] for _, kwargs in sample["arguments"])


@pytest.mark.parametrize(
    ("kwargs", "sentence"),
    [
        (
            {"until": [], "max_gen_toks": 31},
            r"at most 31 tokens \(max_gen_toks\), but policy .* may have a canvas of 32",
        ),
        ({"until": [], "do_sample": True, "temperature": 0.5}, r"""samples.*--gen_kwargs '\{"do_sample": false\}'"""),
        ({"until": [], "num_beams": 3}, "num_beams: 3, which no policy here follows"),
    ],
)
def test_what_the_policy_cannot_do_is_refused_before_weights_are_loaded(
    folder: Path, kwargs: dict[str, Any], sentence: str
) -> None:
    model = DlmlenLM(config="./sums.yaml")
    with pytest.raises(ConfigError, match=sentence):
        model.generate_until([request(kwargs)])
    assert "_engine" not in vars(model)


def test_the_suggested_limit_is_no_more_than_the_model_takes(folder: Path) -> None:
    longer = {"name": "daedal", "initial_length": 64, "max_length": 5000}
    model = DlmlenLM(config="./sums.yaml", **{f"policy.{field}": value for field, value in longer.items()})
    with pytest.raises(ConfigError, match=r"may have a canvas of 1024: .* --gen_kwargs max_gen_toks=1024\.$"):
        model.generate_until([request({"until": [], "max_gen_toks": 31})])
    model._limits(request({"until": [], "max_gen_toks": 1024}))


def test_likelihoods_and_policies_that_learn_from_runs_are_refused(folder: Path) -> None:
    model = DlmlenLM(config="./sums.yaml")
    for kind in ("loglikelihood", "loglikelihood_rolling"):
        with pytest.raises(ConfigError, match=rf"{kind} requests \(task toy_sums\) ask for likelihoods"):
            getattr(model, kind)([request({}, kind)])
    with pytest.raises(ConfigError, match="policy 'oracle': learns from finished runs"):
        DlmlenLM(config="./sums.yaml", policy="oracle")


def test_wrong_model_args_are_refused_with_the_nearest_name(folder: Path) -> None:
    with pytest.raises(ConfigError, match="config is missing"):
        DlmlenLM()
    with pytest.raises(ConfigError, match=r"policy\.tua: unknown field.*Did you mean 'tau'"):
        DlmlenLM(config="./sums.yaml", **{"policy.tua": 0.5})
    with pytest.raises(ConfigError, match="a checkpoint has one template"):
        DlmlenLM(config="./sums.yaml").chat_template("other")


def test_importing_the_module_registers_the_model_beside_lm_eval_s_own() -> None:
    assert get_model("dlmlen") is DlmlenLM
    assert get_model("dummy").__name__ == "DummyLM"


def test_a_sample_that_cannot_be_run_is_answered_by_nothing_and_says_why(folder: Path) -> None:
    model = DlmlenLM(config="./sums.yaml")
    asked = Instance("generate_until", {}, ("word " * 4000, {"until": []}), 0, ("toy_sums", 5, 1))
    assert model.generate_until([asked]) == [""]
    (cost,) = asked.args[1][LEDGER]
    assert "token" in cost["error"]


OURS = ("from dlm_length.cli.main import run; run()", "lm-eval", "run")
THEIRS = ("import dlm_length.lm_eval; from lm_eval.__main__ import cli_evaluate; cli_evaluate()",)


@pytest.mark.slow
@pytest.mark.parametrize("begin", [OURS, THEIRS], ids=["dlmlen lm-eval", "lm_eval"])
def test_the_command_is_lm_eval_s_own(folder: Path, begin: tuple[str, ...]) -> None:
    assert THEIRS[0] in (Path(__file__).parents[1] / "docs" / "lm_eval.md").read_text(), "as users are told"
    done = subprocess.run(
        [
            *(sys.executable, "-c", *begin),
            *("--model", "dlmlen", "--model_args", "config=./sums.yaml,policy.tau=0.5"),
            *("--tasks", "toy_sums", "--include_path", "tasks", "--limit", "2"),
            *("--output_path", "out", "--log_samples"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "|toy_sums|" in done.stdout
    (log,) = Path("out").glob("*/samples_toy_sums_*.jsonl")
    logged = [json.loads(line) for line in log.read_text().splitlines()]
    assert {line["arguments"]["gen_args_0"]["arg_1"][LEDGER][0]["id"] for line in logged} == {
        "toy_sums/0",
        "toy_sums/1",
    }
