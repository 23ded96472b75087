"""The contract between a run and everything that reads it: every key of a run's files, with its type."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, NonNegativeInt, PositiveInt

SCHEMA_VERSION = 2

WORKERS_DIED = "the workers that had this sample died"
"""How the `error` begins of a sample that failed with its workers, which says nothing about the sample itself."""


class Record(BaseModel):
    """A line or a file of a run. Unknown keys are refused: a reader must not guess what a newer version meant."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        ser_json_inf_nan="null",
        allow_inf_nan=False,
    )


class SessionRecord(Record):
    """One start of a run, as environment.json has it; what else it says of machine and versions is kept as it is."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=True)

    dtype: str
    """Of weights and activations: a run goes on in the same one only."""
    checkpoint: str | None = None
    """Digest of the weights."""
    runs_together: PositiveInt = 1
    """Runs that were made together, on one clock."""
    rescored: list[dict[str, Any]] = Field(default_factory=list)
    """When, by what and from which run the answers were scored again."""


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
    """Energy of the whole card during the forwards, whoever used it, by this sample's share of their tokens; None where
    it was not measured."""


class LedgerRecord(Record):
    """What a sample cost in all, and the part of it spent on probes."""

    total: CostRecord
    probe: CostRecord


class LengthChangeRecord(Record):
    """One change of a canvas's length."""

    forward: NonNegativeInt
    """The forward after which it came, from 1; 0 is before the first."""
    kind: Literal["append", "insert", "remove", "crop"]
    position: NonNegativeInt
    """The first appended or inserted position, the mask that was expanded, or the first position that was dropped."""
    before: NonNegativeInt
    after: NonNegativeInt
    """Canvas lengths."""


class SampleSummary(Record):
    """What a line of samples.jsonl says beside texts, tokens and their history: enough for every table and test."""

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
    """Canvas tokens that are neither EOS nor EOT."""
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
    """Which start of the run wrote this line, from 0."""
    elapsed: NonNegativeFloat
    """Seconds from that start to this line."""
    ran_uncached: bool = False
    """Whether memory kept the sample from the cache of its policy, from the first forward on or a later one."""

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
    """What the main extraction found in it."""
    canvas_ids: list[NonNegativeInt]
    """The whole final canvas, EOS included."""
    trajectory: list[tuple[int, int]]
    """(canvas length, forwards in a row at that length), in order."""
    changes: list[LengthChangeRecord]
    """Every change of the canvas's length, in order."""
    extracted: dict[str, str | None]
    """What every extraction found."""


class TimingRecord(Record):
    """timing.json: the wall-clock of a few samples of a finished run, generated once more with nothing beside them."""

    sample_ids: list[str] = Field(min_length=1)
    """All in one go; each is a sample of the run that could be run."""
    seconds: NonNegativeFloat
    """From the first prompt to the last answer, for all of them; loading, warm-up and scoring excluded."""
    nfe: NonNegativeInt
    """Forwards of all of them, probes included."""
    n_token: NonNegativeInt
    """Final canvas tokens of all of them."""
    e_token: NonNegativeInt
    """Canvas tokens of all of them that are neither EOS nor EOT."""
    environment: dict[str, Any]
    """As a session of environment.json says it: device, dtype, threads, batch, versions; and `measured`, the time."""

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
    """None where nothing was drawn."""


class RunMetrics(Record):
    """metrics.json: a finished run in numbers, all from its samples."""

    schema_version: int
    benchmark: str
    metric: str
    """Name of the main metric."""
    model: str
    policy: str
    policy_label: str
    """The policy with the parameters that tell its runs apart."""
    policy_version: int = 1
    """Raised where the same parameters give other tokens than they gave before."""
    policy_role: Literal["method", "control", "baseline"] | None = None
    """What a report takes the run for, as its policy declared; None in records of before it was recorded."""
    lengths_charged: bool | None = None
    """Whether the forwards that found its lengths are in its cost; None as `policy_role`."""
    series_field: str | None = None
    """The field of its policy that runs are a series over; None also where the policy has none."""
    benchmark_version: int | None = None
    """Raised where the same answers get other scores than they got before; None in records of before it was recorded.
    """
    termination: tuple[str, ...] | None = None
    """The tokens that end an answer for the policy, as text, the termination token first; None in records of before it
    was recorded."""
    prompt: str = ""
    """Whose form and whose words the prompts have; empty in records of before it was recorded."""
    samples: int
    """Those that were asked for: what all numbers here are of."""
    sample_ids: tuple[str, ...] | None = None
    """Their ids, in the benchmark's order: samples.jsonl may hold others, which were asked for at another time.
    None, in records of schema version 1: every line of samples.jsonl."""
    scored: int
    """Samples with a score; the mean is over these."""
    failed: int
    """Samples that could not be run."""
    uncached: int = 0
    """Samples that memory kept from the cache of their policy."""
    score: float | None
    """Mean of the main metric; None where nothing was scored."""
    metrics: dict[str, float]
    """Every metric of the benchmark by name, the main one included; what is undefined is left out."""
    stderr: dict[str, float] = {}
    """Standard errors by lm-eval's names: `exact_match_stderr` is that of `exact_match`. lm-eval's filter, behind a
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
    """Mean forwards a sample, probes included."""
    probe_nfe: float | None
    flops_reference: int
    """Sums over all samples."""
    flops_executed: int
    probe_flops_reference: int
    forward_seconds: float
    """Wall-clock of all forwards."""
    wall_clock_seconds: float
    """From each start of the run to its last sample, summed over starts, those of shards among them; loading the model
    excluded."""
    runs_together: int = 1
    """Runs that were made together, on one clock; more than 1: the wall-clock is theirs together."""
    devices: PositiveInt = 1
    """Devices that worked on the run at a time, the most of all starts; the wall-clock is theirs together."""
    tokens_per_second: float | None
    """Effective tokens (neither EOS nor EOT) a second of wall-clock."""
