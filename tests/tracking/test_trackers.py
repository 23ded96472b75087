"""Each tracker with its real library, offline, with files below a temporary folder."""

from pathlib import Path

import pytest

from dlm_length.tracking import TrackedRun, TrackerName, open_tracker


def track(name: TrackerName, folder: Path) -> None:
    """A short run with a file; any failure fails the test."""
    run, notices = folder / "run", list[str]()
    run.mkdir()
    (run / "metrics.json").write_text("{}")
    tracker = open_tracker(name, TrackedRun("experiment", "a__run", run), {"policy": {"length": 8}}, notices.append)
    tracker.log(1, {"live/score": 0.5})
    tracker.finish({"metrics/pass@1": 0.25}, [run / "metrics.json"])
    assert notices == []


def test_tensorboard_has_scalars_and_files(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    track("tensorboard", tmp_path)
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    tags = {tag for kind in events.Tags().values() if isinstance(kind, list) for tag in kind}
    assert tags >= {"live/score", "metrics/pass@1"}
    assert (tmp_path / "run" / "tensorboard" / "artifacts" / "metrics.json").read_text() == "{}"


def test_mlflow_has_parameters_metrics_and_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file:{tmp_path / 'store'}")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    track("mlflow", tmp_path)
    client = mlflow.MlflowClient()
    (run,) = client.search_runs([client.get_experiment_by_name("experiment").experiment_id])
    assert run.data.params["policy.length"] == "8"
    assert run.data.metrics == {"live/score": 0.5, "metrics/pass_at_1": 0.25}
    assert [file.path for file in client.list_artifacts(run.info.run_id)] == ["metrics.json"]


def test_wandb_keeps_a_run_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.chdir(tmp_path)
    for name, value in {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "WANDB_DATA_DIR": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    track("wandb", tmp_path)
    assert list((tmp_path / "wandb").glob("offline-run-*/*.wandb"))


def test_trackio_keeps_a_run_locally(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("trackio")
    import trackio.sqlite_storage as storage

    folder = tmp_path / "trackio"
    folder.mkdir()
    for module in ("trackio.utils", "trackio.sqlite_storage"):
        monkeypatch.setattr(f"{module}.TRACKIO_DIR", folder)
    track("trackio", tmp_path)
    logs = storage.SQLiteStorage.get_logs("experiment", "a__run")
    assert any(line.get("live/score") == 0.5 for line in logs)
    assert any(line.get("metrics/pass@1") == 0.25 for line in logs)
