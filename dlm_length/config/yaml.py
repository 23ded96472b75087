"""Reading YAML 1.2 into a tree: values keep their lines; duplicate keys, tags, anchors and merge keys are refused."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from dlm_length.config.describe import shown
from dlm_length.config.issues import RefusedError
from dlm_length.config.tree import Entry, SourceLocation

_PREFIX = "tag:yaml.org,2002:"
_COLLECTIONS = {f"{_PREFIX}map", f"{_PREFIX}seq"}
# A date is read as text: no field takes dates, and a label may look like one.
_TEXTS = {f"{_PREFIX}str", f"{_PREFIX}timestamp"}
_NUMBERS = {f"{_PREFIX}int", f"{_PREFIX}float"}
_KNOWN = _COLLECTIONS | _TEXTS | _NUMBERS | {f"{_PREFIX}bool", f"{_PREFIX}null"}


def read_mapping(path: Path, *, such_as: str = "policy: fixed") -> Entry:
    """The mapping that a YAML file holds. Raises RefusedError by file and line; `such_as`: an example line."""
    place = SourceLocation.in_file(path)
    try:
        # Editors on Windows write a byte order mark.
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise RefusedError(place, (), f"not UTF-8 text (byte {error.start}): save the file as UTF-8") from error
    except OSError as error:
        raise RefusedError(place, (), f"cannot be read: {error.strerror}") from error
    entry = _Reader(path).read(text)
    if entry is None:
        raise RefusedError(place, (), f"the file is empty; a mapping such as {such_as!r} belongs here")
    if not entry.is_mapping:
        sentence = f"the file holds {shown(entry.plain())}, not a mapping such as {such_as!r}"
        raise RefusedError(entry.place, (), sentence)
    return replace(entry, place=place)


def read_value(text: str) -> Entry:
    """A value from the command line: a flow collection or a quoted text in YAML, else one plain scalar.

    A plain scalar is read as a whole, so that a `#` or a colon in a path has no meaning. Raises RefusedError.
    """
    reader = _Reader(None)
    if text.startswith(("[", "{", '"', "'")):
        return reader.read(text) or reader.scalar("")
    return reader.scalar(text)


class _Reader:
    """Converts nodes to entries. `file`: None for the command line, which has no lines."""

    def __init__(self, file: Path | None) -> None:
        self.file = file
        self.yaml = YAML(typ="safe", pure=True)

    def read(self, text: str) -> Entry | None:
        """The document's tree, None where there is none."""
        try:
            node = self.yaml.compose(text)
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise RefusedError(self._place(mark), (), _explain(error)) from error
        except YAMLError as error:
            raise RefusedError(self._place(None), (), f"not valid YAML: {error}") from error
        except RecursionError:
            raise RefusedError(self._place(None), (), "not a config: nested too deeply") from None
        return None if node is None else self._entry(node, self._place(node.start_mark))

    def scalar(self, text: str) -> Entry:
        tag = self.yaml.resolver.resolve(ScalarNode, text, (True, False))
        return self._scalar(ScalarNode(str(tag), text), self._place(None))

    def _entry(self, node: Node, place: SourceLocation) -> Entry:
        if node.anchor is not None:
            raise RefusedError(
                place, (), "anchors and aliases (& and *) are not used in configs: give a base by 'extends'"
            )
        if str(node.tag) not in _KNOWN:
            tag = str(node.tag).replace(_PREFIX, "!!")
            raise RefusedError(place, (), f"the tag {tag} is not used in configs: write a plain value")
        match node:
            case MappingNode():
                return Entry(self._fields(node), place)
            case SequenceNode():
                return Entry([self._entry(item, self._place(item.start_mark)) for item in node.value], place)
        return self._scalar(node, place)

    def _fields(self, node: MappingNode) -> dict[str, Entry]:
        keys = [key for key, _ in node.value]
        for key in keys:
            if not isinstance(key, ScalarNode) or key.value == "<<":
                construct = "a merge key (<<)" if isinstance(key, ScalarNode) else "a collection as a field's name"
                raise RefusedError(
                    self._place(key.start_mark), (), f"{construct} is not used in configs; name a base by 'extends'"
                )
        for name, times in Counter(key.value for key in keys).items():
            if times > 1:
                lines = [key.start_mark.line + 1 for key in keys if key.value == name]
                where = f" (lines {', '.join(map(str, lines))})" if self.file else ""
                last = next(key for key in reversed(keys) if key.value == name)
                raise RefusedError(self._place(last.start_mark), (), f"duplicate key {name!r}{where}: keep one of them")
        return {key.value: self._entry(value, self._place(key.start_mark)) for key, value in node.value}

    def _scalar(self, node: Node, place: SourceLocation) -> Entry:
        tag = str(node.tag)
        if tag in _TEXTS:
            return Entry(node.value, place)
        try:
            value: Any = self.yaml.constructor.construct_object(node)
        except ValueError as error:  # more digits than Python accepts, or `!!int abc`
            raise RefusedError(place, (), f"{node.value[:40]!r} cannot be read as a value: {error}") from error
        return Entry(value, place, node.value if tag in _NUMBERS else None)

    def _place(self, mark: Any) -> SourceLocation:
        if self.file is None:
            return SourceLocation.command_line()
        return SourceLocation.in_file(self.file, None if mark is None else mark.line + 1)


def _explain(error: MarkedYAMLError) -> str:
    problem = str(error.problem)
    if "'\\t'" in problem:
        return "not valid YAML: a tab in the indentation; YAML is indented with spaces"
    if "another document" in problem:
        return "two YAML documents ('---') in one file: a config is one"
    if "mapping values are not allowed" in problem:
        return "not valid YAML: a second ': ' on the line, or a wrong indentation; put a text that holds ': ' in quotes"
    context = f" {error.context}" if error.context else ""
    return f"not valid YAML:{context}: {problem}".replace("YAML::", "YAML:")
