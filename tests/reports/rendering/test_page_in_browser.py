"""The report's page in a browser: what it shows, how it is operated, and that it asks nobody for anything."""

import csv
import io
import re
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from page_fixtures import HOSTILE, Drawing, sample

from dlm_length.reports.findings import Finding, Findings
from dlm_length.reports.rendering import RunSamples, ShownSample, csv_table, html_page
from dlm_length.reports.table import Column, Group, Number, ReportTable, Row

SETTINGS = [(width, scheme) for width in (1280, 400) for scheme in ("light", "dark")]
PROMPTS = 45
LABELS = ("fixed 64", "smartcrop 64 tau 0.9", "daedal 16 both")
SVG = (
    b'<svg xmlns="http://www.w3.org/2000/svg" width="244.8pt" height="180pt" viewBox="0 0 244.8 180">'
    b'<rect width="244.8" height="180" style="fill: #ffffff"/><path d="M 10 10 L 200 100" style="stroke: #000000"/>'
    b"</svg>"
)
WORD = "unmistakable"
"""In the answer of one run to one prompt."""


def score(run: int, prompt: int) -> float | None:
    """The baseline is right on even prompts; SmartCrop flips every tenth; DAEDAL is never scored on the last."""
    if run == 2 and prompt == PROMPTS - 1:
        return None
    right = prompt % 2 == 0
    return float(right != (run == 1 and prompt % 10 == 0))


def answers(section: int, run: int) -> list[ShownSample]:
    made = []
    for prompt in range(PROMPTS):
        word = f" {WORD}" if (section, run, prompt) == (0, 2, 30) else ""
        text = f"prompt {prompt} of {section}"
        given: dict[str, Any] = {"prompt": f"<|user|>{text} {HOSTILE}", "target": str(prompt)}
        given |= {"resps": [[f"{'the same' if run < 2 else 'another'} answer to {text}{word}"]]}
        given |= {"filtered_resps": [str(prompt)], "score": score(run, prompt), "n_token": 64 - 10 * run, "e_token": 20}
        made.append(sample(f"q/{prompt}", **given))
    return made


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of two benchmarks with three runs each, in a folder of its own."""
    folder = tmp_path_factory.mktemp("report")
    runs = [
        RunSamples(Path(f"runs/{section}{run}"), label, title, answers(section, run), PROMPTS, Path(f"runs/{section}0"))
        for section, title in enumerate(("gsm8k, llada", "humaneval, llada"))
        for run, label in enumerate(LABELS)
    ]
    columns = (
        Column("policy", numeric=False),
        Column("score", higher_is_better=True, own_columns=("low", "high")),
        *(Column("score low"), Column("score high")),
        *(Column(f"a rather long title of cost {place}", higher_is_better=False) for place in range(12)),
    )
    groups = tuple(
        Group(
            title,
            tuple(
                Row((run.label, *(Number(place + number, 4) for number in range(len(columns) - 1))), (run.run,))
                for place, run in enumerate(runs)
                if run.section == title
            ),
        )
        for title in ("gsm8k, llada", "humaneval, llada")
    )
    table = ReportTable("cost", "What each policy costs", columns, groups, ("A note.",))
    figures = [
        Drawing(
            name, title, "The caption.", tuple(run.run for run in runs if run.section == of), {"svg": SVG, "png": b""}
        )
        for name, title, of in (
            ("frontier", "Score against cost", "gsm8k, llada"),
            ("second", "Another", "humaneval, llada"),
        )
    ]
    finding = Finding("smartcrop 64 tau 0.9", "16% fewer FLOPs than fixed 64.", "FLOPs saved: 16.0% [15.0, 17.0].")
    text = html_page(
        *("Answer length", [table], figures, runs, ["Made by hand."], folder),
        findings=Findings((finding,), (), ("In brackets: 95% intervals.",)),
        files={"cost.csv": csv_table(table), "cost.tex": "\\begin{tabular}"},
        traces={
            (Path("runs/01"), "q/10"): "<!doctype html><title>a trace</title><script>document.title += '!'</script>"
        },
    )
    (folder / "index.html").write_text(text, encoding="utf-8")
    return folder / "index.html"


class Visit:
    """A page that is looked at, and what it said and asked for meanwhile."""

    def __init__(self, browser: Any, page: Path, width: int = 1280, scheme: str = "light", **options: Any) -> None:
        self._context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme, **options)
        self.messages: list[str] = []
        self.requests: list[str] = []
        self.tab = self._context.new_page()
        self.tab.on("console", lambda message: self.messages.append(message.text))
        self.tab.on("pageerror", lambda error: self.messages.append(str(error)))
        self._context.on("request", lambda request: self.requests.append(request.url))
        self.address = page.as_uri()

    def __enter__(self) -> "Visit":
        self.open("")
        return self

    def __exit__(self, *_: object) -> None:
        self._context.close()

    def open(self, fragment: str) -> None:
        self.tab.goto(f"{self.address}{fragment}")
        if self._context.pages and fragment:
            self.tab.reload()
        self.tab.wait_for_selector("#problems li", state="attached")

    def count(self, selector: str) -> int:
        return int(self.tab.locator(selector).count())

    def listed(self) -> list[str]:
        return [str(text) for text in self.tab.locator("#problems .id").all_inner_texts()]

    def choose(self, select: str, title: str, found: str) -> None:
        self.tab.select_option(select, label=title)
        self.found(found)

    def found(self, text: str) -> None:
        self.tab.locator("#found", has_text=text).wait_for(timeout=10_000)


@pytest.mark.parametrize(("width", "scheme"), SETTINGS)
def test_nothing_is_wider_than_the_page_and_nothing_is_asked_of_a_network(
    browser: Any, page: Path, width: int, scheme: str
) -> None:
    with Visit(browser, page, width, scheme) as visit:
        visit.tab.click("#problems button")
        visit.tab.wait_for_selector(".panel")
        visit.tab.click("button.columns")
        over = visit.tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert over == 0
        boxes = visit.tab.evaluate(
            "[...document.querySelectorAll('main *')].filter((part) => !part.closest('.scroll, pre, .picture')"
            " && part.checkVisibility() && part.getBoundingClientRect().right > innerWidth + 1)"
            ".map((part) => part.outerHTML)"
        )
        assert not boxes
        assert visit.tab.evaluate(
            "document.querySelector('.scroll').scrollWidth > document.querySelector('.scroll').clientWidth"
        )
        assert not visit.messages
        assert [url for url in visit.requests if not url.startswith(("file:", "data:", "blob:"))] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_figures_have_the_contrast_of_the_scheme(browser: Any, page: Path, scheme: str) -> None:
    """By WCAG's ratio, of ink, muted text and links on page and panel; figures are turned round in the dark."""
    with Visit(browser, page, scheme=scheme) as visit:
        ratios = visit.tab.evaluate(
            """() => {
              const style = getComputedStyle(document.documentElement);
              const channel = (value) => (value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
              const light = (name) => {
                const hex = style.getPropertyValue(name).trim();
                const [r, g, b] = [1, 3, 5].map((at) => channel(parseInt(hex.slice(at, at + 2), 16) / 255));
                return 0.2126 * r + 0.7152 * g + 0.0722 * b;
              };
              const names = ["--ink", "--muted", "--link", "--good", "--bad", "--part"];
              return names.flatMap((ink) => ["--page", "--panel", "--shade"].map((paper) => {
                const [high, low] = [light(ink), light(paper)].sort((a, b) => b - a);
                return (high + 0.05) / (low + 0.05);
              }));
            }"""
        )
        assert min(ratios) >= 4.5
        turned = visit.tab.evaluate("getComputedStyle(document.querySelector('figure img')).filter")
        assert ("invert" in turned) == (scheme == "dark")


def test_landmarks_headings_labels_and_captions(browser: Any, page: Path) -> None:
    with Visit(browser, page) as visit:
        visit.tab.click("#problems button")
        visit.tab.wait_for_selector(".panel")
        assert [visit.count(landmark) for landmark in ("body > header", "nav[aria-label]", "main")] == [1, 1, 1]
        levels = visit.tab.evaluate(
            "[...document.querySelectorAll('h1,h2,h3,h4,h5')].map((one) => Number(one.tagName[1]))"
        )
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(after <= before + 1 for before, after in pairwise(levels))
        unlabelled = visit.tab.evaluate(
            """[...document.querySelectorAll("input, select, button, summary, [role=region], [role=search], section")]
              .filter((part) => !(part.labels?.length || part.ariaLabel
                || (part.matches("button, summary") && part.textContent.trim())
                || document.getElementById(part.getAttribute("aria-labelledby"))))
              .map((part) => part.outerHTML.slice(0, 100))"""
        )
        assert not unlabelled
        assert visit.count("table") == visit.count("table > caption") == 1
        assert visit.tab.evaluate("document.querySelector('caption').textContent") == "What each policy costs"
        assert visit.count("img:not([alt])") == 0
        ids = visit.tab.evaluate("[...document.querySelectorAll('[id]')].map((part) => part.id)")
        assert len(ids) == len(set(ids))


def test_the_keyboard_reaches_side_list_filters_and_samples(browser: Any, page: Path) -> None:
    with Visit(browser, page) as visit:
        keyboard = visit.tab.keyboard
        keyboard.press("Tab")
        assert visit.tab.evaluate("document.activeElement.className") == "skip"
        keyboard.press("Tab")
        assert visit.tab.evaluate("document.activeElement.hash") == "#summary"
        visit.tab.focus("nav a[href='#samples']")
        keyboard.press("Enter")
        assert visit.tab.evaluate("document.getElementById('samples').getBoundingClientRect().top") < 100
        visit.tab.locator("nav a[href='#samples'][aria-current]").wait_for()
        visit.tab.focus("#by-section")
        keyboard.press("Tab")
        assert visit.tab.evaluate("document.activeElement.id") == "by-run"
        keyboard.press("s")  # the first policy of that letter
        visit.found("Prompts 1 to 20 of 45.")
        assert visit.tab.evaluate("document.getElementById('by-run').selectedOptions[0].text") == LABELS[1]
        keyboard.press("Tab")
        keyboard.press("l")
        visit.found("Prompts 1 to 5 of 5 (of 45 in all).")
        keyboard.press("Tab")
        keyboard.press("Tab")
        keyboard.press("Enter")
        visit.tab.wait_for_selector(".panel")
        assert visit.tab.evaluate("document.activeElement.getAttribute('aria-expanded')") == "true"
        keyboard.press("Enter")
        visit.tab.wait_for_selector(".panel", state="detached")


def test_the_side_list_is_a_fold_where_the_page_is_narrow(browser: Any, page: Path) -> None:
    with Visit(browser, page, 400) as visit:
        assert not visit.tab.is_visible("nav a")
        visit.tab.focus("nav summary")
        visit.tab.keyboard.press("Enter")
        visit.tab.click("nav a[href='#tables']")
        assert not visit.tab.is_visible("nav a")
        assert 0 <= visit.tab.evaluate("document.getElementById('tables').getBoundingClientRect().top") < 100
        assert visit.tab.is_visible("nav summary"), "it stays at the top"
        visit.tab.set_viewport_size({"width": 1280, "height": 800})
        visit.tab.wait_for_selector("nav a", state="visible")


def test_samples_are_filtered_by_benchmark_policy_result_and_text(browser: Any, page: Path) -> None:
    with Visit(browser, page) as visit:
        visit.found("Prompts 1 to 20 of 45.")
        assert visit.listed() == [f"q/{prompt}" for prompt in range(20)]
        visit.choose("#by-result", "flipped against the baseline", "1 to 5 of 5")
        assert visit.listed() == [f"q/{prompt}" for prompt in range(0, 50, 10)]
        visit.choose("#by-run", LABELS[2], "No prompt of 45 fits.")
        visit.choose("#by-result", "not scored", "1 to 1 of 1")
        assert visit.listed() == ["q/44"]
        assert visit.tab.inner_text("#problems .verdict") == "not scored"
        visit.choose("#by-run", LABELS[1], "No prompt of 45 fits.")
        visit.choose("#by-result", "wrong", "of 27 (")
        visit.choose("#by-result", "any", "of 45.")
        visit.choose("#by-run", "any", "of 45.")
        for text, found in (
            ("unMISTakable answer", "1 to 1 of 1 ("),
            (WORD + " nothing", "No prompt"),
            (WORD, "1 to 1"),
        ):
            visit.tab.fill("#by-text", text)
            visit.found(found)
        visit.choose("#by-section", "humaneval, llada", "No prompt")
        titles = visit.tab.locator("#by-result option").all_inner_texts()
        assert "right in part" not in titles, "there is none"
        assert "with a trace to watch" not in titles, "none in this benchmark"


def test_a_page_of_the_list_has_few_elements_however_many_samples_there_are(browser: Any, page: Path) -> None:
    with Visit(browser, page) as visit:
        assert visit.count("#problems *") == 20 * 5
        visit.tab.click("#later")
        visit.found("Prompts 21 to 40 of 45.")
        visit.tab.click("#later")
        visit.found("Prompts 41 to 45 of 45.")
        assert visit.tab.is_disabled("#later")
        assert visit.listed() == [f"q/{prompt}" for prompt in range(40, 45)]
        visit.tab.locator("#problems button").nth(1).click()
        visit.tab.wait_for_selector(".panel")
        visit.tab.locator("#problems button").nth(3).click()
        visit.tab.locator("li:nth-child(4) .panel").wait_for()
        assert visit.count(".panel") == 1
        assert visit.count(".panel *") < 40 * len(LABELS)


def test_one_prompts_answers_are_side_by_side_with_lengths_and_costs(browser: Any, page: Path) -> None:
    with Visit(browser, page) as visit:
        visit.tab.locator("#problems button").nth(10).click()
        visit.tab.wait_for_selector(".panel")
        assert visit.tab.locator(".asked pre").all_text_contents() == [f"<|user|>prompt 10 of 0 {HOSTILE}", "10"]
        cards = visit.tab.locator(".panel article")
        assert cards.locator("h3 > span").all_text_contents() == list(LABELS)
        assert cards.locator("h3 small").all_text_contents() == ["✓ right · baseline", "✗ wrong, lost", "✓ right"]
        assert cards.nth(1).locator("dd").all_text_contents()[:4] == ["54", "20", "55", "66 FLOPs (0%)"]
        assert cards.locator("pre").all_text_contents() == [
            "the same answer to prompt 10 of 0",
            "another answer to prompt 10 of 0",
        ]
        assert cards.nth(1).locator(".same").inner_text() == f"Same text as {LABELS[0]}."
        tops = {round(box["y"]) for place in range(3) if (box := cards.nth(place).bounding_box())}
        assert len(tops) == 1, "side by side"
        assert visit.tab.evaluate("document.querySelectorAll('.panel b, .panel script').length") == 0
        assert visit.tab.evaluate("location.hash") == "#sample-1-11"
        visit.choose("#by-run", LABELS[2], "1 to 20 of 45")
        visit.tab.locator("#problems button").nth(10).click()
        visit.tab.wait_for_selector("article.chosen")
        assert cards.locator("h3 > span").all_text_contents() == [LABELS[0], LABELS[2], LABELS[1]]


def test_an_address_leads_to_a_run_and_to_a_sample(browser: Any, page: Path) -> None:
    with Visit(browser, page) as visit:
        visit.tab.locator("td.runs a[href='#run-5']").click()
        visit.found("Prompts 1 to 20 of 45.")
        chosen = "[...document.querySelectorAll('#browser select')].map((one) => one.selectedOptions[0].text)"
        assert visit.tab.evaluate(chosen) == ["humaneval, llada", LABELS[1], "any"]
        visit.open("#sample-2-42")
        visit.tab.wait_for_selector(".panel")
        assert visit.tab.locator("button[aria-expanded='true'] .id").inner_text() == "q/41"
        assert visit.tab.locator(".asked pre").first.text_content().startswith("<|user|>prompt 41 of 1 ")


def test_a_trace_opens_in_a_page_of_its_own(browser: Any, page: Path) -> None:
    with Visit(browser, page) as visit:
        visit.choose("#by-result", "with a trace to watch", "1 to 1 of 1")
        visit.tab.click("#problems button")
        link = visit.tab.locator(".trace a")
        with visit.tab.expect_popup() as opened:
            link.click()
        opened.value.wait_for_load_state()
        assert opened.value.title() == "a trace!"


def test_tables_and_figures_are_downloaded_from_the_page_alone(browser: Any, page: Path, tmp_path: Path) -> None:
    alone = tmp_path / "elsewhere.html"
    shutil.copy(page, alone)
    got = {}
    with Visit(browser, alone, accept_downloads=True) as visit:
        visit.tab.click("[data-open=figures]")
        for kind in ("data-file", "data-picture"):
            for button in visit.tab.locator(f"[{kind}]").all():
                with visit.tab.expect_download() as download:
                    button.click()
                got[download.value.suggested_filename] = Path(download.value.path()).read_bytes()
    assert set(got) == {"cost.csv", "cost.tex", "frontier.png", "frontier.svg", "second.png", "second.svg"}
    assert got["frontier.svg"] == SVG
    assert got["frontier.png"][:8] == b"\x89PNG\r\n\x1a\n"
    width = int.from_bytes(got["frontier.png"][16:20], "big")
    assert width == pytest.approx(3 * 244.8 * 96 / 72, abs=3), "at three times the size on screen"
    rows = list(csv.reader(io.StringIO(got["cost.csv"].decode())))
    assert [row[1] for row in rows[1:]] == [*LABELS, *LABELS]


def test_columns_that_repeat_others_are_hidden_until_asked_for(browser: Any, page: Path) -> None:
    with Visit(browser, page) as visit:
        assert not visit.tab.locator("th.repeating").first.is_visible()
        visit.tab.click("button.columns")
        assert visit.tab.locator("th.repeating").first.is_visible()
        assert visit.tab.get_attribute("button.columns", "aria-pressed") == "true"


def test_without_scripts_summary_figures_and_tables_are_there(browser: Any, page: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(page.as_uri())
    assert tab.is_visible("#summary li")
    assert tab.is_visible("figure img")
    assert tab.is_visible("td")
    assert tab.locator("th.repeating").first.is_visible()
    assert tab.is_visible("nav a")
    assert tab.is_visible("noscript p")
    assert not any(part.is_visible() for part in tab.locator("main .actions button, #browser, #tools").all())
    context.close()


def test_a_print_is_not_cut_where_folded_parts_begin(browser: Any, page: Path) -> None:
    """Chromium counts the pages right after the event `beforeprint`."""
    with Visit(browser, page) as visit:
        folded = visit.tab.pdf(width="10cm", height="10cm")
        assert visit.tab.locator("details.fold:not([open])").count(), "folded again"
        visit.tab.evaluate("document.querySelectorAll('details.fold').forEach((fold) => (fold.open = true))")
        opened = visit.tab.pdf(width="10cm", height="10cm")
    pages = [len(re.findall(rb"/Type /Page\b", made)) for made in (folded, opened)]
    assert pages[0] == pages[1] > 2


def test_on_paper_there_are_tables_and_figures_and_no_controls(browser: Any, page: Path) -> None:
    with Visit(browser, page, scheme="dark") as visit:
        visit.tab.emulate_media(media="print", color_scheme="dark")
        assert not any(
            visit.tab.is_visible(part) for part in ("nav", "#tools", "#browser", ".actions", "td.runs", "#samples")
        )
        assert all(visit.tab.is_visible(part) for part in ("#summary li", "figure img", "td", "#about"))
        assert visit.tab.evaluate("getComputedStyle(document.querySelector('figure img')).filter") == "none"
        assert visit.tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


FOLDED = "[...document.querySelectorAll('.part')].filter((part) => !part.open).map((part) => part.id)"


def test_what_is_not_in_the_summary_is_folded_and_a_link_opens_it(browser: Any, page: Path) -> None:
    with Visit(browser, page) as visit:
        assert visit.tab.is_visible("#table-cost td"), "a table that is alone"
        assert visit.tab.evaluate(FOLDED) == ["figures-1", "figures-2"]
        visit.tab.click("nav a[href='#figures-2']")
        assert visit.tab.evaluate(FOLDED) == ["figures-1"]
        assert 0 <= visit.tab.evaluate("document.getElementById('figures-2').getBoundingClientRect().top") < 700
        visit.tab.click("[data-close=figures]")
        assert visit.tab.evaluate(FOLDED) == ["figures-1", "figures-2"]
        visit.tab.click("nav a[href='#figures-2']")
        assert visit.tab.evaluate(FOLDED) == ["figures-1"], "also a second time"
        visit.tab.emulate_media(media="print")
        visit.tab.locator("#figures-1[open]").wait_for(state="attached")
        assert visit.tab.evaluate(FOLDED) == []
        visit.tab.emulate_media(media="screen")
        visit.tab.locator("#figures-1:not([open])").wait_for(state="attached")
        assert visit.tab.evaluate(FOLDED) == ["figures-1"]
        visit.open("#figures-1")
        assert visit.tab.evaluate(FOLDED) == ["figures-2"]


def test_a_filter_opens_the_tables_that_have_such_rows(browser: Any, tmp_path: Path) -> None:
    tables = [
        ReportTable(name, name, (Column("policy", numeric=False),), (Group("", (Row((label,), ()),)),))
        for name, label in (("one", "here"), ("two", "there"), ("three", "nowhere"))
    ]
    (tmp_path / "page.html").write_text(html_page("", tables, [], [], [], tmp_path))
    context = browser.new_context()
    tab = context.new_page()
    tab.goto((tmp_path / "page.html").as_uri())
    assert tab.evaluate(FOLDED) == ["table-one", "table-two", "table-three"]
    tab.fill("#filter", "there")
    assert tab.evaluate(FOLDED) == ["table-one", "table-three"]
    context.close()


SORTS = """() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const shown = () => all("tr.row").filter((row) => row.checkVisibility()).map((row) => row.cells[0].textContent);
  const sort = (place) => {
    all("thead button")[place].click();
    return [shown(), all("thead th").map((header) => header.ariaSort)];
  };
  const find = (text) => {
    document.getElementById("filter").value = text;
    document.getElementById("filter").dispatchEvent(new Event("input"));
    return [shown(), document.getElementById("status").textContent];
  };
  return { sorted: [0, 1, 1, 1, 2, 3].map(sort), found: ["", "HUMAN", "human f", "nothing"].map(find),
           hidden: all("tbody").map((body) => body.hidden) };
}"""


def test_a_table_is_sorted_within_its_groups_and_filtered_with_their_headings(browser: Any, tmp_path: Path) -> None:
    def row(label: str, *values: float) -> Row:
        return Row((label, *(Number(value) for value in values)), ())

    nan, inf = float("nan"), float("inf")
    first = (row("b10", 1, 3, 1), row("b9", nan, 1, 1), row("a", 10, 2, -inf), row("c", -2, 2, inf))
    groups = Group("GSM8K", first), Group("HumanEval", (row("f", 1, 1, 1), row("g", 2, 1, 0)))
    columns = (
        Column("policy", numeric=False),
        Column("score", higher_is_better=True),
        Column("cost", higher_is_better=False),
        Column("length"),
    )
    (tmp_path / "page.html").write_text(html_page("", [ReportTable("t", "t", columns, groups)], [], [], [], tmp_path))
    context = browser.new_context()
    tab = context.new_page()
    tab.goto((tmp_path / "page.html").as_uri())
    found = tab.evaluate(SORTS)
    context.close()
    rest = [None] * 4
    assert (
        found["sorted"]
        == [
            [["a", "b9", "b10", "c", "f", "g"], ["ascending", *rest]],
            [["a", "b10", "c", "b9", "g", "f"], [None, "descending", *rest[1:]]],  # best first; what is undefined last
            [["c", "b10", "a", "b9", "f", "g"], [None, "ascending", *rest[1:]]],
            [["b10", "b9", "a", "c", "f", "g"], [None, *rest]],
            [["b9", "a", "c", "b10", "f", "g"], [None, None, "ascending", None, None]],
            [["a", "b10", "b9", "c", "g", "f"], [None, None, None, "ascending", None]],
        ]
    )
    assert [names for names, _ in found["found"]] == [["a", "b10", "b9", "c", "g", "f"], ["g", "f"], ["f"], []]
    assert [status for _, status in found["found"]] == ["", "2 of 6 rows.", "1 of 6 rows.", "0 of 6 rows."]
    assert found["hidden"] == [True, True]


def test_a_sample_takes_few_bytes() -> None:
    """Beyond its page: 24 runs of one benchmark, whose answers share most of their words."""
    bench = pytest.importorskip("bench_report")

    def runs(prompts: int) -> list[RunSamples]:
        return [
            RunSamples(
                *(Path(f"runs/{run}"), f"run {run}", "gsm8k"),
                [
                    sample(
                        f"gsm8k/{number}",
                        prompt=bench.words(number, 60),
                        target=bench.words(number + 1_000_000, 60),
                        resps=[[bench.words(number + 2_000_000, 90, other=run if run % 2 else None)]],
                        details={},
                    )
                    for number in range(prompts)
                ],
                prompts,
            )
            for run in range(24)
        ]

    small, large = (len(html_page("", [], [], runs(prompts), [], Path("report"))) for prompts in (5, 55))
    assert (large - small) / (50 * 24) < 300
