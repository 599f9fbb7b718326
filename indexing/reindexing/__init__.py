"""Re-indexing beside what is served: planned, estimated, built, checked and switched to."""
