"""Composing a tree of many files: names are looked up, files merged over their bases, overrides over both."""

import os
import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from pathlib import Path

from dlm_length.common import listing, suggestion
from dlm_length.config import search_path
from dlm_length.config.describe import shown
from dlm_length.config.issues import Issue, RefusedError
from dlm_length.config.overrides import read_overrides
from dlm_length.config.sections import SECTIONS
from dlm_length.config.tree import Entry, SourceLocation, mapping, merge
from dlm_length.config.yaml import read_mapping

_EXTENDS = "extends"
_FEW = 20
"""Names that a message lists at most; of more it gives the nearest, and the command that lists all."""
_NEAREST = 3
"""Nearest names that a message gives where it does not list all."""
_ALWAYS_LOCAL = {
    ("model", "adapter"): os.path.isdir,
    ("benchmark", "path"): os.path.isfile,
    ("benchmark", "fewshot_path"): os.path.isfile,
    ("benchmark", "include_path"): os.path.isdir,
}
"""Paths that need no ./ prefix, with the function that tests for existence: these return False where the methods of
Path raise, for what cannot be a file's name."""
_LOCAL_PATHS = (("model", "path"), *_ALWAYS_LOCAL)
_PYTHON_FILES = (("model", "file"), ("policy", "file"), ("benchmark", "file"))
_PROMPT_FILE = ("benchmark", "prompt_file")


class Composition:
    """Composes one config. It collects issues, so that a wrong name does not hide a wrong value."""

    def __init__(self) -> None:
        self.issues: list[Issue] = []
        self.unresolved: set[str] = set()
        """Sections whose name was not found."""

    def compose(self, name: str, overrides: Iterable[str]) -> Entry:
        """The tree of the config of that name. Raises RefusedError where there is none."""
        whole, inside, issues = read_overrides(overrides)
        self.issues += issues
        tree = self._experiment(name, SourceLocation.command_line(), ())
        if "experiment" not in tree.value:
            tree = merge(tree, mapping({"experiment": Entry(_default_experiment(name), tree.place)}, tree.place))
        changed = self._overlay(self._overlay(tree.without(*whole.value), whole), inside)
        # Missing fields are reported at the file, not at the command line.
        return self._with_prompt(_resolve_paths(replace(changed, place=tree.place)))

    def compose_section(self, field: str, name: str, overrides: Iterable[str]) -> Entry:
        """One section by name, with overrides of its fields only."""
        here = SourceLocation.command_line()
        whole, inside, issues = read_overrides(overrides)
        others = [*whole.value, *(other for other in inside.value if other != field)]
        self.issues += issues
        self.issues += [Issue((here,), (other,), f"has no part here: only {field}.FIELD=VALUE has") for other in others]
        tree = self._overlay(mapping({}, here), mapping({field: Entry(name, here, text=name)}, here))
        return self._with_prompt(_resolve_paths(self._overlay(tree, inside.without(*others))))

    def _with_prompt(self, tree: Entry) -> Entry:
        """The prompt file's content in place of its name, so that the resolved and recorded config is complete."""
        entry, where = tree.follow(_PROMPT_FILE)
        if where != _PROMPT_FILE or entry.as_text is None:
            return tree
        content = replace(entry, value=None, text=None)
        file = _local_file(entry) or entry.place.folder / entry.as_text
        try:
            content = read_mapping(file, such_as="text: ...")
        except RefusedError as refused:
            self.issues.append(Issue((entry.place, *refused.issue.locations), where, refused.issue.sentence))
        section, field = where
        benchmark = tree.value[section]
        changed = replace(benchmark, value=benchmark.value | {field: content})
        return replace(tree, value=tree.value | {section: changed})

    def _experiment(self, name: str, place: SourceLocation, extending: tuple[Path, ...]) -> Entry:
        """A run config merged over its bases. `place`: where it is named; `extending`: the files that extend it."""
        path = search_path.find(name, search_path.RUNS, place.folder)
        if path is not None:
            _refuse_circle(path, place, extending)
            own, extending = read_mapping(path), (*extending, path)
        elif (pair := search_path.find_pair(name)) is not None:
            texts = {_EXTENDS: pair.base, "policy": pair.policy}
            own = mapping({field: Entry(text, place) for field, text in texts.items()}, place)
        elif extending:
            raise RefusedError(place, (_EXTENDS,), _no_config(name))
        else:
            raise RefusedError(place, (), _no_run(name))
        base = own.value.get(_EXTENDS)
        if base is None:
            return self._overlay(mapping({}, own.place), own)
        return self._overlay(self._experiment(_base_name(base), base.place, extending), own.without(_EXTENDS))

    def _overlay(self, tree: Entry, change: Entry) -> Entry:
        """`tree` with `change` merged over it. A section by name or with its own base replaces the former."""
        fields = dict(tree.value)
        for field, entry in change.value.items():
            section = SECTIONS.get(field)
            try:
                if section and section.folder and entry.as_text is not None:
                    fields[field] = self._named(field, section.folder, entry, ())
                elif section and section.folder and entry.is_mapping and _EXTENDS in entry.value:
                    fields[field] = self._extended(field, section.folder, entry, ())
                else:
                    fields[field] = merge(fields[field], entry) if field in fields else entry
            except RefusedError as refused:
                self.issues.append(refused.issue)
                self.unresolved.add(field)
        return replace(change, value=fields)

    def _named(self, field: str, folder: str, name: Entry, extending: tuple[Path, ...]) -> Entry:
        """A section by name: its file, or the defaults of the class registered under it."""
        text = name.as_text or ""
        path = search_path.find(text, folder, name.place.folder)
        if path is None:
            if text in SECTIONS[field].registered():
                return mapping({"name": replace(name, value=text)}, name.place)
            names = SECTIONS[field].names()
            hint = " A hub id or a folder is given as 'model: {path: ...}'." if field == "model" and "/" in text else ""
            raise RefusedError(name.place, (field,), _no_such(field, text, names, folder) + hint)
        _refuse_circle(path, name.place, extending)
        own = read_mapping(path)
        if _EXTENDS in own.value:
            own = self._extended(field, folder, own, (*extending, path))
        if field == "hardware" and not extending and "profile" not in own.value:
            own = merge(own, mapping({"profile": Entry(path.stem, own.place)}, own.place))
        return own

    def _extended(self, field: str, folder: str, entry: Entry, extending: tuple[Path, ...]) -> Entry:
        base = entry.value[_EXTENDS]
        base_section = self._named(field, folder, replace(base, value=_base_name(base), text=None), extending)
        return merge(base_section, entry.without(_EXTENDS))


def _default_experiment(name: str) -> str:
    """The file's stem, as a folder's name."""
    stem = Path(name).name.removesuffix(".yaml").removesuffix(".yml")
    return re.sub(r"[^A-Za-z0-9_.+-]+", "-", stem).strip("-.+")[:100] or "experiment"


def _base_name(base: Entry) -> str:
    if base.as_text is None:
        raise RefusedError(base.place, (_EXTENDS,), f"found {base.plain()!r}; allowed: the name of one config")
    return base.as_text


def _refuse_circle(path: Path, place: SourceLocation, extending: tuple[Path, ...]) -> None:
    chain = [file.resolve() for file in extending]
    if path.resolve() in chain:
        circle = " -> ".join(str(file) for file in (*extending, path))
        raise RefusedError(place, (_EXTENDS,), f"goes in a circle: {circle}")


def _no_run(name: str) -> str:
    """Why a command's argument is not the name of a run config; it may be that of a study or a folder."""
    if os.path.isdir(name):  # noqa: PTH112 - of any name
        own = Path(name) / "config.yaml"
        near = f" Did you mean '{own}', the config of the run there?" if own.is_file() else ""
        return f"'{name}' is a folder; allowed: a config's file, or its name (`dlmlen list configs`).{near}"
    studies = search_path.names(search_path.STUDIES)
    if (study := name.removesuffix(".yaml")) in studies:
        return f"found the study {study!r}, expected the config of one run; only `dlmlen run` takes a study"
    folder = os.path.dirname(name) or os.curdir  # noqa: PTH120 - of any name
    files = [str(file) for file in Path(folder).glob("*.yaml")] if os.path.isdir(folder) else []  # noqa: PTH112
    if near := suggestion(f"{name.removesuffix('.yaml')}.yaml", files):
        return f"no config is named {shown(name)}.{near}"
    return _no_config(name, studies)


def _no_config(name: str, others: Iterable[str] = ()) -> str:
    return _no_such("config", name, search_path.run_names(), "configs", others)


def _no_such(kind: str, name: str, known: Collection[str], folder: str, others: Iterable[str] = ()) -> str:
    """That no config of a kind has this name; `known` have, and `others` may be meant.

    `folder`: that of their files, which is their name for `dlmlen list`.
    """
    looked = " and ".join(str(place.absolute()) for place in search_path.config_folders())
    many = len(known) > _FEW
    near = suggestion(name.removesuffix(".yaml"), [*known, *others], most=_NEAREST if many else 1)
    if many:
        sentence = f"no {kind} is named {shown(name)}.{near} `dlmlen list {folder}` names all {len(known)}"
        return f"{sentence}, looked for in {looked}."
    return f"no {kind} is named {shown(name)}; there are {listing(known)}, looked for in {looked}.{near}"


def _resolve_paths(tree: Entry) -> Entry:
    """Make the paths of local files absolute, each relative to the file in which it was written.

    Absolute, because the resolved config is read again from other folders: that of the run's records, or one in which
    the run is continued. A path that begins with ./, ../ or ~/ is always resolved, that of a data file or an adapter
    also without such a prefix, if that file or folder exists: otherwise it may be a data set's name on the hub.
    """
    for path in _LOCAL_PATHS:
        entry, where = tree.follow(path)
        if where == path and isinstance(entry.value, str):
            is_there = _ALWAYS_LOCAL.get(path)
            local = _local_file(entry, is_there) if is_there or entry.value.startswith(_RELATIVE) else None
            tree = tree if local is None else tree.with_value(where, str(local))
    for path in _PYTHON_FILES:
        entry, where = tree.follow(path)
        if where == path and entry.as_text:
            expected = Path(os.path.normpath(entry.place.folder / os.path.expanduser(entry.as_text)))  # noqa: PTH111
            tree = tree.with_value(where, str(_local_file(entry) or expected))
    return tree


_RELATIVE = ("./", "../", "~/")


def _local_file(entry: Entry, is_there: Callable[[Path], bool] | None = os.path.isfile) -> Path | None:
    """The absolute path that an entry means: next to the file that names it, or else in the working directory.

    None where it is only a name: without a path's prefix, and not that of a file in either folder.
    """
    name = Path(os.path.expanduser(entry.as_text or ""))  # noqa: PTH111 - expanduser() of Path raises for an unknown user
    # Not resolve(): the last part of a model's path is its label, also where it is a link.
    candidates = [Path(os.path.normpath(folder / name)) for folder in (entry.place.folder, Path.cwd())]
    if (entry.as_text or "").startswith(_RELATIVE):
        return candidates[0]
    return next((file for file in candidates if is_there and is_there(file)), None)
