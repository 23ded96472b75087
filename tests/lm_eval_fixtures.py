"""lm-eval tasks over local data, and lm-eval's own evaluation of given answers, for the tests of both directions."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import lm_eval.evaluator
import lm_eval.tasks
from lm_eval import simple_evaluate
from lm_eval.api.model import LM
from lm_eval.tasks import TaskManager
from lm_eval.tasks._yaml_loader import load_yaml

TASKS = Path(lm_eval.tasks.__file__).parent
QUESTIONS = [
    {
        "question": f"A shelf has {n} books. {n + 1} more come. How many are there?",
        "answer": f"{n} + {n + 1}\n#### {2 * n + 1}",
    }
    for n in range(3, 11)
]
EXAMPLES = [
    {
        "question": f"Tom has {n} pens and loses 2. How many has he?",
        "answer": f"{n} - 2 = <<{n}-2={n - 2}>>\n#### {n - 2}",
    }
    for n in range(20, 32)
]
SUMS = """\
task: toy_sums
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/test.jsonl, train: {folder}/train.jsonl}}, cache_dir: {folder}/cache}}
training_split: train
fewshot_split: train
test_split: test
description: "Add up for {{{{name}}}}.\\n\\n"
doc_to_text: "Question: {{{{question}}}}\\nAnswer:"
doc_to_target: "{{{{answer}}}}"
metric_list:
  - {{metric: exact_match, aggregation: mean, higher_is_better: true, regexes_to_ignore: [","]}}
generation_kwargs: {{until: ["Question:", "\\n\\n"], max_gen_toks: 64, do_sample: false, temperature: 0.0}}
num_fewshot: 2
filter_list:
  - name: strict-match
    filter: [{{function: regex, regex_pattern: "#### (-?[0-9]+)"}}, {{function: take_first}}]
  - name: flexible-extract
    filter: [{{function: regex, group_select: -1, regex_pattern: "(-?[0-9]+)"}}, {{function: take_first}}]
metadata: {{version: 2.5}}
"""


def write_rows(file: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def write_sums(folder: Path) -> Path:
    """A folder with the task `toy_sums`: six questions, worked examples drawn at random from nine others."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, count in (("test", 6), ("train", 9)):
        rows = [{"question": f"{split} {n} + {n}?", "answer": str(2 * n), "name": "Ada"} for n in range(count)]
        write_rows(folder / f"{split}.jsonl", rows)
    (folder / "toy_sums.yaml").write_text(SUMS.format(folder=folder))
    return folder


def redirected(file: str, cache: Path, **data_files: Path) -> dict[str, Any]:
    """One of lm-eval's own task files with its data set in local files, by split."""
    files = {split: str(path) for split, path in data_files.items()}
    own = {
        "dataset_path": "json",
        "dataset_name": None,
        "dataset_kwargs": {"data_files": files, "cache_dir": str(cache)},
    }
    return {**load_yaml(TASKS / file), **own}


class ScriptedLM(LM):
    """Answers as it is told, cut at stop strings as lm-eval's own models cut; keeps what it was asked."""

    def __init__(self, answers: Sequence[str]) -> None:
        super().__init__()
        self.answers = answers
        self.contexts: list[Any] = []

    def generate_until(self, requests: list[Any]) -> list[str]:
        texts = []
        for request in requests:
            context, kwargs = request.args
            self.contexts.append(context)
            text = self.answers[request.doc_id % len(self.answers)]
            for stop in kwargs["until"]:
                text = text.split(stop)[0]
            texts.append(text)
        return texts

    def loglikelihood(self, requests: list[Any]) -> list[tuple[float, bool]]:
        raise AssertionError(f"no task of these tests asks for likelihoods: {requests}")

    loglikelihood_rolling = loglikelihood

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        turns = "".join(f"<{turn['role']}>{turn['content']}" for turn in chat_history)
        return turns + "<assistant>" * add_generation_prompt

    tokenizer_name = "scripted"


def by_lm_eval(config: Mapping[str, Any], answers: Sequence[str], **options: Any) -> tuple[list[Any], dict[str, Any]]:
    """The contexts that lm-eval asks, and its results: `samples` and `results`. The i-th document gets the i-th answer,
    from the first again where there are fewer."""
    model = ScriptedLM(answers)
    with patch.object(lm_eval.evaluator, "add_env_info"):  # which lists every package that is installed
        evaluated = simple_evaluate(
            model,
            tasks=[dict(config)],
            task_manager=TaskManager(include_defaults=False),
            bootstrap_iters=0,
            confirm_run_unsafe_code=True,
            **{"fewshot_as_multiturn": False, **options},
        )
    assert evaluated is not None
    return model.contexts, dict(evaluated)
