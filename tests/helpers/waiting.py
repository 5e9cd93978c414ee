"""Waiting for what a page comes to be."""

import pytest


def until(page, text, value=None):
    """Wait for an expression of the page; its policy forbids the library's own way, which evaluates text there."""
    for _ in range(1000):
        if page.evaluate(f"value => Boolean({text})", value):
            return
        page.wait_for_timeout(20)
    pytest.fail(f"{text} did not come true")
