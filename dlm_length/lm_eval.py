"""The model `dlmlen` of lm-eval: its evaluations with any model, policy and decoder of this package.

Importing this module registers the model, so that `lm_eval.simple_evaluate(model="dlmlen", ...)` finds it; from the
shell, `dlmlen lm-eval` is the command `lm_eval` with the model registered.
"""

import json
import logging
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

try:
    import lm_eval.models
    from lm_eval.api.instance import Instance
    from lm_eval.api.model import LM
    from lm_eval.api.registry import register_model
except ImportError as error:
    from dlm_length.benchmarks import require_lm_eval

    require_lm_eval()
    raise ImportError(f"lm-eval is installed, but cannot be imported ({error})") from error

from tqdm import tqdm

from dlm_length import __version__
from dlm_length.benchmarks import GenerationLimits, generation_limits
from dlm_length.common import ConfigError
from dlm_length.config import RunConfig, load_config
from dlm_length.denoising import Denoiser
from dlm_length.engine import Engine, Generation
from dlm_length.engine.estimate import upper_bound
from dlm_length.models import Tokenizer, load_architecture, load_tokenizer
from dlm_length.policies.precomputed_lengths import LengthsFromRuns
from dlm_length.runner.model import batch_budget, load

assert lm_eval.models, "its import fills the registry, which lm-eval does by itself only while nothing is registered"

LEDGER = "dlmlen"
"""The key of what each answer cost, among the generation arguments of lm-eval's sample logs."""
LM_EVAL_DEVICE = "cuda:0"
"""What lm-eval's command says where no --device was given."""
_log = logging.getLogger(__name__)


class _LogListener:
    """Tells the log what happens."""

    def notice(self, sentence: str) -> None:
        _log.warning("%s", sentence)

    def phase(self, name: str) -> None:
        _log.info("%s", name)


@register_model("dlmlen")
class DlmlenLM(LM):  # type: ignore[misc]  # lm-eval has no types
    """A run config's model and policy, as lm-eval asks a model: texts in, texts out.

    Answers are those of `Engine.generate`, batched by the config's token budget, and the same as in a run of the
    benchmark `lm_eval`. lm-eval's response cache (`--use_cache`) receives each as it finishes.
    """

    def __init__(
        self,
        config: str | None = None,
        *,
        ledger: str | None = None,
        device: str | None = None,
        batch_size: int | str | None = None,  # noqa: ARG002 - lm-eval gives it to every model
        max_batch_size: int | None = None,  # noqa: ARG002 - likewise
        **overrides: Any,
    ) -> None:
        """`config`: name or path of a run config, whose benchmark is not read. `overrides`: its dotted fields, such as
        `policy.tau=0.9`.

        `ledger`: a JSONL file to which each answer's cost is appended as it finishes, too. `device`: lm-eval's
        --device, in place of `hardware.device`; "cuda:0", which lm-eval gives where nobody chose, leaves the config's.
        `batch_size` and `max_batch_size` have no part here: `hardware.max_batch_tokens` says how large a forward is.
        Raises ConfigError for whatever is wrong with these.
        """
        super().__init__()
        if config is None:
            raise ConfigError(
                "model_args: config is missing: the name of a run config (`dlmlen list configs`) or a path."
            )
        device_override = {} if device in (None, LM_EVAL_DEVICE) else {"hardware.device": device}
        given = {**device_override, **overrides}
        self._config: RunConfig = load_config(config, [f"{field}={_written(value)}" for field, value in given.items()])
        self._ledger = None if ledger is None else Path(ledger).expanduser()
        self._templated: set[str] = set()
        self._check_policy()

    @property
    def tokenizer_name(self) -> str:
        """The checkpoint, by which lm-eval tells cached requests apart."""
        return self._config.model.path.replace("/", "__")

    def chat_template(self, chat_template: bool | str = False) -> str | None:
        """The checkpoint's chat template, for lm-eval's records. Raises ConfigError where one is asked for by name."""
        if isinstance(chat_template, str):
            raise ConfigError(
                f"--apply_chat_template: found {chat_template!r}; a checkpoint has one template: leave the name out."
            )
        return self._tokenizer.chat_template if chat_template else None

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """Turns in the checkpoint's chat template; the last one's text begins the answer where it is not to be added.

        Raises CheckpointError where the template cannot be used.
        """
        turns = [(turn["role"], turn["content"]) for turn in chat_history]
        prefill = "" if add_generation_prompt else turns.pop()[1]
        text = self._tokenizer.chat_text(turns, prefill)
        self._templated.add(text)
        return text

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """An answer to each request, in their order, cut at the task's stop strings.

        A sample that cannot be run, such as one whose prompt is longer than the model allows, is answered by an empty
        text; a warning and its entry in the sample log say why. Raises ConfigError before anything is generated where
        a task asks for what the policy cannot do.
        """
        limits = [self._limits(request) for request in requests]
        prompts = [self._encoded(request.args[0]) for request in requests]
        costs: list[list[dict[str, Any]]] = [[] for _ in requests]
        answers = [""] * len(requests)
        engine = self._engine
        bar = tqdm(total=len(requests), disable=disable_tqdm, desc="Running generate_until requests")
        for generation in engine.generate(prompts, self._config.policy, sample_ids=_sample_ids(requests)):
            request = requests[generation.index]
            if generation.error is not None:
                _log.warning("%s: not generated, answered by an empty text: %s", generation.sample_id, generation.error)
            else:
                answers[generation.index] = limits[generation.index].cut(generation.text())
                self.cache_hook.add_partial("generate_until", request.args, answers[generation.index])
            cost = _cost(generation)
            costs[generation.index].append(cost)
            self._append(cost)
            bar.update(1)
        bar.close()
        for note in engine.notes:
            _log.warning("%s", note)
        engine.notes.clear()
        # A response cache finds its entries by these arguments: they stay as they are where there is one.
        if self.cache_hook.dbdict is None:
            for request, entries in zip(requests, costs, strict=True):
                request.args[1].setdefault(LEDGER, []).extend(entries)
        return answers

    def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
        """Raises ConfigError: a length policy writes answers."""
        raise ConfigError(_no_likelihood(requests, "loglikelihood"))

    def loglikelihood_rolling(self, requests: list[Instance]) -> list[float]:
        """Raises ConfigError: a length policy writes answers."""
        raise ConfigError(_no_likelihood(requests, "loglikelihood_rolling"))

    def get_model_info(self) -> dict[str, Any]:
        """What lm-eval's results say of the model: version, policy and the config without its benchmark."""
        config = self._config.model_dump(mode="json", exclude={"benchmark", "output", "experiment"})
        return {"dlmlen_version": __version__, "policy": self._config.policy.label, "dlmlen_config": config}

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        model = self._config.model
        return load_tokenizer(model.path, model.revision, model.file)

    @cached_property
    def _engine(self) -> Engine:
        """Made when the first answer is asked for: what is refused before needs no weights."""
        model, machine = load(self._config, _LogListener())
        budget = batch_budget(self._config, model.architecture, machine)
        return Engine(model, budget.tokens, self._config.hardware.seed)

    @cached_property
    def _longest_canvas(self) -> int:
        """In tokens, where no probability is ever high; at most the model's limit, beyond which a sample fails."""
        policy: Denoiser = self._config.policy
        model = self._config.model
        limit = load_architecture(model.path, model.revision, model.file).max_length
        return min(upper_bound(policy, limit).longest_canvas, limit)

    def _check_policy(self) -> None:
        policy = self._config.policy
        if isinstance(policy, LengthsFromRuns):
            raise ConfigError(
                f"policy {policy.name!r}: learns from finished runs of the same samples, which lm-eval has none of;"
                " the benchmark lm_eval (benchmark: {name: lm_eval, task: NAME}) runs it on lm-eval's tasks."
            )

    def _limits(self, request: Instance) -> GenerationLimits:
        """Where an answer ends. Raises ConfigError for what the policy cannot do."""
        task = request.task_name or "unnamed"
        kwargs = {name: value for name, value in request.args[1].items() if name != LEDGER}
        limits = generation_limits(kwargs, task, "--gen_kwargs '{kwargs}'")
        if limits.max_gen_toks is not None and self._longest_canvas > limits.max_gen_toks:
            raise ConfigError(
                f"task {task!r}: allows an answer at most {limits.max_gen_toks} tokens (max_gen_toks), but policy"
                f" {self._config.policy.label!r} may have a canvas of {self._longest_canvas}: give the policy a shorter"
                f" one in model_args, or raise the limit with --gen_kwargs max_gen_toks={self._longest_canvas}."
            )
        return limits

    def _encoded(self, context: str) -> list[int]:
        """Token ids of a prompt: a text from the chat template has its BOS already."""
        return self._tokenizer.encode(context, templated=context in self._templated or self._has_bos(context))

    def _has_bos(self, context: str) -> bool:
        """Whether it begins with BOS, as a templated text from lm-eval's request cache does."""
        bos = self._tokenizer.bos_token
        return bool(bos) and context.startswith(str(bos))

    def _append(self, cost: dict[str, Any]) -> None:
        if self._ledger is not None:
            with self._ledger.open("a", encoding="utf-8") as file:
                file.write(json.dumps(cost) + "\n")


def main(arguments: Sequence[str]) -> None:
    """The command `lm_eval` with these arguments; `--model dlmlen` is registered."""
    from lm_eval.__main__ import cli_evaluate

    sys.argv = ["lm_eval", *arguments]
    cli_evaluate()


def _written(value: Any) -> str:
    """A model argument as an override is written; texts are read as in YAML, like those of `dlmlen run`."""
    return value if isinstance(value, str) else json.dumps(value)


def _sample_ids(requests: Iterable[Instance]) -> list[str]:
    """`gsm8k/0`, as in the benchmark `lm_eval`; with `#1`, `#2`, ... behind it for further answers to the same."""
    ids: list[str] = []
    asked: dict[str, int] = {}
    for place, request in enumerate(requests):
        name = f"{request.task_name}/{request.doc_id}" if request.task_name is not None else str(place)
        again = asked[name] = asked.get(name, -1) + 1
        ids.append(f"{name}#{again}" if again else name)
    return ids


def _cost(generation: Generation) -> dict[str, Any]:
    """As in the records of a run: lengths, their course as (length, forwards), and the ledger."""
    return {
        "id": generation.sample_id,
        "prompt_length": len(generation.prompt_ids),
        "n_token": generation.n_token,
        "e_token": generation.e_token,
        "trajectory": [(length, len(list(run))) for length, run in groupby(generation.trajectory)],
        "ledger": asdict(generation.ledger),
        "error": generation.error,
    }


def _no_likelihood(requests: Sequence[Instance], kind: str) -> str:
    tasks = ", ".join(dict.fromkeys(str(request.task_name) for request in requests))
    return (
        f"model dlmlen: {kind} requests (task {tasks}) ask for likelihoods, while a length policy writes answers: only"
        " tasks of output_type generate_until can be run."
    )
