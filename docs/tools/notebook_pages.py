"""Notebooks as pages of the site. They are executed when the site is built.

In git the notebooks have no outputs: what the site shows is what this code and these weights give.
"""

import os
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
NOTEBOOKS = ROOT / "docs" / "notebooks"
#: Seconds that a cell may take on a busy machine.
TIMEOUT = 600


@cache
def notebook_page(name: str, source: str) -> tuple[str, dict[str, bytes]]:
    """Runs a notebook in a fresh process.

    Args:
        name: Its name without the ending.
        source: The file's text.

    Returns:
        The notebook as Markdown, and the pictures that it shows by their path beside the page.

    Raises:
        CellExecutionError: If a cell raises.
    """
    import nbformat
    from nbclient import NotebookClient
    from nbconvert import MarkdownExporter

    notebook = nbformat.reads(source, as_version=4)
    place = {"metadata": {"path": str(NOTEBOOKS)}}
    client = NotebookClient(
        notebook, timeout=TIMEOUT, kernel_name="python3", coalesce_streams=True, resources=place
    )
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    added = {
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONWARNINGS": "ignore:IProgress not found",  # tqdm wants widgets, which no page shows
    }
    client.execute(env=os.environ | added)
    names = {"unique_key": name, "output_files_dir": f"{name}_files"}
    text, resources = MarkdownExporter().from_notebook_node(notebook, names)
    download = f'<p><a href="{name}.ipynb" download>Download this page as a notebook</a></p>\n'
    shown = text.replace("![png](", "![what the code above shows](")
    pictures = {path: data for path, data in resources["outputs"].items() if f"({path})" in shown}
    return f"{shown}\n{download}", pictures
