import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from dlm_length.engine import Engine
from dlm_length.engine.energy import EnergyMeter, find_meter
from dlm_length.models import MaskPredictor
from dlm_length.policies import build_policy


class Card:
    """A counter that rises by a joule each time that it is read."""

    def __init__(self) -> None:
        self.reads = 0

    def __call__(self) -> float:
        self.reads += 1
        return float(self.reads)


class NVMLError(Exception):
    pass


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A stand-in for NVML on a machine of two cards, neither in MIG mode; the second has taken 2,500 mJ."""
    fake = SimpleNamespace(
        NVMLError=NVMLError,
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByUUID=lambda uuid: uuid,
        nvmlDeviceGetMigMode=lambda _: (0, 0),
        nvmlDeviceGetTotalEnergyConsumption=lambda handle: {"GPU-first": 90_000, "GPU-abc": 2500}[handle],
    )
    uuids = {0: "first", 1: "abc", None: "abc"}  # without an index: the current one
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda device: SimpleNamespace(uuid=uuids[torch.device(device).index])
    )
    return fake


@pytest.mark.parametrize("device", ["cuda:1", "cuda"])
def test_the_card_is_found_by_its_uuid_and_counted_in_joules(nvml: SimpleNamespace, device: str) -> None:
    meter = find_meter(torch.device(device))
    assert meter is not None
    counts = {"GPU-first": 99_000, "GPU-abc": 4000}
    nvml.nvmlDeviceGetTotalEnergyConsumption = counts.__getitem__
    assert meter.since() == 1.5
    meter.restart()
    assert meter.since() == 0.0


def raising(error: Exception) -> Callable[..., Any]:
    def raise_it(*_: object) -> None:
        raise error

    return raise_it


@pytest.mark.parametrize(
    ("function", "error"),
    [
        ("nvmlInit", NVMLError("Driver Not Loaded")),
        ("nvmlInit", NVMLError("Insufficient Permissions")),
        ("nvmlInit", OSError("libnvidia-ml.so.1: wrong ELF class")),
        ("nvmlDeviceGetHandleByUUID", NVMLError("Not Found")),
        ("nvmlDeviceGetHandleByUUID", PermissionError(13, "Permission denied", "/dev/nvidiactl")),
        ("nvmlDeviceGetMigMode", OSError("lost")),
        ("nvmlDeviceGetTotalEnergyConsumption", NVMLError("Not Supported")),
        ("nvmlDeviceGetTotalEnergyConsumption", NVMLError("Insufficient Permissions")),
        ("nvmlDeviceGetTotalEnergyConsumption", ValueError("of another version of the library")),
    ],
)
def test_whatever_nvml_says_no_run_ends_by_it(
    nvml: SimpleNamespace, tiny_model: MaskPredictor, function: str, error: Exception
) -> None:
    """At the start, where there is no meter then, and in the middle, after which nothing is measured."""
    meter = find_meter(torch.device("cuda"))
    setattr(nvml, function, raising(error))
    assert find_meter(torch.device("cuda")) is None
    assert meter is not None
    (g,) = Engine(tiny_model, meter=meter).generate([[4, 5, 6]], build_policy("fixed", length=4))
    assert g.error is None
    assert (g.ledger.total.joules is None) == (function == "nvmlDeviceGetTotalEnergyConsumption")


def test_a_library_that_cannot_be_imported_ends_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "pynvml":
                raise RuntimeError("of another Python")

    monkeypatch.delitem(sys.modules, "pynvml", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    assert find_meter(torch.device("cuda")) is None


def test_a_card_that_instances_share_is_not_measured(nvml: SimpleNamespace) -> None:
    nvml.nvmlDeviceGetMigMode = lambda _: (1, 1)
    assert find_meter(torch.device("cuda")) is None


@pytest.mark.parametrize("error", [NVMLError("Not Supported"), AttributeError("nvmlDeviceGetMigMode")])
def test_a_card_that_knows_no_instances_is_measured(nvml: SimpleNamespace, error: Exception) -> None:
    nvml.nvmlDeviceGetMigMode = raising(error)
    assert find_meter(torch.device("cuda")) is not None


def test_a_cpu_has_no_meter(nvml: SimpleNamespace) -> None:
    assert find_meter(torch.device("cpu")) is None


def test_a_counter_that_goes_back_gives_no_sum_for_that_time_alone() -> None:
    """As after a reset: 0 would understate the forward under way."""
    counts = iter([7.0, 2.0, 5.0])
    meter = EnergyMeter(lambda: next(counts))
    assert [meter.since(), meter.since()] == [None, 3.0]


def test_a_counter_that_fails_in_a_run_ends_none_and_leaves_no_sum(
    nvml: SimpleNamespace, tiny_model: MaskPredictor
) -> None:
    """A sum over some of its forwards would understate a sample: it is absent, and not 0."""
    meter, reads = find_meter(torch.device("cuda")), iter([2500, 3500, 4000])
    assert meter is not None

    def read(_: str) -> int:
        if (value := next(reads, None)) is None:
            raise NVMLError("GPU is lost")
        return value

    nvml.nvmlDeviceGetTotalEnergyConsumption = read
    (g,) = Engine(tiny_model, meter=meter).generate([[4, 5, 6]], build_policy("fixed", length=4))
    assert g.error is None
    assert (g.ledger.total.joules, g.ledger.probe.joules) == (None, None)


def test_without_the_library_nothing_is_measured(monkeypatch: pytest.MonkeyPatch, tiny_model: MaskPredictor) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert find_meter(torch.device("cuda")) is None
    (g,) = Engine(tiny_model).generate([[4, 5, 6]], build_policy("fixed", length=4))
    assert g.ledger.total.joules is None


def test_samples_share_what_the_card_took_by_their_tokens(tiny_model: MaskPredictor) -> None:
    """One joule per forward, as the meter is restarted before each: nothing else is under way."""
    card = Card()
    prompts = [[4] * 10, [4] * 30]
    done = list(Engine(tiny_model, meter=EnergyMeter(card)).generate(prompts, build_policy("fixed", length=10)))
    short, long = sorted(done, key=lambda g: g.index)
    assert short.ledger.total.joules is not None
    assert long.ledger.total.joules is not None
    assert short.ledger.total.joules + long.ledger.total.joules == pytest.approx(10)
    assert long.ledger.total.joules == pytest.approx(2 * short.ledger.total.joules), "40 tokens of 60"


def test_probes_are_charged_their_own_energy(tiny_model: MaskPredictor) -> None:
    (g,) = Engine(tiny_model, meter=EnergyMeter(Card())).generate([[4] * 9], build_policy("smartcrop", length=12))
    assert g.ledger.probe.joules == 1.0
    assert g.ledger.total.joules == float(g.ledger.total.nfe)
