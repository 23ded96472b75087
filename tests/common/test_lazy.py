"""Names that packages give lazily: those that type checkers see, each from the module that defines it."""

import ast
import sys
from importlib import import_module
from pathlib import Path

import pytest


@pytest.mark.parametrize("package", ["common", "config", "runner"])
def test_a_package_gives_at_run_time_what_type_checkers_see(package: str) -> None:
    module = import_module(f"dlm_length.{package}")
    assert set(module.__all__) <= set(dir(module))
    for name in module.__all__:
        assert getattr(module, name) is not None
    assert module.__file__ is not None
    for node in ast.parse(Path(module.__file__).read_text()).body:
        if isinstance(node, ast.If):
            for statement in node.body:
                assert isinstance(statement, ast.ImportFrom)
                for alias in statement.names:
                    assert getattr(sys.modules[str(statement.module)], alias.name) is getattr(module, alias.name)


def test_another_name_is_no_attribute() -> None:
    import dlm_length.runner

    with pytest.raises(AttributeError, match="has no attribute 'walk'"):
        _ = dlm_length.runner.walk
