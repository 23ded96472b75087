"""The Hugging Face hub where it cannot be reached: found out once and soon; then only its local cache is read."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

_REMEMBERED = 300.0
"""Seconds for which the hub counts as unreachable after connecting failed."""
_ATTEMPTS, _PAUSE = 2, 1.0
"""Attempts to connect, and seconds between them: one lost packet does not mean that there is no network."""
_NO_CONNECTION = frozenset({"ConnectError", "ConnectTimeout"})
"""Errors of the hub's HTTP library, whose module has another name in each major version of huggingface_hub."""

_failures: dict[str, tuple[float, str]] = {}
"""By endpoint, when it was found unreachable, in seconds of the monotonic clock, and why."""


@contextmanager
def hub_or_cache(*modules: ModuleType) -> Iterator[str | None]:
    """Put the hub's clients into offline mode while the hub cannot be reached: they then read their cache, at once.

    Otherwise each of them would retry for half a minute, for every data set. Yields why the hub cannot be reached;
    None where it can, or where the user has chosen the offline mode (HF_HUB_OFFLINE), which the clients respect.
    `modules`: further modules with a setting HF_HUB_OFFLINE, such as `datasets.config`.
    """
    from huggingface_hub import constants

    reason = None if constants.HF_HUB_OFFLINE else _why_unreachable()
    everywhere: tuple[Any, ...] = (constants, *modules)
    switched = [] if reason is None else [module for module in everywhere if not module.HF_HUB_OFFLINE]
    for module in switched:
        module.HF_HUB_OFFLINE = True
    try:
        yield reason
    finally:
        for module in switched:
            module.HF_HUB_OFFLINE = False


def _why_unreachable() -> str | None:
    """Why no connection to the hub can be made; None where one can, however slow the answer is."""
    from huggingface_hub import constants

    endpoint = constants.ENDPOINT
    when, reason = _failures.get(endpoint, (-_REMEMBERED, ""))
    if reason and time.monotonic() - when < _REMEMBERED:
        return reason
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_PAUSE)
        error = _connect(endpoint, constants.HF_HUB_ETAG_TIMEOUT)
        if error is None:
            return None
        reason = f"{endpoint} cannot be reached ({error})"
        if "timeout" in error.lower():
            break  # it was given long enough
    _failures[endpoint] = time.monotonic(), reason
    return reason


def _connect(endpoint: str, timeout: float) -> str | None:
    """The error of connecting to the hub, through a proxy where one is configured; None for any other outcome.

    `timeout`: seconds.
    """
    from huggingface_hub import get_session

    try:
        get_session().head(endpoint, timeout=timeout)
    except Exception as error:  # noqa: BLE001 - what else goes wrong, the client's own call reports
        if _NO_CONNECTION & {cls.__name__ for cls in type(error).__mro__}:
            return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return None
