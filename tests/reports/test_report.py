"""What a report asks for, and what it leaves as it was."""

import gc
from collections.abc import Iterable
from pathlib import Path

import pytest

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
