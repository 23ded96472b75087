import pytest
import torch

from dlm_length.engine.usage import DeviceUse


class NVMLError(Exception):
    """As pynvml's, which is no RuntimeError."""


@pytest.mark.parametrize("error", [ImportError("no pynvml"), RuntimeError("no driver"), NVMLError("Not Supported")])
def test_a_gpu_whose_load_is_unknown_ends_no_run(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """A MIG device has a memory but no utilization."""

    def refuse(_: torch.device) -> int:
        raise error

    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (2**30, 4 * 2**30))
    monkeypatch.setattr(torch.cuda, "utilization", refuse)
    assert DeviceUse(torch.device("cuda"))() == "GPU 3 of 4 GiB"
    monkeypatch.setattr(torch.cuda, "utilization", lambda _: 95)
    assert DeviceUse(torch.device("cuda"))() == "GPU 95%, 3 of 4 GiB"
