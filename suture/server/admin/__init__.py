"""The console: pages for people and the same views as JSON under /api, each address for whoever has its permission."""
