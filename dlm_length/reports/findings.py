"""The findings of a report in sentences: what each policy saves and how its score changes, with intervals."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from dlm_length.analysis.effects import Effect, EffectName
from dlm_length.analysis.runs import Run
from dlm_length.analysis.sections import Compared, Section, representative
from dlm_length.common import counted
from dlm_length.policies import policies
from dlm_length.reports.names import with_names, with_readers_names
from dlm_length.reports.table import ReportTable, p_text
from dlm_length.stats import LEVEL


@dataclass(frozen=True)
class Finding:
    """A sentence about a policy or a table."""

    subject: str
    """A policy with its parameters, or the title of a table."""
    sentence: str
    """The finding in short."""
    detail: str
    """The same with intervals; empty where there are none."""
    sources: tuple[Path, ...] = ()
    """Folders of the runs behind it, the policy's own first."""


@dataclass(frozen=True)
class Findings:
    """The findings of a report."""

    overall: tuple[Finding, ...]
    """A sentence for each policy over all benchmarks, and one for each table of verdicts."""
    by_section: tuple[tuple[str, tuple[Finding, ...]], ...]
    """The same for each section, with its title; empty where there is only one section."""
    notes: tuple[str, ...]
    """How to read the sentences."""


_EFFECTS: tuple[EffectName, EffectName] = ("flops_saved", "performance_delta")


def findings(sections: Sequence[Compared], extra: Sequence[ReportTable] = ()) -> Findings:
    """What the runs of these sections show against their baselines, with names for readers.

    `extra`: tables whose verdicts are counted, where they have a column `verdict`.

    A policy that was run with several settings is represented by one of them: see `representative`.
    """
    shown = [(each, _representatives(each.section)) for each in with_readers_names(sections) if each.runs]
    pairs = [(each, run) for each, runs in shown for run in runs]
    by_section = tuple(
        (each.section.title, tuple(_in_section(each, run) for run in runs)) for each, runs in shown if runs
    )
    alone = len(by_section) == 1
    overall = by_section[0][1] if alone else tuple(_over_sections(pairs))
    both = [each.of(run, name) for each, run in pairs for name in _EFFECTS]
    effects = [effect for effect in both if effect is not None]
    several = any(len(each.section.others) > len(runs) for each, runs in shown)
    notes = (*_baselines(pairs), *_notes(effects, several=several))
    return Findings((*_counted(extra), *overall), () if alone else by_section, notes)


def _representatives(section: Section) -> list[Run]:
    """A run for each policy that is not a baseline, methods before controls."""
    others = [run for run in section.others if run.declared.role != "baseline"]
    by_policy = {policy: list(runs) for policy, runs in groupby(others, key=lambda run: run.metrics.policy)}
    chosen = [representative(runs, section.baseline) for runs in by_policy.values()]
    return sorted(chosen, key=lambda run: run.declared.role == "control")


def _in_section(each: Compared, run: Run) -> Finding:
    section = each.section
    assert section.baseline is not None, "what is compared has a baseline"
    saved, delta = (each.of(run, name) for name in _EFFECTS)
    base = section.label_of[section.baseline.path]
    short, long = [], [*_about(run)]
    if saved is not None:
        short.append(_saved([saved], base) if saved.stars else "no significant change of the FLOPs")
        long.append(f"FLOPs saved: {_percent(saved)}")
    if delta is None:
        short.append("no sample is scored in both")
    elif math.isnan(delta.value):
        short.append("the change of the score has no size, as the baseline's is 0")
    else:
        way = "down" if delta.value < 0 else "up"
        short.append(f"score significantly {way}" if delta.stars else "no significant change of the score")
        p = p_text(delta.p, equal="= ", resamples=delta.result.resamples)
        own, theirs = (section.mean_scores.get(path) for path in (run.path, section.baseline.path))
        scores = "" if own is None or theirs is None else f", {own.value:.3f} against {theirs.value:.3f}"
        change = _percent(delta, signed=True)
        long.append(f"relative change of mean {section.metric}: {change}, p {p}{scores}")
    sources = (*run.paths, *section.baseline.paths)
    return Finding(_label(section, run), f"{_sentence(short)}", _sentence(long), sources)


def _over_sections(pairs: Sequence[tuple[Compared, Run]]) -> Iterator[Finding]:
    """A sentence for each policy over the sections where it was run."""
    names = _short_names([each.section for each, _ in pairs])
    for policy in dict.fromkeys(run.metrics.policy for _, run in pairs):
        own = [(each, run) for each, run in pairs if run.metrics.policy == policy]
        labels = dict.fromkeys(_label(each.section, run) for each, run in own)
        saved, deltas = (
            [(effect, names[each.section.title]) for each, run in own if (effect := each.of(run, name)) is not None]
            for name in _EFFECTS
        )
        short, long = [], [*_about(own[0][1])]
        if saved:
            starred = sum(bool(effect.stars) for effect, _ in saved)
            how_often = "" if starred == len(saved) else f", significantly on {starred} of {len(saved)} benchmarks"
            short.append(_saved(_ends(saved), _shared_baseline(own)) + how_often)
            long.append(f"FLOPs saved: {_range(saved)}")
        if deltas:
            short.append(_significant(deltas))
            long.append(f"relative change of score: {_range(deltas, signed=True)}")
        sources = tuple(dict.fromkeys(path for each, run in own for path in run.paths))
        yield Finding(" / ".join(labels), _sentence(short), _sentence(long), sources)


def _shared_baseline(pairs: Sequence[tuple[Compared, Run]]) -> str:
    """The baseline's label where all sections have the same; where they differ, the notes list them."""
    sections = [each.section for each, _ in pairs]
    labels = {each.label_of[each.baseline.path] for each in sections if each.baseline is not None}
    return labels.pop() if len(labels) == 1 else "the baseline"


def _saved(ends: Sequence[Effect], whose: str) -> str:
    """`60 to 84% fewer FLOPs than ...`, from the least and the greatest saving, which can be negative."""
    shares = [effect.value for effect in ends if not math.isnan(effect.value)]
    if not shares:
        return "FLOPs saved: undefined"
    least, most = min(shares), max(shares)
    if least < 0 < most:
        return f"from {_rounded(-least, digits=0)}% more to {_rounded(most, digits=0)}% fewer FLOPs than {whose}"
    texts = dict.fromkeys(_rounded(abs(share), digits=0) for share in sorted((least, most), key=abs))
    return f"{' to '.join(texts)}% {'more' if least < 0 else 'fewer'} FLOPs than {whose}"


Named = tuple[Effect, str]
"""An effect and the name of its section."""


def _ends(effects: Sequence[Named]) -> list[Effect]:
    """The least and the greatest effect, which can be the same; empty where all are undefined."""
    defined = [effect for effect, _ in effects if not math.isnan(effect.value)]
    return [end(defined, key=lambda effect: effect.value) for end in (min, max)] if defined else []


def _range(effects: Sequence[Named], *, signed: bool = False) -> str:
    """The least and the greatest effect with their intervals and sections."""
    names = {id(effect): name for effect, name in effects}
    ends = {id(effect): effect for effect in _ends(effects)}
    shown = [f"{_percent(effect, signed=signed)} ({names[key]})" for key, effect in ends.items()]
    return " to ".join(shown) or "undefined"


def _significant(effects: Sequence[Named]) -> str:
    """On how many of the sections the score changes significantly, and in which direction."""
    total = len(effects)
    starred = [(effect, name) for effect, name in effects if effect.stars]
    if not starred:
        return f"no significant change of the score on any of {total} benchmarks"
    ways = {
        "down": [name for effect, name in starred if effect.value < 0],
        "up": [name for effect, name in starred if effect.value > 0],
    }
    return (
        f"score significantly {' and '.join(f'{way} on {_of(named, total)}' for way, named in ways.items() if named)}"
    )


def _of(named: Sequence[str], total: int) -> str:
    if len(named) == total:
        return f"all {total} benchmarks"
    return f"{len(named)} of {total} benchmarks ({', '.join(named)})"


def _sentence(parts: Sequence[str]) -> str:
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _short_names(sections: Sequence[Section]) -> dict[str, str]:
    """A name for each section by its title: the benchmark alone where no other section has it."""
    distinct = {section.title: with_names(section).benchmark for section in sections}
    shared = Counter(distinct.values())
    return {title: title if shared[benchmark] > 1 else benchmark for title, benchmark in distinct.items()}


def _label(section: Section, run: Run) -> str:
    label = section.label_of[run.path]
    return f"{label} (control)" if run.declared.role == "control" else label


def _about(run: Run) -> Iterator[str]:
    """What a control does, by its own description: its name alone would not say what the others are compared with."""
    known = policies().get(run.metrics.policy)
    if run.declared.role == "control" and known is not None and (described := known.summary().rstrip(".")):
        yield f"{described[0].lower()}{described[1:]}"


def _percent(estimate: Effect, *, signed: bool = False) -> str:
    """`60.0% [54.9, 64.7]`."""
    value = f"{_rounded(estimate.value, '+' if signed else '')}%"
    if math.isnan(estimate.low) or math.isnan(estimate.high):
        return f"{value} (no interval)"
    return f"{value} [{_rounded(estimate.low)}, {_rounded(estimate.high)}]"


def _rounded(share: float, sign: str = "", digits: int = 1) -> str:
    """A share in per cent; no sign before a zero."""
    text = f"{100 * share:{sign}.{digits}f}"
    return text if float(text) else f"{0:.{digits}f}"


def _counted(tables: Sequence[ReportTable]) -> Iterator[Finding]:
    """How often each verdict occurs in each table that has any."""
    for table in tables:
        places = [place for place, title in enumerate(table.titles) if title == "verdict"]
        if places and table.rows:
            counts = Counter(str(row.cells[places[0]]) for row in table.rows)
            listed = ", ".join(f"{count:,} {verdict}" for verdict, count in counts.most_common())
            yield Finding(table.title, f"{counted(len(table.rows), 'verdict')}: {listed}.", "")


def _baselines(pairs: Sequence[tuple[Compared, Run]]) -> Iterator[str]:
    """The baselines that the sentences compare with."""
    sections = list({each.section.title: each.section for each, _ in pairs}.values())
    names = _short_names(sections)
    baselines: dict[str, list[str]] = {}
    for section in sections:
        assert section.baseline is not None, "what is compared has a baseline"
        baselines.setdefault(section.label_of[section.baseline.path], []).append(names[section.title])
    if baselines:
        named = [label if len(baselines) == 1 else f"{label} ({', '.join(of)})" for label, of in baselines.items()]
        yield f"Baseline: {'; '.join(named)}."


def _notes(effects: Sequence[Effect], *, several: bool) -> Iterator[str]:
    if not effects:
        return
    first = effects[0]
    adjusted = "Holm's p" if first.adjust == "holm" else "each test's own p, unadjusted"
    yield (
        f"In brackets: 95% intervals, paired by sample; significant: below {LEVEL:g}"
        f" by {adjusted}. Not significant is no evidence of no change: the interval says which changes the records are"
        " compatible with."
    )
    if several:
        yield (
            "A policy with several settings is represented by its default where that was run, else by the middle one;"
            " results had no influence on the choice. The tables have all settings."
        )
