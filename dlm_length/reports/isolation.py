"""What held generated programs in, and the note on what held them in less well than it could."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any


def isolations(details: Iterable[Mapping[str, Any]]) -> list[str]:
    """The kinds named in the details of these samples, sorted; none where no program was run."""
    return sorted({told["isolation"] for told in details if isinstance(told.get("isolation"), str)})


def isolation_notes(kinds: Iterable[str]) -> Iterator[str]:
    """A sentence where any of them is not bubblewrap."""
    if weak := [kind for kind in kinds if not kind.startswith("bubblewrap")]:
        yield f"Generated code ran outside bubblewrap, under {' or '.join(weak)}."
