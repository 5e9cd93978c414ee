"""What a browser opens: pages, and the modules and styles that they load."""

from retrieval.web.pages.serving import add_pages

__all__ = ["add_pages"]
