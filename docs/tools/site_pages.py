"""Hooks of mkdocs: what the site needs beyond the pages of docs/.

The home page is README.md, each weight's card and each public module has a page, and links to files
that are not part of the site become the file's path in the repository.
"""

import posixpath
import re
from pathlib import Path

import griffe
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import fer_zoo

ROOT = Path(__file__).parents[2]
MODULES = sorted(fer_zoo._SUBMODULES)
FENCE = re.compile(r"(^ *```.*?^ *```$)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!\w+:|#)([^)#\s]+)(#[^)\s]*)?\)")


class Examples(griffe.Extension):
    """Shows the doctests of docstrings as code: griffe knows ``Examples:``, not ``Example:``."""

    def on_object(self, *, obj: griffe.Object, **_: object) -> None:
        """Renames the section before the docstring is parsed."""
        if obj.docstring:
            value = obj.docstring.value
            obj.docstring.value = re.sub(r"^Example:$", "Examples:", value, flags=re.MULTILINE)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Adds the generated pages to the sections Models and API reference."""
    cards = sorted((ROOT / "docs" / "model_cards").glob("*.md"))
    pages = {
        "Models": [f"model_cards/{card.name}" for card in cards],
        "API reference": [{f"fer_zoo.{name}": f"api/{name}.md"} for name in MODULES],
    }
    for section in config.nav or []:
        for title, entries in section.items():
            if title in pages:
                entries.extend(pages[title])
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the home page and a page for each public module."""
    home = (ROOT / "README.md").read_text(encoding="utf-8")
    files.append(File.generated(config, "index.md", content=home))
    for name in MODULES:
        content = f"# fer_zoo.{name}\n\n::: fer_zoo.{name}\n"
        files.append(File.generated(config, f"api/{name}.md", content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrites links and list indents, except in code at the top level."""
    parts = FENCE.split(markdown)
    return "".join(
        part if part.startswith("```") else _rewritten(part, page.file.src_uri) for part in parts
    )


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Makes links of the roles in docstrings, such as ``:class:`~fer_zoo.data.FER2013```."""
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
    return LINK.sub(lambda match: _link(match, posixpath.dirname(path)), text)


def _link(match: re.Match[str], folder: str) -> str:
    mark, text, target, anchor = match.groups()
    target = posixpath.normpath(posixpath.join(folder, target))
    if target == "README.md":
        target = "docs/index.md"
    if target.startswith("docs/") and not target.startswith("docs/tools"):
        relative = posixpath.relpath(target, folder or ".")
        if not folder:
            relative = target.removeprefix("docs/")
        return f"{mark}[{text}]({relative}{anchor or ''})"
    if text.strip("`") in (target, posixpath.basename(target)):
        return f"`{target}`"
    return f"{text} (`{target}`)"
