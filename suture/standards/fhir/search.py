"""The door of FHIR search: read a query, write it as a URL, hold a resource against it. https://hl7.org/fhir/R4/search.html"""

from __future__ import annotations

from dataclasses import replace

from suture.standards.fhir.search_match import Subject, World, holds, matches
from suture.standards.fhir.search_parse import parse
from suture.standards.fhir.search_query import (
    NOTHING,
    AllOf,
    AnyOf,
    Branch,
    Chain,
    Compartment,
    Condition,
    Cursor,
    Has,
    Include,
    Judged,
    Match,
    Missing,
    Moment,
    NoneOf,
    Number,
    Parts,
    SearchQuery,
    Sort,
    Target,
    Text,
    Token,
    TypedIdentifier,
    Uri,
    Value,
    restrict,
)
from suture.standards.fhir.search_tables import MODIFIERS, followed, searchable
from suture.standards.fhir.search_url import pairs, url

__all__ = [
    "MODIFIERS",
    "NOTHING",
    "AllOf",
    "AnyOf",
    "Branch",
    "Chain",
    "Compartment",
    "Condition",
    "Cursor",
    "Has",
    "Include",
    "Judged",
    "Match",
    "Missing",
    "Moment",
    "NoneOf",
    "Number",
    "Parts",
    "SearchQuery",
    "Subject",
    "World",
    "followed",
    "holds",
    "matches",
    "Sort",
    "Target",
    "Text",
    "Token",
    "TypedIdentifier",
    "Uri",
    "Value",
    "pairs",
    "replace",
    "parse",
    "restrict",
    "searchable",
    "url",
]
