"""A ReqIF file written by the library ``reqif``, as an independent source beside the hand-written XML."""

from __future__ import annotations

from reqif.models.reqif_core_content import ReqIFCoreContent
from reqif.models.reqif_data_type import (
    ReqIFDataTypeDefinitionEnumeration,
    ReqIFDataTypeDefinitionString,
    ReqIFDataTypeDefinitionXHTML,
    ReqIFEnumValue,
)
from reqif.models.reqif_req_if_content import ReqIFReqIFContent
from reqif.models.reqif_reqif_header import ReqIFReqIFHeader
from reqif.models.reqif_spec_hierarchy import ReqIFSpecHierarchy
from reqif.models.reqif_spec_object import ReqIFSpecObject, SpecObjectAttribute
from reqif.models.reqif_spec_object_type import ReqIFSpecObjectType, SpecAttributeDefinition
from reqif.models.reqif_specification import ReqIFSpecification
from reqif.models.reqif_types import SpecObjectAttributeType
from reqif.reqif_bundle import ReqIFBundle
from reqif.unparser import ReqIFUnparser

STRING, XHTML, ENUMERATION = (
    SpecObjectAttributeType.STRING,
    SpecObjectAttributeType.XHTML,
    SpecObjectAttributeType.ENUMERATION,
)


def spec_object(identifier: str, *values: tuple[SpecObjectAttributeType, str, str | list[str]]) -> ReqIFSpecObject:
    attributes = [SpecObjectAttribute(kind, definition, value) for kind, definition, value in values]
    return ReqIFSpecObject.create(identifier, "requirement", attributes)


def place(level: int, spec_object: str, *children: ReqIFSpecHierarchy) -> ReqIFSpecHierarchy:
    return ReqIFSpecHierarchy(
        xml_node=None,
        identifier=f"place-{spec_object}",
        spec_object=spec_object,
        level=level,
        children=list(children),
        is_self_closed=False,
    )


def brakes() -> bytes:
    """Two chapters, one below the other, with a requirement each: as text, and as XHTML with a chosen priority."""
    objects = [
        spec_object("c1", (STRING, "chapter", "Brakes")),
        spec_object("r1", (STRING, "id", "BRK-1"), (STRING, "text", "Stop within 900 m & hold.")),
        spec_object("c2", (STRING, "chapter", "Pads")),
        spec_object(
            "r2",
            (STRING, "id", "BRK-2"),
            (
                XHTML,
                "rich",
                "<xhtml:div><xhtml:p>Wear <xhtml:b>3 mm</xhtml:b>.</xhtml:p><xhtml:p>制動</xhtml:p></xhtml:div>",
            ),
            (ENUMERATION, "priority", ["high"]),
        ),
    ]
    definitions = [
        SpecAttributeDefinition.create(STRING, "id", "words", "ReqIF.ForeignID"),
        SpecAttributeDefinition.create(STRING, "chapter", "words", "ReqIF.ChapterName"),
        SpecAttributeDefinition.create(STRING, "text", "words", "ReqIF.Text"),
        SpecAttributeDefinition.create(XHTML, "rich", "page", "ReqIF.Text"),
        SpecAttributeDefinition.create(ENUMERATION, "priority", "levels", "Priority", multi_valued=False),
    ]
    level = ReqIFEnumValue(identifier="high", key="1", long_name="must", other_content="")
    tree = [place(1, "c1", place(2, "r1"), place(2, "c2", place(3, "r2")))]
    bundle = ReqIFBundle.create_empty("http://www.omg.org/spec/ReqIF/20110401/reqif.xsd", None)
    bundle.namespace_info.namespace_xhtml = "http://www.w3.org/1999/xhtml"
    bundle.req_if_header = ReqIFReqIFHeader("header", title="Brake system")
    bundle.core_content = ReqIFCoreContent(
        ReqIFReqIFContent(
            data_types=[
                ReqIFDataTypeDefinitionString.create("words"),
                ReqIFDataTypeDefinitionXHTML("page"),
                ReqIFDataTypeDefinitionEnumeration("levels", values=[level]),
            ],
            spec_types=[ReqIFSpecObjectType.create("requirement", "Requirement", attribute_definitions=definitions)],
            spec_objects=objects,
            specifications=[ReqIFSpecification("s", long_name="Brakes of trains", children=tree)],
        )
    )
    return ReqIFUnparser.unparse(bundle).encode()
