"""Canvas lengths that a policy must know before its run begins, from the records of earlier runs."""

from collections.abc import Collection, Mapping
from pathlib import Path

from dlm_length.analysis.parameters import overrides_of
from dlm_length.common import ConfigError
from dlm_length.config import RunConfig
from dlm_length.policies import Policy
from dlm_length.policies.precomputed_lengths import LengthsFromRuns, PrecomputedLengths
from dlm_length.records import find_holding, read_summaries


def resolve_policy(config: RunConfig, kept: Mapping[str, int] | None, sample_ids: Collection[str]) -> Policy:
    """The config's policy, with its lengths where an earlier session of the run `kept` them or earlier runs tell them.

    `sample_ids`: of the samples asked for now, which may be more than those of which lengths were kept. Raises
    ConfigError where a run of them is missing or was not scored.
    """
    policy = config.policy
    learning = isinstance(policy, LengthsFromRuns) and policy.lengths is None
    if isinstance(policy, PrecomputedLengths) and kept is not None and not (learning and set(sample_ids) - kept.keys()):
        return policy.with_lengths(kept)
    if not isinstance(policy, LengthsFromRuns) or policy.lengths is not None:
        return policy
    found = [(earlier, _run_of(config, earlier, sample_ids)) for earlier in policy.earlier()]
    if missing := [overrides_of(earlier) for earlier, run in found if run is None]:
        raise ConfigError(
            f"policy {policy.name!r}: learns from finished, scored runs on the same samples, and below"
            f" {config.output.directory} there is none with {'; '.join(missing)}. Run the same config with those"
            f" settings first.{_hint(config)}"
        )
    learnt = policy.fit([_scores(config, run, sample_ids) for _, run in found if run is not None])
    return learnt.with_lengths({**(learnt.lengths or {}), **(kept or {})})


def _run_of(config: RunConfig, policy: Policy, sample_ids: Collection[str]) -> Path | None:
    """The finished run that differs from `config` in nothing but its policy and holds these samples."""
    other = config.model_copy(update={"policy": policy})
    return find_holding(Path(config.output.directory), other.run_name, sample_ids)


def _hint(config: RunConfig) -> str:
    """What else a run of this benchmark needs to be scored."""
    runs_code = getattr(config.benchmark, "execute_code", True)
    return "" if runs_code else " Without benchmark.execute_code=true, in all of them and here, no answer is scored."


def _scores(config: RunConfig, run: Path, sample_ids: Collection[str]) -> dict[str, float | None]:
    scores = {record.id: record.score for record in read_summaries(run, only=sample_ids)}
    if all(score is None for score in scores.values()):
        raise ConfigError(
            f"run {run}: no sample there was scored, so that no length can be learnt from it.{_hint(config)}"
        )
    return scores
