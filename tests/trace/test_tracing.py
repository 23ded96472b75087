"""Watching one sample of a run: it is the run's own sample."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dlm_length.common import ConfigError, UserError
from dlm_length.config import RunConfig
from dlm_length.models import MaskPredictor
from dlm_length.policies import build_policy
from dlm_length.records import SampleRecord, read_samples
from dlm_length.runner import Progress, run
from dlm_length.trace.record import Frame, Trace
from dlm_length.trace.tracing import EOS_SYMBOL, MASK_SYMBOL, trace

Configure = Callable[..., RunConfig]


class Watch:
    """A `TraceListener` that remembers."""

    def __init__(self) -> None:
        self.notices: list[str] = []
        self.phases: list[str] = []
        self.frames: list[Frame] = []
        self.text: Callable[[int], str] | None = None

    def notice(self, sentence: str) -> None:
        self.notices.append(sentence)

    def phase(self, name: str) -> None:
        self.phases.append(name)

    def begin(self, text: Callable[[int], str]) -> None:
        self.frames.clear()
        self.text = text

    def frame(self, frame: Frame) -> None:
        self.frames.append(frame)


@pytest.fixture
def watcher() -> Watch:
    return Watch()


@pytest.fixture
def daedal(configure: Configure) -> RunConfig:
    """A run whose canvases grow, in both of DAEDAL's stages."""
    growing = {"initial_length": 16, "max_length": 64, "block_length": 8, "tau_expand": 1.0, "tau_low": 0.4}
    policy = build_policy("daedal", **growing, tail_eos=4, temperature=0.5)
    return configure("hardware.seed=3").model_copy(update={"policy": policy})


def assert_the_runs(traced: Trace, record: SampleRecord) -> None:
    """The trace is of the run's own sample, in tokens, lengths and costs."""
    assert traced.sample_id == record.id
    assert (traced.prompt, traced.answer) == (record.prompt, record.resps[0][0])
    assert traced.frames[-1].after.tolist() == record.canvas_ids
    assert (traced.prompt_length, traced.e_token) == (record.prompt_length, record.e_token)
    total, probe = record.ledger.total, record.ledger.probe
    assert (traced.nfe, traced.probe_nfe) == (total.nfe, probe.nfe)
    assert (traced.length_sum, traced.head_rows) == (total.length_sum, total.head_rows)
    lengths = [length for length, times in record.trajectory for _ in range(times)]
    assert [len(frame.before) for frame in traced.frames] == lengths
    changes = [(c.forward, c.kind, c.position, c.before, c.after) for c in record.changes if c.forward]
    recorded = [c for frame in traced.frames for c in frame.changes]
    assert [(c.forward, c.kind, c.position, c.before, c.after) for c in recorded] == changes


def test_a_traced_sample_is_that_of_the_run(
    daedal: RunConfig, watch: Progress, watcher: Watch, tiny_model: MaskPredictor
) -> None:
    records = {record.id: record for record in read_samples(run(daedal, watch).path)}
    traced = trace(daedal, "gsm8k/0", watcher)
    assert_the_runs(traced, records["gsm8k/0"])
    assert {change.kind for frame in traced.frames for change in frame.changes} == {"append", "insert"}
    assert list(traced.frames) == watcher.frames
    assert watcher.phases == ["preparing the prompt", "loading the model"]
    assert (traced.experiment, traced.benchmark, traced.model) == ("tiny_gsm8k_fixed", "gsm8k", "llada-tiny")
    assert (traced.policy["name"], traced.policy["tail_eos"]) == ("daedal", 4)


def test_a_sample_is_named_by_id_or_by_row(configure: Configure, watcher: Watch) -> None:
    config = configure("benchmark.sample_ids=[gsm8k/3, gsm8k/1]")
    assert trace(config, "gsm8k/1", watcher).sample_id == "gsm8k/1"
    assert trace(config, "3", watcher).sample_id == "gsm8k/3"


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        ("4", r"--sample: found '4'; allowed: one of this config's 4 problems, .*\(from 0 to 3\)\."),
        ("-1", r"its row \(from 0 to 3\)"),
        ("gsm8k/11", r"by its id \(gsm8k/0 to gsm8k/3\) .* Did you mean 'gsm8k/1'\?"),
    ],
)
def test_an_unknown_sample_is_refused_before_a_model_is_loaded(
    configure: Configure, watcher: Watch, no_model: Callable[[], None], sample: str, message: str
) -> None:
    no_model()
    with pytest.raises(ConfigError, match=message):
        trace(configure(), sample, watcher)


def test_tracing_leaves_nothing_on_disk(configure: Configure, watcher: Watch) -> None:
    config = configure()
    trace(config, "0", watcher)
    assert not Path(config.output.directory).exists()


def test_random_lengths_are_those_of_the_whole_run(configure: Configure, watch: Progress, watcher: Watch) -> None:
    """Before the run they are found by a length pass over all of its samples; after it they are read."""
    policy = build_policy("random_length", length=24, tau=0.5)
    config = configure().model_copy(update={"policy": policy})
    two_pass = trace(config, "1", watcher)
    assert "finding the lengths" in watcher.phases
    records = {record.id: record for record in read_samples(run(config, watch).path)}
    assert len({record.n_token for record in records.values()}) > 1, "otherwise any length would do"
    assert_the_runs(two_pass, records["gsm8k/1"])
    watcher.phases.clear()
    assert_the_runs(trace(config, "2", watcher), records["gsm8k/2"])
    assert "finding the lengths" not in watcher.phases
    assert "lengths" not in two_pass.policy, "every sample's, and of no use to one"


def test_the_oracle_needs_its_runs(configure: Configure, watch: Progress, watcher: Watch) -> None:
    oracle = configure().model_copy(update={"policy": build_policy("oracle", ladder=(4, 8))})
    with pytest.raises(ConfigError, match=r"learns from finished, scored runs .* policy.length=4"):
        trace(oracle, "0", watcher)
    for length in (4, 8):
        run(configure(f"policy.length={length}"), watch)
    assert len(trace(oracle, "0", watcher).frames[0].before) in (4, 8)


def test_a_sample_that_cannot_be_run_is_reported(configure: Configure, watcher: Watch) -> None:
    with pytest.raises(UserError, match=r"sample 'gsm8k/0': .* the model takes at most 1024 \(after 0 forwards\)"):
        trace(configure("policy.length=1020"), "0", watcher)


def test_how_tokens_are_displayed(configure: Configure, watcher: Watch, tiny_model: MaskPredictor) -> None:
    trace(configure(), "0", watcher)
    text, tokenizer = watcher.text, tiny_model.tokenizer
    assert text is not None
    assert (text(tiny_model.tokens.mask), text(tiny_model.tokens.eos)) == (MASK_SYMBOL, EOS_SYMBOL)
    for raw, displayed in ((" is", "·is"), ("\n", "↵"), ("\t", "⇥"), ("\x1b", "\\x1b"), ("<", "<")):
        assert "".join(map(text, tokenizer.encode(raw, templated=True))) == displayed
    (user,) = tokenizer.encode("<|user|>", templated=True)
    assert text(user) == f"⟨{user}⟩", "a special token without a symbol"


@pytest.mark.parametrize("cache", ["prefix", "dual", "dkv"])
def test_a_cached_run_is_traced_as_it_ran(configure: Configure, watcher: Watch, watch: Progress, cache: str) -> None:
    """Statistics of what a forward did not compute again stay as they were last seen."""
    config = configure("hardware.seed=3").model_copy(
        update={"policy": build_policy("fixed", length=24, block_length=8, cache=cache)}
    )
    traced = trace(config, "1", watcher)
    run(config, watch)
    record = next(each for each in read_samples(config.run_path) if each.id == traced.sample_id)
    assert traced.frames[-1].after.tolist() == record.canvas_ids
    assert all(len(frame.token) == len(frame.before) for frame in traced.frames)
    assert traced.head_rows == record.ledger.total.head_rows
    assert (
        sum(
            traced.prompt_length + len(frame.before) if frame.recomputed is None else len(frame.recomputed)
            for frame in traced.frames
        )
        == record.ledger.total.query_sum
    )
