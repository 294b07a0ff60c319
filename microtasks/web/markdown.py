"""Owners' Markdown as safe HTML. The one place where text becomes markup."""

from __future__ import annotations

import nh3
from markdown_it import MarkdownIt
from markupsafe import Markup

TAGS = {
    "p", "br", "hr", "h2", "h3", "h4", "strong", "em", "s", "code", "pre", "blockquote",
    "ul", "ol", "li", "a", "img", "table", "thead", "tbody", "tr", "th", "td",
}  # fmt: skip
ATTRIBUTES = {"a": {"href", "title"}, "img": {"src", "alt", "title"}, "ol": {"start"}}
_parser = MarkdownIt("js-default")  # raw HTML stays text; javascript: and data: addresses are refused


def render(text: str) -> Markup:
    """Return the HTML of one Markdown text. Images only from this site: another's would see who reads."""
    html = _parser.render(text).replace("<h1>", "<h2>").replace("</h1>", "</h2>")
    return Markup(  # noqa: S704  (cleaned on this line)
        nh3.clean(
            html,
            tags=TAGS,
            attributes=ATTRIBUTES,
            url_schemes={"http", "https", "mailto"},
            link_rel="noopener noreferrer nofollow",
            attribute_filter=_own_images,
        )
    )


def _own_images(tag: str, attribute: str, value: str) -> str | None:
    return None if (tag, attribute) == ("img", "src") and not value.startswith("/media/") else value
