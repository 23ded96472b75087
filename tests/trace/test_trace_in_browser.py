"""The page of a trace in a browser: how a cached run and a stop rule are shown."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trace_fixtures import EOS, MASK, frame, trace

from dlm_length.denoising import LengthChange
from dlm_length.trace.page import trace_page
from dlm_length.trace.record import Trace

LENGTH, BLOCK = 12, 4
CACHED = {"name": "fixed", "cache": "dual", "stop": "cut"}


def cached_and_stopped() -> Trace:
    """A block under cache dual, then the first forward of the next one, after which the answer is cut."""
    empty = [MASK] * LENGTH
    two, four = [5, 6, *empty[2:]], [5, 6, 7, 8, *empty[4:]]
    stopped = {"queried": np.arange(BLOCK, 2 * BLOCK), "stops": ("cut",)}
    frames = (
        frame(1, empty, two, queried=np.arange(BLOCK)),
        frame(2, two, four, queried=np.arange(2, BLOCK), recomputed=np.arange(BLOCK)),
        frame(3, four, [5, 6, 7, 8, EOS], LengthChange(3, "crop", 5, LENGTH, 5), **stopped),
    )
    return trace(frames, policy=CACHED)


def uncached() -> Trace:
    return trace((frame(1, [MASK] * BLOCK, [5, 6, 7, 8], queried=np.arange(BLOCK)),), policy=CACHED)


@pytest.fixture
def visit(browser: Any, tmp_path: Path) -> Iterator[Any]:
    """Opens a trace at a forward; nothing on the page may fail or ask for anything."""
    context = browser.new_context(viewport={"width": 1200, "height": 800})
    tab, faults = context.new_page(), []
    tab.on("console", lambda message: faults.append(message.text))
    tab.on("pageerror", lambda error: faults.append(str(error)))
    tab.on("request", lambda request: None if request.url.startswith("file:") else faults.append(request.url))

    def visit(seen: Trace, forward: int) -> Any:
        file = tmp_path / "trace.html"
        file.write_text(trace_page(seen), encoding="utf-8")
        tab.goto(f"{file.as_uri()}#{forward}")
        return tab

    yield visit
    context.close()
    assert not faults


def numbers(tab: Any) -> dict[str, str]:
    terms, values = (tab.locator(f"#numbers {part}").all_inner_texts() for part in ("dt", "dd"))
    return dict(zip(terms, values, strict=True))


def places(tab: Any, style: str) -> list[int]:
    """Positions of the canvas whose cells have a style."""
    found = tab.locator(f"#canvas .{style}").evaluate_all("all => all.map((cell) => Number(cell.dataset.position))")
    return [int(place) for place in found]


def test_a_partial_forward_shows_what_it_computed_and_what_it_reused(visit: Any) -> None:
    tab = visit(cached_and_stopped(), 2)
    assert numbers(tab)["computed"] == "4 of 12"
    assert places(tab, "reused") == list(range(BLOCK, LENGTH))
    hatched, plain = (
        tab.locator(f'[data-position="{place}"]').evaluate("cell => getComputedStyle(cell).backgroundImage")
        for place in (BLOCK, 0)
    )
    assert "repeating-linear-gradient" in hatched
    assert plain == "none"
    tab.hover('[data-position="6"]')
    assert "last computed in an earlier forward" in tab.inner_text("#cell")
    tab.hover('[data-position="2"]')
    assert "committed now as 7" in tab.inner_text("#cell")
    assert "earlier forward" not in tab.inner_text("#cell")


def test_reused_positions_are_as_legible_as_computed_ones(visit: Any) -> None:
    tab = visit(cached_and_stopped(), 2)
    for place in range(LENGTH):
        style = f"getComputedStyle(document.querySelector('[data-position=\"{place}\"]')).opacity"
        assert tab.evaluate(style) == "1"


def test_stepping_from_a_full_to_a_partial_forward_moves_nothing(visit: Any) -> None:
    tab = visit(cached_and_stopped(), 1)
    assert numbers(tab)["computed"] == "all 12"
    assert places(tab, "reused") == []
    before = tab.locator("#canvas").bounding_box()
    tab.click("#next")
    assert numbers(tab)["forward"] == "2 of 3"
    assert tab.locator("#canvas").bounding_box() == before
    assert tab.locator("#reused-key").is_visible()


def test_a_stop_is_named_marked_on_the_timeline_and_said_aloud(visit: Any) -> None:
    tab = visit(cached_and_stopped(), 3)
    assert numbers(tab)["ended by"] == "cut"
    assert numbers(tab)["length"] == "12 → 5"
    assert places(tab, "dropped") == list(range(5, LENGTH))
    assert tab.locator("#timeline .m-stop").count() == 1
    assert tab.locator("#stop-key").is_visible()
    tab.locator("#status", has_text="Ended by cut.").wait_for(state="attached")
    tab.click("#back")
    assert "ended by" not in numbers(tab)


def test_a_run_without_cache_or_stop_shows_neither(visit: Any) -> None:
    tab = visit(uncached(), 1)
    assert not {"computed", "ended by"} & numbers(tab).keys()
    assert not tab.locator("#reused-key").is_visible()
    assert not tab.locator("#stop-key").is_visible()
    assert tab.locator("#timeline .m-stop").count() == 0
