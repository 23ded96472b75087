"""Any generation task of lm-eval, with prompts and scores by lm-eval's own task objects."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, JsonValue, PositiveFloat, model_validator

from dlm_length.benchmarks._data import chosen
from dlm_length.benchmarks._execution import CodeExecution
from dlm_length.benchmarks._lm_eval_tasks import LoadedTask, TaskRequest, load_task, plain_metric
from dlm_length.benchmarks.base import Benchmark, Column, Problem, Prompt, Score
from dlm_length.common import file_digest


class LmEval(CodeExecution, Benchmark):
    """Any task of lm-eval with written answers (output_type generate_until), with prompts and scores by lm-eval's code.

    Prompts are identical to the task's; an answer is cut at the task's stop strings, passed through its filters and
    scored by its metrics. Every filter and metric is recorded; `filter` and `metric` choose those of the score. Metrics
    that are computed over all samples at once (BLEU over a corpus) have no value per sample and are left out.
    """

    version: ClassVar[int] = 1
    title: ClassVar[str] = "lm-eval"
    source: ClassVar[str] = "EleutherAI/lm-evaluation-harness; pip install 'dlmlen[lm-eval]'"
    undecisive: ClassVar[tuple[str, ...]] = ("include_path", "fewshot_path")

    name: Literal["lm_eval"] = "lm_eval"
    task: str = Field(min_length=1)
    """Name of one task, such as gsm8k_cot: lm-eval's, or one of `include_path`. Groups and tags are refused."""
    include_path: str | None = None
    """A folder with your own task files, as lm-eval's --include_path. A relative name is relative to the config that
    names it, or else to the working directory."""
    path: str | None = None
    """A local file (JSONL or Parquet) with the documents to evaluate, in the form of the task's data set; None: the
    task's own data set."""
    fewshot_path: str | None = None
    """The same for the worked examples, where the task draws them from another split."""
    num_fewshot: int | None = Field(default=None, ge=0)
    """Worked examples in each prompt; None: the task's number."""
    fewshot_seed: int = Field(default=1234, ge=0)
    """Seed of the draw of worked examples; lm-eval's default."""
    system_instruction: str | None = None
    """A system message before everything else, as lm-eval's --system_instruction."""
    apply_chat_template: bool = False
    """Put the prompt into the checkpoint's chat template, as lm-eval's option of that name; else it is a bare text."""
    fewshot_as_multiturn: bool | None = None
    """Worked examples as turns of the chat; None: if and only if there is a chat template, as in lm-eval."""
    gen_kwargs: dict[str, JsonValue] | None = None
    """Overrides of the task's generation_kwargs, as lm-eval's --gen_kwargs; null removes a keyword. Used are until
    (stop strings) and max_gen_toks: a policy whose canvas may be longer is refused. A task that samples is refused, as
    the policy decides how tokens are drawn."""
    metric: str | None = None  # type: ignore[assignment,misc]  # a field, as the task decides which metrics there are
    """The metric that is the score, which must be aggregated by the mean; None: the first such metric of the task."""
    filter: str | None = None
    """The filter whose output is scored, such as strict-match or flexible-extract; None: the task's first filter."""
    metric_max: PositiveFloat = 1.0
    """The metric's largest value, by which values are divided, such as 100 for a metric in percent."""
    confirm_run_unsafe_code: bool = False
    """Run a task whose own code executes answers in this process, outside the sandbox. Tasks with the metric code_eval
    (HumanEval, MBPP) do not need it: `execute_code` runs their answers in the sandbox."""

    @model_validator(mode="after")
    def _multiturn_needs_a_chat(self) -> "LmEval":
        if self.fewshot_as_multiturn and not self.apply_chat_template:
            raise ValueError("fewshot_as_multiturn is allowed only with apply_chat_template: true, as in lm-eval")
        return self

    @property
    def _loaded(self) -> LoadedTask:
        return load_task(
            TaskRequest(
                task=self.task,
                include_path=_expanded(self.include_path),
                path=_expanded(self.path),
                path_digest=_file_digest(self.path),
                fewshot_path=_expanded(self.fewshot_path),
                fewshot_digest=_file_digest(self.fewshot_path),
                num_fewshot=self.num_fewshot,
                fewshot_seed=self.fewshot_seed,
                system_instruction=self.system_instruction,
                apply_chat_template=self.apply_chat_template,
                fewshot_as_multiturn=self.apply_chat_template and self.fewshot_as_multiturn is not False,
                gen_kwargs=json.dumps(self.gen_kwargs or {}, sort_keys=True),
                confirm_run_unsafe_code=self.confirm_run_unsafe_code,
                execution=CodeExecution(execute_code=self.execute_code, isolation=self.isolation, timeout=self.timeout),
            )
        )

    @property
    def label(self) -> str:
        return f"{self.name}:{self.task}"

    @property
    def main_metric(self) -> str:
        return self._loaded.main_metric(self.metric)

    @property
    def max_answer_tokens(self) -> int | None:
        return self._loaded.limits.max_gen_toks

    @property
    def data_digest(self) -> str | None:
        """SHA-256 of the documents, from whatever source."""
        return self._loaded.data_digest

    @property
    def prompt_version(self) -> str:
        return f"{self.task}/{self._loaded.version}"

    @property
    def prompt_digest(self) -> str | None:
        """SHA-256 of the task's resolved config."""
        return self._loaded.config_digest

    @property
    def prompt_description(self) -> str:
        import lm_eval

        loaded = self._loaded
        return (
            f"task {self.task}, version {loaded.version}, of lm-eval {lm_eval.__version__}, {loaded.shots}-shot,"
            f" sha256 {loaded.config_digest[:12]}, the task's own wording"
        )

    def problems(self) -> list[Problem]:
        loaded = self._loaded
        self._main()
        if loaded.code.used:
            self.check_execution()
        problems = [
            Problem(id=f"{self.task}/{index}", index=index, target=loaded.target(index), fields=doc)
            for index, doc in enumerate(loaded.docs)
        ]
        return chosen(problems, self)

    def prompt(self, problem: Problem) -> Prompt:
        return self._loaded.prompt(problem.index)

    def score(self, problem: Problem, answer: str) -> Score:
        loaded = self._loaded
        metric, filtering = self._main()
        answer = loaded.limits.cut(answer)
        try:
            with loaded.code.recording() as outcomes:
                extracted, metrics = loaded.evaluate(problem.index, answer)
        except Exception as error:  # noqa: BLE001 - whatever the task's own code raises for an answer
            reason = f"not scored: the task's own code failed ({type(error).__name__}: {str(error)[:200]})"
            return Score(None, answer, {}, {"reason": reason})
        texts = {name: _text(response) for name, response in extracted.items()}
        details = {
            _recorded_name(name, by, len(metrics)): value
            for by, of_filter in metrics.items()
            for name, raw in of_filter.items()
            if (value := plain_metric(raw)) is not None
        }
        if outcomes and not self.execute_code:
            return Score(None, texts[filtering], texts, outcomes[0])
        value = plain_metric(metrics[filtering].get(metric))
        recorded = {"reason": "scored", "filter": filtering, **details, **(outcomes[0] if outcomes else {})}
        if not isinstance(value, float) or not 0.0 <= value <= self.metric_max:
            recorded["reason"] = (
                f"not scored: {metric} is {value}, outside 0 to {self.metric_max:g}; benchmark.metric chooses another,"
                " benchmark.metric_max sets its largest value"
            )
            return Score(None, texts[filtering], texts, recorded)
        return Score(value / self.metric_max, texts[filtering], texts, recorded)

    def columns(self, scores: Mapping[str, Score]) -> dict[str, Column]:
        """The main metric, and every other one that is aggregated by the mean over samples or over all entries of their
        lists. A name ends in its filter where the task has several.
        """
        loaded = self._loaded
        main, _ = self._main()
        scored = {name: score for name, score in scores.items() if score.value is not None}
        if not scored:
            return {}
        columns: dict[str, Column] = {main: {name: (score.value or 0.0, 1.0) for name, score in scored.items()}}
        for metric in loaded.sample_metrics:
            for by in loaded.filters:
                name = _recorded_name(metric, by, len(loaded.filters))
                values = {sample: score.details.get(name) for sample, score in scored.items()}
                if name not in columns and (column := self._column(metric, values)) is not None:
                    columns[name] = column
        return columns

    def _column(self, metric: str, values: Mapping[str, Any]) -> Column | None:
        """The column of a metric from its values by sample; None where it is not a mean, or a sample has no value."""
        if all(isinstance(value, int | float) for value in values.values()):
            return (
                {name: (float(value), 1.0) for name, value in values.items()} if self._loaded.is_mean(metric) else None
            )
        if not all(isinstance(value, list) for value in values.values()):
            return None
        pooled = {name: (math.fsum(entries), float(len(entries))) for name, entries in values.items()}
        mean = math.fsum(value for value, _ in pooled.values()) / math.fsum(weight for _, weight in pooled.values())
        own = self._loaded.task.aggregation().get(metric)
        return pooled if callable(own) and math.isclose(own(list(values.values())), mean) else None

    def _main(self) -> tuple[str, str]:
        """The metric and the filter of the score. Raises ConfigError where the task does not have them."""
        return self.main_metric, self._loaded.main_filter(self.filter)


def _expanded(path: str | None) -> str | None:
    return None if path is None else os.path.expanduser(path)  # noqa: PTH111 - of any user's


def _file_digest(path: str | None) -> str | None:
    return None if path is None else file_digest(Path(_expanded(path) or ""))


def _recorded_name(metric: str, filtering: str, filters: int) -> str:
    """Such as `exact_match_strict-match`; only the metric's name where the task has one filter."""
    return metric if filters == 1 else f"{metric}_{filtering}"


def _text(response: Any) -> str | None:
    """A filter's output as text; the first one of a list, None for an empty list."""
    while isinstance(response, list | tuple) and response:
        response = response[0]
    return None if response is None or response == [] else str(response)
