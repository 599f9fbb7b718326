"""The functions of pdfium that are called for every word or drawing of a page, bound anew so that a call costs half.

pypdfium2's own bindings check each handle and pointer, wrap what is returned in an object, and let other threads run
during the call. These take and return plain addresses (see ``address``) and keep the interpreter's lock: each returns
within a microsecond. What they do is told in pdfium's fpdf_text.h and fpdf_edit.h.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import c_float, c_int, c_ulong, c_void_p
from typing import Any

import pypdfium2.raw as pdfium


def _bound(function: Any, result: Any, *arguments: Any) -> Callable[..., Any]:
    return ctypes.PYFUNCTYPE(result, *arguments)(address(function))


def address(of: Any) -> int:
    """Return the address of what a handle or pointer of pypdfium2 stands for, 0 for none."""
    return ctypes.cast(of, c_void_p).value or 0


text_object_of = _bound(pdfium.FPDFText_GetTextObject, c_void_p, c_void_p, c_int)
font_of = _bound(pdfium.FPDFTextObj_GetFont, c_void_p, c_void_p)
loose_box = _bound(pdfium.FPDFText_GetLooseCharBox, c_int, c_void_p, c_int, c_void_p)
origin = _bound(pdfium.FPDFText_GetCharOrigin, c_int, c_void_p, c_int, c_void_p, c_void_p)
font_info = _bound(pdfium.FPDFText_GetFontInfo, c_ulong, c_void_p, c_int, c_void_p, c_ulong, c_void_p)
angle = _bound(pdfium.FPDFText_GetCharAngle, c_float, c_void_p, c_int)

page_object = _bound(pdfium.FPDFPage_GetObject, c_void_p, c_void_p, c_int)
object_type = _bound(pdfium.FPDFPageObj_GetType, c_int, c_void_p)
object_bounds = _bound(pdfium.FPDFPageObj_GetBounds, c_int, c_void_p, c_void_p, c_void_p, c_void_p, c_void_p)
