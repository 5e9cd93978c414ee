"""What axe-core finds wrong with a page."""

import pytest

SEVERE = ("serious", "critical")


def severe_findings(page):
    """Rule and place of each serious or critical finding, in light and in dark; skips where axe-core is not there.

    Only colours differ in the dark, so only their contrast is looked at again. The page is left light.
    """
    sync_playwright = pytest.importorskip("axe_playwright_python.sync_playwright", reason="wants axe-playwright-python")
    axe = sync_playwright.Axe()
    found = []
    for scheme, rules in (
        ("dark", {"runOnly": {"type": "rule", "values": ["color-contrast"]}}),
        ("light", {}),
    ):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        results = axe.run(page, options={"resultTypes": ["violations"], **rules})
        found += [
            f"{scheme}: {finding['id']}: {node['target']}: {node['failureSummary']}"
            for finding in results.response["violations"]
            if finding["impact"] in SEVERE
            for node in finding["nodes"]
        ]
    return found
