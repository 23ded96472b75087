"""Which checkpoint a run uses. Does not import torch, so that configs load quickly."""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import SerializerFunctionWrapHandler, model_serializer, model_validator

from dlm_length.common import Parameters, file_digest
from dlm_length.models.architecture import Architecture

Termination = Literal["eos", "eot"]

_ABSENT_UNLESS_SET = ("file", "file_sha256", "termination")
"""Fields that are left out of records where they are None: most checkpoints need none of them."""


class ModelSpec(Parameters):
    """A checkpoint: a hub id, a local folder, or one shipped with the package."""

    path: str
    """`owner/name` on the hub, a folder with config.json and safetensors, or `embedded:NAME`."""
    revision: str | None = None
    """Commit, tag or branch of a hub checkpoint; None: its main branch."""
    adapter: str | None = None
    """Folder of a LoRA adapter in peft's format, merged into the weights as they are loaded; None: the checkpoint as
    it is."""
    label: str | None = None
    """Short name for tables and folders; None: the last part of `path`, and of `adapter` behind a plus sign."""

    termination: Termination | None = None
    """Which token ends an answer for policies: eos, the checkpoint's EOS, or eot, its end-of-turn token, in which case
    the two swap roles (`include_eot` then adds EOS); None: the family's default."""
    preset: str | None = None
    """Name of the decoder settings that its authors sample with: the default of `policy.preset`; None: the family's."""
    file: str | None = None
    """A Python file that defines the checkpoint's model family, a `dlm_length.models.family.Family`. A relative name
    is relative to the config that names it."""
    file_sha256: str | None = None
    """SHA-256 of that file's content, which is part of the run's hash; computed where it is left out."""
    architecture: Architecture | None = None
    """Sizes, so that a dry run needs no checkpoint; a checkpoint's own config.json takes precedence where available."""

    @model_validator(mode="before")
    @classmethod
    def _with_digest(cls, fields: Any) -> Any:
        if not isinstance(fields, dict) or not isinstance(fields.get("file"), str) or fields.get("file_sha256"):
            return fields
        return {**fields, "file_sha256": file_digest(Path(fields["file"]))}

    @model_validator(mode="after")
    def _file_is_as_it_was(self) -> Self:
        if self.file is None:
            if self.file_sha256 is not None:
                raise ValueError("file_sha256 has no use without file: leave it out")
            return self
        now = file_digest(Path(self.file))
        if now is None:
            raise ValueError("file: cannot be read; expected a Python file")
        if now != self.file_sha256:
            raise ValueError(
                f"file_sha256: the file was edited since this config was written, and now has {now!r}; restore it, or"
                " leave file_sha256 out for a run with the file as it is now"
            )
        return self

    @model_serializer(mode="wrap")
    def _without_absent(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """All fields, except those of `_ABSENT_UNLESS_SET` that are None."""
        fields: dict[str, Any] = dump(self)
        return {name: value for name, value in fields.items() if value is not None or name not in _ABSENT_UNLESS_SET}

    @property
    def short_name(self) -> str:
        """The label or, without one, the last parts of path and adapter: the name in records and tables."""
        return self.label or "+".join(_last_part(path) for path in (self.path, self.adapter) if path)


def _last_part(path: str) -> str:
    return path.rstrip("/").replace(":", "/").rpartition("/")[2]
