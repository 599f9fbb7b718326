"""Pages for search, review and operation, and the HTTP API."""
