"""Properties of Python code: whether it parses, which names it binds, whether it is a function's body."""

import ast
import builtins
import threading
import warnings
from collections.abc import Iterator

LONGEST = 100_000
"""Longest piece of code that is parsed, in characters."""
MOST_CHARACTERS = 1_000_000
"""Most characters that are parsed per answer, over all tries. A count, so that verdicts do not depend on time."""

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_SCOPES = (*_FUNCTIONS, ast.ClassDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_ACTIONS = (ast.Call, ast.Await, ast.Yield, ast.YieldFrom, ast.NamedExpr)
_BINDERS = ("exec", "eval", "globals", "locals", "vars", "setattr")
"""Built-in functions by which code can bind a name that occurs only in a string, a keyword or an attribute."""
# Python's warnings about an answer are suppressed; their filters are global to the process.
_WARNINGS = threading.Lock()


class Parser:
    """Python's own parser for the pieces of one answer, with a limited budget of characters."""

    def __init__(self) -> None:
        self._left = MOST_CHARACTERS
        self._trees: dict[str, ast.Module | SyntaxError] = {}

    @property
    def is_exhausted(self) -> bool:
        """Whether `MOST_CHARACTERS` were parsed."""
        return self._left < 0

    def tree(self, code: str) -> ast.Module | None:
        """The syntax tree; None for code that is not Python or too long."""
        parsed = self._parsed(code)
        return parsed if isinstance(parsed, ast.Module) else None

    def fault_line(self, code: str) -> int | None:
        """The line of the syntax error, from 1; None where there is none, or its line is unknown."""
        parsed = self._parsed(code)
        return parsed.lineno if isinstance(parsed, SyntaxError) else None

    def _parsed(self, code: str) -> ast.Module | SyntaxError:
        if code not in self._trees:
            self._left -= len(code)
            too_much = self.is_exhausted or len(code) > LONGEST
            self._trees[code] = SyntaxError("too long") if too_much else _parsed(code)
        return self._trees[code]


def _parsed(code: str) -> ast.Module | SyntaxError:
    with _WARNINGS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(code)
        except SyntaxError as error:
            return error
        except (ValueError, RecursionError, MemoryError):  # null bytes, a lone surrogate, nested too deeply
            return SyntaxError("cannot be parsed")


def binds(tree: ast.Module, name: str) -> bool:
    """Whether running the code binds the name at module level by any statement, or may do so by `exec` and the like."""
    return name in bound_names(tree) or _may_bind(tree, name)


def bound_names(tree: ast.Module) -> set[str]:
    """Names that are bound outside functions and classes, including inside `if`, `try`, `with`, loops and `match`."""
    return {name for node in _outermost(tree) for name in _names(node)}


def has_exits(tree: ast.Module) -> bool:
    """Whether there is a `return` or `yield` outside functions, so that the code is a function's body."""
    return any(isinstance(node, ast.Return | ast.Yield | ast.YieldFrom) for node in _outermost(tree))


def function_in(tree: ast.Module, name: str) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    """The first definition of a function outside other functions and classes; None where there is none."""
    return next((node for node in _outermost(tree) if isinstance(node, _FUNCTIONS) and node.name == name), None)


def has_body(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a function has more than its docstring."""
    first, *more = function.body
    return bool(more) or not (isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant))


def method_in(tree: ast.Module, name: str, parameters: int | None) -> str | None:
    """An expression for a function that is written as a method, as on LeetCode; None where there is none.

    `parameters`: number of parameters of the function, if known; a method with one more takes the object first.
    """
    for node in _outermost(tree):
        if isinstance(node, ast.ClassDef) and (access := _method(node, name, parameters, node.name)):
            return access
    return None


def words_from(tree: ast.Module) -> int | None:
    """The line, from 1, of the first statement that is prose which happens to parse: `Done`, `Output: words`, `3`.

    Such a statement is an expression or an annotation without value whose names are not bound anywhere. None where
    there is none.
    """
    known = bound_names(tree) | set(dir(builtins))
    return next((statement.lineno for statement in tree.body if _is_prose(statement, known)), None)


def does_something(statement: ast.stmt) -> bool:
    """Whether a statement is more than an expression of names and constants, or an annotation without value."""
    if isinstance(statement, ast.AnnAssign):
        return statement.value is not None
    return not isinstance(statement, ast.Expr) or any(isinstance(node, _ACTIONS) for node in ast.walk(statement))


def future_imports(tree: ast.Module) -> list[ast.ImportFrom]:
    """The imports from `__future__`."""
    return [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]


def _is_prose(statement: ast.stmt, known: set[str]) -> bool:
    if does_something(statement):
        return False
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return not isinstance(statement.value.value, str) and statement.value.value is not ...
    names = (node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load))
    return any(name not in known for name in names)


def _outermost(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes that are not inside a function, a class or a comprehension, in order, including these themselves."""
    ahead = [*ast.iter_child_nodes(tree)][::-1]
    while ahead:
        node = ahead.pop()
        yield node
        if isinstance(node, _COMPREHENSIONS):
            # Its loop variables are local to it; targets of `:=` are not.
            ahead += [inner.target for inner in ast.walk(node) if isinstance(inner, ast.NamedExpr)]
        elif isinstance(node, ast.AnnAssign) and node.value is None:
            continue  # declares its name without binding it
        elif not isinstance(node, _SCOPES):
            ahead += [*ast.iter_child_nodes(node)][::-1]


def _names(node: ast.AST) -> Iterator[str]:
    """The names that a node itself binds."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield node.name
            yield from (name for inner in ast.walk(node) if isinstance(inner, ast.Global) for name in inner.names)
        case ast.Import() | ast.ImportFrom():
            yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)
        case ast.Name(ctx=ast.Store()):
            yield node.id
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            yield name
        case ast.MatchMapping(rest=str(name)):
            yield name


def _may_bind(tree: ast.Module, name: str) -> bool:
    if "*" in bound_names(tree):
        return True
    nodes = list(_outermost(tree))
    if has_exits(tree) or not any(_is_binder(node) for node in nodes):
        return False
    texts = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))
    keywords = (node.arg for node in ast.walk(tree) if isinstance(node, ast.keyword))
    attributes = (node.attr for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store))
    return any(name in text for text in texts) or name in keywords or name in attributes


def _is_binder(node: ast.AST) -> bool:
    """Whether it is a call of one of `_BINDERS`, also as `builtins.exec`, or a look-up in `sys.modules`."""
    match node:
        case ast.Call(func=ast.Name(id=called)):
            return called in _BINDERS
        case ast.Call(func=ast.Attribute(value=ast.Name(id="builtins"), attr=called)):
            return called in _BINDERS
        case ast.Subscript(value=ast.Attribute(value=ast.Name(id="sys"), attr="modules")):
            return True
    return False


def _method(owner: ast.ClassDef, name: str, parameters: int | None, path: str) -> str | None:
    for node in _outermost(ast.Module(body=owner.body, type_ignores=[])):
        if isinstance(node, ast.ClassDef):
            if access := _method(node, name, parameters, f"{path}.{node.name}"):
                return access
        elif (takes_object := _taken_as_method(node, name, parameters)) is not None:
            return f"{path}().{name}" if takes_object else f"{path}.{name}"
    return None


def _taken_as_method(node: ast.AST, name: str, parameters: int | None) -> bool | None:
    """Whether the function that a node of a class binds to `name` takes the object first; None for other nodes."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() if node.name == name:
            decorators = {decorator.id for decorator in node.decorator_list if isinstance(decorator, ast.Name)}
            return not decorators & {"staticmethod", "classmethod"} and _takes_object(node.args, parameters)
        case ast.Assign(value=ast.Lambda(args=arguments)) | ast.AnnAssign(value=ast.Lambda(args=arguments)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            named = any(isinstance(target, ast.Name) and target.id == name for target in targets)
            return _takes_object(arguments, parameters) if named else None
        case ast.Assign(targets=[ast.Name(id=bound)]) if bound == name:
            return False
    return None


def _takes_object(arguments: ast.arguments, parameters: int | None) -> bool:
    taken = [*arguments.posonlyargs, *arguments.args]
    return bool(taken) and (taken[0].arg == "self" or (parameters is not None and len(taken) == parameters + 1))
