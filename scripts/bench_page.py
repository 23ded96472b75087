"""Measure the size of a large report's page, and the time until it can be read: 40 runs of 1,319 samples each.

    python scripts/bench_page.py

The runs are those of bench_report.py; the page is opened in a headless Chromium (`playwright` and a `chromium` on the
path). tests/reports/rendering/test_page_in_browser.py asserts the counts on smaller pages.
"""

import argparse
import shutil
import tempfile
import time
from contextlib import chdir
from pathlib import Path

from bench_report import POLICIES, write_runs
from playwright.sync_api import Page, sync_playwright

from dlm_length.reports.report import write_report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=1319)
    parser.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="Keep the report in this folder; by default it is deleted."
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        size = write_runs(Path(scratch), arguments.samples)
        total = len(POLICIES) * arguments.samples
        print(f"{len(POLICIES)} runs of {arguments.samples:,} samples, {size / 2**20:.0f} MiB on disk")
        folder = (arguments.keep or Path(scratch, "report")).absolute()
        with chdir(scratch):
            for samples in (0, None):
                start = time.perf_counter()
                write_report([Path("results")], folder, formats=["html"], samples=samples)
                page = folder / "index.html"
                which = "all" if samples is None else "no"
                print(f"page with {which} samples: {page.stat().st_size / 2**20:.2f} MiB, {_since(start)} to write")
        print(f"{page.stat().st_size / total:.0f} bytes per sample")
        _open(page)


def _open(page: Path) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        tab = browser.new_page()
        start = time.perf_counter()
        tab.goto(page.as_uri(), wait_until="commit")
        tab.wait_for_selector("h1")
        print(f"first content after {_since(start)}")
        tab.wait_for_selector("#problems li")
        print(f"samples listed after {_since(start)}; {_nodes(tab)} elements")
        start = time.perf_counter()
        tab.click("#problems button")
        tab.wait_for_selector(".panel")
        print(f"a prompt's answers after {_since(start)}; {_nodes(tab)} elements")
        start = time.perf_counter()
        tab.select_option("#by-result", "lost")
        tab.locator("#found", has_text="in all").wait_for()
        print(f"filtered after {_since(start)}: {tab.text_content('#found')}")
        start = time.perf_counter()
        tab.select_option("#by-result", "any")
        tab.fill("#by-text", "nosuchwordatall")
        tab.locator("#found", has_text="No prompt").wait_for()
        print(f"all texts searched after {_since(start)}")
        browser.close()


def _nodes(tab: Page) -> str:
    count: int = tab.evaluate("document.querySelectorAll('*').length")
    return f"{count:,}"


def _since(start: float) -> str:
    return f"{time.perf_counter() - start:.1f} s"


if __name__ == "__main__":
    main()
