"""A corpus of damaged and hostile files, made here, each with how reading it must end.

``CORPUS`` maps a file's name to its ``Case``: the bytes, and either what is read of it or the reason it is refused for.
"""

from tests.chunking.hostile.office import OFFICE
from tests.chunking.hostile.pdfs import PDFS
from tests.chunking.hostile.texts import TEXTS

CORPUS = PDFS | TEXTS | OFFICE
