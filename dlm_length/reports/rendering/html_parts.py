"""What the parts of the page share: text that stays text, and where the runs are found."""

import html
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from dlm_length.records import SampleRecord
from dlm_length.records.run_folder import SAMPLES
from dlm_length.reports.rendering.text import encodable

_CONTROLS = {code: chr(0x2400 + code) for code in range(32) if chr(code) not in "\t\n\r"} | {127: "␡"}
"""Control characters and their pictures: HTML allows most of them nowhere."""


def text(anything: str) -> str:
    """Text as it may stand in an element or a quoted attribute."""
    return html.escape(encodable(anything).translate(_CONTROLS))


def paragraphs(notes: Iterable[str]) -> str:
    lines = "".join(f'<p dir="auto">{text(note)}</p>' for note in notes)
    return f'<div class="notes">{lines}</div>' if lines else ""


@dataclass(frozen=True)
class RunSamples:
    """Samples of a run, to be read."""

    run: Path
    label: str
    section: str
    samples: Sequence[SampleRecord]
    """All of them, or as many as the page shall hold."""
    total: int
    """That the run has."""


class Runs:
    """The runs as links: to their folders as seen from the page's own, and to their samples on the page."""

    def __init__(self, folder: Path, samples: Sequence[RunSamples]) -> None:
        self._folder = folder
        self._samples = {_absolute(run.run): (number, run) for number, run in enumerate(samples, start=1)}

    def links(self, run: Path) -> str:
        """To the samples, if the page has them, and to the folder."""
        found = self._samples.get(_absolute(run))
        folder = f'<a href="{self.folder(run)}" title="{text(run.as_posix())}">folder</a>'
        return folder if found is None else f'<a href="#run-{found[0]}">samples</a> {folder}'

    def listed(self, runs: Iterable[Path]) -> str:
        """A list of links, each after its run's label, or the folder's name where the page has none."""
        items = "".join(f'<li><span dir="auto">{text(self._label(run))}</span> {self.links(run)}</li>' for run in runs)
        return f"<ul>{items}</ul>"

    def folder(self, run: Path) -> str:
        """Address of a run's folder."""
        path = os.path.relpath(_absolute(run), _absolute(self._folder))
        return f"{quote(os.fsencode(_NO_BYTES.sub('?', path)))}/"

    def records(self, run: Path) -> str:
        """Address of a run's samples.jsonl."""
        return f"{self.folder(run)}{SAMPLES}"

    def _label(self, run: Path) -> str:
        found = self._samples.get(_absolute(run))
        return run.name if found is None else found[1].label


_NO_BYTES = re.compile("[\ud800-\udc7f\udd00-\udfff]")
"""Half characters that stand for no byte, as the others in a path's name do: no folder's name has them."""


def _absolute(path: Path) -> str:
    return os.path.abspath(path)  # noqa: PTH100 -- drops `..`, and unlike `resolve` leaves links as they were named
