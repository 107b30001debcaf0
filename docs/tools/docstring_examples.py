"""An extension of griffe that reads the examples of docstrings, for the API reference."""

import re

import griffe


class Examples(griffe.Extension):
    """Shows the doctests of docstrings as code: griffe knows ``Examples:``, not ``Example:``."""

    def on_object(self, *, obj: griffe.Object, **_: object) -> None:
        """Renames the section before the docstring is parsed."""
        if obj.docstring:
            value = obj.docstring.value
            obj.docstring.value = re.sub(r"^Example:$", "Examples:", value, flags=re.MULTILINE)
