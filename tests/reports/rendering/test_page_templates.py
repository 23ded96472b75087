"""Templates of pages: text stays text wherever a template puts it, and a page's style and script stay as they are."""

import json
from importlib.resources import files
from pathlib import Path

import pytest
from jinja2 import TemplateNotFound, UndefinedError

import dlm_length
from dlm_length.reports.rendering.html_page import render_page

HOSTILE = "</script><script>x()</script>\" onload='x' & {{ 7 * 7 }} {% raw %} <!-- \x00\x1b\udc80"
ESCAPED = (
    "&lt;/script&gt;&lt;script&gt;x()&lt;/script&gt;&#34; onload=&#39;x&#39; &amp; {{ 7 * 7 }} {% raw %} &lt;!-- ␀␛?"
)
TEMPLATES = sorted(Path(dlm_length.__file__).parent.rglob("*.html"))


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """A package with a page of its own; each test's has another name, as environments are kept by package."""
    name = f"pages_of_{request.node.name}"
    folder = tmp_path / name / "templates"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").touch()
    (folder / "own.html").write_text(
        '{% extends "base.html" %}\n{% block body %}\n'
        '<p title="{{ text }}">{{ text }}</p><i>{{ object.text }}</i>'
        "<b>{% for part in parts %}{{ part }}{% endfor %}</b>"
        '<script type="application/json">{{ text | tojson }}</script>\n{% endblock %}\n'
    )
    (folder / "own.css").write_text("a { content: '{{ text }}' }")
    (folder / "own.js").write_text("`${1 < 2}` && '{% nothing %}'")
    monkeypatch.syspath_prepend(tmp_path)
    return name


class Holder:
    text = HOSTILE


def test_text_is_escaped_in_elements_attributes_objects_and_data(package: str) -> None:
    page = render_page(package, "own", title=HOSTILE, text=HOSTILE, object=Holder(), parts=[HOSTILE])
    body = page.partition("<body>")[2]
    assert f'<p title="{ESCAPED}">{ESCAPED}</p><i>{ESCAPED}</i><b>{ESCAPED}</b>' in body
    assert f"<title>{ESCAPED}</title>" in page
    data = body.partition('<script type="application/json">')[2].partition("</script>")[0]
    assert json.loads(data) == HOSTILE
    assert not set(data) & set("<>&'")
    page.encode("utf-8")


def test_a_page_has_its_own_style_and_script_as_they_are(package: str) -> None:
    page = render_page(package, "own", title="", text="", object=Holder(), parts=[])
    assert "<style>\na { content: '{{ text }}' }\n</style>" in page
    assert "<script>\n`${1 < 2}` && '{% nothing %}'\n</script>" in page


def test_a_value_or_a_page_that_is_missing_is_an_error(package: str) -> None:
    with pytest.raises(UndefinedError, match="'object' is undefined"):
        render_page(package, "own", title="", text="", parts=[])
    with pytest.raises(TemplateNotFound, match=r"other\.html"):
        render_page(package, "other", title="")


def test_the_package_has_templates_and_none_turns_escaping_off() -> None:
    assert {path.name for path in TEMPLATES} >= {"base.html", "report.html", "page.html"}
    for path in TEMPLATES:
        source = path.read_text(encoding="utf-8").replace(" ", "")
        assert not any(word in source for word in ("|safe", "autoescape", "Markup")), path


def test_templates_are_data_of_the_installed_package() -> None:
    folder = files("dlm_length.reports.rendering") / "templates"
    assert {file.name for file in folder.iterdir()} >= {"base.html", "report.html", "report.css", "report.js"}
