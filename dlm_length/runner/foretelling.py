"""Canvas lengths that a policy must know before its run begins, from records of earlier runs or by a rehearsal."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from dlm_length.common import ConfigError
from dlm_length.config import RunConfig
from dlm_length.denoising import Denoiser
from dlm_length.engine import Engine
from dlm_length.policies import Policy
from dlm_length.policies.foretold import Foretold, Hindsight
from dlm_length.records import find_finished, read_samples
from dlm_length.runner.jobs import Job
from dlm_length.runner.loading import Told


def informed(config: RunConfig, kept: Mapping[str, int] | None) -> Policy:
    """The config's policy, with its lengths where an earlier session of the run `kept` them or earlier runs tell them.

    Raises ConfigError where such a run is missing or was not scored.
    """
    policy = config.policy
    if isinstance(policy, Foretold) and kept is not None:
        return policy.with_lengths(kept)
    if not isinstance(policy, Hindsight) or policy.lengths is not None:
        return policy
    found = [(earlier, _run_of(config, earlier)) for earlier in policy.earlier()]
    if missing := [_settings(earlier) for earlier, run in found if run is None]:
        raise ConfigError(
            f"policy {policy.name!r}: learns from finished, scored runs on the same samples, and below"
            f" {config.output.directory} there is none with {'; '.join(missing)}. Run the same config with those"
            f" settings first.{_hint(config)}"
        )
    return policy.in_hindsight([_scores(config, run) for _, run in found if run is not None])


def rehearsed(policy: Denoiser, engine: Engine, jobs: Callable[[], Sequence[Job]], told: Told) -> Denoiser:
    """The policy, with the lengths that a rehearsal over all `jobs` of its run finds where it does not know them."""
    if not isinstance(policy, Foretold) or policy.lengths is not None:
        return policy
    told.phase("finding the lengths")
    asked = jobs()
    return engine.rehearse([job.prompt_ids for job in asked], policy, [job.problem.id for job in asked])


def _run_of(config: RunConfig, policy: Policy) -> Path | None:
    """The finished run that differs from `config` in nothing but its policy, of whatever experiment."""
    other = config.model_copy(update={"policy": policy})
    return find_finished(Path(config.output.directory), other.run_name)


def _settings(policy: Policy) -> str:
    """What to pass on the command line for this policy."""
    told = [f"policy.name={policy.name}"]
    for field, info in type(policy).model_fields.items():
        # The length even where it is the default: the config that these are passed to may have another one.
        if field != "name" and ((value := getattr(policy, field)) != info.default or field == "length"):
            told.append(f"policy.{field}={value}")
    return " ".join(told)


def _hint(config: RunConfig) -> str:
    """What else a run of this benchmark needs to be scored."""
    runs_code = getattr(config.benchmark, "execute_code", True)
    return "" if runs_code else " Without benchmark.execute_code=true, in all of them and here, no answer is scored."


def _scores(config: RunConfig, run: Path) -> dict[str, float | None]:
    scores = {record.id: record.score for record in read_samples(run)}
    if all(score is None for score in scores.values()):
        raise ConfigError(
            f"run {run}: no sample there was scored, so that no length can be learnt from it.{_hint(config)}"
        )
    return scores
