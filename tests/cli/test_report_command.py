"""`dlmlen report` and `dlmlen probe`, from runs of the tiny model to files on disk."""

import base64
import csv
import gzip
import json
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

Dlmlen = Callable[..., tuple[int | str | None, str, str]]

SMALL = ("policy.length=8", "hardware.max_batch_tokens=400", "benchmark.path=questions.jsonl")


class Links(HTMLParser):
    """Every link and source of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, _: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src") and value:
                self.found.append(value)
            if name == "id" and value:
                self.anchors.add(value)


def test_from_runs_to_every_file_of_a_report(dlmlen: Dlmlen) -> None:
    assert dlmlen("sweep", "tau", "--config", "tiny_gsm8k_smartcrop", "--values", "0.05,0.5,0.9", *SMALL)[0] == 0
    code, shown, told = dlmlen("report", "--out", "out")
    assert code == 0
    assert "reading the records" in told
    assert "Length policies against the fixed canvas" in shown
    out = Path("out")
    assert f"Page: {out / 'index.html'}" in shown
    runs = {str(path) for path in Path("results").glob("*/*") if path.is_dir()}
    assert len(runs) == 4
    for name in ("smartcrop", "cost", "tests", "ablations"):
        for suffix in ("tex", "md", "csv"):
            assert (out / "tables" / f"{name}.{suffix}").stat().st_size > 100, (name, suffix)
    rows = list(csv.DictReader((out / "tables" / "smartcrop.csv").open(newline="")))
    assert {run for row in rows for run in row["runs"].split(";")} == runs
    metrics = {path: json.loads((Path(path) / "metrics.json").read_text()) for path in runs}
    for row in rows:
        ours = metrics[row["runs"].split(";")[0]]
        assert float(row["score"]) == ours["score"]
        assert float(row["processed length"]) == ours["processed_length"]
    sources = json.loads((out / "sources.json").read_text())
    assert {run for table in sources["tables"].values() for row in table for run in row["runs"]} == runs
    assert {name.rpartition(".")[2] for name in map(str, (out / "figures").iterdir())} == {"pdf", "png", "svg"}
    page = Links()
    page.feed((out / "index.html").read_text())
    for link in page.found:
        if link.startswith("#"):
            assert link[1:] in page.anchors
        elif not link.startswith("data:"):
            assert (out / link).exists(), link


def test_traces_are_embedded_on_request(dlmlen: Dlmlen) -> None:
    assert dlmlen("sweep", "tau", "--config", "tiny_gsm8k_smartcrop", "--values", "0.5", *SMALL)[0] == 0
    code, shown, told = dlmlen("report", "--out", "out", "--no-figures", "--format", "html", "--traces", "1")
    assert code == 0
    assert "tracing 2 of 2" in told
    assert "No trace" not in shown
    found = re.search(r'id="samples-index">([^<]*)<', Path("out/index.html").read_text())
    assert found
    (section,) = json.loads(gzip.decompress(base64.b64decode(found[1])))
    assert [len(run["traces"]) for run in section["runs"]] == [1, 1]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_the_document_compiles(dlmlen: Dlmlen) -> None:
    assert dlmlen("sweep", "tau", "--config", "tiny_gsm8k_smartcrop", "--values", "0.05,0.9", *SMALL)[0] == 0
    code, shown, _ = dlmlen("report", "--format", "latex", "--paper", "smartcrop")
    assert code == 0
    assert f"PDF: {Path('report/report.pdf')}" in shown
    assert Path("report/report.pdf").read_bytes().startswith(b"%PDF")
    assert not Path("report/index.html").exists()
    assert not Path("report/tables/daedal.tex").exists()


def test_without_latex_the_report_is_still_written(dlmlen: Dlmlen, monkeypatch: pytest.MonkeyPatch) -> None:
    assert dlmlen("run", "--config", "tiny_gsm8k_fixed", *SMALL)[0] == 0
    monkeypatch.setattr(shutil, "which", lambda _: None)
    code, shown, _ = dlmlen("report", "--no-figures")
    assert code == 0
    assert "no PDF: pdflatex is not installed" in shown
    assert Path("report/report.tex").exists()


def test_a_report_replaces_an_earlier_one(dlmlen: Dlmlen) -> None:
    assert dlmlen("sweep", "tau", "--config", "tiny_gsm8k_smartcrop", "--values", "0.05,0.9", *SMALL)[0] == 0
    assert dlmlen("report")[0] == 0
    drawn = list(Path("report/figures").iterdir())
    assert drawn
    mine = Path("report/figures/mine.pdf")
    mine.touch()
    Path("report/sources.json").write_text(
        Path("report/sources.json").read_text().replace('"files": [', '"files": ["../questions.jsonl",', 1)
    )
    assert dlmlen("report", "--no-figures", "--format", "csv")[0] == 0
    assert list(Path("report/figures").iterdir()) == [mine]
    assert not Path("report/index.html").exists()
    assert not Path("report/report.pdf").exists()
    assert Path("report/tables/cost.csv").exists()
    assert Path("questions.jsonl").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("nowhere",), "nowhere: there is no such folder"),
        (
            ("--format", "latx"),
            "--format latx: found 'latx', allowed are latex, markdown, csv, json or html. Did you mean",
        ),
        (("--paper", "dadal"), "--paper dadal: found 'dadal', allowed are smartcrop or daedal. Did you mean 'daedal'?"),
        (("--stars-by", "mcnemmar"), "--stars-by: no test is called 'mcnemmar'"),
        (("--adjust", "bonferroni"), "--adjust: no adjustment is called 'bonferroni'; allowed: holm or none"),
        (("--baseline", "fixed 9"), "--baseline fixed 9: is neither the folder of one of these runs nor the label"),
    ],
)
def test_mistakes_are_told_in_a_sentence(dlmlen: Dlmlen, arguments: tuple[str, ...], told: str) -> None:
    assert dlmlen("run", "--config", "tiny_gsm8k_fixed", *SMALL)[0] == 0
    code, _, error = dlmlen("report", "--no-figures", *arguments)
    assert code in (1, 2)
    assert told in error
    assert not Path("report").exists()


def test_probing_leaves_what_smartcrop_probes(dlmlen: Dlmlen) -> None:
    """The EOS probabilities of the first forward are those by which SmartCrop crops."""
    assert dlmlen("sweep", "tau", "--config", "tiny_gsm8k_smartcrop", "--values", "0.05,0.5", *SMALL)[0] == 0
    (fixed,) = (path for path in Path("results").glob("*/*") if "__fixed__" in path.name)
    cropped = [path for path in Path("results").glob("*/*") if "__smartcrop__" in path.name]
    before = (fixed / "samples.jsonl").read_bytes()
    code, shown, _ = dlmlen("probe", str(fixed))
    assert code == 0
    assert str(fixed / "first_eos.npz") in shown
    assert (fixed / "samples.jsonl").read_bytes() == before
    from dlm_length.policies.smartcrop import first_crossing, termination_cdf
    from dlm_length.records import read_first_eos, read_samples

    eos = read_first_eos(fixed)
    assert eos is not None
    for run_folder in cropped:
        tau = float((run_folder / "config.yaml").read_text().split("tau: ")[1].split()[0])
        for sample in read_samples(run_folder):
            assert eos[sample.id].dtype == np.float32
            assert first_crossing(termination_cdf(eos[sample.id].astype(np.float64)), tau) == sample.n_token


def test_only_a_fixed_canvas_can_be_probed(dlmlen: Dlmlen) -> None:
    assert dlmlen("run", "--config", "tiny_gsm8k_smartcrop", *SMALL)[0] == 0
    (cropped,) = Path("results").glob("*/*")
    code, _, error = dlmlen("probe", str(cropped))
    assert code == 1
    assert "its policy is smartcrop, but only a fixed canvas" in error


def test_tables_for_submission(dlmlen: Dlmlen) -> None:
    assert dlmlen("sweep", "tau", "--config", "tiny_gsm8k_smartcrop", "--values", "0.5,0.9", *SMALL)[0] == 0
    Path("labels.yaml").write_text("policies: {smartcrop: SC}\n")
    asked = ("--style", "paper", "--columns", "score,nfe", "--width", "column", "--labels", "labels.yaml")
    code, shown, _ = dlmlen("report", "--no-figures", "--format", "latex,csv", *asked)
    assert code == 0
    assert "Length policies with llada-tiny" in shown
    table = Path("report/tables/main.tex").read_text(encoding="utf-8")
    assert r"\begin{table}" in table
    assert r"SC, $\tau = 0.9$" in table
    with Path("report/tables/main.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[0][:3] == ["group", "policy", "score (%)"]
    assert {row[1] for row in rows[1:]} == {"Fixed canvas, L = 8", "SC, τ = 0.5", "SC, τ = 0.9"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--style", "papr"), "--style papr: found 'papr', allowed are paper. Did you mean 'paper'?"),
        (("--style", "paper", "--width", "pge"), "--width pge: found 'pge', allowed are column or page."),
        (("--style", "paper", "--columns", "score,flops"), "found 'flops', allowed are score, flops_saved"),
        (("--columns", "score"), "--columns: is of the paper style alone; add --style paper"),
    ],
)
def test_what_cannot_be_asked_of_the_paper_style(dlmlen: Dlmlen, options: tuple[str, ...], message: str) -> None:
    code, _, told = dlmlen("report", *options)
    assert code == 2
    assert message in told
    assert not Path("report").exists()
