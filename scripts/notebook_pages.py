"""The notebooks of the documentation: `python scripts/notebook_pages.py` runs each and stores its outputs in it.

mkdocs uses this file as a hook (mkdocs.yml), which makes a page of every notebook in `docs` with its stored outputs:
nothing is run while the site is built.
"""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

NOTEBOOKS = Path(__file__).parents[1] / "docs" / "notebooks"


class NotebookPage(File):
    """The page of a notebook, with its content as Markdown. Links to the .ipynb file lead to it."""

    def is_documentation_page(self) -> bool:
        return True


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Hook of mkdocs, called when the files of `docs` are known and no page is read: replaces notebooks by pages."""
    for file in [each for each in files if each.src_uri.endswith(".ipynb")]:
        assert file.abs_src_path is not None, "a notebook is a file on disk"
        page = NotebookPage(file.src_uri, config.docs_dir, config.site_dir, config.use_directory_urls)
        page.content_string = as_markdown(Path(file.abs_src_path))
        files.remove(file)
        files.append(page)
    return files


def read(notebook: Path) -> Any:
    """A stored notebook."""
    return nbformat.read(notebook, as_version=4)


def as_markdown(notebook: Path) -> str:
    """The cells and their stored outputs, in order."""
    cells = read(notebook).cells
    return "\n\n".join(part for cell in cells for part in _parts(cell)) + "\n"


def _parts(cell: Any) -> Iterator[str]:
    if cell.cell_type != "code":
        yield cell.source
        return
    yield f"```python\n{cell.source}\n```"
    for output in cell.outputs:
        yield _output(output)


def _output(output: Any) -> str:
    """The Markdown of an output: tables and images as such, everything else as text."""
    if output.output_type == "stream":
        return f"```text\n{output.text.rstrip()}\n```"
    data = output.data
    if "text/html" in data:
        return _table(data["text/html"])
    if "image/png" in data:
        return f"![{data.get('text/plain', 'Figure')}](data:image/png;base64,{data['image/png'].strip()})"
    return f"```text\n{data['text/plain']}\n```"


def _table(html: str) -> str:
    """A frame's table without pandas' own style and class, so that it has those of the site's tables."""
    found = re.search(r"<table.*?>(.*</table>)", html, re.DOTALL)
    assert found is not None, "of the outputs of pandas, frames alone are HTML"
    return f"<div>\n<table>{found[1]}\n</div>"


def executed(notebook: Path) -> Any:
    """The notebook with its outputs when it is run in its own folder, without warnings, times and counts.

    Raises nbclient's CellExecutionError where a cell fails.
    """
    from nbclient import NotebookClient

    found = read(notebook)
    place = {"metadata": {"path": str(notebook.parent)}}
    NotebookClient(found, kernel_name="python3", resources=place, timeout=600, record_timing=False).execute()
    found.metadata.pop("language_info", None)  # the version of this machine's Python
    for cell in (each for each in found.cells if each.cell_type == "code"):
        cell.execution_count = None
        cell.outputs = [each for each in cell.outputs if each.get("name") != "stderr"]
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = None
            if "metadata" in output:
                output.metadata = {}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Run the notebooks in docs/notebooks and store their outputs.")
    parser.parse_args()
    for notebook in sorted(NOTEBOOKS.glob("*.ipynb")):
        nbformat.write(executed(notebook), notebook)
        print(notebook)


if __name__ == "__main__":
    main()
