"""A dry run: exact where the course of a sample is known, a bound from above where it is not, and without weights."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

import dlm_length.runner.dry_run
from dlm_length.analysis.planned_costs import Plan
from dlm_length.common import UserError
from dlm_length.config import RunConfig, load_config
from dlm_length.models import load_architecture
from dlm_length.records import LedgerRecord, read_samples
from dlm_length.runner import Progress, plan, run

Configure = Callable[..., RunConfig]
INLINE = "{layers: 2, width: 16, heads: 2, head_size: 8, kv_width: 16, mlp_width: 24, vocabulary: 100, max_length: 64}"


@pytest.fixture(autouse=True)
def rate(monkeypatch: pytest.MonkeyPatch) -> float:
    """What this machine's matrix-product rate would be measured as, in float32; half formats are twice as fast."""
    monkeypatch.setattr(
        dlm_length.runner.dry_run, "matrix_rate", lambda _, dtype: 5e12 if dtype == "float32" else 10e12
    )
    return 5e12


def paid(config: RunConfig, watch: Progress) -> dict[str, int]:
    """What a real run of the config costs, from its records."""
    ledgers: list[LedgerRecord] = [record.ledger for record in read_samples(run(config, watch).path)]
    fields = {"forwards": "nfe", "flops_reference": "flops_reference", "flops_executed": "flops_executed"}
    return {name: sum(getattr(ledger.total, cost) for ledger in ledgers) for name, cost in fields.items()}


def planned(found: Plan) -> dict[str, int]:
    return {name: getattr(found, name) for name in ("forwards", "flops_reference", "flops_executed")}


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["policy.tokens_per_step=3"],
        ["policy.block_length=3", "policy.steps=5"],
        ["policy.remasking=entropy", "policy.temperature=0.5"],
    ],
)
def test_a_fixed_canvas_costs_what_was_planned(configure: Configure, watch: Progress, overrides: list[str]) -> None:
    config = configure(*overrides)
    found = plan(config)
    assert planned(found) == paid(config, watch)
    prompts = [record.prompt_length for record in read_samples(config.run_path)]
    assert (found.samples, found.prompt_tokens, found.tokens_exact) == (4, sum(prompts), True)
    assert (found.canvas_length, found.too_long) == (8, 0)


@pytest.mark.parametrize(
    "overrides",
    [
        ["policy.length=24"],
        ["policy.length=24", "policy.tau=0.5", "policy.block_length=5"],
        ["policy.length=24", "policy.tokens_per_step=4", "policy.round_to=8"],
        ["policy.length=24", "policy.threshold=0.5"],
    ],
)
def test_smartcrop_costs_no_more_than_was_planned(configure: Configure, watch: Progress, overrides: list[str]) -> None:
    config = configure(*overrides, name="tiny_gsm8k_smartcrop")
    bound, cost = planned(plan(config)), paid(config, watch)
    assert all(cost[name] <= bound[name] for name in bound)
    assert cost["forwards"] < bound["forwards"], "something was cropped or committed early"


def test_smartcrop_that_never_crops_costs_what_was_planned(
    configure: Configure, watch: Progress, write_checkpoint: Callable[..., Path]
) -> None:
    """A model of noise gives EOS no weight: the bound is reached, so it is no looser than it must be.

    Its MASK is never predicted: filling such positions takes forwards that no plan can foresee.
    """

    def no_mask(weights: dict[str, Tensor]) -> None:
        weights["model.transformer.ff_out.weight"][0] = 0

    config = configure(f"model.path={write_checkpoint(edit=no_mask)}", name="tiny_gsm8k_smartcrop")
    assert planned(plan(config)) == paid(config, watch)
    assert {record.n_token for record in read_samples(config.run_path)} == {8}


@pytest.mark.parametrize(
    ("policy", "overrides"),
    [
        ("daedal", ["policy.initial_length=6", "policy.max_length=24", "policy.eos_window=6", "policy.tau_low=0.5"]),
        ("rho_eos", ["policy.initial_length=6", "policy.max_length=24", "policy.unit=2"]),
        ("crop_insert", ["policy.length=12", "policy.max_length=24", "policy.tau_low=0.5"]),
        ("composed", ["policy.initial_length=6", "policy.max_length=24", "policy.eos_window=6"]),
        ("perturbed", ["policy.length=16", "policy.delta=0.3"]),
        ("stop_at_eos", ["policy.length=16", "policy.block_length=4"]),
        ("random_length", ["policy.length=16", "policy.tau=0.5"]),
    ],
)
def test_every_policy_costs_no_more_than_was_planned(
    configure: Configure, watch: Progress, policy: str, overrides: list[str]
) -> None:
    config = configure(*overrides, name=f"tiny_gsm8k_{policy}", length=None)
    bound, cost = planned(plan(config)), paid(config, watch)
    assert all(cost[name] <= bound[name] for name in bound)
    assert cost["forwards"] < bound["forwards"]
    assert max(record.n_token for record in read_samples(config.run_path)) <= plan(config).canvas_length


def test_an_oracle_is_planned_for_the_longest_canvas_of_its_ladder_without_any_run(configure: Configure) -> None:
    found = plan(configure("policy.ladder=[4, 16, 8]", name="tiny_gsm8k_oracle", length=None))
    assert found == plan(configure(length=16))


def test_samples_too_long_for_the_model_are_counted_and_cost_nothing(
    configure: Configure, watch: Progress, write_checkpoint: Callable[..., Path]
) -> None:
    asked = ["What is 1 plus 1?", "What is " + "1 plus " * 200 + "1?"]
    config = configure(f"model.path={write_checkpoint(seed=1)}", asked=asked)
    found = plan(config)
    assert (found.samples, found.too_long, found.forwards) == (2, 1, 8)
    assert planned(found) == paid(config, watch)


def test_the_longest_sample_that_fits_is_no_error(
    configure: Configure, watch: Progress, write_checkpoint: Callable[..., Path]
) -> None:
    prompt = plan(configure(asked=["What is 1 plus 1?"])).prompt_tokens
    for room, too_long in ((prompt + 8, 0), (prompt + 7, 1)):
        folder = write_checkpoint(seed=1, config={"max_sequence_length": room})
        config = configure(f"model.path={folder}", asked=["What is 1 plus 1?"], where=f"room{room}")
        assert plan(config).too_long == run(config, watch).metrics.failed == too_long


def test_planning_needs_no_weights(configure: Configure, write_checkpoint: Callable[..., Path]) -> None:
    folder = write_checkpoint()
    config = configure(f"model.path={folder}")
    before = plan(config)
    (folder / "model.safetensors").unlink()
    assert plan(config) == before
    assert not config.run_path.exists(), "a dry run leaves nothing behind"


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub cannot be reached, and nothing of it is on this machine."""

    def unreachable(*_: object, **__: object) -> str:
        raise ConnectionError("no network")

    monkeypatch.setattr("huggingface_hub.snapshot_download", unreachable)


def test_a_checkpoint_that_is_not_here_is_planned_by_its_sizes(configure: Configure, no_hub: None) -> None:
    """LLaDA-8B on 80 GB, worked out by hand from the sizes in the model's file; prompts are counted in characters."""
    config = load_config(
        "gsm8k_fixed",
        [f"benchmark.path={configure().benchmark.path}", "benchmark.prompt_style=text_cot_0shot"],
    )
    found = plan(config)
    texts = [config.benchmark.prompt(problem).text or "" for problem in config.benchmark.problems()]
    lengths = [-(-len(text) * 10 // 35) for text in texts]
    assert not found.tokens_exact
    assert found.prompt_tokens == sum(lengths)
    assert (found.samples, found.canvas_length, found.forwards) == (4, 256, 4 * 256)
    backbone = sum(
        32 * (2 * size * 4096 * (4 * 4096) + 6 * size * 4096 * 12288 + 4 * size * size * 4096)
        for size in (length + 256 for length in lengths)
    )
    head = 2 * 4096 * 126464
    assert found.flops_reference == 256 * (backbone + head * sum(length + 256 for length in lengths))
    rows = 256 * 257 // 2
    assert found.flops_executed == 256 * backbone + 4 * head * rows
    assert found.weight_bytes == 2 * 8_015_581_184
    assert found.activation_bytes > 0
    assert found.device_bytes == 80 * 2**30
    assert found.rate == 0.4 * 989e12
    assert not found.rate_measured
    assert found.hours == pytest.approx(found.flops_executed / (0.4 * 989e12) / 3600)


@pytest.mark.parametrize(("letters", "remarked"), [(300, True), (400, False), (500, False), (600, True)])
def test_a_prompt_of_another_length_than_the_published_one_is_told(
    configure: Configure, no_hub: None, letters: int, remarked: bool
) -> None:
    """SmartCrop has 140.7 tokens for GSM8K; here a token is estimated as 3.5 characters, a turn as 5 tokens."""
    text = json.dumps({"turns": [{"role": "user", "content": "{{question}}" + "x" * letters}]})
    file = Path(configure(asked=["?" * 10]).benchmark.path or "").with_name("prompt.yaml")
    file.write_text(text)
    own = [f"benchmark.path={configure(asked=['?' * 10]).benchmark.path}", f"benchmark.prompt_file={file}"]
    found = plan(load_config("gsm8k_fixed", own))
    assert found.published_prompt is not None
    assert (found.published_prompt.paper, found.published_prompt.value) == ("smartcrop", 140.7)
    assert found.prompt_length == 10 + math.ceil((letters + 10) / 3.5)
    assert found.prompt_excess == (pytest.approx(found.prompt_length / 140.7 - 1) if remarked else None)


def test_a_benchmark_without_a_published_prompt_length_has_none(configure: Configure) -> None:
    found = plan(configure(name="mini_gsm8k_fixed"))
    assert (found.published_prompt, found.prompt_excess) == (None, None)


def test_without_checkpoint_or_sizes_there_is_no_plan(configure: Configure, no_hub: None) -> None:
    with pytest.raises(UserError) as refused:
        plan(configure("model={path: owner/name}"))
    told = str(refused.value)
    assert "checkpoint 'owner/name': not a folder here" in told
    assert told.endswith("A dry run without the checkpoint needs model.architecture.")


def test_the_checkpoints_own_sizes_come_before_the_configs(configure: Configure) -> None:
    with_both = configure(f"model.architecture={INLINE}")
    assert plan(with_both) == plan(configure())


def test_sizes_alone_are_enough(configure: Configure, no_hub: None) -> None:
    found = plan(configure("model.path=owner/name", f"model.architecture={INLINE}"))
    assert (found.samples, found.too_long, found.tokens_exact) == (4, 0, False)


@pytest.mark.parametrize(("dtype", "bytes_each"), [("float32", 4), ("bfloat16", 2), ("float16", 2)])
def test_memory_and_rate(configure: Configure, rate: float, dtype: str, bytes_each: int) -> None:
    found = plan(configure(f"hardware.dtype={dtype}", "hardware.memory_gib=1.5"))
    assert found.weight_bytes == bytes_each * load_architecture("embedded:llada-tiny").parameters
    assert found.device_bytes == 3 * 2**29
    assert found.rate_measured
    assert found.rate == 0.4 * rate * (1 if dtype == "float32" else 2), "measured in the run's own format"
    assert found.hours == pytest.approx(found.flops_executed / found.rate / 3600)
    larger = plan(configure(f"hardware.dtype={dtype}", "hardware.max_batch_tokens=20000"))
    assert larger.activation_bytes > found.activation_bytes


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_a_device_that_is_not_here_and_has_no_known_rate_gets_no_hours(configure: Configure) -> None:
    """The rate of this machine's CPU would say nothing about a GPU."""
    found = plan(configure("hardware.device=cuda"))
    assert (found.rate, found.hours) == (None, None)
    assert found.flops_executed == plan(configure()).flops_executed
