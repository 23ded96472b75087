"""Runs made ready: what they share is read once, and nothing is read before it is asked for."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from run_fixtures import Watch

import dlm_length.runner.checks
from dlm_length.benchmarks import Problem
from dlm_length.config import Block, RunConfig, Study
from dlm_length.models import load_architecture
from dlm_length.policies import build_policy
from dlm_length.runner import plan, run_study
from dlm_length.runner.prepare import prepare

Configure = Callable[..., RunConfig]


def test_runs_of_one_benchmark_and_model_share_their_prompts(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered: list[str] = []
    gsm8k = type(configure().benchmark)
    prompt = gsm8k.prompt

    def count(self: Any, problem: Problem) -> object:
        rendered.append(problem.id)
        return prompt(self, problem)

    monkeypatch.setattr(gsm8k, "prompt", count)
    fixed, longer, fewer = prepare([configure(), configure(length=12), configure("benchmark.limit=2")])
    assert rendered == [], "nothing is read before it is asked for"
    assert fixed.inputs.job(fixed.problems[1]) in longer.jobs
    assert fixed.jobs is longer.jobs
    assert sorted(rendered) == [f"gsm8k/{number}" for number in range(4)]
    assert fewer.ids == ["gsm8k/0", "gsm8k/1"]


def test_a_run_is_made_ready_without_data_or_checkpoint(configure: Configure, tmp_path: Path) -> None:
    config = configure(f"model.path={tmp_path / 'absent'}")
    Path(config.benchmark.path or "").unlink()
    (prepared,) = prepare([config])
    assert prepared.folder.path == config.run_path
    assert not config.run_path.exists()


def test_fresh_runs_read_no_lengths_of_earlier_records(configure: Configure) -> None:
    config = configure().model_copy(update={"policy": build_policy("random_length", length=8)})
    config.run_path.mkdir(parents=True)
    (kept,), (fresh,) = prepare([config]), prepare([config], fresh=True)
    kept.folder.write_lengths({f"gsm8k/{number}": number + 1 for number in range(4)})
    assert kept.policy.lengths == {f"gsm8k/{number}": number + 1 for number in range(4)}  # type: ignore[attr-defined]
    assert fresh.policy.lengths is None  # type: ignore[attr-defined]


@pytest.mark.parametrize("tokens", ["auto", "300"])
def test_the_budget_is_that_of_the_dry_run_with_its_memory(configure: Configure, tokens: str) -> None:
    config = configure(f"hardware.max_batch_tokens={tokens}")
    (prepared,), planned = prepare([config]), plan(config)
    budget = prepared.budget
    assert budget.tokens == planned.max_batch_tokens
    assert (budget.weight_bytes, budget.activation_bytes) == (planned.weight_bytes, planned.activation_bytes)
    assert budget.weight_bytes == 4 * load_architecture(config.model.path).parameters


def test_a_study_looks_at_each_runs_canvas_once(
    configure: Configure, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[Path] = []
    check = dlm_length.runner.checks.check_context_limit
    monkeypatch.setattr(
        dlm_length.runner.checks,
        "check_context_limit",
        lambda run: (looked.append(run.folder.path), check(run))[1],
    )
    runs = (configure(), configure("policy.block_length=4"))
    run_study(Study("both", (Block(None, runs),)), watch)
    assert looked == [config.run_path for config in runs]
