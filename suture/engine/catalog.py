"""What may stand behind `uses:` in a flow: every source and step with its fields; lint, schema and docs come from here."""

from __future__ import annotations

from suture.component import Component, Field

SOURCES: dict[str, Component] = {
    c.name: c
    for c in (
        Component(
            "mllp.listen",
            "source",
            "HL7 v2 over MLLP",
            "Listens for HL7 v2 messages. Several flows may share a port; each takes the messages it claims. "
            "The acknowledgement leaves only after the message is on disk.",
            (
                Field("port", "integer", "TCP port; default: the setting mllp.port"),
                Field("messages", "list", "message types this flow claims, such as ADT^A01 or ADT^*; default: all"),
                Field("time_zone", "string", "zone of times that name none, such as America/Chicago"),
                Field("from", "list", "sending applications (MSH-3) this flow claims; default: all"),
                Field("charset", "string", "character set of messages that name none in MSH-18, such as latin-1"),
                Field("system", "string", "identifier system of numbers without an assigning authority"),
                Field(
                    "authorities", "object", "assigning authority (CX.4) to identifier system, such as {HOSP: 'urn:…'}"
                ),
            ),
            "{uses: mllp.listen, with: {port: 2575, messages: [ADT^A01, ADT^A08], time_zone: America/Chicago}}",
        ),
        Component(
            "http.listen",
            "source",
            "Webhook",
            "Takes JSON at POST /hooks/{flow id}. The caller proves itself with an HMAC-SHA256 signature over the body or "
            "with a bearer secret. Answers 202 with the message's id after the message is on disk.",
            (
                Field(
                    "secret",
                    "secret",
                    "secret:NAME of the vault that signs or opens the door",
                    required=True,
                    secret=True,
                ),
                Field("proof", "string", "how the caller proves itself", default="hmac", choices=("hmac", "bearer")),
                Field(
                    "signature_header",
                    "string",
                    "header that carries the signature (hex or base64, optional sha256= before it)",
                    default="X-Signature",
                ),
                Field(
                    "timestamp_header",
                    "string",
                    "header with the time of sending; signed with the body as TIME.BODY when it is there",
                    default="X-Timestamp",
                ),
                Field("max_age", "duration", "a signed time older than this is refused", default="5m"),
                Field(
                    "id_header",
                    "string",
                    "header with the sender's own id of the event, for duplicates; a signature with a time counts once whatever it says",
                    default="Idempotency-Key",
                ),
                Field("max_body", "size", "largest body", default="1MiB"),
                Field("type", "expression", "what the message is called in lists, from the JSON body"),
                Field("patient", "expression", "the patient identifiers that the JSON body names, for lists and audit"),
            ),
            "{uses: http.listen, with: {secret: secret:intake-hook, patient: patient.mrn}}",
        ),
        Component(
            "fhir.poll",
            "source",
            "FHIR server, polled",
            "Asks a FHIR R4 server for what changed since the last time, with overlap, page by page; each version once. The "
            "watermark moves to what was certainly seen: never past the start of a poll, and past a list that has more than "
            "10,000 pages only as far as the server sorted it by _lastUpdated; of an unsorted one it stays, and the log says so.",
            (
                Field("connection", "connection", "a connection of kind fhir", required=True),
                Field("type", "string", "resource type", required=True),
                Field("search", "object", "further search parameters", default=None),
                Field("every", "duration", "wait between two polls", default="1m"),
                Field(
                    "overlap", "duration", "how far each poll reaches back before the newest version seen", default="2m"
                ),
                Field("since", "string", "instant the first poll starts at; default: the time of the first start"),
                Field("page", "integer", "resources asked for per page", default=100),
            ),
            "{uses: fhir.poll, with: {connection: lakeside-ehr, type: Appointment, every: 1m}}",
        ),
        Component(
            "fhir.changed",
            "source",
            "Change in the own chart",
            "Follows the own store's new versions in the order they were committed; each at least once.",
            (
                Field("types", "list", "resource types; default: all"),
                Field("when", "expression", "only resources for which this holds"),
                Field("since", "string", "where the first start begins", default="now", choices=("now", "beginning")),
            ),
            "{uses: fhir.changed, with: {types: [Patient], when: active = true}}",
        ),
    )
}

_ON_AMBIGUOUS = Field(
    "on_ambiguous", "string", "what to do when a send's answer was lost; default: the connection's policy",
    choices=("retry", "park"),
)  # fmt: skip

STEPS: dict[str, Component] = {
    c.name: c
    for c in (
        Component(
            "filter",
            "step",
            "Filter",
            "Lets the run go on only when the condition holds; otherwise the message ends as filtered.",
            (Field("when", "expression", "condition", required=True),),
            "{id: ours, uses: filter, with: {when: \"PV1-3.4 = 'LAKESIDE'\"}}",
        ),
        Component(
            "branch",
            "step",
            "Branch",
            "Walks the steps of the first case whose condition holds, or those of `else`.",
            (
                Field(
                    "match",
                    "string",
                    "walk the first case that holds, or every one",
                    default="first",
                    choices=("first", "all"),
                ),
            ),
            "{id: which, uses: branch, cases: [{when: \"PV1-2 = 'I'\", steps: [{id: inpatient, uses: map, with: {map: hl7v2/ADT_A01}}]}]}",
        ),
        Component(
            "map",
            "step",
            "Map",
            "Turns the content into another structure with a map; the result becomes the current content.",
            (
                Field(
                    "map",
                    "map",
                    "a map of the project (maps/) or one that is shipped, such as hl7v2/ADT_A01",
                    required=True,
                ),
                Field(
                    "from",
                    "value",
                    "what is mapped: an expression, or a structure whose texts are templates, to map several things at once; "
                    "default: the original for HL7 v2 maps, else the current content",
                ),
            ),
            "{id: chart, uses: map, with: {map: hl7v2/ADT_A01}}",
        ),
        Component(
            "validate",
            "step",
            "Validate",
            "Checks FHIR content: structure, required bindings, invariants, and a profile. What is wrong ends the run as a dead letter.",
            (
                Field(
                    "profile",
                    "profile",
                    "what resources have to keep besides R4: us-core (the profile that fits each, by type, code and category), "
                    "us-core@6.1.0, one of its profiles (us-core-patient), or the URL of a profile of an installed guide; "
                    "of a Bundle those resources that it is for",
                ),
                Field("from", "expression", "what is checked; default: the current content"),
            ),
            "{id: check, uses: validate, with: {profile: us-core}}",
        ),
        Component(
            "fhir.search",
            "step",
            "Search FHIR",
            "Searches a FHIR server (or `local`); the result is the step's output as a searchset Bundle.",
            (
                Field("connection", "connection", "a connection of kind fhir, or local", default="local"),
                Field("type", "string", "resource type", required=True),
                Field("search", "object", "search parameters; values are templates", default=None),
                Field("pages", "integer", "most pages followed", default=1),
            ),
            '{id: known, uses: fhir.search, with: {connection: lakeside-ehr, type: Patient, search: {identifier: "MRN|{{ PID-3.1 }}"}}}',
        ),
        Component(
            "fhir.write",
            "step",
            "Write FHIR",
            "Writes a resource or a transaction. To `local` it commits together with the run; to another server it is a "
            "delivery: found by identifier before it is created, If-None-Exist and If-Match where the server knows them.",
            (
                Field("connection", "connection", "a connection of kind fhir, or local", default="local"),
                Field("from", "expression", "what is written; default: the current content"),
                _ON_AMBIGUOUS,
            ),
            "{id: save, uses: fhir.write, with: {connection: local}}",
        ),
        Component(
            "http.send",
            "step",
            "Send HTTP",
            "Sends a request to an HTTP connection; complete when the destination answered 2xx. A JSON answer is the output.",
            (
                Field("connection", "connection", "a connection of kind http", required=True),
                Field(
                    "method", "string", "HTTP method", default="POST", choices=("GET", "POST", "PUT", "PATCH", "DELETE")
                ),
                Field("path", "template", "path below the connection's base", default=""),
                Field("query", "object", "query parameters; values are templates"),
                Field("headers", "object", "headers; values are templates"),
                Field("body", "any", "JSON body; strings in it are templates. Default: the current content"),
                Field(
                    "content_type", "string", "media type of the body; default: JSON, or text when the body is a text"
                ),
                Field(
                    "idempotency_header",
                    "string",
                    "header that carries the delivery's own id, the same on every attempt",
                    default="Idempotency-Key",
                ),
                _ON_AMBIGUOUS,
            ),
            '{id: page, uses: http.send, with: {connection: pager, path: /pages, body: {text: "Critical result, message {{ message.id }}"}}}',
        ),
        Component(
            "mllp.send",
            "step",
            "Send HL7 v2",
            "Sends an HL7 v2 message; complete when the receiver acknowledged it with AA or CA.",
            (
                Field("connection", "connection", "a connection of kind mllp", required=True),
                Field(
                    "from",
                    "expression",
                    "what is sent; default: the current content when it is HL7 v2, else the original",
                ),
                Field("set", "object", "fields to set before sending, such as {MSH-5: LAB}; values are templates"),
                _ON_AMBIGUOUS,
            ),
            "{id: forward, uses: mllp.send, with: {connection: lab, set: {MSH-5: LAB}}}",
        ),
        Component(
            "file.write",
            "step",
            "Write a file",
            "Writes a file into a folder connection: under another name first, then renamed, so that no reader sees half.",
            (
                Field("connection", "connection", "a connection of kind file", required=True),
                Field("name", "template", "file name below the folder", default="{{ message.id }}"),
                Field("from", "expression", "what is written; default: the current content, else the original"),
                Field("body", "template", "text to write instead"),
            ),
            '{id: keep, uses: file.write, with: {connection: archive, name: "{{ message.id }}.hl7"}}',
        ),
    )
}

KIND_OF_CONNECTION = {
    "fhir.poll": "fhir",
    "fhir.search": "fhir",
    "fhir.write": "fhir",
    "http.send": "http",
    "mllp.send": "mllp",
    "file.write": "file",
}
LOCAL = "local"
