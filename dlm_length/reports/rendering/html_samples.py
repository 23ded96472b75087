"""The page's samples: a place for each run, and the data that the page's script fills it with."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from dlm_length.records.run_folder import SAMPLES
from dlm_length.reports.rendering.html_parts import Runs, RunSamples, text

_NO_SCRIPT = "A script shows the samples here, which this browser does not run; the linked files have them."


def sections(samples: Sequence[RunSamples]) -> Iterator[tuple[int, str, list[tuple[int, RunSamples]]]]:
    """Neighbouring runs of one section, both numbered from 1."""
    numbered = enumerate(samples, start=1)
    for number, (section, members) in enumerate(groupby(numbered, key=lambda pair: pair[1].section), start=1):
        yield number, section, list(members)


def samples_section(samples: Sequence[RunSamples], runs: Runs) -> str:
    if not samples:
        return ""
    lines = []
    for number, section, members in sections(samples):
        lines.append(f'<h3 id="section-{number}" dir="auto">{text(section)}</h3>')
        lines += [_run(*member, runs) for member in members]
    listed = "\n".join(lines)
    return f"""<section id="samples">
<h2>Samples</h2>
<noscript><p>{_NO_SCRIPT}</p></noscript>
{listed}
</section>"""


def _run(number: int, run: RunSamples, runs: Runs) -> str:
    count = f"{run.total:,} samples"
    if len(run.samples) < run.total:
        count = f"{len(run.samples):,} of {count}"
    return f"""<details class="run" id="run-{number}">
<summary><span dir="auto">{text(run.label)}</span> <small>{count}</small></summary>
<p class="path"><a href="{runs.records(run.run)}">{SAMPLES}</a> <a href="{runs.folder(run.run)}">folder</a>
<code dir="auto">{text(run.run.as_posix())}</code></p>
</details>"""


def samples_data(run: RunSamples) -> list[dict[str, Any]]:
    """What the script shows of a run."""
    return [
        {
            "id": sample.id,
            "score": sample.score,
            "n_token": sample.n_token,
            "e_token": sample.e_token,
            "nfe": sample.ledger.total.nfe,
            "prompt": sample.prompt,
            "target": sample.target,
            "answers": [answer for answers in sample.resps for answer in answers],
            "found": sample.filtered_resps,
            "reason": sample.error or sample.details.get("reason"),
        }
        for sample in run.samples
    ]
