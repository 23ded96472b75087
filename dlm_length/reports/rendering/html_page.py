"""Pages that are one HTML file each: the page of a report, and the templates that it shares with other pages.

A page loads nothing, and no text in it can become markup or script. The page of a report links to the folders of the
runs. Its summary, figures and tables are plain HTML, readable without JavaScript; samples, and the tables as CSV and
LaTeX, are compressed data that the page's scripts unpack on request. The template is `templates/report.html`.
"""

import base64
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import quote

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, pass_environment
from markupsafe import Markup

from dlm_length.common.printable import encodable, slug
from dlm_length.records.run_folder import SAMPLES
from dlm_length.reports.findings import Findings
from dlm_length.reports.rendering.figure import Figure
from dlm_length.reports.rendering.html_samples import RunSamples, pack, pack_samples, sections_of
from dlm_length.reports.table import Column, Number, ReportTable, p_text

_LARGEST_SVG = 2_000_000
"""Bytes; a larger drawing, as of very many points, is shown as a PNG."""
_OVERVIEW = "overview"
"""The beginning of the name of the figure that is put in the summary."""
_ELSEWHERE = "Of several benchmarks"
"""Heading of figures whose runs belong to several sections."""
_UNKNOWN = "Other runs"
"""Heading of runs that the page has no samples of."""
_NO_BYTES = re.compile("[\ud800-\udc7f\udd00-\udfff]")
"""Lone surrogates that, unlike the others, stand for no byte of a path: no folder's name has them."""
_NOTHING_FOUND = Findings((), (), ())


def html_page(
    title: str,
    tables: Sequence[ReportTable],
    figures: Sequence[Figure],
    samples: Sequence[RunSamples],
    notes: Sequence[str],
    folder: Path,
    *,
    findings: Findings = _NOTHING_FOUND,
    files: Mapping[str, str] | None = None,
    traces: Mapping[tuple[Path, str], str] | None = None,
) -> str:
    """The page as HTML text, to be written into `folder`: its links to the runs are relative to that.

    `samples`: of every run; every row and figure of a run that has any links to them. `notes`: about the whole report.
    `files`: the downloads of tables, by names such as `cost.csv`. `traces`: pages of traces by the run's folder and the
    sample's id.
    """
    overview, others = _overview(figures)
    packed = pack_samples(samples, traces)
    return render_page(
        __package__,
        "report",
        title=title,
        lead=_lead(samples),
        notes=notes,
        findings=findings,
        overview=overview,
        figure_groups=list(_by_section(others, samples)),
        tables=tables,
        sections=list(sections_of(samples)),
        some_samples=any(run.samples for run in samples),
        packed=packed,
        files=pack(dict(files or {})),
        file_names=sorted(files or {}),
        runs=_Runs(folder, samples),
        described=_described,
        drawing=_drawing,
        has_value=_has_value,
        js_number=_js_number,
        repeating=_repeating,
        slug=slug,
    )


def _lead(samples: Sequence[RunSamples]) -> str:
    """What the report covers, in a sentence."""
    sections = [title for _, title, _ in sections_of(samples)]
    policies = len({run.label for run in samples})
    total = sum(run.total for run in samples)
    if not samples:
        return ""
    of = sections[0] if len(sections) == 1 else f"{len(sections)} pairs of benchmark and model"
    counts = ((len(samples), "run"), (policies, "setting"), (total, "answer"))
    runs, settings, answers = (f"{count:,} {word}{'s' * (count != 1)}" for count, word in counts)
    return f"{runs} of {settings} on {of}: {answers}."


def _overview(figures: Sequence[Figure]) -> tuple[Figure | None, list[Figure]]:
    """The figure for the summary, where there is one, and the others."""
    overview = next((figure for figure in figures if figure.name.startswith(_OVERVIEW)), None)
    return overview, [figure for figure in figures if figure is not overview]


def _by_section(figures: Sequence[Figure], samples: Sequence[RunSamples]) -> Iterator[tuple[str, list[Figure]]]:
    """Figures by the section to which all their runs belong, in the order of the sections."""
    section_of = {_absolute(run.run): run.section for run in samples}
    groups: dict[str, list[Figure]] = {title: [] for title in section_of.values()}
    for figure in figures:
        titles = {section_of.get(_absolute(source)) for source in figure.sources}
        title = titles.pop() if len(titles) == 1 else None
        groups.setdefault(title or _ELSEWHERE, []).append(figure)
    return ((title, group) for title, group in groups.items() if group)


class _Runs:
    """Links to runs: their folders relative to the page's, and the numbers of their samples on the page."""

    def __init__(self, folder: Path, samples: Sequence[RunSamples]) -> None:
        self._folder = folder
        self._samples = {_absolute(run.run): (number, run) for number, run in enumerate(samples, start=1)}

    def number(self, run: Path) -> int | None:
        """The number of the run on the page, from 1; None where the page has none of its samples."""
        shown = self._samples.get(_absolute(run))
        return None if shown is None or not shown[1].samples else shown[0]

    def label(self, run: Path) -> str:
        """The run's label; the folder's name where the page does not know the run."""
        shown = self._samples.get(_absolute(run))
        return run.name if shown is None else shown[1].label

    def by_section(self, runs: Sequence[Path]) -> list[tuple[str, list[Path]]]:
        """The runs by section, with its title; a single group without a title where they are all of one section."""
        groups: dict[str, list[Path]] = {}
        for run in runs:
            shown = self._samples.get(_absolute(run))
            groups.setdefault(_UNKNOWN if shown is None else shown[1].section, []).append(run)
        return list(groups.items()) if len(groups) > 1 else [("", list(runs))]

    def folder(self, run: Path) -> str:
        """URL of a run's folder."""
        path = os.path.relpath(_absolute(run), _absolute(self._folder))
        return f"{quote(os.fsencode(_NO_BYTES.sub('?', path)))}/"

    def records(self, run: Path) -> str:
        """URL of a run's samples.jsonl."""
        return f"{self.folder(run)}{SAMPLES}"


def _absolute(path: Path) -> str:
    return os.path.abspath(path)  # noqa: PTH100 -- drops `..`, and unlike `resolve` leaves links as they were named


def _repeating(columns: Sequence[Column]) -> list[bool]:
    """Which columns only repeat what the cells of another show: the ends of its interval, or its two p values.

    They follow that column and have no better direction. The page hides them until a button is pressed.
    """
    hidden = []
    left = 0
    for column in columns:
        own = bool(column.own_columns) or not column.numeric or column.higher_is_better is not None
        hidden.append(left > 0 and not own)
        left = (2 if column.own_columns else 0) if own else max(left - 1, 0)
    return hidden


def _has_value(number: Number) -> bool:
    return not math.isnan(number.value)


def _js_number(value: float) -> str:
    """A number as JavaScript reads it, which writes `Infinity`."""
    return repr(float(value)).replace("inf", "Infinity")


def _described(number: Number) -> str:
    """The tooltip of a number: more digits, its interval and its p."""
    parts = [f"{number.value:.6g}"]
    if number.has_interval:
        parts.append(f"interval {number.low:.6g} to {number.high:.6g}")
    if not math.isnan(number.p):
        parts.append(f"p {p_text(number.p, equal='= ', resamples=number.resamples)}")
    return "; ".join(parts)


@dataclass(frozen=True)
class _Drawing:
    """A figure's picture in the page."""

    address: str
    """Data URL."""
    kind: str
    """png or svg."""
    wide: bool


def _drawing(figure: Figure) -> _Drawing:
    kind, image = "svg", figure.render("svg")
    if len(image) > _LARGEST_SVG:
        kind, image = "png", figure.render("png")
    mime = {"svg": "svg+xml", "png": "png"}[kind]
    address = f"data:image/{mime};base64,{base64.b64encode(image).decode('ascii')}"
    return _Drawing(address, kind, figure.is_wide)


_BASE = PackageLoader("dlm_length.reports.rendering")
"""The folder `templates`: base.html, which every page extends, and the report's own page."""
_CONTROLS = {code: chr(0x2400 + code) for code in range(32) if chr(code) not in "\t\n\r"} | {127: "␡"}
"""Control characters and their pictures: HTML does not allow most of them."""


def render_page(package: str, page: str, folder: str = "templates", **values: object) -> str:
    """The page from PAGE.html, with PAGE.css and PAGE.js put into it; all three are in `folder` of `package`.

    Strings among `values`, also those within objects, are escaped wherever the template puts them. `value | tojson` in
    the template is JSON that cannot end or open an element.
    """
    return _environment(package, folder).get_template(f"{page}.html").render(page=page, **values)


@cache
def _environment(package: str, folder: str) -> Environment:
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package, folder), _BASE]),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_encodable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    environment.globals["source"] = _source
    return environment


@pass_environment
def _source(environment: Environment, name: str) -> Markup:
    """A style sheet or script of this package, not rendered: braces in it mean nothing to Jinja."""
    assert environment.loader is not None, "set above"
    return Markup(environment.loader.get_source(environment, name)[0])


def _encodable(value: object) -> object:
    """Text without what UTF-8 cannot encode or HTML does not allow; markup and other values are not changed."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return encodable(value).translate(_CONTROLS)
    return value
