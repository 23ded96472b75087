"""lm-eval's own task objects: finding and loading a task by name, its prompts and its scores.

lm-eval is not imported before a task is loaded.
"""

import hashlib
import inspect
import json
import logging
import random
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from dlm_length.benchmarks._data import local_rows
from dlm_length.benchmarks._execution import CodeExecution
from dlm_length.benchmarks._generation_kwargs import GenerationLimits, generation_limits
from dlm_length.benchmarks._lm_eval_code import CodeEval
from dlm_length.benchmarks.base import Prompt
from dlm_length.common import ConfigError, UserError, file_digest, first_few, listing, nearest, suggestion

SEEDS = (0, 1234)
"""lm-eval's seeds of `random` and `numpy.random` before it loads tasks, some of which draw random numbers."""
_LOCATION_FIELDS = ("dataset_path", "dataset_name", "dataset_kwargs", "custom_dataset", "tag", "task_alias")
"""Fields of a task's config that are not in its digest: where its data are, and how the task is listed."""
_GENERATION = "generate_until"

Metrics = Mapping[str, Any]
"""A task's metrics of one answer: name -> value."""


@dataclass(frozen=True)
class TaskRequest:
    """The fields of a config that determine a task; equal requests mean the same task over the same data."""

    task: str
    include_path: str | None
    path: str | None
    path_digest: str | None
    fewshot_path: str | None
    fewshot_digest: str | None
    num_fewshot: int | None
    fewshot_seed: int
    system_instruction: str | None
    apply_chat_template: bool
    fewshot_as_multiturn: bool
    gen_kwargs: str
    """Overrides of the task's generation_kwargs, as JSON so that requests are hashable."""
    confirm_run_unsafe_code: bool
    execution: CodeExecution


@dataclass
class LoadedTask:
    """One task, prepared as by lm-eval's evaluator."""

    request: TaskRequest
    task: Any
    """An `lm_eval.api.task.Task`."""
    docs: list[dict[str, Any]]
    """The documents to evaluate, in the order of the data."""
    limits: GenerationLimits
    code: CodeEval
    _contexts: "list[str | list[dict[str, str]]]" = field(default_factory=list)
    _metrics_lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def version(self) -> str:
        """The version that the task's file declares."""
        return str(self.task.VERSION)

    @property
    def shots(self) -> int:
        """Worked examples in each prompt."""
        return int(self.task.config.num_fewshot or 0)

    @cached_property
    def config_digest(self) -> str:
        """SHA-256 of the resolved config without the place of its files; functions count by their module's source."""
        config = {name: value for name, value in vars(self.task.config).items() if name not in _LOCATION_FIELDS}
        config["metadata"] = {
            name: value for name, value in (config.get("metadata") or {}).items() if name != "config_source"
        }
        return _digest(_plain(config))

    @cached_property
    def data_digest(self) -> str:
        """SHA-256 of the documents and, where prompts have worked examples, of those they are drawn from."""
        examples = list(self.task.sampler.df) if self.shots else []
        return _digest(_plain([self.docs, examples]))

    def target(self, index: int) -> str:
        """The reference answer as a text."""
        return str(self.task.doc_to_target(self.docs[index]))

    def prompt(self, index: int) -> Prompt:
        """The prompt of a document, identical to lm-eval's. Raises UserError where a template cannot be filled in.

        Worked examples are drawn for one document after the other, as lm-eval does in a run over all documents: a
        prompt does not depend on the selection of samples.
        """
        while len(self._contexts) <= index:
            self._contexts.append(self._context(len(self._contexts)))
        context = self._contexts[index]
        if isinstance(context, str):
            return Prompt(text=context)
        turns = [(str(turn["role"]), str(turn["content"])) for turn in context]
        prefill = turns.pop()[1] if turns[-1][0] == "assistant" else ""
        return Prompt(messages=tuple(turns), prefill=prefill)  # type: ignore[arg-type]  # lm-eval's roles are the same

    def _context(self, index: int) -> str | list[dict[str, str]]:
        """The context of a document, as in lm-eval's `Task.build_all_requests`."""
        doc, wanted = self.docs[index], self.request
        try:
            context = self.task.fewshot_context(
                doc,
                num_fewshot=self.shots,
                system_instruction=wanted.system_instruction,
                apply_chat_template=wanted.apply_chat_template,
                fewshot_as_multiturn=wanted.fewshot_as_multiturn,
                chat_template=_messages if wanted.apply_chat_template else None,
                gen_prefix=self.task.doc_to_prefix(doc),
            )
            made = self.task.construct_requests(
                doc=doc,
                ctx=context,
                metadata=(wanted.task, index, 1),
                apply_chat_template=wanted.apply_chat_template,
                chat_template=_messages if wanted.apply_chat_template else None,
            )
        except Exception as error:  # whatever the task's own code raises
            raise UserError(
                f"task {wanted.task!r}: document {index} gives no prompt ({type(error).__name__}: {error})."
            ) from error
        requests = made if isinstance(made, list) else [made]
        if [request.request_type for request in requests] != [_GENERATION]:
            kinds = listing(dict.fromkeys(request.request_type for request in requests))
            raise ConfigError(_refused_output(wanted.task, kinds))
        rendered = requests[0].arguments[0]
        assert isinstance(rendered, str | list), f"a context is a text or a list of messages, found {type(rendered)}"
        return rendered

    def evaluate(self, index: int, answer: str) -> tuple[dict[str, Any], dict[str, Metrics]]:
        """Filter -> what it extracts from an answer that was already cut, and filter -> metrics of that.

        Raises whatever the task's own code raises.
        """
        from lm_eval.api.instance import Instance

        doc = deepcopy(self.docs[index])
        instance = Instance(_GENERATION, doc, ("", {}), 0, (self.request.task, index, 1), resps=[answer])
        # Metrics of Hugging Face's `evaluate` write to one file each, and random ones (IFEval's, which draws a letter
        # where the prompt's is not one) share one generator. Programs in the sandbox are slow, and need no lock.
        with nullcontext() if self.code.used else self._one_at_a_time():
            for ensemble in self.task._filters:
                ensemble.apply([instance])
            extracted = dict(instance.filtered_resps)
            return extracted, {name: self.task.process_results(doc, [response]) for name, response in extracted.items()}

    @contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        """A lock among threads, with the same random numbers for every answer, whatever their order."""
        with self._metrics_lock:
            drawn = random.getstate()
            random.seed(SEEDS[0])
            try:
                yield
            finally:
                random.setstate(drawn)

    @property
    def filters(self) -> list[str]:
        """Names of the task's filters, in the task's order."""
        return [ensemble.name for ensemble in self.task._filters]

    @cached_property
    def sample_metrics(self) -> dict[str, Any]:
        """The metrics of an empty answer to the first document, which show the names and types of all metrics.

        Where they cannot be computed for an empty answer, the metrics that the task declares, with None as values.
        """
        try:
            _, metrics = self.evaluate(0, "")
            return dict(metrics[self.filters[0]])
        except Exception:  # noqa: BLE001 - whatever the task's own code raises
            return dict.fromkeys(self.task.aggregation())

    def is_mean(self, metric: str) -> bool:
        """Whether a metric is aggregated by the mean over samples."""
        from lm_eval.api.metrics import mean

        return self.task.aggregation().get(metric, mean) is mean

    def main_metric(self, wanted: str | None) -> str:
        """The metric that is a run's score: `wanted`, or the first suitable one.

        Suitable is a metric that is one number per sample, aggregated by the mean, where higher is better. Raises
        ConfigError where `wanted` is not suitable, or no metric is.
        """
        task, higher = self.request.task, self.task.higher_is_better()
        metrics = self.sample_metrics
        scores = [
            name
            for name, value in metrics.items()
            if _is_score(value) and self.is_mean(name) and higher.get(name, True)
        ]
        if wanted is None:
            if not scores:
                raise ConfigError(
                    f"task {task!r}: none of its metrics ({listing(metrics)}) can be a run's score, which is one number"
                    " per sample, aggregated by the mean, where higher is better."
                )
            return scores[0]
        if wanted not in scores:
            why = (
                ""
                if wanted not in metrics
                else ", which is not one number per sample, not aggregated by the mean, or better where it is lower"
            )
            raise ConfigError(
                f"benchmark.metric: found {wanted!r}{why}; task {task!r} has {listing(scores)}."
                f"{suggestion(wanted, scores)}"
            )
        return wanted

    def main_filter(self, wanted: str | None) -> str:
        """The filter whose output is a run's score: `wanted`, or the first. Raises ConfigError for an unknown one."""
        if wanted is not None and wanted not in self.filters:
            raise ConfigError(
                f"benchmark.filter: found {wanted!r}; task {self.request.task!r} has {listing(self.filters)}."
                f"{suggestion(wanted, self.filters)}"
            )
        return wanted or self.filters[0]


def _is_score(value: object) -> bool:
    """Whether a metric's value is one number, or unknown (None)."""
    return value is None or isinstance(value, bool | int | float | np.bool_ | np.number)


def _messages(turns: list[dict[str, str]], **_: object) -> list[dict[str, str]]:
    """Replaces the chat template: returns the turns, to which the checkpoint's template is applied later."""
    return turns


@lru_cache(maxsize=8)
def load_task(request: TaskRequest) -> LoadedTask:
    """The loaded task. Raises ConfigError for a task that does not exist or cannot be run here, UserError where its
    data or its code cannot be loaded.
    """
    require_lm_eval()
    code = CodeEval(request.execution)
    with _as_lm_eval_loads(), code.standing_in():
        config = _config_of(request.task, request.include_path)
        shots = _shots(request, config)
        _check_kind(request.task, config)
        limits = generation_limits(
            {**(config.get("generation_kwargs") or {}), **json.loads(request.gen_kwargs)},
            request.task,
            "benchmark.gen_kwargs={kwargs}",
        )
        local = _local_data(request, config, shots)
        task = _built(request, config, local)
        task.set_config(key="generation_kwargs", value=json.loads(request.gen_kwargs), update=True)
        task.set_config(key="num_fewshot", value=shots)
        task.set_fewshot_seed(seed=request.fewshot_seed)
        docs = [dict(doc) for doc in task.eval_docs]
    # A Python class may declare what a file declares in its fields.
    _check_kind(request.task, {"output_type": task.OUTPUT_TYPE, "repeats": task.config.repeats})
    if config.get("generation_kwargs") is None:  # lm-eval filled in its defaults
        limits = generation_limits(task.config.generation_kwargs, request.task, "benchmark.gen_kwargs={kwargs}")
    if getattr(task, "MULTIMODAL", False):
        raise ConfigError(f"task {request.task!r}: asks about images or sound, which no model here takes.")
    if getattr(task, "UNSAFE_CODE", False) and not code.used and not request.confirm_run_unsafe_code:
        raise ConfigError(
            f"task {request.task!r}: is scored by the task's own code, which runs what the model wrote in this process"
            " with all of its rights, outside the sandbox. benchmark.confirm_run_unsafe_code=true allows it, like"
            " lm-eval's option of that name."
        )
    return LoadedTask(request, task, docs, limits, code)


def require_lm_eval() -> None:
    """Raise ConfigError where lm-eval is not installed, saying what installs it."""
    if find_spec("lm_eval") is None:
        raise ConfigError("lm-eval is not installed. Install it with: pip install 'dlmlen[lm-eval]'")


@contextmanager
def _as_lm_eval_loads() -> Iterator[None]:
    """Global state as in lm-eval's evaluator when it loads tasks; restored on exit.

    The Python modules of task files are loaded again and removed afterwards, so that modules with the sandboxed
    `code_eval` are not used in a later evaluation by lm-eval itself, nor the reverse.
    """
    logger = logging.getLogger("lm_eval")
    level, drawn, drawn_by_numpy = logger.level, random.getstate(), np.random.get_state()
    before = _task_modules()
    for name in before:
        del sys.modules[name]
    logger.setLevel(logging.ERROR)
    random.seed(SEEDS[0])
    np.random.seed(SEEDS[1])
    try:
        yield
    finally:
        for name in _task_modules():
            del sys.modules[name]
        sys.modules.update(before)
        logger.setLevel(level)
        random.setstate(drawn)
        np.random.set_state(drawn_by_numpy)


def _task_modules() -> dict[str, ModuleType]:
    """The modules of `!function` files, which lm-eval's YAML loader marks with the modification time of their file."""
    return {name: module for name, module in sys.modules.items() if "__mtime__" in getattr(module, "__dict__", {})}


def _config_of(task: str, include_path: str | None) -> dict[str, Any]:
    """The config in a task's file, with its functions resolved. Raises ConfigError for an unknown task."""
    from lm_eval.tasks._yaml_loader import load_yaml

    file = _file_of(task, include_path)
    try:
        config: dict[str, Any] = load_yaml(file)
    except Exception as error:  # whatever the file's own modules raise
        raise UserError(f"task {task!r}: {file} cannot be loaded ({type(error).__name__}: {error}).") from error
    return config


def _file_of(task: str, include_path: str | None) -> Path:
    from lm_eval.tasks import TaskManager

    if include_path is not None:
        if not Path(include_path).is_dir():
            raise ConfigError(
                f"benchmark.include_path: found {include_path!r}, expected a folder of lm-eval's task files."
            )
        index = TaskManager(include_path=include_path, include_defaults=False).task_index
        if (entry := index.get(task)) is not None and entry.yaml_path is not None and _is_task(entry):
            return Path(entry.yaml_path)
    if (file := _packaged_file(task)) is not None:
        return file
    # Reading all of lm-eval's files takes seconds, and is only done for a name that no file declares in a `task:` line.
    manager = TaskManager(include_path=include_path)
    entry = manager.task_index.get(task)
    if entry is not None and entry.yaml_path is not None and _is_task(entry):
        return Path(entry.yaml_path)
    if entry is None:
        near = nearest(task, manager.all_subtasks, most=3)
        meant = f" Did you mean {listing(map(repr, near))}?" if near else ""
        raise ConfigError(
            f"benchmark.task: lm-eval has no task {task!r} among its {len(manager.all_subtasks):,}"
            f"{' and those of ' + include_path if include_path else ''}.{meant} `lm_eval ls tasks` lists them."
        )
    kind = entry.kind.name.lower()
    members = sorted(entry.tags) if kind == "tag" else _members(entry.cfg)
    raise ConfigError(
        f"benchmark.task: {task!r} is a {kind} of {len(members)} lm-eval tasks, and a run has one:"
        f" {first_few(members)}."
    )


def _is_task(entry: Any) -> bool:
    return entry.kind.name in ("TASK", "PY_TASK")


def _members(config: Mapping[str, Any] | None) -> list[str]:
    """Names of the tasks and groups in a group."""
    members = (config or {}).get("task") or []
    return [str(each.get("task") or each.get("group")) if isinstance(each, dict) else str(each) for each in members]


def _packaged_file(task: str) -> Path | None:
    """lm-eval's file that declares a task of this name in a line `task: NAME`; None where none does."""
    import lm_eval.tasks

    declared = re.compile(rb"^task:[ \t]*(['\"]?)" + re.escape(task.encode()) + rb"\1[ \t]*\r?$", re.MULTILINE)
    for file in sorted(Path(lm_eval.tasks.__file__).parent.rglob("*.yaml")):
        if declared.search(file.read_bytes()):
            return file
    return None


def _check_kind(task: str, config: Mapping[str, Any]) -> None:
    """Raise ConfigError for a task that no policy can answer."""
    if (kind := config.get("output_type")) not in (None, _GENERATION):
        raise ConfigError(_refused_output(task, kind))
    if (repeats := config.get("repeats") or 1) > 1:
        raise ConfigError(
            f"task {task!r}: scores {repeats} answers to each question together (repeats: {repeats}), while here each"
            " sample has a score of its own; benchmark.repeats runs a task under several seeds."
        )


def _refused_output(task: str, kind: str) -> str:
    return (
        f"task {task!r}: its output_type is {kind}, which asks a model for likelihoods; a length policy writes answers,"
        f" so that only tasks of output_type {_GENERATION} can be run."
    )


def _shots(request: TaskRequest, config: Mapping[str, Any]) -> int:
    """Number of worked examples, by lm-eval's rules. Raises ConfigError where the task does not allow an override."""
    declared = config.get("num_fewshot")
    if declared == 0 and request.num_fewshot:
        raise ConfigError(
            f"benchmark.num_fewshot: found {request.num_fewshot}, but task {request.task!r} fixes it at 0, and lm-eval"
            " lets nothing override that."
        )
    return request.num_fewshot if request.num_fewshot is not None else declared or 0


def _local_data(request: TaskRequest, config: Mapping[str, Any], shots: int) -> Mapping[str, Any] | None:
    """Split name -> rows of local files, in place of the task's data set; None where no file is given.

    Raises ConfigError where the files do not suffice for the task.
    """
    if request.path is None:
        if request.fewshot_path is not None:
            raise ConfigError("benchmark.fewshot_path: has no use without benchmark.path, the documents to evaluate.")
        return None
    evaluated = config.get("test_split") or config.get("validation_split")
    if evaluated is None:
        raise ConfigError(
            f"benchmark.path: task {request.task!r} declares no split to evaluate, and reads its own data."
        )
    examples = (config.get("fewshot_config") or {}).get("split") or config.get("fewshot_split")
    if examples is None and not (config.get("fewshot_config") or {}).get("samples"):
        examples = config.get("training_split") or config.get("validation_split")
    rows = _rows(request.path)
    fewshot_rows = rows if request.fewshot_path is None else _rows(request.fewshot_path)
    if shots and request.fewshot_path is None and examples not in (None, evaluated):
        raise ConfigError(
            f"benchmark.fewshot_path: missing; task {request.task!r} draws its {shots} worked examples from the split"
            f" {examples!r}, which benchmark.path does not have. Give a file of it, or benchmark.num_fewshot=0."
        )
    named = [config.get(f"{split}_split") for split in ("training", "validation", "test", "fewshot")]
    # lm-eval opens the split of worked examples even if no prompt has any.
    splits = [split for split in [*named, evaluated, examples] if split]
    return {split: rows if split == evaluated else fewshot_rows for split in splits}


def _rows(path: str) -> Any:
    import datasets

    rows = [row for _, row in local_rows(path)]
    names = dict.fromkeys(name for row in rows for name in row)
    try:
        return datasets.Dataset.from_dict({name: [row.get(name) for row in rows] for name in names})
    except Exception as error:  # of many kinds, where a column's values are of several types
        raise UserError(f"{path}: its rows are not a table ({type(error).__name__}: {str(error)[:200]}).") from error


def _built(request: TaskRequest, config: dict[str, Any], local: Mapping[str, Any] | None) -> Any:
    """The task object. Raises UserError where its data or its code cannot be loaded."""
    from lm_eval.tasks import TaskManager

    overrides: dict[str, Any] = {} if local is None else {"custom_dataset": _giving(local), "dataset_kwargs": None}
    try:
        loaded = TaskManager(include_defaults=False).load([{**config, **overrides}])
    except Exception as error:  # hub, cache, metric, the task's own code: for the user all mean that there is no task
        hint = "" if local is not None else _local_copy(config)
        raise UserError(
            f"task {request.task!r}: cannot be loaded ({type(error).__name__}: {str(error)[:300]}).{hint}"
        ) from error
    (task,) = loaded["tasks"].values()
    if local is not None and task.dataset is not local:
        raise ConfigError(f"benchmark.path: task {request.task!r} reads its own data and takes no other.")
    return task


def _local_copy(config: Mapping[str, Any]) -> str:
    """Advice on running without the hub; empty where the task's file does not name its data set."""
    if (data := config.get("dataset_path")) is None:
        return ""
    return f" Without a network, pass a local copy of {data}, as JSONL or Parquet: benchmark.path=FILE."


def _giving(local: Mapping[str, Any]) -> Callable[..., Mapping[str, Any]]:
    return lambda **_: local


def _plain(value: Any) -> Any:
    """`value` in JSON types, the same in every process; a function as its name and the digest of its module."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case Mapping():
            return {str(key): _plain(entry) for key, entry in value.items()}
        case list() | tuple() | set():
            return [_plain(entry) for entry in value]
    if hasattr(value, "__dataclass_fields__"):
        return _plain(vars(value))
    if callable(value):
        return [getattr(value, "__qualname__", type(value).__qualname__), _source_digest(value)]
    return str(value)


def _source_digest(function: Any) -> str | None:
    try:
        file = inspect.getsourcefile(inspect.unwrap(function))
    except TypeError:
        return None
    return None if file is None else file_digest(Path(file))


def _digest(value: Any) -> str:
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode(errors="surrogatepass")).hexdigest()


def plain_metric(value: Any) -> Any:
    """A metric's value for the records: a float or a list of floats; None for other values, such as texts."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool | int | float):
        return float(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        entries = [plain_metric(entry) for entry in value]
        return entries if entries and all(isinstance(entry, float) for entry in entries) else None
    return None
