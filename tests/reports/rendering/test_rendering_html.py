"""The page of a report: it has every cell, needs nothing else, and nothing written in it comes to life."""

import base64
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from page_fixtures import HOSTILE, Drawing, Elements, sample

from dlm_length.reports.findings import Finding, Findings
from dlm_length.reports.rendering import RunSamples, html_page
from dlm_length.reports.table import Column, Group, Number, ReportTable, Row


def page(
    sheets: Sequence[ReportTable] = (),
    figures: Sequence[Drawing] = (),
    samples: Sequence[RunSamples] = (),
    notes: Sequence[str] = (),
    folder: Path = Path("report"),
    title: str = "the title",
    **others: Any,
) -> str:
    return html_page(title, sheets, figures, samples, notes, folder, **others)


COLUMNS = (
    Column("policy", numeric=False),
    Column("score", higher_is_better=True),
    Column("cost", higher_is_better=False),
    Column("length"),
)


def make_table(*groups: Group, text: str = "main") -> ReportTable:
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
    found = Elements(page([make_table(Group("GSM8K", (Row(cells, (), baseline=True),)))]))
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
        RunSamples(Path(f"runs/{name}"), name, section, [sample()], 1)
        for name, section in (("a", "one"), ("b", "one"), ("c", "two"))
    ]
    figures = [
        Drawing("overview-all", "the overview"),
        Drawing("both", "of both", sources=(Path("runs/a"), Path("runs/c"))),
        Drawing("second", "of the second", sources=(Path("runs/c"),)),
        Drawing("first", "of the first", sources=(Path("runs/a"), Path("runs/b"))),
    ]
    found = Elements(page([make_table(), make_table(text="other")], figures, runs, ["the note"]))
    assert ("nav", {"aria-label": "Contents"}) in found.opened
    links = {text: attributes["href"] for attributes, text in found.all("a") if (attributes["href"] or "")[:1] == "#"}
    titles = ["title of main", "title of other"]
    parts = ["Summary", "Figures", "one", "two", "Of several benchmarks", "Tables", *titles, "Samples"]
    assert [text for text in links if text != "samples"] == ["Skip to the report", *parts, "About this report"]
    anchors = [attributes.get("id") for _, attributes in found.opened if "id" in attributes]
    assert len(set(anchors)) == len(anchors)
    assert {f"#{anchor}" for anchor in anchors} >= {href for text, href in links.items() if text != "samples"}
    headings = [
        (tag, text) for (tag, _), text in zip(found.opened, found.texts, strict=True) if tag in ("h2", "h3", "h4")
    ]
    assert headings == [
        ("h2", "Summary"),
        ("h3", "the overview"),
        ("h2", "Figures"),
        *(("h3", "one"), ("h4", "of the first"), ("h3", "two"), ("h4", "of the second")),
        *(("h3", "Of several benchmarks"), ("h4", "of both")),
        ("h2", "Tables"),
        *(("h3", "title of main"), ("h3", "title of other")),
        ("h2", "Samples"),
        ("h2", "About this report"),
        *(("h3", "one"), ("h3", "two")),
    ]
    assert "the note" in [text for _, text in found.all("p")]
    assert found.all("p", "lead")[0][1] == "3 runs of 3 settings on 2 pairs of benchmark and model: 3 answers."


def test_a_page_of_nothing_has_no_empty_parts() -> None:
    found = Elements(page())
    assert [text for _, text in found.all("h1")] == ["the title"]
    assert not found.all("h2")
    assert not found.all("section")


def test_the_summary_has_each_finding_with_its_interval() -> None:
    made = Findings(
        (
            Finding("smartcrop", "Half saved.", "50.0% [40.0, 60.0]", (Path("a"), Path("b"))),
            Finding("verdicts", "2 outside CI.", ""),
        ),
        (("one", (Finding("smartcrop", "Less saved.", "30.0%"),)),),
        ("In brackets: intervals.",),
    )
    runs = [RunSamples(Path(name), name, "s", [sample()], 1) for name in ("b", "a")]
    found = Elements(page(findings=made, samples=runs))
    shown = [" ".join(text.split()) for _, text in found.all("li") if "." in text and ".jsonl" not in text]
    assert [attributes["href"] for attributes, text in found.all("a") if text == "samples"] == ["#run-2"]
    assert shown == [
        "smartcrop samples Half saved. 50.0% [40.0, 60.0]",
        "verdicts 2 outside CI.",
        "smartcrop Less saved. 30.0%",
    ]
    assert [text for _, text in found.all("h3")] == ["one", "s"]
    assert "In brackets: intervals." in [text for _, text in found.all("p")]


def test_columns_that_repeat_what_cells_show_are_marked_and_no_others() -> None:
    columns = (
        Column("policy", numeric=False),
        Column("score", higher_is_better=True, own_columns=("low", "high")),
        *(Column("score low"), Column("score high"), Column("e_token")),
        Column("saved", higher_is_better=True, own_columns=("p",)),
        *(Column("p"), Column("p (Holm)")),
        Column("test", numeric=False),
        Column("n"),
    )
    cells = ("a", *(Number(float(place)) for place in range(7)), "b", Number(9.0))
    made = ReportTable("name", "title", columns, (Group("", (Row(cells, ()),)),))
    found = Elements(page([made]))
    repeating = ["score low", "score high", "p", "p (Holm)"]
    assert [text for _, text in found.all("th", "repeating")] == repeating
    assert len(found.all("td", "repeating")) == len(repeating)
    (button,) = found.all("button", "columns")
    assert button == (
        {"type": "button", "class": "columns", "aria-pressed": "false", "aria-label": "All columns of title"},
        "All columns",
    )
    assert not Elements(page([make_table()])).all("button", "columns")


def test_a_table_offers_the_files_that_it_has() -> None:
    made = page([make_table(), make_table(text="other")], files={"main.csv": "a,b\n", "main.tex": HOSTILE})
    found = Elements(made)
    assert found.data("files") == {"main.csv": "a,b\n", "main.tex": HOSTILE}
    offered = [attributes["data-file"] for attributes, _ in found.all("button") if "data-file" in attributes]
    assert offered == ["main.csv", "main.tex"]


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
    samples = [RunSamples(run, f"label {place}", "section", [sample()], 9) for place, run in enumerate(runs[:3], 1)]
    found = Elements(page([make_table(group)], [Drawing(sources=tuple(relative))], samples, folder=folder))
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


def test_runs_of_several_benchmarks_are_listed_below_their_names() -> None:
    """The same settings are run on every benchmark: their labels alone would be a list of repetitions."""
    paths = [Path(name) for name in ("a", "b", "c", "unknown")]
    sections = ("GSM8K, m", "IFEval, m", "GSM8K, m")
    samples = [RunSamples(run, "fixed", of, [sample()], 1) for run, of in zip(paths, sections, strict=False)]
    several, one = Drawing("both", sources=tuple(paths)), Drawing("one", sources=(paths[0], paths[2]))
    captions = [text for _, text in Elements(page(figures=[several, one], samples=samples)).all("figcaption")]
    shown = {" ".join(text.partition("runs (")[2].split()) for text in captions}
    links = "samples folder"
    listed = f"GSM8K, mfixed {links}fixed {links}IFEval, mfixed {links}Other runsunknown folder"
    assert shown == {f"4){listed}", f"2)fixed {links}fixed {links}"}


def test_samples_are_shown_as_they_are_and_how_many_there_are_more() -> None:
    other = sample(
        "gsm8k/2", "another", score=None, error="it broke", resps=[["one"], ["two"]], filtered_resps=[None, "2"]
    )
    runs = [
        RunSamples(Path("a"), "first", "s", [sample(), other], 1319, Path("a")),
        RunSamples(Path("b"), "second", "s", [sample("gsm8k/2", "own")], 1, Path("a")),
        RunSamples(Path("c"), "third", "t", [], 2),
    ]
    found = Elements(page(samples=runs))
    paths = [" ".join(text.split()) for attributes, text in found.all("li") if " here;" in text]
    assert [text.partition(";")[0] for text in paths] == [
        "first: 2 of 1,319 samples here",
        "second: 1 sample here",
        "third: 0 of 2 samples here",
    ]
    numbers = {"n_token": [22, 22], "e_token": [33, 33], "nfe": [55, 55], "flops": [66, 66], "traces": {}}
    absent = {name: [None, 22 if name == "n_token" else of[1]] for name, of in list(numbers.items())[:4]}
    first, second = found.data()
    assert first == {
        "title": "s",
        "ids": ["gsm8k/1", "gsm8k/2"],
        "blocks": [[0, 0]],
        "runs": [
            {"label": "first", "baseline": 0, "score": [0.25, None], **numbers},
            {"label": "second", "baseline": 0, "score": [-1, 0.25], **numbers, **absent},
        ],
    }
    assert (second["ids"], second["blocks"], [run["score"] for run in second["runs"]]) == ([], [], [[]])
    assert found.data("block-0") == [
        ["the prompt", "the target", [["the answer"], ["the found"], "the reason"], None],
        [
            *("another prompt", "another target"),
            [["one", "two"], [None, "2"], "it broke"],
            [["own answer"], ["own found"], "own reason", "own prompt", "own target"],
        ],
    ]


@pytest.mark.parametrize(
    ("reason", "shown"), [("wrong_answer", "wrong answer"), ("passed", "passed"), ("exception: my_error", None)]
)
def test_a_scorers_code_is_shown_in_words(reason: str, shown: str | None) -> None:
    assert sample(details={"reason": reason}).reason == (shown or reason)


def test_many_texts_are_in_several_blocks_and_traces_in_their_own() -> None:
    long = [sample(f"q/{place}", "x" * 50_000) for place in range(5)]
    run = RunSamples(Path("a"), "a", "s", long, 5)
    found = Elements(page(samples=[run], traces={(Path("a"), "q/3"): "<p>trace</p>", (Path("b"), "q/3"): "of no run"}))
    (section,) = found.data()
    starts = [start for start, _ in section["blocks"]]
    assert starts == [0, 2, 4]
    rows = [row for _, block in section["blocks"] for row in found.data(f"block-{block}")]
    assert [row[2][0] for row in rows] == [[f"{'x' * 50_000} answer"]] * 5
    assert section["runs"][0]["traces"] == {"3": 3}
    assert found.data("block-3") == "<p>trace</p>"


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
    record = sample(text, text)
    run = RunSamples(folder, text, text, [record], 1)
    drawn = Drawing(title=text, caption=text, sources=(folder,))
    finding = Finding(text, text, text, (folder,))
    return page(
        *([made], [drawn], [run], [text]),
        title=text,
        findings=Findings((finding,), ((text, (finding,)),), (text,)),
        files={"name.csv": text},
        traces={(folder, text): text},
    )


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
    assert found.all("script")[-1] == TAME.all("script")[-1]
    (section,) = found.data()
    assert (section["ids"], section["title"], section["runs"][0]["label"]) == ([text], text, text)
    expected = [[f"{text} prompt", f"{text} target", [[f"{text} answer"], [f"{text} found"], f"{text} reason"]]]
    assert (found.data("block-0"), found.data("block-1"), found.data("files")) == (expected, text, {"name.csv": text})
    visible = "".join(
        text.replace("\r\n", "\n").translate(
            {code: 0x2400 + code for code in range(32) if code not in (9, 10, 13)} | {127: "␡"}
        )
    )
    assert visible in found.all("h1")[0][1].replace("\r\n", "\n")


@pytest.mark.parametrize(("half", "address"), [("\udc80", "%80"), ("\ud800", "%3F"), ("\ud800\udc80", "%3F%80")])
def test_half_a_character_does_no_harm(half: str, address: str) -> None:
    made = page([make_table(Group(half, (row(half, 1, 2, 3, sources=(Path(f"runs/{half}"),)),)))])
    made.encode("utf-8")
    assert f'href="../runs/{address}/"' in made
    written(half).encode("utf-8")


def test_the_page_needs_nothing_but_itself() -> None:
    made = written(HOSTILE)
    assert all(re.match(r"data:|#|\.\./", address) for address in Elements(made).addresses())
    assert not re.search(r"https?:|@import|url\(", made)
    assert "{{style}}" not in made
