"""Where a websocket is opened, and what the token that binds it is for: known to who gives tokens and to who takes them.

https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/channels.html#websockets
"""

from __future__ import annotations

PATH = "/ws/subscriptions"
PURPOSE = "websocket"  # of the links that stand for tokens
