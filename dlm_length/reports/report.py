"""The whole report: every table and figure that these runs support, in every format, as files."""

import json
import os
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from dlm_length.analysis.effects import USUAL, Testing
from dlm_length.analysis.repeats import seeds_label
from dlm_length.analysis.runs import Run
from dlm_length.analysis.sections import Compared, Section, collect, compared
from dlm_length.common import first_few
from dlm_length.records import find_unfinished, read_first_eos, read_samples, write_atomically, writing
from dlm_length.reports.figures import report_figures
from dlm_length.reports.findings import Findings, findings
from dlm_length.reports.output_dir import SOURCES, check_overwrite, put_in_place, refuse_run_folder, staged
from dlm_length.reports.paper_style import PaperStyle, own_layouts, paper_style_tables
from dlm_length.reports.provenance import Provenance, provenance, source_date_epoch
from dlm_length.reports.rendering import (
    RunSamples,
    ShownSample,
    csv_table,
    html_page,
    json_tables,
    latex_document,
    latex_table,
    markdown_notes,
    markdown_table,
)
from dlm_length.reports.rendering.figure import FIGURE_FORMATS, Figure
from dlm_length.reports.rendering.html_samples import sections_of
from dlm_length.reports.table import ReportTable
from dlm_length.reports.tables.ablations import ablation_table
from dlm_length.reports.tables.certified import certified_table
from dlm_length.reports.tables.cost import cost_table
from dlm_length.reports.tables.daedal import daedal_table
from dlm_length.reports.tables.decoding import decoding_table
from dlm_length.reports.tables.effects import effects_table
from dlm_length.reports.tables.margins import margin_table
from dlm_length.reports.tables.smartcrop import smartcrop_table

Format = Literal["latex", "markdown", "csv", "json", "html"]
FORMATS: tuple[Format, ...] = get_args(Format)
Paper = Literal["smartcrop", "daedal"]
PAPERS: tuple[Paper, ...] = get_args(Paper)

_OTHER = "See --out."
_PDF_SECONDS = 120
"""A document of ours compiles in seconds; what takes longer waits for something."""


@dataclass(frozen=True)
class Written:
    """A report on disk."""

    folder: Path
    sheets: tuple[ReportTable, ...]
    told: tuple[str, ...]
    """Sentences for whoever asked for it: what was left out, where to begin reading, and what could not be made."""


TraceSample = Callable[[Path, ShownSample], str | None]
"""Makes the page of a trace of a sample of the run in that folder; None where it cannot."""


@dataclass(frozen=True)
class _Page:
    """What the page has besides tables and figures."""

    sections: Sequence[Section]
    findings: Findings
    samples: int | None
    trace: TraceSample | None
    traces: int

    @property
    def shown(self) -> list[RunSamples]:
        """Samples of every run."""
        return [each for section in self.sections for each in _shown(section, self.samples)]

    def traced(self, shown: Sequence[RunSamples], progress: Callable[[str], None]) -> dict[tuple[Path, str], str]:
        """Pages of traces by the run's folder and the sample's id: of the first prompts on which most runs flipped."""
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
    """Ids of so many samples of a section: first those on which most runs score otherwise than their baseline."""
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

    What an earlier report left there is removed, and nothing else; no other file is overwritten. Until all of the new
    report is written, the earlier one stays as it is.

    `baseline`: see `collect`. `testing`: how effects are tested and starred. `margin`: a share of the score within
    which non-inferiority and equivalence are tested; None: they are not. `papers`: whose tables are made; costs,
    ablations and tests come with either. `style`: tables for submission, in place of the usual ones. `layouts`: papers
    whose own layouts are made besides. `samples`: how many of each run the page has; None: all. `trace`: makes the
    pages of traces that the page links to, of `traces` prompts of each benchmark under every policy. `extra`: tables
    put first. `command`: what asked for the report, to be named in it. `progress` is told what begins.

    Raises RecordError for paths without a finished run, UserError for an unknown baseline and for a folder that cannot
    be written, is a run's or holds files of these names that no report made, StatisticsError where the test of
    the stars does not apply to these scores, ConfigError for a labels file of `style` as `read_labels`.
    """
    with writing(folder, _OTHER):
        refuse_run_folder(folder)
    progress("reading the records")
    sections = collect(paths, baseline=baseline)
    left_out = list(_left_out(find_unfinished(paths)))
    progress("computing the effects")
    effects = compared(sections, testing)
    usual = _sheets(effects, papers, margin) if style is None else paper_style_tables(effects, style, papers, margin)
    sheets = (*extra, *own_layouts(effects, layouts), *usual)
    drawn: list[Figure] = []
    if figures:
        fixed = [path for section in sections for run in section.baselines for path in run.paths]
        first_eos = {path: eos for path in fixed if (eos := read_first_eos(path))}
        drawn = report_figures(effects, first_eos)
    made = provenance([run.path for section in sections for run in section.runs], command)
    noted = [replace(sheet, notes=(*sheet.notes, *left_out)) for sheet in sheets]
    page = _Page(sections, findings(effects, extra), samples, trace, traces)
    with writing(folder, _OTHER):
        told = list(_write(folder, title, noted, drawn, page, set(formats), left_out, made, progress))
    return Written(folder, sheets, (*left_out, *told))


def _left_out(runs: Sequence[Path]) -> Iterator[str]:
    """A sentence where there are any."""
    if runs:
        names = first_few([run.name for run in runs])
        yield f"{len(runs):,} unfinished run{'s' * (len(runs) > 1)} left out: {names}."


def _sheets(sections: Sequence[Compared], papers: Collection[Paper], margin: float | None) -> list[ReportTable]:
    made = [
        smartcrop_table(sections) if "smartcrop" in papers else None,
        daedal_table(sections) if "daedal" in papers else None,
        cost_table(sections),
        decoding_table(sections),
        ablation_table(sections),
        certified_table(sections),
        effects_table(sections),
        None if margin is None else margin_table(sections, margin),
    ]
    return [sheet for sheet in made if sheet is not None]


def _write(
    folder: Path,
    title: str,
    sheets: Sequence[ReportTable],
    figures: Sequence[Figure],
    page: _Page,
    formats: set[Format],
    notes: Sequence[str],
    made: Provenance,
    progress: Callable[[str], None],
) -> Iterator[str]:
    files = _files(sheets, figures, formats)
    check_overwrite(folder, [*files, Path(SOURCES)])
    with staged(folder) as stage:
        tables, pictures = stage / "tables", stage / "figures"
        for each in (tables, pictures):
            each.mkdir()
        progress(f"drawing {len(figures)} figures")
        for figure in figures:
            for kind in FIGURE_FORMATS:
                write_atomically(pictures / f"{figure.name}.{kind}", figure.render(kind))
        for name, (suffix, render) in _TABLES.items():
            if name in formats:
                for sheet in sheets:
                    write_atomically(tables / f"{sheet.name}.{suffix}", render(sheet))
        if "markdown" in formats:
            parts = [f"# {title}", *(markdown_table(sheet) for sheet in sheets), markdown_notes(made.sentences)]
            write_atomically(stage / "report.md", "\n\n".join(parts) + "\n")
        if "html" in formats:
            progress("writing the page")
            shown = page.shown
            text = html_page(
                title,
                sheets,
                figures,
                shown,
                [*notes, *made.sentences],
                folder,
                findings=page.findings,
                files={f"{sheet.name}.{suffix}": render(sheet) for suffix, render in _DOWNLOADS for sheet in sheets},
                traces=page.traced(shown, progress),
            )
            write_atomically(stage / "index.html", text)
            yield f"Page: {folder / 'index.html'}"
        if "latex" in formats:
            write_atomically(stage / "report.tex", latex_document(sheets, figures, title, made.sentences))
            progress("compiling the PDF")
            yield compile_pdf(stage / "report.tex", folder, source_date_epoch(made))
        write_atomically(stage / SOURCES, _sources(sheets, figures, files, made))
        put_in_place(stage, folder)


_TABLES: Mapping[Format, tuple[str, Callable[[ReportTable], str]]] = {
    "latex": ("tex", latex_table),
    "markdown": ("md", markdown_table),
    "csv": ("csv", csv_table),
    "json": ("json", lambda table: f"{json_tables([table])}\n"),
}
"""Suffix and renderer of the tables' own files."""
_DOWNLOADS = (_TABLES["csv"], _TABLES["latex"])
"""What the page offers of each table."""
_WHOLE: Mapping[Format, tuple[str, ...]] = {
    "markdown": ("report.md",),
    "html": ("index.html",),
    "latex": ("report.tex", "report.pdf"),
}
"""Files that hold the whole report."""


def _files(sheets: Sequence[ReportTable], figures: Sequence[Figure], formats: set[Format]) -> list[Path]:
    """All that a report writes beside SOURCES, relative to its folder."""
    made = [Path("figures", f"{figure.name}.{kind}") for figure in figures for kind in FIGURE_FORMATS]
    made += [
        Path("tables", f"{sheet.name}.{suffix}")
        for sheet in sheets
        for name, (suffix, _) in _TABLES.items()
        if name in formats
    ]
    return made + [Path(name) for kind, names in _WHOLE.items() if kind in formats for name in names]


def _sources(sheets: Sequence[ReportTable], figures: Sequence[Figure], files: Sequence[Path], made: Provenance) -> str:
    """Which runs every table row and figure comes from, how these were made, and the report's files, as JSON."""
    tables = {
        sheet.name: [
            {
                "group": group.heading,
                "row": row.cells[0] if isinstance(row.cells[0], str) else row.cells[0].text,
                "runs": [str(path) for path in row.sources],
            }
            for group in sheet.groups
            for row in group.rows
        ]
        for sheet in sheets
    }
    drawn = {figure.name: [str(path) for path in figure.sources] for figure in figures}
    names = [path.as_posix() for path in files]
    told = {"provenance": made.as_json(), "tables": tables, "figures": drawn, "files": names}
    return json.dumps(told, indent=1, ensure_ascii=False) + "\n"


def _shown(section: Section, samples: int | None) -> Iterator[RunSamples]:
    for row, label in zip(section.runs, section.labels, strict=True):
        for run in row.members:
            own = f"{label}, {seeds_label(run)}" if row.repeats else label
            records = read_samples(run.path, limit=samples, only=run.samples)
            shown = [ShownSample.of(record) for record in sorted(records, key=lambda record: record.doc_id)]
            yield RunSamples(run.path, own, section.title, shown, len(run.samples), _baseline_of(section, run))


def _baseline_of(section: Section, run: Run) -> Path | None:
    """The run on disk that another is compared with sample by sample: of the baseline's, that of the same seed."""
    if section.baseline is None:
        return None
    members = section.baseline.members
    return next((each.path for each in members if each.seeds == run.seeds), members[0].path)


def compile_pdf(document: Path, folder: Path, variables: Mapping[str, str]) -> str:
    """Compile a LaTeX document beside itself where pdflatex is installed; the sentence that says how it went.

    `folder`: where the document will be found, for that sentence. `variables`: of pdflatex's environment.
    """
    written = folder / document.name
    program = shutil.which("pdflatex")
    if program is None:
        return f"LaTeX: {written} (no PDF: pdflatex is not installed)"
    with tempfile.TemporaryDirectory() as scratch:
        command = [program, "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape"]
        try:
            done = subprocess.run(
                [*command, f"-output-directory={scratch}", document.name],
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
