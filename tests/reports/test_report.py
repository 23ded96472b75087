"""What a report asks for, and what it leaves as it was."""

import base64
import gzip
import html
import json
import re
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

import dlm_length
import dlm_length.reports.rendering.figure
import dlm_length.reports.report
from dlm_length.common import UserError
from dlm_length.records import RecordError, find_baseline
from dlm_length.reports.rendering import ShownSample
from dlm_length.reports.report import write_report
from dlm_length.reports.tables.run import run_diff


def test_each_figure_is_drawn_once_and_written_in_every_format(finish_run, monkeypatch: pytest.MonkeyPatch) -> None:
    finish_run("tiny_gsm8k_fixed", {"q/0": {"score": 1.0}})
    finish_run("tiny_gsm8k_smartcrop", {"q/0": {"score": 0.0}})
    settled = []
    settle = dlm_length.reports.rendering.figure.settle
    monkeypatch.setattr(
        dlm_length.reports.rendering.figure, "settle", lambda drawn: [settled.append(drawn), settle(drawn)]
    )
    write_report([Path("results")], Path("out"), formats=["html"])
    files = sorted(Path("out/figures").iterdir())
    assert {file.suffix for file in files} == {".pdf", ".png", ".svg"}
    assert len(files) == 3 * len(settled) > 0


@pytest.mark.parametrize("name", ["index.html", "report.tex", "tables/smartcrop.tex", "sources.json"])
def test_no_file_is_overwritten_that_no_earlier_report_made(finish_run, name: str) -> None:
    run = finish_run("tiny_gsm8k_fixed", {"q/0": {"score": 1.0}})
    mine = Path("other", name)
    mine.parent.mkdir(parents=True)
    mine.write_text("[]")
    with pytest.raises(UserError, match=rf"report other: {name} there was not made by .*; choose another --out\.$"):
        write_report([run], Path("other"), figures=False)
    assert [path for path in Path("other").rglob("*") if path.is_file()] == [mine]
    assert mine.read_text() == "[]"


def block(page: str, name: str) -> Any:
    """What a compressed block of a page holds."""
    found = re.search(rf'<script type="application/gzip" id="{name}">([^<]*)<', page)
    assert found
    return json.loads(gzip.decompress(base64.b64decode(found[1])))


def test_the_page_has_all_samples_unless_fewer_are_asked_for_and_each_table_as_csv_and_latex(finish_run) -> None:
    samples = {f"q/{number}": {"score": 1.0, "doc_id": 2 - number} for number in range(3)}
    run = finish_run("tiny_gsm8k_fixed", samples)
    for limit, shown in ((None, ["q/2", "q/1", "q/0"]), (2, ["q/1", "q/0"]), (0, [])):
        write_report([run], Path("out"), formats=["html"], figures=False, samples=limit)
        page = Path("out/index.html").read_text()
        (section,) = block(page, "samples-index")
        assert section["ids"] == shown, "in the benchmark's order, of those that were written first"
    write_report([run], Path("out"), figures=False)
    files = block(Path("out/index.html").read_text(), "files")
    assert {"smartcrop.csv", "smartcrop.tex", "cost.csv"} <= files.keys()
    for name, text in files.items():
        assert Path("out/tables", name).read_text() == text


def test_samples_are_compared_with_the_baseline_of_their_seed(finish_run) -> None:
    for config in ("tiny_gsm8k_fixed", "tiny_gsm8k_smartcrop"):
        for seed in (1, 2):
            finish_run(config, {"q/0": {"score": 1.0}}, f"hardware.seed={seed}", "policy.temperature=0.5")
    write_report([Path("results")], Path("out"), formats=["html"], figures=False)
    (section,) = block(Path("out/index.html").read_text(), "samples-index")
    labels = [run["label"] for run in section["runs"]]
    against = {run["label"]: labels[run["baseline"]] for run in section["runs"]}
    assert len(against) == 4
    for label, baseline in against.items():
        assert baseline.startswith("Fixed canvas")
        assert baseline[-6:] == label[-6:], "of the same seed"


class Traced:
    """Makes a page that names what was traced, but not of a run on a fixed canvas."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def __call__(self, run: Path, sample: ShownSample) -> str | None:
        policy = run.name.split("__")[2]
        self.asked.append((policy, sample.id))
        return None if policy == "fixed" else f"<p>{sample.id}</p>"


def test_traces_are_made_of_the_prompts_on_which_policies_differ(finish_run) -> None:
    finish_run("tiny_gsm8k_fixed", {f"q/{number}": {"score": 1.0, "doc_id": number} for number in range(3)})
    scores = {"q/0": 1.0, "q/1": 0.0, "q/2": 1.0}
    finish_run("tiny_gsm8k_smartcrop", {name: {"score": score} for name, score in scores.items()})
    traced = Traced()
    write_report([Path("results")], Path("out"), formats=["html"], figures=False, trace=traced, traces=1)
    assert traced.asked == [("fixed", "q/1"), ("smartcrop", "q/1")]
    page = Path("out/index.html").read_text()
    (section,) = block(page, "samples-index")
    fixed, smartcrop = section["runs"]
    assert fixed["traces"] == {}
    (place,) = smartcrop["traces"]
    assert section["ids"][int(place)] == "q/1"
    assert block(page, f"block-{smartcrop['traces'][place]}") == "<p>q/1</p>"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_until_a_report_is_written_the_earlier_one_stays(finish_run, monkeypatch: pytest.MonkeyPatch) -> None:
    run = finish_run("tiny_gsm8k_fixed", {"q/0": {"score": 1.0}})
    write_report([run], Path("out"), formats=["csv"], figures=False)
    before = contents(Path("out"))

    def killed(*_: object, **__: object) -> str:
        raise KeyboardInterrupt

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(dlm_length.reports.report, "html_page", killed)
        with pytest.raises(KeyboardInterrupt):
            write_report([run], Path("out"), formats=["csv", "html"], figures=False)
    assert contents(Path("out")) == before
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(UserError, match=r"cannot be written \(No space left on device\)\.$"):
            write_report([run], Path("out"), formats=["html"], figures=False)
    assert contents(Path("out")) == before
    left = Path("out/.dlmlen-report-killed")
    (left / "tables").mkdir(parents=True)
    write_report([run], Path("out"), formats=["html"], figures=False)
    assert not left.exists()
    assert not Path("out/tables/cost.csv").exists()
    assert Path("out/index.html").exists()


def test_a_report_that_was_killed_while_it_was_put_in_place_is_an_earlier_one(
    finish_run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = finish_run("tiny_gsm8k_fixed", {"q/0": {"score": 1.0}})
    replace = Path.replace

    def killed(self: Path, target: Path) -> Path:
        if Path(target) == Path("out/index.html"):
            raise KeyboardInterrupt
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            write_report([run], Path("out"), formats=["csv", "html"], figures=False)
    write_report([run], Path("out"), formats=["csv"], figures=False)
    assert not Path("out/index.html").exists()
    assert Path("out/tables/cost.csv").exists()


SESSION = {
    "started": "2026-03-04T05:06:07+00:00",
    "dlmlen": "7.8.9",
    "git_commit": "c0ffee",
    "command": "dlmlen run --config some/where=1",
    "torch": "9.8.7+x",
    "device": "cuda:3",
    "device_name": "A Card",
    "dtype": "bfloat16",
}


def test_a_report_says_what_made_it_and_its_runs(finish_run) -> None:
    first = finish_run("tiny_gsm8k_fixed", {"q/0": {"score": 1.0}})
    second = finish_run("tiny_gsm8k_smartcrop", {"q/0": {"score": 1.0}})
    later = SESSION | {"started": "2026-03-06T00:00:00+00:00", "dtype": "float32", "device": "cpu"}
    later["command"] = "-c run tiny_gsm8k_smartcrop"
    (first / "environment.json").write_text(json.dumps([SESSION, SESSION | {"started": "2026-03-05T00:00:00+00:00"}]))
    (second / "environment.json").write_text(json.dumps([later]))
    write_report([Path("results")], Path("out"), figures=False, command="dlmlen report --title 'a b'")
    version = dlm_length.__version__
    expected = [
        f"Report by “dlmlen report --title 'a b'”, dlmlen {version}",
        "1 run made with dlmlen 7.8.9 (commit c0ffee), torch 9.8.7+x, on cuda:3 (A Card) in bfloat16,"
        " from 2026-03-04 to 2026-03-05.",
        "1 run made with dlmlen 7.8.9 (commit c0ffee), torch 9.8.7+x, on cpu (A Card) in float32, on 2026-03-06.",
        "Runs by “dlmlen run --config some/where=1”, “dlmlen run tiny_gsm8k_smartcrop”.",
    ]
    page = html.unescape(Path("out/index.html").read_text())
    markdown = re.sub(r"\\(.)", r"\1", Path("out/report.md").read_text())
    latex = Path("out/report.tex").read_text().replace("\\allowbreak{}", "")
    for sentence in expected:
        assert sentence in page
        assert sentence in markdown
    for word in (version, "7.8.9", "c0ffee", "9.8.7", "cuda:3", "A Card", "bfloat16", "2026-03-04", "some/where=1"):
        assert word in latex
    sources = json.loads(Path("out/sources.json").read_text())["provenance"]
    assert sources["report"]["dlmlen"] == version
    assert sources["report"]["command"] == "dlmlen report --title 'a b'"
    assert sources["runs"][str(second)] == [later]
    assert len(sources["runs"][str(first)]) == 2


def test_reports_of_the_same_runs_by_the_same_command_are_the_same(finish_run, monkeypatch) -> None:
    run = finish_run("tiny_gsm8k_fixed", {"q/0": {"score": 1.0}})
    (run / "environment.json").write_text(json.dumps([SESSION]))
    write_report([run], Path("out"), command="dlmlen report")
    before = contents(Path("out"))
    time.sleep(1.1)  # a second's difference would show in a PDF's dates
    write_report([run], Path("out"), command="dlmlen report")
    assert contents(Path("out")) == before


def test_runs_that_do_not_say_how_they_were_made_are_named(finish_run) -> None:
    run = finish_run("tiny_gsm8k_fixed", {"q/0": {"score": 1.0}})
    (run / "environment.json").unlink()
    write_report([run], Path("out"), formats=["markdown"], figures=False)
    text = re.sub(r"\\(.)", r"\1", Path("out/report.md").read_text())
    assert f"1 of 1 run does not say how it was made: {run.name}." in text


def test_a_run_is_no_place_for_a_report_but_the_folder_of_runs_is(finish_run) -> None:
    run = finish_run("tiny_gsm8k_fixed", {"q/0": {"score": 1.0}})
    before = sorted(run.rglob("*"))
    for out in (run, run / "report" / "new"):
        with pytest.raises(UserError, match=rf"report {out}: is in the folder of a run, .*{run}; choose another --out"):
            write_report([run], out, figures=False)
    assert sorted(run.rglob("*")) == before
    assert write_report([run], run.parent, formats=["csv"], figures=False).folder == run.parent
    assert write_report([run], run.parent / "report", formats=["csv"], figures=False).folder.is_dir()


def test_a_run_that_is_not_finished_is_left_out_and_named(finish_run) -> None:
    finish_run("tiny_gsm8k_fixed", {"q/0": {"score": 1.0}})
    begun = finish_run("tiny_gsm8k_smartcrop", {"q/0": {"score": 1.0}})
    aside = begun.with_name(f"{begun.name}.old1")
    shutil.copytree(begun, aside)
    whole = write_report([Path("results")], Path("out"), formats=["csv"], figures=False)
    assert not any("left out" in sentence for sentence in whole.notes)
    for folder in (begun, aside):
        (folder / "metrics.json").unlink()
    written = write_report([Path("results")], Path("out"), formats=["markdown", "html"], figures=False)
    expected = f"1 unfinished run left out: {begun.name}."
    assert expected in written.notes
    assert expected in Path("out/index.html").read_text()
    assert expected in Path("out/tables/cost.md").read_text().replace("\\", "")


def test_samples_that_were_asked_for_at_another_time_are_in_no_report(finish_run) -> None:
    """A folder holds the samples of every time; the report is of those that its metrics name."""
    samples = {f"q/{number}": {"score": number / 2, "nfe": 10 + number} for number in range(3)}
    run = finish_run("tiny_gsm8k_fixed", samples)
    metrics = json.loads((run / "metrics.json").read_text())
    asked = {"sample_ids": ["q/0", "q/1"], "samples": 2, "score": 0.25, "scored": 2}
    (run / "metrics.json").write_text(json.dumps(metrics | asked))
    write_report([run], Path("out"), formats=["html", "csv"], figures=False)
    page = Path("out/index.html").read_text()
    (section,) = block(page, "samples-index")
    assert section["ids"] == ["q/0", "q/1"]
    assert "2 samples here" in page
    assert ",0.25," in Path("out/tables/smartcrop.csv").read_text()

    other = finish_run("tiny_gsm8k_smartcrop", {name: samples[name] for name in ("q/0", "q/1")})
    compared = run_diff(run, other)
    assert "over 2 samples scored in both" in compared.tests.notes[0]
    assert find_baseline(run, ["q/1", "q/0"]) == (run,)
    with pytest.raises(RecordError, match=r"1 sample only in this run \(q/2\)"):
        find_baseline(run, list(samples))

    lines = (run / "samples.jsonl").read_bytes().splitlines(keepends=True)
    (run / "samples.jsonl").write_bytes(b"".join(lines[1:]))
    with pytest.raises(RecordError, match=r"metrics\.json is of 2 samples, but samples\.jsonl has 1"):
        write_report([run], Path("out"), formats=["csv"], figures=False)


def test_chosen_names_reach_all_that_readers_see_and_no_file_for_programs(finish_run) -> None:
    for style in ("chat_tags", "text_cot_0shot"):
        finish_run("tiny_gsm8k_fixed", {"q/0": {"score": 1.0}}, f"benchmark.prompt_style={style}")
        finish_run("tiny_gsm8k_smartcrop", {"q/0": {"score": 0.0}}, f"benchmark.prompt_style={style}")
    names = Path("labels.yaml")
    names.write_text("policies: {smartcrop: SC}\nbenchmarks: {gsm8k: School}\nmetrics: {exact_match: exactness}\n")
    write_report([Path("results")], Path("out"), formats=["html", "markdown", "latex", "csv"], labels=names)
    page = html.unescape(Path("out/index.html").read_text())
    sections = block(page, "samples-index")
    assert [section["title"][:20] for section in sections] == ["School, llada-tiny (", "School, llada-tiny ("]
    assert {run["label"] for section in sections for run in section["runs"]} == {"Fixed canvas, L = 64", "SC, τ = 0.9"}
    markdown = Path("out/report.md").read_text()
    figure = next(Path("out/figures").glob("frontier-gsm8k-llada-tiny-*.svg")).read_text()
    for text in (page, markdown, Path("out/report.tex").read_text(), figure):
        assert "SC" in text
        assert "smartcrop 64" not in text
        assert "Fixed canvas" in text
    assert "mean exactness" in figure
    assert ">School, llada-tiny (" in page, "in the side list"
    assert '<strong><span dir="auto">SC, τ = 0.9</span>' in page, "among the findings"
    assert '"smartcrop 64 tau 0.9"' in Path("out/tables/cost.csv").read_text(), "what --baseline takes"
