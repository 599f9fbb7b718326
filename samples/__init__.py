"""Specification documents and judged queries written for this project."""
