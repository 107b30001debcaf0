"""Hooks of mkdocs: what the site needs beyond the pages of docs/.

The home page is README.md. Each model, each weight's card, each public module and each notebook has
a page. The page of ``fer-zoo demo`` is part of the site where it can be built. Links to files that
are not part of the site become the file's path in the repository.
"""

import logging
import posixpath
import re
import shutil
from functools import cache
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.nav import Link, Navigation
from mkdocs.structure.pages import Page
from model_pages import architectures, model_page
from notebook_pages import NOTEBOOKS, notebook_page

import fer_zoo
from fer_zoo.demo import cached
from fer_zoo.errors import FerZooError

ROOT = Path(__file__).parents[2]
MODULES = sorted(fer_zoo._SUBMODULES)
FENCE = re.compile(r"(^ *```.*?^ *```$)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!\w+:|#)([^)#\s]+)(#[^)\s]*)?\)")
#: The first cell of a table of models.
MODEL = re.compile(r"^\| `(\w+?)((?:_224)?)` \|", re.MULTILINE)
#: The first cell of a table of models.
MODEL = re.compile(r"^\| `(\w+?)((?:_224)?)` \|", re.MULTILINE)
#: Where the page of ``fer-zoo demo`` is on the site.
DEMO = "demo"
log = logging.getLogger("mkdocs.hooks.site_pages")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Adds the generated pages to the sections Models and API reference."""
    cards = sorted((ROOT / "docs" / "model_cards").glob("*.md"))
    pages = {
        "Models": [
            {"Architectures": [f"models/{name}.md" for name in architectures()]},
            {"Cards of the weights": [f"model_cards/{card.name}" for card in cards]},
        ],
        "API reference": [{f"fer_zoo.{name}": f"api/{name}.md"} for name in MODULES],
    }
    for section in config.nav or []:
        for title, entries in section.items():
            if title in pages:
                entries.extend(pages[title])
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the home page, and a page for each model, public module and notebook."""
    pages: dict[str, str | bytes] = {"index.md": (ROOT / "README.md").read_text(encoding="utf-8")}
    pages |= {f"models/{name}.md": model_page(name) for name in architectures()}
    pages |= {f"api/{name}.md": f"# fer_zoo.{name}\n\n::: fer_zoo.{name}\n" for name in MODULES}
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        text, pictures = notebook_page(path.stem, path.read_text(encoding="utf-8"))
        pages |= {f"notebooks/{name}": picture for name, picture in pictures.items()}
        pages[f"notebooks/{path.stem}.md"] = text
    for source, content in pages.items():
        files.append(File.generated(config, source, content=content))
    return files


def on_nav(nav: Navigation, config: MkDocsConfig, files: Files) -> Navigation:
    """Adds a link to the page of ``fer-zoo demo``, if it is part of this site."""
    if demo_page():
        nav.items.append(Link("In your browser", f"{DEMO}/index.html"))
    return nav


def on_post_build(config: MkDocsConfig) -> None:
    """Copies the page of ``fer-zoo demo`` into the site."""
    if page := demo_page():
        shutil.copytree(page, Path(config.site_dir) / DEMO)


@cache
def demo_page() -> Path | None:
    """Returns the page of ``fer-zoo demo``, built; None where npm or the extra page is missing."""
    try:
        return cached()
    except FerZooError as error:
        log.info("The site is without the page of fer-zoo demo: %s", error)
        return None


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrites links and list indents, except in code at the top level."""
    parts = FENCE.split(markdown)
    return "".join(
        part if part.startswith("```") else _rewritten(part, page.file.src_uri) for part in parts
    )


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Makes links of the roles in docstrings, such as ``:class:`~fer_zoo.data.FER2013```.

    A cell with a range, such as 61.5-64.8, stays on one line.
    """
    html = re.sub(r"<td>([\d.]+-[\d.]+)</td>", r'<td class="range">\1</td>', html)
    return re.sub(
        r":(?:class|func|meth|mod|data|attr):<code>~?([\w.]+)(?:\(\))?</code>",
        r'<autoref optional identifier="\1"><code>\1</code></autoref>',
        html,
    )


def _rewritten(text: str, source: str) -> str:
    path = "README.md" if source == "index.md" else f"docs/{source}"
    # GitHub continues a list item at its text, Python-Markdown only after four spaces
    text = re.sub(r"^ {2,3}(?=\S)", "    ", text, flags=re.MULTILINE)
    if source == "index.md":
        text = text.replace('src="docs/', 'src="')
    text = LINK.sub(lambda match: _link(match, posixpath.dirname(path)), text)
    if source in ("index.md", "models.md"):  # the tables of models
        text = MODEL.sub(r"| [`\1\2`](models/\1.md) |", text)
    return text


def _link(match: re.Match[str], folder: str) -> str:
    mark, text, target, anchor = match.groups()
    target = posixpath.normpath(posixpath.join(folder, target))
    if target == "README.md":
        target = "docs/index.md"
    if target.startswith("docs/") and not target.startswith("docs/tools"):
        target = re.sub(r"\.ipynb$", ".md", target)
        relative = posixpath.relpath(target, folder or ".")
        if not folder:
            relative = target.removeprefix("docs/")
        return f"{mark}[{text}]({relative}{anchor or ''})"
    if text.strip("`") in (target, posixpath.basename(target)):
        return f"`{target}`"
    return f"{text} (`{target}`)"
