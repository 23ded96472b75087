import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

pytest.importorskip("lm_eval")

import evaluate
from lm_eval.tasks._yaml_loader import load_yaml
from lm_eval_fixtures import write_rows, write_sums

from dlm_length.benchmarks import _lm_eval_tasks
from dlm_length.benchmarks.lm_eval import LmEval
from dlm_length.common import ConfigError, UserError
from dlm_length.config import load_config


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sums(tmp_path_factory.mktemp("tasks"))


def sums(folder: Path, **fields: Any) -> LmEval:
    return LmEval(task="toy_sums", include_path=str(folder), **fields)


def write_task(folder: Path, name: str, **changes: Any) -> LmEval:
    """A task like toy_sums with other fields; `...` removes one."""
    import yaml

    config = load_yaml(folder / "toy_sums.yaml") | {"task": name} | changes
    (folder / f"{name}.yaml").write_text(
        yaml.safe_dump({key: value for key, value in config.items() if value is not ...})
    )
    return LmEval(task=name, include_path=str(folder))


def test_answers_are_cut_filtered_and_scored_by_the_chosen_filter(folder: Path) -> None:
    benchmark = sums(folder)
    problem = benchmark.problems()[1]
    assert (problem.id, problem.index, problem.target) == ("toy_sums/1", 1, "2")
    after_a_stop = benchmark.score(problem, "#### 2\n\nand then #### 3 Question: 4")
    assert after_a_stop.value == 1.0
    assert after_a_stop.extracted == {"strict-match": "2", "flexible-extract": "2"}
    loose = benchmark.score(problem, "it is 2")
    assert (loose.value, loose.answer) == (0.0, "[invalid]")
    assert loose.details["exact_match_flexible-extract"] == 1.0
    assert sums(folder, filter="flexible-extract").score(problem, "it is 2").value == 1.0


def test_the_scores_are_aggregated_under_names_that_end_in_the_filter(folder: Path) -> None:
    benchmark = sums(folder)
    scores = {problem.id: benchmark.score(problem, "no 4, no #### 2") for problem in benchmark.problems()}
    expected = {"exact_match": 1 / 6, "exact_match_strict-match": 1 / 6, "exact_match_flexible-extract": 1 / 6}
    assert benchmark.aggregate(scores) == pytest.approx(expected)
    assert benchmark.main_metric == "exact_match"


def test_a_prompt_does_not_depend_on_the_selection_of_samples(folder: Path) -> None:
    whole = sums(folder)
    prompts = {problem.id: whole.prompt(problem) for problem in whole.problems()}
    _lm_eval_tasks.load_task.cache_clear()
    few = sums(folder, sample_ids=("toy_sums/4", "toy_sums/1"))
    assert [problem.id for problem in few.problems()] == ["toy_sums/4", "toy_sums/1"]
    assert {problem.id: few.prompt(problem) for problem in few.problems()}.items() <= prompts.items()
    assert sums(folder, limit=2).problems() == whole.problems()[:2]


def test_the_hash_has_the_task_and_its_data_but_not_their_place(folder: Path, tmp_path: Path) -> None:
    moved = write_sums(tmp_path / "elsewhere")

    def fingerprint(where: Path, *overrides: str) -> str:
        named = [f"benchmark={{name: lm_eval, task: toy_sums, include_path: {where}}}", *overrides]
        return load_config("tiny_gsm8k_fixed", named).fingerprint

    first = fingerprint(folder)
    assert fingerprint(moved) == first
    assert fingerprint(folder, "benchmark.limit=2") == first
    assert fingerprint(folder, "benchmark.num_fewshot=1") != first
    assert fingerprint(folder, "benchmark.fewshot_seed=1") != first
    assert fingerprint(folder, "benchmark.gen_kwargs.until=[x]") != first
    rows = [json.loads(line) for line in (moved / "test.jsonl").read_text().splitlines()]
    write_rows(moved / "test.jsonl", [*rows[:-1], rows[-1] | {"answer": "11"}])
    (moved / "cache").rename(moved / "old")
    _lm_eval_tasks.load_task.cache_clear()
    assert fingerprint(moved) != first
    edited = write_sums(tmp_path / "edited")
    text = (edited / "toy_sums.yaml").read_text()
    (edited / "toy_sums.yaml").write_text(text.replace("Answer:", "Result:"))
    assert fingerprint(edited) != first


def test_the_version_and_the_digest_are_recorded(folder: Path) -> None:
    description = sums(folder).prompt_description
    assert description.startswith("task toy_sums, version 2.5, of lm-eval ")
    assert "2-shot, sha256 " in description
    assert sums(folder).prompt_version == "toy_sums/2.5"


def test_local_files_replace_the_data_set(folder: Path, tmp_path: Path) -> None:
    documents = write_rows(tmp_path / "documents.jsonl", [{"question": "1 + 1?", "answer": "2", "name": "Bo"}])
    shown = write_rows(
        tmp_path / "shown.jsonl", [{"question": f"{n}?", "answer": f"{n}", "name": ""} for n in range(4)]
    )
    local = sums(folder, path=str(documents), fewshot_path=str(shown), num_fewshot=1)
    (problem,) = local.problems()
    assert (problem.target, problem.fields["question"]) == ("2", "1 + 1?")
    text = local.prompt(problem).text or ""
    assert text.startswith("Add up for Bo.\n\nQuestion: ")
    assert text.endswith("\n\nQuestion: 1 + 1?\nAnswer:")
    with pytest.raises(
        ConfigError, match=r"fewshot_path: missing; task 'toy_sums' draws its 2 worked examples.*'train'"
    ):
        sums(folder, path=str(documents)).problems()
    with pytest.raises(ConfigError, match="fewshot_path: has no use without"):
        sums(folder, fewshot_path=str(shown)).problems()
    torn = tmp_path / "torn.jsonl"
    torn.write_text('{"question": \n')
    with pytest.raises(UserError, match=r"torn\.jsonl, row 1: expected one JSON object"):
        sums(folder, path=str(torn), num_fewshot=0).problems()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"output_type": "multiple_choice"}, "its output_type is multiple_choice, which asks a model for likelihoods"),
        ({"output_type": "loglikelihood"}, "its output_type is loglikelihood"),
        ({"repeats": 4}, r"scores 4 answers to each question together \(repeats: 4\)"),
        (
            {"generation_kwargs": {"until": ["x"], "do_sample": True, "temperature": 0.2}},
            r'samples its answers.*benchmark.gen_kwargs=\{"do_sample": false\} and policy.temperature=0.2',
        ),
        ({"generation_kwargs": {"until": ["x"], "num_beams": 4}}, r'num_beams: 4.*gen_kwargs=\{"num_beams": null\}'),
        ({"generation_kwargs": {"until": 3}}, "generation_kwargs.until: found 3, expected a list of texts"),
        ({"metric_list": [{"metric": "ter"}]}, r"none of its metrics \(ter\) can be a run"),
        ({"unsafe_code": True}, "outside the sandbox. benchmark.confirm_run_unsafe_code=true allows it"),
        ({"dataset_kwargs": {"data_files": "nowhere.jsonl"}}, "cannot be loaded .*benchmark.path=FILE"),
    ],
)
def test_a_task_that_cannot_be_run_is_refused_with_the_reason(
    tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    benchmark = write_task(write_sums(tmp_path), "other", **changes)
    with pytest.raises(UserError, match=rf"task 'other': .*{sentence}"):
        benchmark.problems()


def test_keywords_for_which_a_task_is_refused_can_be_removed(tmp_path: Path) -> None:
    folder = write_sums(tmp_path)
    sampling = write_task(folder, "sampling", generation_kwargs={"until": ["x"], "do_sample": True, "temperature": 0.2})
    greedy = sampling.model_copy(update={"gen_kwargs": {"do_sample": False, "max_gen_toks": 9}})
    assert len(greedy.problems()) == 6
    assert greedy.max_answer_tokens == 9
    assert greedy.score(greedy.problems()[0], "#### 0 x").details["exact_match_strict-match"] == 1.0
    unsafe = write_task(folder, "unsafe", unsafe_code=True).model_copy(update={"confirm_run_unsafe_code": True})
    assert len(unsafe.problems()) == 6


def test_unknown_tasks_metrics_and_filters_are_errors_with_the_nearest_name(folder: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"metric: found 'exact'; task 'toy_sums' has exact_match. Did you mean 'exact_"
    ):
        sums(folder, metric="exact").problems()
    with pytest.raises(
        ConfigError, match=r"filter: found 'strict'; .* has strict-match or flexible-extract. Did you mean"
    ):
        sums(folder, filter="strict").problems()
    with pytest.raises(ConfigError, match="include_path: found '/nowhere', expected a folder"):
        LmEval(task="toy_sums", include_path="/nowhere").problems()
    with pytest.raises(ValidationError, match="only with apply_chat_template"):
        sums(folder, fewshot_as_multiturn=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "sentence"),
    [
        ("gsm8k_cott", r"no task 'gsm8k_cott' among its [\d,]+\. Did you mean 'gsm8k_cot'"),
        ("mmlu", "'mmlu' is a group of 4 lm-eval tasks, and a run has one: mmlu_stem"),
        ("math_word_problems", "'math_word_problems' is a tag of .* lm-eval tasks, and a run has one: "),
    ],
)
def test_groups_tags_and_unknown_tasks_are_refused_with_names(task: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        LmEval(task=task).problems()


def test_a_task_that_fixes_its_shots_refuses_others(tmp_path: Path) -> None:
    benchmark = write_task(write_sums(tmp_path), "fixed_shots", num_fewshot=0)
    assert (benchmark.prompt(benchmark.problems()[0]).text or "").count("Question:") == 1
    with pytest.raises(ConfigError, match="num_fewshot: found 3, but task 'fixed_shots' fixes it at 0"):
        benchmark.model_copy(update={"num_fewshot": 3}).problems()


def test_a_metric_beyond_one_is_divided_by_its_largest_value_or_left_unscored(tmp_path: Path) -> None:
    (tmp_path / "percent.py").write_text(
        "def score(doc, results):\n"
        "    if 'crash' in results[0]:\n"
        "        raise RuntimeError('no number')\n"
        "    return {'share': 100.0 * ('2' in results[0]), 'parts': [True, '4' in results[0]]}\n\n"
        "def pooled(items):\n"
        "    return sum(sum(each) for each in items) / sum(map(len, items))\n"
    )
    write_sums(tmp_path)
    text = (tmp_path / "toy_sums.yaml").read_text().replace("task: toy_sums", "task: percent")
    before, _, behind = text.partition("metric_list:")
    metrics = (
        "process_results: !function percent.score\nmetric_list:\n"
        "  - {metric: share, aggregation: mean, higher_is_better: true}\n  - metric: parts\n"
        "    aggregation: !function percent.pooled\n    higher_is_better: true\n"
    )
    (tmp_path / "percent.yaml").write_text(
        before + metrics + "generation_kwargs:" + behind.partition("generation_kwargs:")[2]
    )
    bare = LmEval(task="percent", include_path=str(tmp_path), gen_kwargs={"until": []})
    problem = bare.problems()[1]
    unscored = bare.score(problem, "#### 2")
    assert unscored.value is None
    assert "share is 100.0, outside 0 to 1" in unscored.details["reason"]
    scaled = bare.model_copy(update={"metric_max": 100.0})
    assert scaled.score(problem, "#### 2").value == 1.0
    failed = scaled.score(problem, "#### 2 crash")
    assert failed.value == 1.0  # the filter keeps the crash from the metric
    whole = scaled.model_copy(update={"filter": "flexible-extract"})
    scores = {each.id: whole.score(each, answer) for each, answer in zip(bare.problems()[:2], ("2", "4"), strict=True)}
    assert whole.aggregate(scores)["share"] == 0.5
    assert whole.aggregate(scores)["parts_flexible-extract"] == 0.75


def test_an_answer_for_which_the_tasks_own_code_fails_is_left_unscored(tmp_path: Path) -> None:
    (tmp_path / "fragile.py").write_text("def score(doc, results):\n    return {'length': 1 / len(results[0])}\n")
    write_sums(tmp_path)
    text = (tmp_path / "toy_sums.yaml").read_text().replace("task: toy_sums", "task: fragile")
    text = text.partition("filter_list:")[0] + "process_results: !function fragile.score\n"
    (tmp_path / "fragile.yaml").write_text(text.replace("metric: exact_match", "metric: length"))
    benchmark = LmEval(task="fragile", include_path=str(tmp_path))
    problem = benchmark.problems()[0]
    assert benchmark.score(problem, "x").value == 1.0
    empty = benchmark.score(problem, "")
    assert empty.value is None
    assert "ZeroDivisionError" in empty.details["reason"]


CODE = """\
import evaluate

metric = evaluate.load("code_eval")
metric.compute(references=["assert add(2, 3)==5"], predictions=[["def add(a,b): return a*b"]], k=[1])


def passed(references, predictions):
    return metric.compute(references=references, predictions=[[each] for each in predictions], k=[1])[0]["pass@1"]
"""


@pytest.fixture
def code_task(tmp_path: Path) -> Path:
    (tmp_path / "running.py").write_text(CODE)
    write_rows(tmp_path / "code.jsonl", [{"ask": "def one():\n    return", "test": "assert one() == 1"}])
    (tmp_path / "running.yaml").write_text(
        "task: running\nunsafe_code: true\ntest_split: test\ndoc_to_text: '{{ask}}'\ndoc_to_target: '{{test}}'\n"
        "dataset_path: json\nmetric_list:\n  - metric: !function running.passed\n    aggregation: mean\n"
        "    higher_is_better: true\ngeneration_kwargs: {until: ['\\n#']}\n"
    )
    return tmp_path


def test_code_of_an_answer_runs_in_the_sandbox_and_only_with_execute_code(code_task: Path) -> None:
    load, modules = evaluate.load, set(sys.modules)
    fields: dict[str, Any] = {"include_path": str(code_task), "path": str(code_task / "code.jsonl")}
    recorded = LmEval(task="running", **fields)
    (problem,) = recorded.problems()
    answer = "def one():\n    return 1\n"
    unscored = recorded.score(problem, answer)
    assert unscored.value is None
    assert "execute_code" in unscored.details["reason"]
    running = LmEval(task="running", execute_code=True, isolation="process_limits", **fields)
    scored = [
        running.score(problem, text) for text in (answer, answer.replace("1", "2"), "def one(:", answer + "\n# x")
    ]
    assert [score.value for score in scored] == [1.0, 0.0, 0.0, 1.0]
    assert [score.details["reason"] for score in scored] == ["passed", "wrong_answer", "syntax", "passed"]
    assert running.main_metric == "passed"
    assert evaluate.load is load
    assert not [name for name in set(sys.modules) - modules if name.endswith("running")]


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_lm_eval_tasks, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"lm-eval is not installed.*pip install 'dlmlen\[lm-eval\]'"):
        LmEval(task="gsm8k_never_asked_for").problems()


def test_lm_eval_is_not_imported_before_a_task_is_loaded() -> None:
    code = (
        "import sys; import dlm_length.cli.main; from dlm_length.benchmarks import benchmarks;"
        "benchmarks()['lm_eval'](task='gsm8k'); assert 'lm_eval' not in sys.modules, 'imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
