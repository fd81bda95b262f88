"""The addresses of the authorization server: discovery, /auth/…, and the pages a person sees on the way."""
