"""Chunks in, a searchable release out."""
