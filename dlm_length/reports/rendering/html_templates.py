"""Jinja templates for pages that are one HTML file each, in which no text can become markup or script."""

from functools import cache

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, pass_environment
from markupsafe import Markup

from dlm_length.reports.rendering.text import encodable

_BASE = PackageLoader("dlm_length.reports.rendering")
"""The folder `templates`: base.html, which every page extends, and the report's own page."""
_CONTROLS = {code: chr(0x2400 + code) for code in range(32) if chr(code) not in "\t\n\r"} | {127: "␡"}
"""Control characters and their pictures: HTML allows most of them nowhere."""


def render_page(package: str, page: str, folder: str = "templates", **values: object) -> str:
    """The page from PAGE.html, with PAGE.css and PAGE.js put into it; all three are in `folder` of `package`.

    Strings among `values` are escaped wherever the template puts them, also those within objects. `value | tojson`
    in the template is JSON that cannot end or open an element.
    """
    return _environment(package, folder).get_template(f"{page}.html").render(page=page, **values)


@cache
def _environment(package: str, folder: str) -> Environment:
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package, folder), _BASE]),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_encodable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    environment.globals["source"] = _source
    return environment


@pass_environment
def _source(environment: Environment, name: str) -> Markup:
    """A style sheet or a script of ours as it is, in which braces mean nothing to Jinja."""
    assert environment.loader is not None, "set above"
    return Markup(environment.loader.get_source(environment, name)[0])


def _encodable(value: object) -> object:
    """Text without what UTF-8 or HTML has no place for; anything else, and what is markup already, as it is."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return encodable(value).translate(_CONTROLS)
    return value
