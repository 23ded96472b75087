"""Ray itself: imported, started on this machine or joined, and the devices that it has."""

import contextlib
import os
import re
import signal
import socket
import threading
from typing import Any

from dlm_length.common import ConfigError, UserError, brief
from dlm_length.config import Hardware

_CONNECT = 10.0
"""Seconds within which a cluster must answer."""
_OBJECT_STORE = 256 * 2**20
"""Bytes of Ray's object store where it is started for the run: only prompts and answers go through it."""


def import_ray() -> Any:
    """The module `ray`. Raises UserError where it is not installed."""
    module: Any = None
    with contextlib.suppress(ImportError):
        import ray as module
    if not hasattr(module, "init"):  # a folder of that name imports too, as an empty namespace
        raise UserError("hardware.executor=ray: Ray is not installed; `pip install 'dlmlen[ray]'` does it.")
    return module


def connect(ray: Any, hardware: Hardware) -> None:
    """Join the cluster at `hardware.address`, or start Ray on this machine. Raises UserError where neither succeeds."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    handler = signal.getsignal(signal.SIGTERM)
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if hardware.address is None:
        cores = max(os.cpu_count() or 1, (hardware.devices or 1) * (hardware.threads or 1))
        # "local", as without an address Ray would join whatever cluster it finds here, or in RAY_ADDRESS.
        options |= {"address": "local", "num_cpus": cores, "object_store_memory": _OBJECT_STORE}
    else:
        options["address"] = hardware.address
    try:
        _check_listening(hardware.address)
        ray.init(**options)
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(
            f"hardware.address: no Ray cluster answers at {hardware.address or 'this machine'}"
            f" ({brief(error)}); `ray start --head` begins one, RAY_AUTH_MODE=token joins one that demands a token, and"
            " without hardware.address Ray is started for the run."
        ) from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)  # Ray installs its own handler, which does not interrupt a run


def choose_devices(ray: Any, hardware: Hardware) -> tuple[str, int]:
    """Kind of device, cpu or cuda, and the number of workers. Raises ConfigError where Ray has too few devices."""
    resources = ray.cluster_resources()
    gpus, cores = int(resources.get("GPU", 0)), int(resources.get("CPU", 0))
    kind = "cuda" if hardware.device == "cuda" or (hardware.device == "auto" and gpus) else "cpu"
    most = gpus if kind == "cuda" else cores // (hardware.threads or 1)
    count = hardware.devices or most
    if not 1 <= count <= most:
        what = "GPUs" if kind == "cuda" else f"CPU workers of {hardware.threads or 1} threads"
        raise ConfigError(f"hardware.devices: found {count or 'none'}, Ray has room for {most} {what}.")
    return kind, count


def _check_listening(address: str | None) -> None:
    """Raise OSError where nothing listens at `host:port`: Ray itself would try for minutes."""
    if (named := re.fullmatch(r"(?:ray://)?([^:/]+):(\d+)", address or "")) is not None:
        socket.create_connection((named[1], int(named[2])), timeout=_CONNECT).close()
