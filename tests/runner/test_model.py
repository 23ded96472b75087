"""Whether the machine is the one that a run's hardware profile was written for."""

import pytest

from dlm_length.common import GIB
from dlm_length.config import Hardware, load_config
from dlm_length.engine.machine import Machine
from dlm_length.runner.model import mismatches

H100 = Machine("cuda:0", "NVIDIA H100 80GB HBM3", 79 * GIB, 70 * GIB, 8)
LAPTOP = Machine("cpu", "x86_64", 16 * GIB, 9 * GIB, 4)


def test_the_machine_of_the_profile_needs_no_word() -> None:
    hardware = load_config("gsm8k_fixed").hardware
    assert hardware.profile == "h100-80gb"
    assert mismatches(hardware, H100) == []
    assert mismatches(Hardware(), LAPTOP) == []


def test_another_machine_is_named_with_what_was_expected() -> None:
    hardware = load_config("gsm8k_fixed", ["hardware=a100-80gb"]).hardware
    (device,) = mismatches(hardware, H100)
    assert "'a100-80gb'" in device
    assert "'A100'" in device
    assert "'NVIDIA H100 80GB HBM3'" in device
    both = mismatches(hardware, LAPTOP)
    assert len(both) == 2
    assert "80 GiB of memory, found 16.0 GiB" in both[1]


@pytest.mark.parametrize(("gib", "told"), [(13, True), (14, False), (16, False), (18, False), (20, True)])
def test_memory_may_differ_a_little(gib: float, told: bool) -> None:
    """Vendors count in powers of ten, and systems keep some for themselves."""
    found = mismatches(Hardware(memory_gib=gib), LAPTOP)
    assert bool(found) == told


def test_the_name_is_compared_without_case() -> None:
    assert mismatches(Hardware(device_name="h100 80gb"), H100) == []
