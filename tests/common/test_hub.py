"""A hub that cannot be reached is found out once; a slow one is waited for."""

import socket
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import datasets
import pytest
from huggingface_hub import constants

from dlm_length.benchmarks.gsm8k import GSM8K
from dlm_length.benchmarks.math500 import MATH500
from dlm_length.common import UserError, hub
from dlm_length.common.hub import hub_or_cache
from dlm_length.models import AbsentCheckpointError
from dlm_length.models.loading import checkpoint_folder


@pytest.fixture
def attempts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The connections that are tried, on a machine whose user has not chosen the offline mode."""
    made: list[str] = []
    connect = hub._connect

    def counted(endpoint: str, timeout: float) -> str | None:
        made.append(endpoint)
        return connect(endpoint, timeout)

    monkeypatch.setattr(hub, "_connect", counted)
    monkeypatch.setattr(hub, "_PAUSE", 0.0)
    monkeypatch.setattr(hub, "_failures", {})
    for module in (constants, datasets.config):
        monkeypatch.setattr(module, "HF_HUB_OFFLINE", False)
    return made


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> str:
    """The endpoint of a hub at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        endpoint = f"http://127.0.0.1:{server.getsockname()[1]}"
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    return endpoint


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The endpoint of a hub that accepts connections, and takes longer to answer than anybody waits."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        accepted: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    accepted.append(server.accept()[0])
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        endpoint = f"http://127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setattr(constants, "ENDPOINT", endpoint)
        monkeypatch.setattr(constants, "HF_HUB_ETAG_TIMEOUT", 0.2)
        yield endpoint
        for connection in accepted:
            connection.close()


def test_clients_are_offline_only_while_the_hub_cannot_be_reached(attempts: list[str], closed: str) -> None:
    other = SimpleNamespace(HF_HUB_OFFLINE=False)
    with hub_or_cache(other) as reason:  # type: ignore[arg-type]  # as a module
        assert (constants.HF_HUB_OFFLINE, other.HF_HUB_OFFLINE) == (True, True)
    assert reason is not None
    assert reason.startswith(f"{closed} cannot be reached (ConnectError: ")
    assert (constants.HF_HUB_OFFLINE, other.HF_HUB_OFFLINE) == (False, False)


def test_an_unreachable_hub_is_remembered_for_a_while(
    attempts: list[str], closed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        with hub_or_cache() as reason:
            assert reason is not None
    assert attempts == [closed] * 2, "both attempts of the first time"
    monkeypatch.setattr(hub, "_REMEMBERED", 0.0)
    with hub_or_cache():
        pass
    assert attempts == [closed] * 4


def test_a_connection_that_fails_once_does_not_count(attempts: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = iter(["ConnectError: lost", None])
    monkeypatch.setattr(hub, "_connect", lambda *_: next(outcomes))
    with hub_or_cache() as reason:
        assert reason is None
        assert not constants.HF_HUB_OFFLINE


def test_a_hub_that_is_slow_to_answer_can_be_reached(attempts: list[str], silent: str) -> None:
    with hub_or_cache() as reason:
        assert reason is None
        assert not constants.HF_HUB_OFFLINE
    assert attempts == [silent]


def test_the_offline_mode_that_a_user_chose_is_left_alone(
    attempts: list[str], closed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with hub_or_cache() as reason:
        assert reason is None
    assert constants.HF_HUB_OFFLINE
    assert attempts == []


def test_data_sets_and_checkpoints_say_so_after_one_try(attempts: list[str], closed: str) -> None:
    for name, benchmark in {"openai/gsm8k": GSM8K(), "HuggingFaceH4/MATH-500": MATH500()}.items():
        with pytest.raises(UserError, match=rf"^{name}, split test: the hub gave no data: {closed} cannot be reached"):
            benchmark.problems()
    with pytest.raises(AbsentCheckpointError, match=rf"did not give it \({closed} cannot be reached"):
        checkpoint_folder("owner/name", revision=None, weights=False)
    assert attempts == [closed] * 2
