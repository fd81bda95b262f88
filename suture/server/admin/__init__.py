"""The console: pages for people and the same views as JSON under /api, for whoever holds the role administrator."""
