"""What a report asks for, and what it leaves as it was."""

import gc
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest

import dlm_length.reports.report
from dlm_length.common import UserError
from dlm_length.records import RecordError
from dlm_length.reports.figures import Figure
from dlm_length.reports.report import write_report


def test_the_garbage_collector_is_as_it_was(finish_run) -> None:
    run = finish_run("tiny_gsm8k_fixed", {"q/0": {"score": 1.0}})
    before = gc.get_threshold()
    during = set()
    write_report([run], Path("out"), formats=["csv"], progress=lambda _: during.add(gc.get_threshold()))
    assert before not in during
    assert gc.get_threshold() == before
    with pytest.raises(RecordError):
        write_report([Path("nowhere")], Path("out"))
    assert gc.get_threshold() == before


@pytest.mark.parametrize(("formats", "kinds"), [(["csv"], ["pdf", "png"]), (["html"], ["pdf", "png", "svg"])])
def test_figures_are_drawn_in_the_formats_that_are_needed(
    finish_run, monkeypatch: pytest.MonkeyPatch, formats: list, kinds: list
) -> None:
    finish_run("tiny_gsm8k_fixed", {"q/0": {"score": 1.0}})
    finish_run("tiny_gsm8k_smartcrop", {"q/0": {"score": 0.0}})
    asked = []

    def rendered(_: Figure, wanted: Iterable[str]) -> dict[str, bytes]:
        asked.append(list(wanted))
        return dict.fromkeys(asked[-1], b"")

    monkeypatch.setattr(Figure, "rendered", rendered)
    write_report([Path("results")], Path("out"), formats=formats)
    assert asked
    assert all(each == kinds for each in asked)


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


def test_a_report_that_was_killed_is_an_earlier_one(finish_run, monkeypatch: pytest.MonkeyPatch) -> None:
    run = finish_run("tiny_gsm8k_fixed", {"q/0": {"score": 1.0}})

    def killed(*_: object) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(dlm_length.reports.report, "html_page", killed)
        with pytest.raises(KeyboardInterrupt):
            write_report([run], Path("out"), formats=["csv", "html"], figures=False)
    assert Path("out/tables/cost.csv").exists()
    write_report([run], Path("out"), formats=["html"], figures=False)
    assert not Path("out/tables/cost.csv").exists()
    assert Path("out/index.html").exists()


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
    assert not any("left out" in sentence for sentence in whole.told)
    for folder in (begun, aside):
        (folder / "metrics.json").unlink()
    written = write_report([Path("results")], Path("out"), formats=["markdown", "html"], figures=False)
    told = f"1 unfinished run left out: {begun.name}."
    assert told in written.told
    assert told in Path("out/index.html").read_text()
    assert told in Path("out/tables/cost.md").read_text().replace("\\", "")
