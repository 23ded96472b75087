import sys
from types import SimpleNamespace

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
    """A stand-in for NVML whose card has taken 2,500 mJ."""
    fake = SimpleNamespace(
        NVMLError=NVMLError,
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByUUID=lambda uuid: uuid,
        nvmlDeviceGetTotalEnergyConsumption=lambda handle: {"GPU-abc": 2500}[handle],
    )
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(uuid="abc"))
    return fake


def test_the_card_is_found_by_its_uuid_and_counted_in_joules(nvml: SimpleNamespace) -> None:
    meter = find_meter(torch.device("cuda:1"))
    assert meter is not None
    nvml.nvmlDeviceGetTotalEnergyConsumption = lambda _: 4000
    assert meter.since() == 1.5
    meter.restart()
    assert meter.since() == 0.0


def test_a_card_without_a_counter_and_a_cpu_have_no_meter(nvml: SimpleNamespace) -> None:
    def refuse(handle: str) -> int:
        raise NVMLError("Not Supported")

    nvml.nvmlDeviceGetTotalEnergyConsumption = refuse
    assert find_meter(torch.device("cuda")) is None
    assert find_meter(torch.device("cpu")) is None


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
