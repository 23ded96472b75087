"""What tests of pages share: a parser, and figures and samples by hand."""

import base64
import gzip
import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from dlm_length.records import CostRecord, LedgerRecord, SampleRecord
from dlm_length.reports.rendering import Figure, FigureFormat, ShownSample

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

    def data(self, name: str = "samples-index") -> Any:
        """What the page's block of that name holds."""
        (text,) = (text for attributes, text in self.all("script") if attributes.get("id") == name)
        return json.loads(gzip.decompress(base64.b64decode(text)))


@dataclass(frozen=True)
class Drawing:
    name: str = "a-figure"
    title: str = "the figure"
    caption: str = "the caption"
    sources: tuple[Path, ...] = ()
    content: dict[str, bytes] = field(default_factory=lambda: {"svg": b"<svg/>", "png": b"pixels"})

    is_wide = Figure.is_wide

    def render(self, format: FigureFormat, /) -> bytes:  # noqa: A002
        return self.content[format]


def sample(name: str = "gsm8k/1", text: str = "the", **fields: Any) -> ShownSample:
    counts = dict.fromkeys(CostRecord.model_fields, 0)
    spent = counts | {"nfe": 55, "flops_reference": 66}
    given = {
        "doc_id": 1,
        "id": name,
        "prompt_length": 11,
        "n_token": 22,
        "e_token": 33,
        "processed_length": 44,
        "ledger": LedgerRecord(total=CostRecord(**spent), probe=CostRecord(**counts)),
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
    return ShownSample.of(SampleRecord(**given | fields))
