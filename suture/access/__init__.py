"""Who may do what: callers, their scopes, and the one policy every returned row passes."""
