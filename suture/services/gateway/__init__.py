"""The gateway: who may call which upstream, within which limits, and what came of it."""
