"""A run's log in inspect_ai's own viewer, in a browser."""

import re
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from dlm_length.export import export_runs
from dlm_length.records import read_samples

STUDY = Path(__file__).parents[2] / "results" / "example" / "study_mini"
GSM8K = next(iter(sorted(STUDY.glob("mini_gsm8k__llada-mini__smartcrop__*"))))


@pytest.mark.slow
def test_inspect_view_shows_prompt_answer_score_and_ledger(browser: Any, tmp_path: Path) -> None:
    pytest.importorskip("inspect_ai")
    export_runs([GSM8K], "inspect", tmp_path)
    (record,) = read_samples(GSM8K, only=["mini_gsm8k/0"])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    view = [sys.executable, "-m", "inspect_ai", "view", "start", "--log-dir", str(tmp_path), "--port", str(port)]
    server = subprocess.Popen(view, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(address)
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.goto(f"{address}/#/tasks/{GSM8K.name}.eval")
        page.get_by_text(record.prompt[10:45]).first.click(timeout=60_000)
        page.get_by_text(record.resps[0][0].splitlines()[0]).first.wait_for(timeout=30_000)
        page.get_by_role("tab", name="Scoring").first.click()
        page.get_by_text("exact_match_strict").first.wait_for(timeout=30_000)
        page.get_by_text(str(record.details["reason"])).first.wait_for(timeout=30_000)
        page.goto(re.sub(r"/[a-z]+$", "/metadata", page.url))
        page.get_by_text("flops_reference").first.wait_for(timeout=30_000)
        assert str(record.ledger.total.flops_reference) in page.inner_text("body").replace(",", "")
    finally:
        server.terminate()
        server.wait()


def _wait_for(address: str) -> None:
    """Wait until the server answers; fail after a minute."""
    for _ in range(120):
        try:
            urllib.request.urlopen(address, timeout=2)
        except OSError:
            time.sleep(0.5)
        else:
            return
    pytest.fail(f"nothing answers at {address}")
