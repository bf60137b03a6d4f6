"""The browser of the page's tests."""

from browser import chromium

__all__ = ["chromium"]
