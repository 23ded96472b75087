"""The sections of a run config: their classes, and the folders of their files."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from dlm_length.benchmarks import benchmarks, benchmarks_in_file
from dlm_length.common import Named, Parameters
from dlm_length.config import search_path
from dlm_length.config.hardware import Hardware
from dlm_length.config.run_config import Output
from dlm_length.models.spec import ModelSpec
from dlm_length.policies import policies, policies_in_file


@dataclass(frozen=True)
class Section:
    """One section of a run config."""

    schema: type[Parameters] | None = None
    """The class of its parameters, where there is only one."""
    registered: Callable[[], Mapping[str, type[Named]]] = dict
    """The classes that `name` chooses among, where there are several."""
    in_file: Callable[[Path], Mapping[str, type[Named]]] | None = None
    """The classes that a Python file defines, where the section may have a `file`; raises ConfigError."""
    folder: str | None = None
    """Folder of its files below a configs folder; None: it is always given inline."""

    def names(self) -> list[str]:
        """Names that it accepts: those of files and of registered classes."""
        files = search_path.names(self.folder) if self.folder else {}
        return sorted({*files, *self.registered()})

    def classes(self) -> list[type[Parameters]]:
        """Every class that its parameters may have."""
        return [self.schema] if self.schema else list(self.registered().values())


SECTIONS: Mapping[str, Section] = MappingProxyType(
    {
        "model": Section(schema=ModelSpec, folder="models"),
        "policy": Section(registered=policies, in_file=policies_in_file, folder="policies"),
        "benchmark": Section(registered=benchmarks, in_file=benchmarks_in_file, folder="benchmarks"),
        "hardware": Section(schema=Hardware, folder="hardware"),
        "output": Section(schema=Output),
    }
)
