"""The authorization server: who may act through which app, for how long, over what (RFC 6749, SMART App Launch 2.2)."""
