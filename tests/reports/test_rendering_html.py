"""The page of a report: it has every cell, needs nothing else, and nothing written in it comes to life."""

import base64
import json
import math
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dlm_length.records import CostRecord, LedgerRecord, SampleRecord
from dlm_length.reports.rendering import FigureFormat, RunSamples, html_page
from dlm_length.reports.table import Column, Group, Number, ReportTable, Row

HOSTILE = (
    "</script><script>x()</script><b onmouseover='x'>\u2028 \"quoted\" & &lt; <!-- {{data}} \\u003c ]]> 語 🙂 \x00"
)
VOID = {"meta", "link", "input", "img", "br"}


class Elements(HTMLParser):
    """What a browser would make of a page: elements with their attributes and all the text within them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.opened: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[int] = []
        self.feed(page)
        assert not self._open, "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.opened.append((tag, dict(attrs)))
        self.texts.append("")
        if tag not in VOID:
            self._open.append(len(self.opened) - 1)

    def handle_endtag(self, tag: str) -> None:
        assert self.opened[self._open.pop()][0] == tag

    def handle_data(self, data: str) -> None:
        for place in self._open:
            self.texts[place] += data

    def all(self, tag: str, kind: str | None = None) -> list[tuple[dict[str, str | None], str]]:
        """Attributes and text of the elements with this tag, and this class."""
        found = zip(self.opened, self.texts, strict=True)
        pairs = [(attributes, text) for (name, attributes), text in found if name == tag]
        return [pair for pair in pairs if kind is None or kind in (pair[0].get("class") or "").split()]

    def addresses(self) -> list[str]:
        return [
            address for _, attributes in self.opened for name in ("href", "src") if (address := attributes.get(name))
        ]

    def data(self) -> Any:
        return json.loads(self.all("script")[0][1])


@dataclass(frozen=True)
class Drawing:
    name: str = "a-figure"
    title: str = "the figure"
    caption: str = "the caption"
    sources: tuple[Path, ...] = ()
    content: dict[str, bytes] = field(default_factory=lambda: {"svg": b"<svg/>", "png": b"pixels"})

    def render(self, format: FigureFormat, /) -> bytes:  # noqa: A002
        return self.content[format]


def sample(name: str = "gsm8k/1", text: str = "the", **fields: Any) -> SampleRecord:
    counts = dict.fromkeys(CostRecord.model_fields, 0)
    given = {
        "doc_id": 1,
        "id": name,
        "prompt_length": 11,
        "n_token": 22,
        "e_token": 33,
        "processed_length": 44,
        "ledger": LedgerRecord(total=CostRecord(**counts | {"nfe": 55}), probe=CostRecord(**counts)),
        "score": 0.25,
        "details": {"reason": f"{text} reason"},
        "error": None,
        "session": 0,
        "elapsed": 0.0,
        "prompt": f"{text} prompt",
        "target": f"{text} target",
        "resps": [[f"{text} answer"]],
        "filtered_resps": [f"{text} found"],
        "canvas_ids": [],
        "trajectory": [],
        "changes": [],
        "extracted": {},
    }
    return SampleRecord(**given | fields)


def page(
    sheets: Sequence[ReportTable] = (),
    figures: Sequence[Drawing] = (),
    samples: Sequence[RunSamples] = (),
    notes: Sequence[str] = (),
    folder: Path = Path("report"),
    title: str = "the title",
) -> str:
    return html_page(title, sheets, figures, samples, notes, folder)


COLUMNS = (
    Column("policy", numeric=False),
    Column("score", higher_is_better=True),
    Column("cost", higher_is_better=False),
    Column("length"),
)


def sheet(*groups: Group, text: str = "main") -> ReportTable:
    return ReportTable(text, f"title of {text}", COLUMNS, groups, (f"note of {text}",))


def row(label: str, *values: float, sources: tuple[Path, ...] = ()) -> Row:
    return Row((label, *(Number(value) for value in values)), sources)


def test_a_number_is_shown_with_all_that_is_known_of_it() -> None:
    cells = (
        "fixed 64",
        Number(-0.04, 1, low=-0.126, high=0.05, p=0.00001, stars="***", mark="best"),
        Number(2.0, 0, p=0.25, mark="second"),
        Number(math.nan),
    )
    found = Elements(page([sheet(Group("GSM8K", (Row(cells, (), baseline=True),)))]))
    assert [
        (attributes["class"], attributes["data-value"], attributes["title"], text)
        for attributes, text in found.all("td", "number")[:2]
    ] == [
        ("number", "-0.04", "-0.04; interval -0.126 to 0.05; p < 0.0001", "0.0***[-0.1, 0.1]"),
        ("number", "2.0", "2; p = 0.2500", "2"),
    ]
    assert found.all("td", "number")[2] == ({"class": "number"}, "-")
    assert [text for _, text in found.all("strong")] == ["0.0"]
    assert [text for _, text in found.all("u")] == ["2"]
    assert [text for _, text in found.all("tr", "baseline")] == ["fixed 640.0***[-0.1, 0.1]2-"]
    assert [text for _, text in found.all("tr", "heading")] == ["GSM8K"]
    headers = {
        text: (attributes.get("class"), attributes.get("data-first")) for attributes, text in found.all("th")[:5]
    }
    assert headers == {
        "policy": ("text", "ascending"),
        "score": ("number", "descending"),
        "cost": ("number", "ascending"),
        "length": ("number", "ascending"),
        "runs": ("runs", None),
    }
    assert {text: attributes.get("title") for attributes, text in found.all("button")} == {
        "policy": None,
        "score": "higher is better",
        "cost": "lower is better",
        "length": None,
    }


def test_a_column_without_a_title_has_nothing_to_click() -> None:
    columns = (Column("", numeric=False), Column("score"))
    found = Elements(page([ReportTable("name", "title", columns, ())]))
    assert [text for _, text in found.all("button")] == ["score"]
    assert [text for _, text in found.all("th")] == ["", "score", "runs"]


def test_the_contents_lead_to_every_part() -> None:
    runs = [
        RunSamples(Path(f"runs/{name}"), name, section, [], 0)
        for name, section in (("a", "one"), ("b", "one"), ("c", "two"))
    ]
    found = Elements(page([sheet(), sheet(text="other")], [Drawing()], runs, ["the note"]))
    contents = found.opened.index(("nav", {"aria-label": "Contents"}))
    links = {text: attributes["href"] for attributes, text in found.all("a") if text not in ("folder", "samples.jsonl")}
    assert contents
    assert list(links) == ["title of main", "title of other", "the figure", "one", "two"]
    anchors = [attributes.get("id") for _, attributes in found.opened if "id" in attributes]
    assert len(set(anchors)) == len(anchors)
    assert {f"#{anchor}" for anchor in anchors} >= set(links.values())
    assert found.all("p")[0][1] == "the note"


def test_links_lead_to_folders_that_are_there_and_to_samples_on_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder, names = tmp_path / "out" / "report", ("a b#c?d%e", 'x:y"<z>', "tö語", "last")
    runs = [tmp_path / "results" / name for name in names]
    for run in runs:
        run.mkdir(parents=True)
        (run / "samples.jsonl").touch()
    folder.mkdir(parents=True)
    relative = [Path("results") / names[0], tmp_path / "out" / ".." / "results" / names[1], *runs[2:]]
    group = Group("", tuple(row(run.name, 1, 2, 3, sources=(run, *relative[:2])) for run in relative))
    samples = [RunSamples(run, f"label {number}", "section", [], 9) for number, run in enumerate(runs[:3], start=1)]
    found = Elements(page([sheet(group)], [Drawing(sources=tuple(relative))], samples, folder=folder))
    addresses = [attributes["href"] or "" for attributes, _ in found.all("a")]
    files = [address for address in addresses if not address.startswith("#")]
    assert len(files) == 4 * 3 + 4 + 3 * 2
    for address in files:
        assert not re.match(r"[a-z]+:|/", address)
        assert (folder / unquote(address)).exists(), address
        assert re.fullmatch(r"\.\./\.\./results/[^/]*/(samples\.jsonl)?", address)
    anchors = {f"#{attributes['id']}" for _, attributes in found.opened if "id" in attributes}
    assert set(addresses) - set(files) <= anchors
    rows = [text for _, text in found.all("td", "runs")]
    assert rows[0] == "samples folder +2label 1 samples folderlabel 2 samples folder"
    assert rows[3].startswith("folder +2"), "the last run has no samples here"


def test_samples_are_told_as_they_are_and_how_many_there_are_more() -> None:
    other = sample(
        "gsm8k/2", "another", score=None, error="it broke", resps=[["one"], ["two"]], filtered_resps=[None, "2"]
    )
    runs = [RunSamples(Path("a"), "first", "s", [sample(), other], 1319), RunSamples(Path("b"), "second", "s", [], 0)]
    found = Elements(page(samples=runs))
    assert [text for _, text in found.all("summary")] == ["first 2 of 1,319 samples", "second 0 samples"]
    first = {"id": "gsm8k/1", "score": 0.25, "n_token": 22, "e_token": 33, "nfe": 55, "prompt": "the prompt"}
    first |= {"target": "the target", "answers": ["the answer"], "found": ["the found"], "reason": "the reason"}
    told, second = found.data()[0]
    assert told == first
    assert (second["score"], second["answers"], second["found"], second["reason"]) == (
        None,
        ["one", "two"],
        [None, "2"],
        "it broke",
    )
    assert found.data()[1] == []


def test_a_figure_stands_in_the_page_as_a_drawing_or_as_pixels_where_that_is_huge() -> None:
    huge = Drawing(name="huge", content={"svg": b" " * 3_000_000, "png": b"pixels"})
    images = [attributes["src"] or "" for attributes, _ in Elements(page(figures=[Drawing(), huge])).all("img")]
    assert [(address.partition(",")[0], base64.b64decode(address.partition(",")[2])) for address in images] == [
        ("data:image/svg+xml;base64", b"<svg/>"),
        ("data:image/png;base64", b"pixels"),
    ]


def written(text: str) -> str:
    """A page with a text everywhere."""
    folder = Path(text) / "x"  # another than `text`, whatever that is
    cells = (text, text, Number(1.0, stars=text), Number(2.0))
    made = ReportTable(
        "name",
        text,
        tuple(Column(text, bool(place)) for place in range(4)),
        (Group(text, (Row(cells, (Path(text), folder)),)),),
        (text,),
    )
    record = sample(text, text, details={"reason": text})
    run = RunSamples(folder, text, text, [record], 1)
    return page([made], [Drawing(title=text, caption=text, sources=(folder,))], [run], [text], title=text)


TAME = Elements(written("tame"))


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1))
@example(HOSTILE)
@example("\x7f\x1b\ufffe")
@example("x")
def test_text_stays_text(text: str) -> None:
    found = Elements(written(text))
    assert [tag for tag, _ in found.opened] == [tag for tag, _ in TAME.opened]
    assert [sorted(attributes) for _, attributes in found.opened] == [
        sorted(attributes) for _, attributes in TAME.opened
    ]
    assert found.all("script")[1] == TAME.all("script")[1]
    (told,) = found.data()[0]
    assert (told["id"], told["reason"]) == (text, text)
    assert (told["prompt"], told["answers"]) == (f"{text} prompt", [f"{text} answer"])
    visible = "".join(
        text.replace("\r\n", "\n").translate(
            {code: 0x2400 + code for code in range(32) if code not in (9, 10, 13)} | {127: "␡"}
        )
    )
    assert visible in found.all("h1")[0][1].replace("\r\n", "\n")


@pytest.mark.parametrize(("half", "address"), [("\udc80", "%80"), ("\ud800", "%3F"), ("\ud800\udc80", "%3F%80")])
def test_half_a_character_does_no_harm(half: str, address: str) -> None:
    made = page([sheet(Group(half, (row(half, 1, 2, 3, sources=(Path(f"runs/{half}"),)),)))])
    made.encode("utf-8")
    assert f'href="../runs/{address}/"' in made
    written(half).encode("utf-8")


def test_the_page_needs_nothing_but_itself() -> None:
    made = written(HOSTILE)
    assert all(re.match(r"data:|#|\.\./", address) for address in Elements(made).addresses())
    assert not re.search(r"https?:|@import|url\(", made)
    assert "{{style}}" not in made


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

ACTS = """<script>
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
  const seen = {
    sorted: [0, 1, 1, 1, 2, 3].map(sort),
    found: ["", "HUMAN", "human f", "nothing"].map(find),
    hidden: all("tbody").map((body) => body.hidden),
    texts: all("#run-2 h4, #run-2 dd, #run-2 pre").map((part) => part.textContent),
    closed: all("#run-1 article").length,
  };
  document.body.replaceChildren(JSON.stringify(seen));
</script></body>"""


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_a_browser_sorts_filters_and_opens_the_samples_that_the_address_names(tmp_path: Path) -> None:
    assert CHROMIUM is not None
    first = (row("b10", 1, 3, 1), row("b9", math.nan, 1, 1), row("a", 10, 2, -math.inf), row("c", -2, 2, math.inf))
    groups = Group("GSM8K", first), Group("HumanEval", (row("f", 1, 1, 1), row("g", 2, 1, 0)))
    samples = [RunSamples(Path(name), name, "s", [sample(name, HOSTILE)], 1) for name in ("one", "two")]
    made = page([sheet(*groups)], samples=samples, folder=tmp_path)
    (tmp_path / "page.html").write_text(made.replace("</body>", ACTS), encoding="utf-8")
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}", "--dump-dom"]
    address = f"file://{tmp_path}/page.html#run-2"
    done = subprocess.run([*command, address], capture_output=True, text=True, timeout=120, check=True)
    found = json.loads(Elements(done.stdout).all("body")[0][1])
    rest = [None] * 4
    assert (
        found["sorted"]
        == [
            [["a", "b9", "b10", "c", "f", "g"], ["ascending", *rest]],
            [
                ["a", "b10", "c", "b9", "g", "f"],
                [None, "descending", *rest[1:]],
            ],  # the best first; what is undefined last
            [["c", "b10", "a", "b9", "f", "g"], [None, "ascending", *rest[1:]]],
            [["b10", "b9", "a", "c", "f", "g"], [None, *rest]],
            [["b9", "a", "c", "b10", "f", "g"], [None, None, "ascending", None, None]],
            [["a", "b10", "b9", "c", "g", "f"], [None, None, None, "ascending", None]],
        ]
    )
    assert [names for names, _ in found["found"]] == [["a", "b10", "b9", "c", "g", "f"], ["g", "f"], ["f"], []]
    assert [status for _, status in found["found"]] == ["", "2 of 6 rows.", "1 of 6 rows.", "0 of 6 rows."]
    assert found["hidden"] == [True, True]
    assert found["texts"] == [
        "two",
        *("0.25", "22", "33", "55", f"{HOSTILE} found", f"{HOSTILE} reason"),
        *(f"{HOSTILE} {part}" for part in ("prompt", "target", "answer")),
    ]
    assert found["closed"] == 0, "samples are made when asked for"
