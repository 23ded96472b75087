"""What our pages have in common: a single HTML file that needs nothing else, and data that never comes to life.

A page's own parts lie beside its module as PAGE.html, .css and .js.
"""

import json
import re
from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any


def html_document(package: str, page: str, parts: Mapping[str, str]) -> str:
    """The shell around the body of a page of `package`. `parts`, as HTML, go where the body names them in braces.

    `title` is among them: it is the document's too.
    """
    own, shell = files(package), files(__package__)
    return _filled(
        _read(shell / "html_shell.html"),
        {
            "title": parts["title"],
            "style": _read(own / f"{page}.css"),
            "body": _filled(_read(own / f"{page}.html"), parts),
            "script": _read(own / f"{page}.js"),
        },
    )


def data_element(name: str, data: Any) -> str:
    """JSON for the page's script, that cannot end or open an element."""
    text = json.dumps(data, separators=(",", ":"))
    # All three occur only within strings.
    inert = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return f'<script type="application/json" id="{name}">{inert}</script>'


def _filled(template: str, parts: Mapping[str, str]) -> str:
    """Each `{{name}}` as its part, in which braces mean nothing."""
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], template)


def _read(file: Traversable) -> str:
    return file.read_text(encoding="utf-8")
