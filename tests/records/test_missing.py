"""The explanation of a path that is not a folder."""

from pathlib import Path

import pytest

from dlm_length.records import RecordError, explain_missing, find_baseline, find_runs, read_metrics


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run's folder below the working folder."""
    monkeypatch.chdir(tmp_path)
    folder = Path("results/study_mini/gsm8k__tiny__rho_eos__0123abcd")
    folder.mkdir(parents=True)
    Path("results/study_mini/gsm8k__tiny__fixed__89abcdef").mkdir()
    return folder


@pytest.mark.parametrize(
    ("path", "near"),
    [
        ("results/study_minii", "results/study_mini"),
        ("study_minii", "results/study_mini"),
        ("resluts/study_mini", "results/study_mini"),
        ("resluts/study_minii", "results/study_mini"),
        ("results/study_mini/gsm8k__tiny__rho_eos", "results/study_mini/gsm8k__tiny__rho_eos__0123abcd"),
        ("results/gsm8k__tiny__rho_eos", "results/study_mini/gsm8k__tiny__rho_eos__0123abcd"),
    ],
)
@pytest.mark.usefixtures("run")
def test_the_nearest_folder_is_named(path: str, near: str) -> None:
    assert explain_missing(Path(path)) == f"there is no such folder. Did you mean '{near}'?"


@pytest.mark.parametrize("path", ["nothing", "nowhere/like/this"])
@pytest.mark.usefixtures("run")
def test_no_folder_is_suggested_where_none_is_near(path: str) -> None:
    assert explain_missing(Path(path)) == "there is no such folder."


def test_a_file_names_the_folder_that_it_is_in(run: Path) -> None:
    (run / "samples.jsonl").touch()
    message = f"is a file, expected a folder. Did you mean the one that it is in, '{run}'?"
    assert explain_missing(run / "samples.jsonl") == message
    assert explain_missing(run) is None


def test_every_function_that_takes_a_run_suggests_the_folder(run: Path) -> None:
    mistaken = run.with_name("gsm8k__tiny__rho_eos")
    message = f"{mistaken}: there is no such folder. Did you mean '{run}'?"
    for look in (lambda: find_runs([mistaken]), lambda: read_metrics(mistaken), lambda: find_baseline(mistaken, ["a"])):
        with pytest.raises(RecordError) as refused:
            look()
        assert str(refused.value).endswith(message)
