"""The schema of a run's files: every key with its type."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from dlm_length.common import counted

SCHEMA_VERSION = 2

WORKERS_DIED = "the workers that had this sample died"
"""How the `error` begins of a sample that failed with its workers, which says nothing about the sample itself."""


class Record(BaseModel):
    """A line or a file of a run. Unknown keys are refused, as they may be a newer version's."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        ser_json_inf_nan="null",
        allow_inf_nan=False,
    )


class SessionRecord(Record):
    """One session of a run in environment.json; its further fields on machine and versions are kept as they are."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=True)

    dtype: str
    """Dtype of weights and activations; a run is continued in the same dtype only."""
    checkpoint: str | None = None
    """Digest of the weights."""
    runs_together: PositiveInt = 1
    """Runs that were executed together, on one clock."""
    rescored: list[dict[str, Any]] = Field(default_factory=list)
    """When, by which version and from which run the answers were rescored."""


class CostRecord(Record):
    """Sums over one sample's forwards."""

    nfe: NonNegativeInt
    """Forwards."""
    length_sum: NonNegativeInt
    """Sum of L = prompt + canvas tokens."""
    length_squared_sum: NonNegativeInt
    """Sum of L^2."""
    head_rows: NonNegativeInt
    """Positions that went through the vocabulary head."""
    flops_reference: NonNegativeInt
    """FLOPs with the head over all computed positions of every forward."""
    flops_executed: NonNegativeInt
    """FLOPs with the head over `head_rows` positions."""
    seconds: NonNegativeFloat
    """Wall-clock of the forwards, by this sample's share of their tokens."""
    query_sum: NonNegativeInt | None = None
    """Sum of the positions computed, below `length_sum` where a cache was reused; None in older records."""
    attended_sum: NonNegativeInt | None = None
    """Sum of the positions computed times L; None in older records."""
    joules: NonNegativeFloat | None = None
    """Energy of the whole device during the forwards, other processes included, by this sample's share of their tokens;
    None where it was not measured."""


class LedgerRecord(Record):
    """The total cost of a sample, and the part of it spent on probes."""

    total: CostRecord
    probe: CostRecord


class LengthChangeRecord(Record):
    """One change of a canvas's length."""

    forward: NonNegativeInt
    """The forward after which it happened, from 1; 0 is before the first."""
    kind: Literal["append", "insert", "remove", "crop"]
    position: NonNegativeInt
    """The first appended or inserted position, the mask that was expanded, or the first position that was dropped."""
    before: NonNegativeInt
    after: NonNegativeInt
    """Canvas lengths."""


class SampleSummary(Record):
    """A line of samples.jsonl without texts, tokens and their history: enough for every table and test."""

    # Read from whole lines, whose other fields `SampleRecord` checks.
    model_config = ConfigDict(extra="ignore")

    doc_id: NonNegativeInt
    """Row in the data set."""
    id: str
    """Name of the problem, unique in the run."""
    prompt_length: NonNegativeInt
    n_token: NonNegativeInt
    """Final canvas length."""
    e_token: NonNegativeInt
    """Effective tokens: canvas tokens that are neither EOS nor EOT."""
    processed_length: NonNegativeInt
    """prompt_length + n_token."""
    ledger: LedgerRecord
    score: float | None
    """The benchmark's main metric in [0, 1]; None where it was not scored, with the reason in `details` or `error`."""
    details: dict[str, Any]
    """Other metrics of the sample, failure reasons, isolation."""
    error: str | None
    """Why the sample could not be run, if so."""
    session: NonNegativeInt
    """The session of the run that wrote this line, from 0."""
    elapsed: NonNegativeFloat
    """Seconds from the start of the session to this line."""
    ran_uncached: bool = False
    """Whether the sample ran without its policy's cache for lack of memory, from the first or a later forward on."""
    masks_left: NonNegativeInt = 0
    """MASK tokens that the policy left on the final canvas, as only one from outside the package does; 0 where the
    sample could not be run."""

    def __repr__(self) -> str:
        lengths = f"n_token {self.n_token}, e_token {self.e_token}, NFE {self.ledger.total.nfe}"
        outcome = f"score {self.score}" if self.error is None else f"error {self.error!r}"
        return f"<{type(self).__name__} {self.id!r}: {lengths}, {outcome}>"

    @property
    def lost_its_workers(self) -> bool:
        """Whether it failed because the workers that had it died: another try may succeed."""
        return self.error is not None and self.error.startswith(WORKERS_DIED)


class SampleRecord(SampleSummary):
    """One line of samples.jsonl. `doc_id`, `target`, `resps` and `filtered_resps` are lm-eval's names and forms."""

    model_config = ConfigDict(extra="forbid")

    prompt: str
    """The prompt's text as the model saw it, chat template applied."""
    target: str
    """The reference answer."""
    resps: list[list[str]]
    """The answer's text, special tokens left out."""
    filtered_resps: list[str | None]
    """The answer that the main extraction gives."""
    canvas_ids: list[NonNegativeInt]
    """The whole final canvas, EOS included."""
    trajectory: list[tuple[int, int]]
    """(canvas length, forwards in a row at that length), in order."""
    changes: list[LengthChangeRecord]
    """Every change of the canvas's length, in order."""
    extracted: dict[str, str | None]
    """The answer that every extraction gives, by name."""


class TimingRecord(Record):
    """timing.json: the wall-clock of a few samples of a finished run, generated again, one run at a time."""

    sample_ids: list[str] = Field(min_length=1)
    """Generated in one batch; each is a sample of the run that did not fail."""
    seconds: NonNegativeFloat
    """From the first prompt to the last answer, for all of them; loading, warm-up and scoring excluded."""
    nfe: NonNegativeInt
    """Forwards of all of them, probes included."""
    n_token: NonNegativeInt
    """Final canvas tokens of all of them."""
    e_token: NonNegativeInt
    """Canvas tokens of all of them that are neither EOS nor EOT."""
    environment: dict[str, Any]
    """As a session of environment.json: device, dtype, threads, batch, versions; and `measured`, the time."""

    @property
    def n(self) -> int:
        """Samples."""
        return len(self.sample_ids)


class IntervalRecord(Record):
    """A metric's 95% interval."""

    low: float
    high: float
    method: Literal["wilson", "percentile"]
    """Wilson's of a proportion, or the percentile bootstrap's."""
    n: NonNegativeInt
    """Independent units: problems, where they have several samples."""
    resamples: NonNegativeInt | None
    """None for Wilson's interval."""


class RunMetrics(Record):
    """metrics.json: the metrics of a finished run, all computed from its samples."""

    schema_version: int
    benchmark: str
    metric: str
    """Name of the main metric."""
    model: str
    policy: str
    policy_label: str
    """The policy with the parameters that distinguish its runs."""
    policy_version: int = 1
    """Raised where the same parameters give other tokens than they gave before."""
    policy_role: Literal["method", "control", "baseline"] | None = None
    """The role of the run in a report, as its policy declares; None in older records."""
    lengths_charged: bool | None = None
    """Whether the forwards that determined its lengths are in its cost; None in older records."""
    series_field: str | None = None
    """The field of its policy that a series of runs varies; None also where the policy has none."""
    benchmark_version: int | None = None
    """Raised where the same answers get other scores than before; None in older records."""
    termination: tuple[str, ...] | None = None
    """The tokens that end an answer for the policy, as text, the termination token first; None in older records."""
    prompt: str = ""
    """The source of the prompts' form and wording; empty in older records."""
    samples: int
    """Number of samples; all numbers here are computed over these."""
    sample_ids: tuple[str, ...] | None = None
    """Their ids, in the benchmark's order; samples.jsonl may have others, of an earlier choice of samples. None, in
    records of schema version 1: every line of samples.jsonl."""
    scored: int
    """Samples with a score; the mean is over these."""
    failed: int
    """Samples that could not be run."""
    uncached: int = 0
    """Samples that ran without their policy's cache for lack of memory."""
    with_masks_left: int = 0
    """Samples on whose final canvas the policy left MASK tokens."""
    score: float | None
    """Mean of the main metric; None where no sample was scored."""
    metrics: dict[str, float]
    """Every metric of the benchmark by name, the main one included; what is undefined is left out."""
    stderr: dict[str, float] = {}
    """Standard errors by lm-eval's names: `exact_match_stderr` is that of `exact_match`. lm-eval's filter, after a
    comma there, is part of a metric's name here: `exact_match_strict_stderr`."""
    intervals: dict[str, IntervalRecord] = {}
    """95% intervals by the metric's name; what has none is left out."""
    prompt_length: float | None
    """Means over the samples that ran, tokens."""
    n_token: float | None
    e_token: float | None
    processed_length: float | None
    e_ratio: float | None
    """sum(e_token) / sum(n_token)."""
    nfe: float | None
    """Mean forwards per sample, probes included."""
    probe_nfe: float | None
    flops_reference: int
    """Sums over all samples."""
    flops_executed: int
    probe_flops_reference: int
    forward_seconds: float
    """Wall-clock of all forwards."""
    wall_clock_seconds: float
    """From the start of each session to its last sample, summed over sessions and shards; without loading the model."""
    runs_together: int = 1
    """Runs that were executed together, on one clock; if more than 1, the wall-clock is that of all of them."""
    devices: PositiveInt = 1
    """The most devices that a session worked on at a time; its wall-clock is that of all of them together."""
    tokens_per_second: float | None
    """Effective tokens (neither EOS nor EOT) per second of wall-clock."""

    def __repr__(self) -> str:
        score = "no score" if self.score is None else f"{self.metric} {self.score:.4f}"
        return (
            f"<RunMetrics {self.benchmark}, {self.model}, {self.policy_label}: {score},"
            f" {counted(self.samples, 'sample')}>"
        )
