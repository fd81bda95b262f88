"""Pages about people: the second proof of signing in, one's own account, staff and invitations."""
