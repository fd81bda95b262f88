"""Maps: rows that turn one structure into another, read and checked, compiled to Python (docs/map-language.md)."""
