"""Self-contained HTML pages of results. Every number a page shows comes from the JSON that it carries with it."""
