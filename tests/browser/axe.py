"""What axe finds on a page."""

from __future__ import annotations

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

# Only what is wrong comes back from the browser: the rest of axe's report takes longer to send than to make.
RUN = """async () => (await axe.run({resultTypes: ["violations"]})).violations.flatMap(
  (rule) => rule.nodes.map((node) => `${rule.id}: ${rule.help} ${node.target.join(" ")} ${node.html}`)
)"""


def faults(page: Page) -> list[str]:
    """Each fault that axe finds on the page as it stands, and whether it is wider than the screen."""
    page.evaluate(AXE_SCRIPT)
    found = list(page.evaluate(RUN))
    if wide := page.evaluate("document.documentElement.scrollWidth - innerWidth"):
        found.append(f"wider than the screen by {wide} px")
    return found
