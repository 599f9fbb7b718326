"""Negatives in, a version of a query encoder out."""
