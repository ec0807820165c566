"""The reader of logs: sources, lines, filters, and the timeline of one request."""
