"""A paper's experiment as a study, with the published number that each of its runs should reproduce."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from dlm_length.common import ConfigError, Parameters, listing, suggestion
from dlm_length.config.load import load_config
from dlm_length.config.run_config import RunConfig
from dlm_length.config.study import PLACEHOLDER, Block, Study, combinations
from dlm_length.papers import FurtherRuns, Paper, PublishedCell, TablePlan, load_paper

MINI = "mini"
"""Name of all mini benchmarks together."""
MINI_LONGEST = 256
"""The longest canvas of the mini configs, in tokens: the embedded model was trained on no longer ones."""
_LENGTHS = ("length", "initial_length", "max_length")
_OWN = ("benchmark", "policy")
"""Sections that the plan chooses."""
_PATH = "benchmark.path"


@dataclass(frozen=True)
class RequestedBenchmark:
    """A benchmark of a paper, and the one that is run for it."""

    published: str
    """As the paper writes it."""
    name: str
    is_mini: bool
    """Whether its mini benchmark is run in its place."""

    @property
    def names(self) -> frozenset[str]:
        """The names that a user may give, in lower case."""
        return frozenset({self.name.lower()} if self.is_mini else {self.name.lower(), self.published.lower()})


@dataclass(frozen=True)
class Expected:
    """A published number and the runs that should reproduce it."""

    cell: PublishedCell
    benchmark: RequestedBenchmark
    run: RunConfig | None
    baseline: RunConfig | None
    """The run that an effect is relative to; None for a number of one run."""
    reason: str = ""
    """Why there is no run, where `run` is None."""


@dataclass(frozen=True)
class Reproduction:
    """The runs for a paper, and the published numbers that they are compared with."""

    paper: Paper
    model: str
    """Short name of the model that is run."""
    study: Study
    expected: tuple[Expected, ...]
    overrides: tuple[str, ...]
    """Overrides of the user, in addition to the plan."""

    @property
    def unscored(self) -> tuple[str, ...]:
        """Benchmarks without scores, as their answers are code that may not be executed."""
        benchmarks = [block.all[0].benchmark for block in self.study.blocks]
        return tuple(each.name for each in benchmarks if getattr(each, "execute_code", True) is False)


def load_reproduction(
    paper: str,
    *,
    model: str | None = None,
    benchmarks: Sequence[str] | None = None,
    only: Sequence[str] = ("main",),
    data: Sequence[str] = (),
    overrides: Sequence[str] = (),
) -> Reproduction:
    """The runs of a paper's plan and the published numbers that belong to them.

    `model`: a model config; by default the paper's first. A model that the paper has is compared with its own
    numbers, any other with those of the paper's first. `benchmarks`: by the paper's names or ours, mini benchmarks by
    theirs, `mini` for all of these; by default the paper's. Two benchmarks with the same mini benchmark share its runs.
    `only`: parts of the plan. `data`: local files, each `BENCHMARK=FILE`. `overrides` apply to the runs that have such
    a field and do not vary it. Data or overrides that apply to no run are refused. Raises ConfigError.
    """
    published = load_paper(paper)
    plan = published.plan
    for group in only:
        if group not in plan.groups:
            raise ConfigError(
                f"--only {group!r}: {paper} has no such part; there are {listing(plan.groups)}."
                f"{suggestion(group, plan.groups)}"
            )
    chosen = next(iter(plan.models.values())) if model is None else model
    loader = _Loader([f"experiment=reproduce_{paper}", f"model={chosen}"], overrides)
    requested = list(_requested_benchmarks(published, benchmarks))
    files = _files(requested, data)
    matrix = _Matrix(published, requested, loader, files)
    for table in plan.tables:
        if table.group in only:
            matrix.add_table(table)
    for part in plan.further:
        if part.group in only:
            matrix.add_further(part)
    if not matrix.runs:
        names = listing(each.published for each in requested)
        raise ConfigError(f"reproduce {paper}: {listing(only)} has no runs on {names}; see --only and --benchmarks.")
    _refuse_misplaced(files, overrides, list(matrix.runs))
    loader.refuse_unused()
    blocks = tuple(matrix.blocks())
    first = blocks[0].all[0]
    study = Study(first.experiment, blocks)
    own = (*(f"--data {name}={file}" for name, file in files.items()), *overrides)
    return Reproduction(published, first.model.short_name, study, tuple(matrix.expected), own)


def _requested_benchmarks(paper: Paper, benchmarks: Sequence[str] | None) -> Iterator[RequestedBenchmark]:
    """The benchmarks of these names, each once, in the paper's order."""
    known = paper.plan.benchmarks
    ours = {name: RequestedBenchmark(name, names.name, is_mini=False) for name, names in known.items()}
    minis = {name: RequestedBenchmark(name, names.mini, is_mini=True) for name, names in known.items()}
    if benchmarks is None:
        yield from ours.values()
        return
    names = [name.strip().lower() for name in benchmarks]
    by_name: dict[str, list[RequestedBenchmark]] = {MINI: list(minis.values())}
    for benchmark in (*ours.values(), *minis.values()):
        for name in benchmark.names:
            by_name.setdefault(name, []).append(benchmark)
    for name in names:
        if name not in by_name:
            allowed = [MINI, *known, *dict.fromkeys(benchmark.name for benchmark in minis.values())]
            raise ConfigError(
                f"--benchmarks {name!r}: {paper.plan.method} has no such benchmark; there are {listing(allowed)}."
                f"{suggestion(name, allowed)}"
            )
    chosen = [benchmark for name in names for benchmark in by_name[name]]
    yield from (benchmark for benchmark in (*ours.values(), *minis.values()) if benchmark in chosen)


def _files(requested: Sequence[RequestedBenchmark], data: Sequence[str]) -> dict[str, str]:
    """The file of each benchmark that `--data` gives one, by our name."""
    ours = {name: each.name for each in requested for name in each.names}
    files: dict[str, str] = {}
    for entry in data:
        given, _, file = (part.strip() for part in entry.partition("="))
        name = ours.get(given.lower())
        if not given or not file:
            raise ConfigError(f"--data {entry!r}: expected BENCHMARK=FILE, such as {requested[0].name}=FILE.jsonl.")
        if name is None:
            allowed = listing(dict.fromkeys(ours.values()))
            raise ConfigError(
                f"--data {entry!r}: {given!r} is not run here; there are {allowed}.{suggestion(given, ours.values())}"
            )
        if name in files:
            raise ConfigError(f"--data {entry!r}: {name} has a file already, {files[name]}; give it one.")
        files[name] = file
    return files


def _refuse_misplaced(files: Mapping[str, str], overrides: Sequence[str], run: Sequence[str]) -> None:
    """Raise ConfigError for a file that no run reads, or that several benchmarks would read."""
    for name, file in files.items():
        if name not in run:
            raise ConfigError(f"--data {name}={file}: the parts that are run have no {name}, only {listing(run)}.")
    path = next((override for override in overrides if _field(override) == _PATH), None)
    if path is not None and (files or len(run) > 1):
        raise ConfigError(
            f"{path}: would be the data of every benchmark; give each a file of its own, --data BENCHMARK=FILE;"
            f" there are {listing(run)}."
        )


@dataclass
class _Matrix:
    """Collects the runs of a plan's parts, and the numbers that are expected of them."""

    paper: Paper
    benchmarks: list[RequestedBenchmark]
    loader: "_Loader"
    files: Mapping[str, str]
    """The data file of a benchmark, by our name, where it is not the default."""
    runs: dict[str, dict[Path, RunConfig]] = field(default_factory=dict)
    """By our name of the benchmark, each run once."""
    baselines: dict[str, RunConfig] = field(default_factory=dict)
    expected: list[Expected] = field(default_factory=list)

    def add_table(self, table: TablePlan) -> None:
        """The table's runs, with its numbers for the model that is run."""
        for benchmark in self.benchmarks:
            here = [
                cell for cell in self.paper.cells if (cell.table, cell.benchmark) == (table.name, benchmark.published)
            ]
            rows = [self._row(cell, benchmark) for cell in self._of_model(here, benchmark)]
            baseline = next((row.run for row in rows if row.cell.baseline), None)
            if baseline is not None:
                self.baselines[benchmark.name] = baseline
            self.expected += [replace(row, baseline=baseline if row.cell.is_effect else None) for row in rows]

    def add_further(self, part: FurtherRuns) -> None:
        """Runs without published numbers."""
        for benchmark in self.benchmarks:
            is_included = part.benchmarks is None or benchmark.published in part.benchmarks
            if is_included and (benchmark.is_mini or part.on == "both"):
                for values in combinations(part.vary):
                    self._run(benchmark, part.config, values)

    def blocks(self) -> Iterator[Block]:
        """The runs over each benchmark."""
        for name, runs in self.runs.items():
            baseline = self.baselines.get(name)
            yield Block(baseline, tuple(run for run in runs.values() if run != baseline))

    def _row(self, cell: PublishedCell, benchmark: RequestedBenchmark) -> Expected:
        recipe = cell.mini if benchmark.is_mini else cell.recipe
        if benchmark.is_mini and any(recipe.policy.get(name, 0) > MINI_LONGEST for name in _LENGTHS):
            return Expected(cell, benchmark, None, None, f"the mini benchmarks have canvases up to {MINI_LONGEST}")
        (own,) = combinations({f"policy.{name}": [value] for name, value in recipe.policy.items()})
        return Expected(cell, benchmark, self._run(benchmark, recipe.config, own), None)

    def _run(self, benchmark: RequestedBenchmark, config: str, own: Sequence[str]) -> RunConfig:
        data = [f"{_PATH}={self.files[benchmark.name]}"] if benchmark.name in self.files else []
        run = self.loader.load(config.replace(PLACEHOLDER, benchmark.name), [*data, *own])
        return self.runs.setdefault(benchmark.name, {}).setdefault(run.run_path, run)

    def _of_model(self, cells: Sequence[PublishedCell], benchmark: RequestedBenchmark) -> list[PublishedCell]:
        """The cells of the model that is run, or else of the paper's first."""
        if not cells:
            return []
        recipe = cells[0].mini if benchmark.is_mini else cells[0].recipe
        ours = self.loader.bare(recipe.config.replace(PLACEHOLDER, benchmark.name)).model.short_name
        published = dict.fromkeys(cell.model for cell in cells)
        model = next((name for name in published if name.lower() == ours.lower()), cells[0].model)
        return [cell for cell in cells if cell.model == model]


class _Loader:
    """Loads the plan's configs with the user's overrides, each where the config has such a field."""

    def __init__(self, first: Sequence[str], overrides: Sequence[str]) -> None:
        for override in overrides:
            section, equals, _ = (part.strip() for part in override.partition("="))
            if equals and section in _OWN:
                reason = f"the plan says which {section} each run has; give its fields: {section}.FIELD=VALUE"
                raise ConfigError(f"{override}: {reason}.")
        self._inside = [each for each in overrides if "." in each and each.partition(".")[0].strip() in _OWN]
        self._first = [*first, *(override for override in overrides if override not in self._inside)]
        self._used: set[str] = set()
        self._bare: dict[str, RunConfig] = {}
        self._loaded: dict[tuple[str, ...], RunConfig] = {}

    def bare(self, name: str) -> RunConfig:
        """The config without overrides of the sections that the plan chooses."""
        if name not in self._bare:
            self._bare[name] = load_config(name, self._first)
        return self._bare[name]

    def load(self, name: str, own: Sequence[str]) -> RunConfig:
        """The run of that config. `own`: the overrides by which it differs from the plan's other runs of the config."""
        key = (name, *own)
        if key not in self._loaded:
            varied = {_field(override) for override in own}
            fitting = [each for each in self._inside if _has(self.bare(name), each) and _field(each) not in varied]
            self._used.update(fitting)
            self._loaded[key] = load_config(name, [*self._first, *fitting, *own])
        return self._loaded[key]

    def refuse_unused(self) -> None:
        """Raise ConfigError where an override applied to no run."""
        for override in self._inside:
            if override in self._used:
                continue
            if not any(_has(config, override) for config in self._bare.values()):
                name = _name(override)
                near = (file for file, config in self._bare.items() if suggestion(name, _fields(config, override)))
                load_config(
                    next(near, next(iter(self._bare))), [*self._first, override]
                )  # raises with the fields that exist
            raise ConfigError(f"{override}: the plan itself gives {_field(override)} to every run that has it.")


def _field(override: str) -> str:
    """`policy.tau` of `policy.tau=0.9`."""
    return override.partition("=")[0].replace(" ", "")


def _name(override: str) -> str:
    """`tau` of `policy.tau=0.9`."""
    return _field(override).split(".")[1]


def _fields(config: RunConfig, override: str) -> Collection[str]:
    """The fields of the section that an override changes."""
    section: Parameters = getattr(config, _field(override).partition(".")[0])
    return type(section).model_fields


def _has(config: RunConfig, override: str) -> bool:
    return _name(override) in _fields(config, override)
