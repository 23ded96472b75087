"""Which checkpoint a run uses. Free of torch, so that configs load at once."""

from dlm_length.common import Parameters
from dlm_length.models.architecture import Architecture


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

    preset: str | None = None
    """The decoder settings that its authors sample with: `policy.preset` where the config names none."""
    architecture: Architecture | None = None
    """Sizes, so that a dry run needs no checkpoint; where one is at hand, its own config.json counts."""

    @property
    def short_name(self) -> str:
        return self.label or "+".join(_last_part(path) for path in (self.path, self.adapter) if path)


def _last_part(path: str) -> str:
    return path.rstrip("/").replace(":", "/").rpartition("/")[2]
