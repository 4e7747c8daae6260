"""Someone's own texts, such as names of classes and files, in a page of Markdown."""

from __future__ import annotations

from typing import Any


def cell(value: Any) -> str:
    """Return a text that is someone's own, such as a class name, so that a table's cell holds it."""
    text = " ".join(str(value).split()) or " "
    for letter in "\\|`*_<>[]#":
        text = text.replace(letter, "\\" + letter)
    return text


def code(value: Any) -> str:
    """Return a name as code in Markdown, in a table's cell too."""
    text = " ".join(str(value).split()).replace("`", "'").replace("|", "\\|")
    return f"`{text}`"
