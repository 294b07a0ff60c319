"""Darwin Core: an occurrence a taxon that was chosen, as an archive with meta.xml and eml.xml for GBIF.

Columns of the upload that are called by Darwin Core's terms (decimalLatitude, eventDate, catalogNumber ...)
go along as they are. The taxon is what was chosen, by its label ("Red fox (Vulpes vulpes)": the name in
brackets).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from xml.sax.saxutils import escape

from microtasks.core.values import Column
from microtasks.engine.exports.format import Format, Source
from microtasks.engine.exports.interchange.camtrap import _kind, _taxa_of, has_taxa
from microtasks.engine.exports.interchange.own_columns import OwnColumns, taxon
from microtasks.engine.tabular.csv_format import MIME, Dialect, write_csv
from microtasks.engine.tabular.table import File, Table, iso
from microtasks.store.exports import reads

TERMS = "http://rs.tdwg.org/dwc/terms/"
DUBLIN_TERMS = "http://purl.org/dc/terms/"
#: Terms that are made here, in the archive's order; the first is its key.
MADE = (
    "occurrenceID",
    "basisOfRecord",
    "scientificName",
    "occurrenceStatus",
    "identifiedBy",
    "dateIdentified",
    "identificationRemarks",
    "identificationVerificationStatus",
)
#: Terms that the owner's columns may be called by.
OWN = (
    "catalogNumber",
    "collectionCode",
    "institutionCode",
    "recordedBy",
    "recordNumber",
    "individualCount",
    "sex",
    "lifeStage",
    "eventID",
    "eventDate",
    "eventTime",
    "samplingProtocol",
    "locationID",
    "country",
    "countryCode",
    "stateProvince",
    "locality",
    "decimalLatitude",
    "decimalLongitude",
    "geodeticDatum",
    "coordinateUncertaintyInMeters",
    "kingdom",
    "vernacularName",
)
DUBLIN_CORE = ("license", "rightsHolder")


def files(source: Source) -> Iterator[File]:
    """occurrence.csv, and what says how it is to be read."""
    names = (*MADE, *OWN, *DUBLIN_CORE)
    columns = tuple(Column(name, "string", "") for name in names)
    rows = (tuple(row.get(name) for name in names) for row in _occurrences(source))
    # Raw, for readers of Darwin Core take no apostrophes away.
    yield File("occurrence.csv", MIME, write_csv(Table(columns, rows), Dialect(raw=True)))
    yield File("meta.xml", "application/xml", iter([_meta(names).encode()]))
    yield File("eml.xml", "application/xml", iter([_eml(source).encode()]))


def _occurrences(source: Source) -> Iterator[dict[str, Any]]:
    part = _taxa_of(source.parts)
    labels = dict(part.options)
    for row in source.view.walk(reads.items, "task_id"):
        given = None if row["value"] is None else part.answered(row["value"])
        for nth, option in enumerate(given if isinstance(given, list) else [] if given is None else [given]):
            label = labels.get(option, str(option))
            if _kind(str(option), label) != "animal":
                continue  # nothing was seen, or no organism: no occurrence
            own = OwnColumns(row)
            base = own.get("occurrenceID") or f"{source.project.slug}:{row['external_id']}"
            yield {
                "occurrenceID": base if nth == 0 else f"{base}:{nth + 1}",
                "basisOfRecord": own.get("basisOfRecord") or "MachineObservation",
                "scientificName": taxon(label),
                "occurrenceStatus": "present",
                "identifiedBy": f"volunteers of {source.project.name}",
                "dateIdentified": iso(source.view.snapshot.cut.at),
                "identificationRemarks": (
                    f"Consensus of {row['n_reduced']} volunteers, agreement {row['agreement']:.3f}, "
                    f"{row['reducer']}."
                ),
                "identificationVerificationStatus": "verified by volunteers",
                **{name: own.get(name) for name in (*OWN, *DUBLIN_CORE)},
            }


def _meta(names: tuple[str, ...]) -> str:
    fields = "\n".join(
        f'    <field index="{nth}" term="{DUBLIN_TERMS if name in DUBLIN_CORE else TERMS}{name}"/>'
        for nth, name in enumerate(names)
    )
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<archive xmlns="http://rs.tdwg.org/dwc/text/" metadata="eml.xml">
  <core encoding="UTF-8" fieldsTerminatedBy="," linesTerminatedBy="\\r\\n" fieldsEnclosedBy="&quot;"
        ignoreHeaderLines="1" rowType="{TERMS}Occurrence">
    <files><location>occurrence.csv</location></files>
    <id index="0"/>
{fields}
  </core>
</archive>
"""


def _eml(source: Source) -> str:
    """Who made it and what it is, in the few elements that EML 2.2 demands."""
    title, purpose = escape(source.project.name), escape(source.project.purpose or source.project.name)
    at = source.view.snapshot.cut.at
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<eml:eml xmlns:eml="https://eml.ecoinformatics.org/eml-2.2.0" system="microtasks"
         packageId="{escape(source.project.slug)}-{source.view.snapshot.id}">
  <dataset>
    <title>{title}</title>
    <creator><organizationName>Volunteers of {title}</organizationName></creator>
    <pubDate>{at:%Y-%m-%d}</pubDate>
    <abstract><para>{purpose}</para></abstract>
    <contact><organizationName>{title}</organizationName></contact>
  </dataset>
</eml:eml>
"""


FORMAT = Format(
    "darwincore",
    "Darwin Core: occurrences",
    "Volunteers chose taxa, and you publish occurrences by GBIF: a Darwin Core archive.",
    ".dwca.zip",
    "application/zip",
    ("consensus",),
    files=files,
    is_archive=True,
    is_packed=True,
    fits=has_taxa,
)
