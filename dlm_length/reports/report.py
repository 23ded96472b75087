"""The whole report: every table and figure that these runs support, in every format, as files."""

import json
import os
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from dlm_length.analysis.effects import USUAL, Testing
from dlm_length.analysis.repeats import seeds_label
from dlm_length.analysis.runs import Run
from dlm_length.analysis.sections import Section, collect, compared
from dlm_length.common import counted, first_few
from dlm_length.records import find_unfinished, read_first_eos, read_samples, write_atomically, writing
from dlm_length.reports.figures import report_figures
from dlm_length.reports.findings import Findings, findings
from dlm_length.reports.names import DECLARED, read_labels, with_readers_names
from dlm_length.reports.output_dir import SOURCES, check_overwrite, put_in_place, refuse_run_folder, staged
from dlm_length.reports.provenance import Provenance, provenance, source_date_epoch
from dlm_length.reports.rendering import (
    TABLE_FILES,
    RunSamples,
    ShownSample,
    TextFormat,
    html_page,
    latex_document,
    markdown_notes,
    markdown_table,
)
from dlm_length.reports.rendering.figure import FIGURE_FORMATS, Figure
from dlm_length.reports.rendering.html_samples import sections_of
from dlm_length.reports.report_tables import PaperStyle, Tables, own_layouts, report_tables
from dlm_length.reports.table import ReportTable

Format = Literal["latex", "markdown", "csv", "json", "html"]
FORMATS: tuple[Format, ...] = get_args(Format)
Paper = Literal["smartcrop", "daedal"]
PAPERS: tuple[Paper, ...] = get_args(Paper)

_OTHER = "See --out."
_PDF_SECONDS = 120
"""Seconds after which pdflatex, which takes a few, is ended."""


@dataclass(frozen=True)
class Written:
    """A report on disk."""

    folder: Path
    tables: tuple[ReportTable, ...]
    """The tables for programs."""
    notes: tuple[str, ...]
    """Sentences for the user: what was left out, which file to read first, and what could not be made."""


TraceSample = Callable[[Path, ShownSample], str | None]
"""Makes the page with the trace of a sample of the run in that folder; None where it cannot."""


@dataclass(frozen=True)
class _Page:
    """What the HTML page shows in addition to tables and figures; see `write_report`."""

    sections: Sequence[Section]
    findings: Findings
    samples: int | None
    trace: TraceSample | None
    traces: int

    @property
    def shown(self) -> list[RunSamples]:
        """The samples of every run."""
        return [each for section in self.sections for each in _shown(section, self.samples)]

    def traced(self, shown: Sequence[RunSamples], progress: Callable[[str], None]) -> dict[tuple[Path, str], str]:
        """Pages of traces by the run's folder and the sample's id, for the prompts on which most scores changed."""
        if self.trace is None:
            return {}
        wanted = [
            (run.run, sample)
            for _, _, members in sections_of(shown)
            for chosen in [_most_flipped([run for _, run in members], self.traces)]
            for _, run in members
            for sample in run.samples
            if sample.id in chosen
        ]
        made: dict[tuple[Path, str], str] = {}
        for number, (run, sample) in enumerate(wanted, start=1):
            progress(f"tracing {number} of {len(wanted)}")
            page = self.trace(run, sample)
            if page is not None:
                made[run, sample.id] = page
        return made


def _most_flipped(runs: Sequence[RunSamples], count: int) -> set[str]:
    """The ids of the `count` samples of a section that most runs score differently than their baseline."""
    scores = {run.run: {sample.id: sample.score for sample in run.samples} for run in runs}
    flips: Counter[str] = Counter()
    for run in runs:
        base = {} if run.baseline is None else scores.get(run.baseline, {})
        for name, score in scores[run.run].items():
            flips[name] += name in base and score != base[name]
    return {name for name, _ in flips.most_common(count)}


def write_report(
    paths: Sequence[Path],
    folder: Path,
    *,
    title: str = "Answer length in diffusion language models",
    baseline: str | None = None,
    testing: Testing = USUAL,
    formats: Collection[Format] = FORMATS,
    margin: float | None = None,
    papers: Collection[Paper] = PAPERS,
    style: PaperStyle | None = None,
    labels: Path | None = None,
    layouts: Collection[str] = (),
    figures: bool = True,
    samples: int | None = None,
    trace: TraceSample | None = None,
    traces: int = 1,
    extra: Sequence[ReportTable] = (),
    command: str | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Written:
    """Write the report of all finished runs at or below `paths` into `folder`.

    The files of an earlier report in that folder are removed when all of the new one is written; no other file is
    removed or overwritten.

    `baseline`: see `collect`. `testing`: how effects are tested and starred. `margin`: a share of the score within
    which non-inferiority and equivalence are tested; None: they are not. `papers`: whose tables are made, in addition
    to costs, ablations and tests. `style`: tables for submission, in place of the usual ones. `labels`: a file of names
    for readers, see `read_labels`. `layouts`: papers whose own layouts are added. `samples`: the number of samples of
    each run on the page; None: all. `trace`: makes the pages of traces to which the page links, for `traces` prompts of
    each benchmark under every policy. `extra`: tables put first. `command`: the command line, for the provenance.
    `progress`: called with the name of each step as it begins.

    Raises RecordError for paths without a finished run, UserError for a folder that cannot be written, is a run's or
    has other files of these names, StatisticsError where the test of the stars does not apply to these scores,
    ConfigError for an unknown baseline and for a faulty file of labels.
    """
    with writing(folder, _OTHER):
        refuse_run_folder(folder)
    progress("reading the records")
    sections = collect(paths, baseline=baseline)
    names = DECLARED if labels is None else read_labels(labels, sections)
    left_out = list(_left_out(find_unfinished(paths)))
    progress("computing the effects")
    effects = compared(sections, testing)
    named = with_readers_names(effects, names)
    tables = report_tables(effects, named, style=style, papers=papers, margin=margin)
    tables = tables.after([*extra, *own_layouts(named, layouts)])
    drawn: list[Figure] = []
    if figures:
        fixed = [path for section in sections for run in section.baselines for path in run.paths]
        first_eos = {path: eos for path in fixed if (eos := read_first_eos(path))}
        drawn = report_figures(named, first_eos)
    made = provenance([run.path for section in sections for run in section.runs], command)
    page = _Page([each.section for each in named], findings(named, extra), samples, trace, traces)
    with writing(folder, _OTHER):
        written = _write(folder, title, tables.noting(left_out), drawn, page, set(formats), left_out, made, progress)
        return Written(folder, tables.for_programs, (*left_out, *written))


def _left_out(runs: Sequence[Path]) -> Iterator[str]:
    """A sentence that names these unfinished runs, where there are any."""
    if runs:
        names = first_few([run.name for run in runs])
        yield f"{len(runs):,} unfinished run{'s' * (len(runs) > 1)} left out: {names}."


def _write(
    folder: Path,
    title: str,
    tables: Tables,
    figures: Sequence[Figure],
    page: _Page,
    formats: set[Format],
    notes: Sequence[str],
    made: Provenance,
    progress: Callable[[str], None],
) -> list[str]:
    """Write all files; returns sentences about the page and the PDF."""
    readable = tables.for_readers
    files = _files(readable, figures, formats)
    check_overwrite(folder, [*files, Path(SOURCES)])
    written = []
    with staged(folder) as stage:
        for each in (stage / "tables", stage / "figures"):
            each.mkdir()
        progress(f"drawing {counted(len(figures), 'figure')}")
        for figure in figures:
            for kind in FIGURE_FORMATS:
                write_atomically(stage / "figures" / f"{figure.name}.{kind}", figure.render(kind))
        for name, text in _table_files(tables, (kind for kind in TABLE_FILES if kind in formats)).items():
            write_atomically(stage / "tables" / name, text)
        if "markdown" in formats:
            parts = [f"# {title}", *(markdown_table(table) for table in readable), markdown_notes(made.sentences)]
            write_atomically(stage / "report.md", "\n\n".join(parts) + "\n")
        if "html" in formats:
            progress("writing the page")
            shown = page.shown
            text = html_page(
                title,
                readable,
                figures,
                shown,
                [*notes, *made.sentences],
                folder,
                findings=page.findings,
                files=_table_files(tables, ("csv", "latex")),
                traces=page.traced(shown, progress),
            )
            write_atomically(stage / "index.html", text)
            written.append(f"Page: {folder / 'index.html'}")
        if "latex" in formats:
            write_atomically(stage / "report.tex", latex_document(readable, figures, title, made.sentences))
            progress("compiling the PDF")
            written.append(compile_pdf(stage / "report.tex", folder, source_date_epoch(made)))
        write_atomically(stage / SOURCES, _sources(tables.for_programs, figures, files, made))
        put_in_place(stage, folder)
    return written


def _table_files(tables: Tables, kinds: Iterable[TextFormat]) -> dict[str, str]:
    """The files of single tables, by name."""
    renderers = ((kind, *TABLE_FILES[kind]) for kind in kinds)
    return {f"{table.name}.{suffix}": render(table) for kind, suffix, render in renderers for table in tables.of(kind)}


_WHOLE: Mapping[Format, tuple[str, ...]] = {
    "markdown": ("report.md",),
    "html": ("index.html",),
    "latex": ("report.tex", "report.pdf"),
}
"""The files with the whole report."""


def _files(tables: Sequence[ReportTable], figures: Sequence[Figure], formats: set[Format]) -> list[Path]:
    """All files of a report except SOURCES, relative to its folder."""
    made = [Path("figures", f"{figure.name}.{kind}") for figure in figures for kind in FIGURE_FORMATS]
    made += [
        Path("tables", f"{table.name}.{suffix}")
        for table in tables
        for name, (suffix, _) in TABLE_FILES.items()
        if name in formats
    ]
    return made + [Path(name) for kind, names in _WHOLE.items() if kind in formats for name in names]


def _sources(tables: Sequence[ReportTable], figures: Sequence[Figure], files: Sequence[Path], made: Provenance) -> str:
    """The runs behind each table row and figure, how they were made, and the report's files, as JSON."""
    rows = {
        table.name: [
            {
                "group": group.heading,
                "row": row.cells[0] if isinstance(row.cells[0], str) else row.cells[0].text,
                "runs": [str(path) for path in row.sources],
            }
            for group in table.groups
            for row in group.rows
        ]
        for table in tables
    }
    drawn = {figure.name: [str(path) for path in figure.sources] for figure in figures}
    names = [path.as_posix() for path in files]
    content = {"provenance": made.as_json(), "tables": rows, "figures": drawn, "files": names}
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _shown(section: Section, samples: int | None) -> Iterator[RunSamples]:
    for row, label in zip(section.runs, section.labels, strict=True):
        for run in row.members:
            own = f"{label}, {seeds_label(run)}" if row.repeats else label
            records = read_samples(run.path, limit=samples, only=run.samples)
            shown = [ShownSample.of(record) for record in sorted(records, key=lambda record: record.doc_id)]
            yield RunSamples(run.path, own, section.title, shown, len(run.samples), _baseline_of(section, run))


def _baseline_of(section: Section, run: Run) -> Path | None:
    """The run on disk that another is compared with sample by sample: the baseline's run with the same seed."""
    if section.baseline is None:
        return None
    members = section.baseline.members
    return next((each.path for each in members if each.seeds == run.seeds), members[0].path)


def compile_pdf(document: Path, folder: Path, variables: Mapping[str, str]) -> str:
    """Compile a LaTeX document in its folder, if pdflatex is installed; returns a sentence about the outcome.

    `folder`: the final folder of the document, for that sentence. `variables`: for pdflatex's environment.
    """
    written = folder / document.name
    program = shutil.which("pdflatex")
    if program is None:
        return f"LaTeX: {written} (no PDF: pdflatex is not installed)"
    with tempfile.TemporaryDirectory() as scratch:
        command = [program, "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape"]
        for draft in (["-draftmode"], []):  # the first run finds the widths of longtables, and writes no PDF
            try:
                done = subprocess.run(
                    [*command, *draft, f"-output-directory={scratch}", document.name],
                    cwd=document.parent,
                    env=os.environ | variables,
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    timeout=_PDF_SECONDS,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                return f"LaTeX: {written} (no PDF: pdflatex did not end within {_PDF_SECONDS} s)"
            if done.returncode:
                why = next((line for line in done.stdout.decode(errors="replace").splitlines() if line[:1] == "!"), "?")
                return f"LaTeX: {written} (no PDF: pdflatex says {why!r}; are booktabs and siunitx installed?)"
        compiled = Path(scratch) / document.with_suffix(".pdf").name
        write_atomically(document.with_suffix(".pdf"), compiled.read_bytes())
    return f"PDF: {written.with_suffix('.pdf')}"
