"""The one tree of errors; each knows its code, place, mend, whether to retry, HTTP status and FHIR issue code.

SutureError
├─ Invalid                    what came in is wrong                       400 invalid     no retry
│  ├─ InvalidSyntax           JSON, XML, FHIRPath that can't be read      400 structure
│  ├─ InvalidResource         breaks a rule of FHIR                       422 invalid
│  ├─ InvalidSearch           a query that can't be understood            400 invalid
│  ├─ InvalidMessage          an HL7 v2 message broken in structure       400 structure
│  ├─ InvalidFile             a flow, map, connection, setting            400 invalid
│  ├─ TooLarge                past a size limit                           413 too-long
│  └─ TooCostly               past a budget of work                       422 too-costly
├─ Inapplicable               an expression this content doesn't fit      422 processing
├─ Unmapped                   a sound message that no row can map         422 processing
├─ Unauthenticated            nobody, or a credential that is not good    401 login
│  └─ InvalidToken            an access token that is not, or no more     401 login
├─ Forbidden                  known caller, not allowed                   403 forbidden
├─ NotFound                   unknown here (or not for this caller)       404 not-found
├─ Gone                       deleted                                     410 deleted
├─ NotAllowed                 this method or format is not there          405 not-supported
├─ Conflict                   two writers, one version                    409 conflict
├─ PreconditionFailed         If-Match or a condition did not hold        412 conflict
├─ Unavailable                can't be done just now                      503 transient   retry
├─ SendFailed                 a destination said no                       502 processing  no retry
│  ├─ SendUnavailable         down, slow, 408, 429, 5xx                   502 transient   retry
│  ├─ SendAmbiguous           sent, answer lost                           502 timeout     by policy
│  └─ OutboundRefused         an origin we must not contact               502 forbidden   no retry
└─ Unstartable                wrong key, newer schema, bad address        500 exception   no retry
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Issue:
    """One finding about a resource or request, in the words of OperationOutcome.issue.

    `expression` is a FHIRPath such as `Patient.name[0].family`; `text` must hold nothing personal.
    """

    severity: str  # fatal | error | warning | information
    code: str  # FHIR issue-type code
    text: str
    expression: str = ""
    mend: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding about a file a user wrote: where it stands, what is wrong, what to write instead."""

    file: str
    line: int  # 1-based; 0 when the whole file is meant
    column: int  # 1-based
    text: str
    mend: str = ""
    severity: str = "error"  # error | warning

    def __str__(self) -> str:
        mend = f"\n    {self.mend}" if self.mend else ""
        return f"{self.file}:{self.line}:{self.column}: {self.severity}: {self.text}{mend}"


class SutureError(Exception):
    """Something a user or caller can act on; `where` names the place, `mend` says what to do."""

    code: ClassVar[str] = "error"
    status: int = 500  # of the class, but for errors whose status is part of a protocol
    issue: ClassVar[str] = "exception"
    retry: ClassVar[bool] = False
    exception: ClassVar[str] = ""  # of 45 CFR part 171, under which information is kept back

    def __init__(self, text: str, *, where: str = "", mend: str = "", issues: Sequence[Issue] = ()) -> None:
        super().__init__(text)
        self.text = text
        self.where = where
        self.mend = mend
        self.audited = False  # whether a row of the audit trail tells of it already
        self.issues: tuple[Issue, ...] = tuple(issues) or (Issue("error", self.issue, text, where, mend),)

    def at(self, where: str) -> None:
        """Names the place where none is named yet."""
        self.where = self.where or where
        self.issues = tuple(replace(issue, expression=issue.expression or where) for issue in self.issues)

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        stop = "" if self.text[-1:] in ".!?:" else "."
        return f"{place}{self.text}{stop} {self.mend}" if self.mend else f"{place}{self.text}"


class Invalid(SutureError):
    code, status, issue = "invalid", 400, "invalid"


class InvalidSyntax(Invalid):
    code, issue = "invalid-syntax", "structure"


class InvalidResource(Invalid):
    code, status = "invalid-resource", 422


class InvalidSearch(Invalid):
    code = "invalid-search"


class InvalidMessage(Invalid):
    """An HL7 v2 message broken in structure; `ack` and `error_code` (table 0357) say how to answer."""

    code, issue = "invalid-message", "structure"

    def __init__(self, text: str, *, where: str = "", mend: str = "", ack: str = "AE", error_code: str = "207") -> None:
        super().__init__(text, where=where, mend=mend)
        self.ack = ack
        self.error_code = error_code


class InvalidFile(Invalid):
    """One or more problems in files the user wrote."""

    code = "invalid-file"

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(p) for p in problems))


class TooLarge(Invalid):
    code, status, issue = "too-large", 413, "too-long"


class TooCostly(Invalid):
    code, status, issue = "too-costly", 422, "too-costly"


class Inapplicable(SutureError):
    code, status, issue = "inapplicable", 422, "processing"


class Unmapped(SutureError):
    code, status, issue = "unmapped", 422, "processing"


class Unauthenticated(SutureError):
    code, status, issue, exception = "unauthenticated", 401, "login", "171.203"


class InvalidToken(Unauthenticated):
    """An access token that is unknown, has expired or was revoked (RFC 6750, 3.1); all three look the same."""

    code = "invalid-token"


class Forbidden(SutureError):
    code, status, issue, exception = "forbidden", 403, "forbidden", "171.202"


class NotFound(SutureError):
    code, status, issue = "not-found", 404, "not-found"


class Gone(SutureError):
    code, status, issue = "gone", 410, "deleted"


class NotAllowed(SutureError):
    code, status, issue = "not-allowed", 405, "not-supported"


class Conflict(SutureError):
    code, status, issue = "conflict", 409, "conflict"


class PreconditionFailed(SutureError):
    code, status, issue = "precondition-failed", 412, "conflict"


class Unavailable(SutureError):
    """Can't be done just now; `after` says in how many seconds a retry makes sense."""

    code, status, issue, retry, exception = "unavailable", 503, "transient", True, "171.205"

    def __init__(self, text: str, *, where: str = "", mend: str = "", after: float = 1.0) -> None:
        super().__init__(text, where=where, mend=mend)
        self.after = after


class SendFailed(SutureError):
    """A destination refused for good; `answer` holds what it said (status line or ACK code, nothing personal)."""

    code, status, issue = "send-failed", 502, "processing"

    def __init__(self, text: str, *, where: str = "", mend: str = "", answer: str = "", after: float = 0.0) -> None:
        super().__init__(text, where=where, mend=mend)
        self.answer = answer
        self.after = after


class SendUnavailable(SendFailed):
    code, issue, retry = "send-unavailable", "transient", True


class SendAmbiguous(SendFailed):
    code, issue, retry = "send-ambiguous", "timeout", True


class OutboundRefused(SendFailed):
    """Nothing was sent: the origin is not on the list, or its address is nobody's business."""

    code, issue = "outbound-refused", "forbidden"


class Unstartable(SutureError):
    code = "unstartable"


@dataclass(slots=True)
class Problems:
    """Collects problems while a file is read, so that a user sees all of them at once."""

    file: str
    found: list[Problem] = field(default_factory=list)

    def add(self, at: tuple[int, int], text: str, mend: str = "", severity: str = "error") -> None:
        self.found.append(Problem(self.file, at[0], at[1], text, mend, severity))

    @property
    def errors(self) -> list[Problem]:
        return [p for p in self.found if p.severity == "error"]

    def raise_if_any(self) -> None:
        if self.errors:
            raise InvalidFile(self.errors)
