"""The config of one run: model, policy, benchmark, hardware and output, resolved and validated."""

import hashlib
import io
import json
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, SerializeAsAny
from ruamel.yaml import YAML

from dlm_length.benchmarks import Benchmark
from dlm_length.common import Parameters
from dlm_length.config.hardware import Hardware
from dlm_length.models.spec import ModelSpec
from dlm_length.policies import Policy
from dlm_length.tracking import TrackerName


class Output(Parameters):
    """Where records go."""

    directory: str = "results"
    """Folder of all experiments, relative to the working directory."""


class RunConfig(Parameters):
    """One run, fully resolved."""

    experiment: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}$")]
    """Letters, digits, '_', '.', '+' and '-', at most 100 and no sign first: the run's folder below the output
    directory. By default the name of the config file."""
    model: ModelSpec
    """Checkpoint."""
    policy: SerializeAsAny[Policy]
    """How long the answer is and how it is denoised."""
    benchmark: SerializeAsAny[Benchmark]
    """What is asked and how it is scored."""
    hardware: Hardware = Hardware()
    """The machine."""
    output: Output = Output()
    """Where records go."""
    tracking: TrackerName | None = None
    """Experiment tracker that the run reports to; each is an extra, such as `dlmlen[wandb]`."""

    @property
    def fingerprint(self) -> str:
        """Hash, of eight hex digits, of everything that answers and scores depend on.

        Two configs have the same one exactly if they are the same run: labels, output folders and the hardware are left
        out, except for its seed. A local data file enters by its content, and so do a prompt file and the Python file
        of a policy, a benchmark or a model family. The choice of samples is left out too, unless the policy's answers
        depend on it: a folder has the samples of every choice that the run was executed with.
        """
        complete = self
        if not self.policy.depends_on_other_samples:
            complete = self.model_copy(update={"benchmark": self.benchmark.with_every_problem()})
        decisive = complete.model_dump(
            mode="json",
            exclude={
                "experiment": True,
                "output": True,
                "tracking": True,
                "hardware": True,
                "model": {"label", "architecture", "preset", "file"},
                "policy": {"file"},
                "benchmark": {"prompt_file", "file"},
            },
        )
        decisive["benchmark"].pop("repeats", None)  # no run depends on the number of its repeats
        if self.model.adapter is None:  # so that runs of versions without adapters keep their names
            del decisive["model"]["adapter"]
        decisive["seed"] = self.hardware.seed
        for field in self.policy.undecisive:
            decisive["policy"].pop(field, None)
        for field in self.benchmark.undecisive:
            decisive["benchmark"].pop(field, None)
        if self.policy.version > 1:  # so that runs of the first version keep their names
            decisive["policy"]["version"] = self.policy.version
        if (digest := self.benchmark.data_digest) is not None:
            decisive["benchmark"]["path"] = f"sha256:{digest}"  # independent of where the file is
        if (prompt := self.benchmark.prompt_digest) is not None:
            decisive["benchmark"]["prompt_file"] = f"sha256:{prompt}"
        decisive["benchmark"]["version"] = self.benchmark.version
        decisive["benchmark"]["prompt_version"] = self.benchmark.prompt_version
        canonical = json.dumps(_canonical(decisive), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:8]

    @property
    def run_name(self) -> str:
        """`<benchmark>__<model>__<policy>__<hash8>`, safe as a folder's name."""
        benchmark, model = _safe(self.benchmark.label), _safe(self.model.short_name) or "model"
        return f"{benchmark}__{model}__{self.policy.name}__{self.fingerprint}"

    @property
    def run_path(self) -> Path:
        """Folder of the run's records."""
        return Path(self.output.directory) / self.experiment / self.run_name

    def to_yaml(self) -> str:
        """The resolved config as a file that loads to an equal one."""
        text = io.StringIO()
        writer = YAML(typ="safe", pure=True)
        writer.default_flow_style = False
        writer.sort_base_mapping_type_on_output = False  # type: ignore[assignment]  # a flag that is typed as None
        writer.width = 10_000  # no folding: one line per value
        writer.allow_unicode = False  # unescaped, U+0085 would be a line break when read again
        writer.dump({field: _name_first(part) for field, part in self.model_dump(mode="json").items()}, text)
        return text.getvalue()


def _safe(name: str) -> str:
    """A part of a folder's name, without the double underscore that separates the parts."""
    return re.sub(r"[^A-Za-z0-9_.+-]+|_{2,}", "-", name)[:80].strip("-._")


def _name_first(part: Any) -> Any:
    """A section with its `name` first."""
    return {"name": part["name"], **part} if isinstance(part, dict) and "name" in part else part


def _canonical(value: Any) -> Any:
    """`value` with 1.0 as 1, so that the hash does not depend on how a number was written."""
    match value:
        case dict():
            return {key: _canonical(entry) for key, entry in value.items()}
        case list():
            return [_canonical(entry) for entry in value]
        case float() if value.is_integer():
            return int(value)
    return value
