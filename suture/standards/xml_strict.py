"""The one way in which XML is parsed here: no document type, no entities, no processing instructions, no endless depth.

So nothing can be fetched or blown up. https://www.w3.org/TR/xml/ · https://cheatsheetseries.owasp.org/cheatsheets/XML_External_Entity_Prevention_Cheat_Sheet.html
"""

from __future__ import annotations

from xml.parsers import expat

from suture.errors import InvalidSyntax, TooLarge

MAX_SIZE = 64 * 1024 * 1024
MAX_DEPTH = 100


def require_size(raw: bytes, most: int) -> None:
    """Raises TooLarge for a document past its size."""
    if len(raw) > most:
        raise TooLarge(f"The document has {len(raw)} bytes; {most} are allowed.", mend="Send it in parts.")


class Strict:
    """Expat's events for a reader that adds its own; names come as `namespace name`."""

    def __init__(self, max_depth: int) -> None:
        self.max_depth = max_depth
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self.doctype
        self.parser.ProcessingInstructionHandler = self.instruction

    def parse(self, raw: bytes) -> None:
        """Raises InvalidSyntax with the place."""
        try:
            self.parser.Parse(raw, True)
        except expat.ExpatError as error:
            where = f"line {error.lineno}, column {error.offset + 1}"
            what = expat.ErrorString(error.code)
            raise InvalidSyntax(f"This is not XML: {what}.", where=where, mend="Check the tags.") from None
        except (ValueError, LookupError):
            raise InvalidSyntax("The encoding is not known.", where="line 1", mend="Save it as UTF-8.") from None

    def refuse(self, text: str, mend: str) -> InvalidSyntax:
        """The error for what stands where the parser is."""
        where = f"line {self.parser.CurrentLineNumber}, column {self.parser.CurrentColumnNumber + 1}"
        return InvalidSyntax(text, where=where, mend=mend)

    def require_depth(self, open_elements: int) -> None:
        """Raises before an element is opened inside so many."""
        if open_elements >= self.max_depth:
            raise self.refuse(f"Elements stand more than {self.max_depth} deep.", "Send a flatter document.")

    def doctype(self, *_: object) -> None:
        raise self.refuse("A document type is not allowed.", "Remove <!DOCTYPE …>.")

    def instruction(self, *_: object) -> None:
        raise self.refuse("A processing instruction is not allowed.", "Remove <?…?>.")
